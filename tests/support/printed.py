"""Reads what a trace prints, and calculates every line again: the oracle of formulas and numbers.

A printed number stands for an interval, half a unit of its last significant digit to either side.
Arithmetic on intervals then says where the result of a line must lie, however it was rounded.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

LINE = re.compile(
    r"^  (?P<symbol>\S+(?: \S+)?) (?P<arrow>=|<-) (?P<numbers>.*\S) += +(?P<value>\S+)$"
)


class Printed(NamedTuple):
    """One line as printed."""

    symbol: str
    arrow: str
    numbers: str
    value: str


def lines(text: str) -> list[Printed]:
    """Every line of a text that states a number."""
    found = (LINE.match(line) for line in text.splitlines())
    return [Printed(**one.groupdict()) for one in found if one]


def values(text: str) -> dict[str, float]:
    """The value that is printed for each symbol; a symbol printed twice keeps its last one."""
    return {line.symbol: float(line.value) for line in lines(text)}


class Interval:
    """Every number from low to high, with the arithmetic that a calculation needs."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = float(low), float(high)

    def _of(self, corners: list[float]) -> Interval:
        if any(math.isnan(one) for one in corners):
            return Interval(-math.inf, math.inf)
        return Interval(min(corners), max(corners))

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Interval) -> Interval:
        return self + -other

    def __mul__(self, other: Interval) -> Interval:
        return self._of([x * y for x in (self.low, self.high) for y in (other.low, other.high)])

    def __truediv__(self, other: Interval) -> Interval:
        if other.low <= 0 <= other.high:
            return Interval(-math.inf, math.inf)
        return self._of([x / y for x in (self.low, self.high) for y in (other.low, other.high)])

    def __pow__(self, other: Interval) -> Interval:
        low, high = sorted([abs(self.low), abs(self.high)])
        return Interval(0 if self.low <= 0 <= self.high else low * low, high * high)

    def monotone(self, f: Callable[[float], float]) -> Interval:
        return self._of([f(self.low), f(self.high)])

    def even(self, f: Callable[[float], float]) -> Interval:
        """Of a function that is the same for x and -x, and monotone in |x|."""
        low, high = sorted([abs(self.low), abs(self.high)])
        return self._of([f(0.0 if self.low <= 0 <= self.high else low), f(high)])


def _exp(x: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(x))


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def _phi(x: float) -> float:
    return _exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _max(x: Interval, y: Interval) -> Interval:
    return Interval(max(x.low, y.low), max(x.high, y.high))


FUNCTIONS: Mapping[str, Callable[..., Interval]] = {
    "exp": lambda x: x.monotone(_exp),
    "log": lambda x: x.monotone(_log),
    "tanh": lambda x: x.monotone(math.tanh),
    "Phi": lambda x: x.monotone(lambda v: float(ndtr(v))),
    "phi": lambda x: x.even(_phi),
    "cosh": lambda x: x.even(math.cosh),
    "abs": lambda x: x.even(abs),
    "max": _max,
}
_OPERATORS: Mapping[type, Callable[[Any, Any], Interval]] = {
    ast.Add: lambda x, y: x + y,
    ast.Sub: lambda x, y: x - y,
    ast.Mult: lambda x, y: x * y,
    ast.Div: lambda x, y: x / y,
    ast.Pow: lambda x, y: x**y,
}


def largest(line: Printed) -> float:
    """The largest number of a line; inf for NaN."""
    found = re.findall(r"nan|inf|\d[\d.]*(?:e-?\d+)?", f"{line.numbers} {line.value}")
    return max(math.inf if one in ("nan", "inf") else float(one) for one in found)


def evaluate(numbers: str, digits: int | None) -> Interval:
    """Where the result of a calculation lies whose numbers were rounded to so many digits."""
    text = re.sub(r" \(\d+ more\)", "", numbers).replace("^", "**")

    def value(node: ast.expr) -> Interval:
        if isinstance(node, ast.Constant):
            x = float(node.value)
            if x == 0:
                return Interval(0, 0)
            unit = 10.0 ** (math.floor(math.log10(abs(x))) - (digits or 0) + 1)
            half = abs(x) * 1e-15 if digits is None else unit * 0.5001
            return Interval(x - half, x + half)
        if isinstance(node, ast.UnaryOp):
            assert isinstance(node.op, ast.USub)
            return -value(node.operand)
        if isinstance(node, ast.BinOp):
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        assert isinstance(node, ast.Call), ast.dump(node)
        assert isinstance(node.func, ast.Name)
        return FUNCTIONS[node.func.id](*map(value, node.args))

    return value(ast.parse(text, mode="eval").body)


def holds(line: Printed, digits: int | None) -> bool:
    """Whether the line's calculation gives its value, as far as its printed digits tell."""
    result, claimed = evaluate(line.numbers, digits), evaluate(line.value, digits)
    slack = 1e-14  # of float64 arithmetic on numbers near 1, as in log(1 - 1e-17)
    return result.low - slack <= claimed.high and claimed.low <= result.high + slack
