"""Gradients evaluated with numbers that count their products: the proof of the formulas (D7).

Each way to the gradient is written as its document has it, one product at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import Any

import numpy as np

from deltarule import options
from deltarule.equations.params import Array
from deltarule.errors import SpecError
from deltarule.explain.counts.formulas import Counts, Products
from deltarule.network.gradients import backward, forward
from deltarule.network.network import Network

_MOST = 3_000_000  # products that are counted one by one in a few seconds


class Number:
    """A number that counts, for all numbers, how often it was multiplied."""

    __slots__ = ("value",)
    products = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def __mul__(self, other: Number) -> Number:
        Number.products += 1
        return Number(self.value * other.value)

    def __add__(self, other: Number) -> Number:
        return Number(self.value + other.value)

    def __sub__(self, other: Number) -> Number:
        return Number(self.value - other.value)

    def __neg__(self) -> Number:
        return Number(-self.value)


@dataclass(frozen=True)
class Counted:
    """What was counted on a random network.

    Attributes
    ----------
    expected : Counts
        What the formulas say.
    all_weights, first_weight : Products
        What was counted.
    gradient_error : float
        Largest difference of a weight's gradient, of any way, from `deltarule.backward`, in units
        of the largest gradient.
    """

    expected: Counts
    all_weights: Products
    first_weight: Products
    gradient_error: float

    @property
    def ok(self) -> bool:
        """Whether formulas and counts are equal, and the gradients agree to 1e-10."""
        same = (self.all_weights, self.first_weight) == (
            self.expected.all_weights,
            self.expected.first_weight,
        )
        return same and self.gradient_error < 1e-10

    def to_text(self) -> str:
        """Counts beside the formulas' numbers."""
        lines = []
        for what in ("all_weights", "first_weight"):
            found, told = getattr(self, what), getattr(self.expected, what)
            for way in told._fields:
                x, y = getattr(found, way), getattr(told, way)
                verdict = "equal" if x == y else "DIFFERENT"
                name = f"{what.replace('_', ' ')}, {way}"
                lines.append(f"{name:<24}  counted {x:,}, formula {y:,}: {verdict}")
        agree = "agree" if self.gradient_error < 1e-10 else "DISAGREE"
        return "\n".join([*lines, f"gradients {agree} with backward ({self.gradient_error:.0e})"])

    def __str__(self) -> str:
        return self.to_text()


class Evaluation:
    """One sample's pass through a network without biases, and its gradients four ways.

    Nodes count from 0. w[l][j][k] leads into node j of layer l from node k of the layer before;
    y[l] are outputs of layer l, slope[l] its f'(x), t the targets (the letters of document D).
    """

    def __init__(self, net: Network, x: Array, t: Array) -> None:
        passed = forward(net, x[None])
        self.L = len(net.weights)
        self.w: list[list[list[Number]]] = [[], *(_numbers(W.T) for W in net.weights)]
        self.y: list[list[Number]] = [_numbers(a[0]) for a in passed.a]
        slopes = zip(net.activations, passed.z, strict=True)
        self.slope: list[list[Number]] = [[], *(_numbers(f.df(z)[0]) for f, z in slopes)]
        self.t: list[Number] = _numbers(t)

    def error(self, i: int) -> Number:
        """t_i - y_Li."""
        return self.t[i] - self.y[self.L][i]

    def paths(self, m: int, p: int, q: int) -> Number:
        """dE/dw_mpq, every path from node p of layer m to an output multiplied out by itself."""
        total = Number(0.0)
        above = [range(len(self.y[l])) for l in range(m + 1, self.L + 1)]
        for nodes in itertools.product(*above):
            path = [p, *nodes]  # of layers m, m + 1, ..., L
            factors = [self.error(path[-1])]
            for l in range(self.L, m, -1):
                to, source = path[l - m], path[l - m - 1]
                factors += [self.slope[l][to], self.w[l][to][source]]
            total += reduce(mul, [*factors, self.slope[m][p], self.y[m - 1][q]])
        return -total

    def nested(self, m: int, p: int, q: int) -> Number:
        """dE/dw_mpq as document D's step 19 has it, each inner sum again for each outer term."""
        if m == self.L:
            return -(self.error(p) * self.slope[m][p] * self.y[m - 1][q])

        def times_inner(head: Number, l: int, i: int) -> Number:
            if l == m + 1:
                return head * self.w[l][i][p] * self.slope[m][p] * self.y[m - 1][q]
            return head * _sum(
                times_inner(self.w[l][i][k] * self.slope[l - 1][k], l - 1, k)
                for k in range(len(self.y[l - 1]))
            )

        return -_sum(
            times_inner(self.error(i) * self.slope[self.L][i], self.L, i)
            for i in range(len(self.t))
        )

    def error_terms(self, m: int, node: int | None = None) -> Iterator[tuple[int, list[Number]]]:
        """The error terms of layers L, L - 1, ..., m; of layer m only of one node, if given."""
        e: list[Number] = []
        for l in range(self.L, m - 1, -1):
            nodes = range(len(self.y[l])) if l > m or node is None else [node]
            if l == self.L:
                e = [self.error(j) * self.slope[l][j] for j in nodes]
            else:
                e = [
                    _sum(e_i * self.w[l + 1][i][j] for i, e_i in enumerate(e)) * self.slope[l][j]
                    for j in nodes
                ]
            yield l, e

    def from_error_terms(self, e: Sequence[Number], m: int) -> list[list[Number]]:
        """dE/dw_mpq of all weights of a layer."""
        return [[-(e_p * y_q) for y_q in self.y[m - 1]] for e_p in e]

    def cached(self) -> dict[int, list[list[Number]]]:
        """All weights, every error term once."""
        return {m: self.from_error_terms(e, m) for m, e in self.error_terms(1)}

    def restarted(self) -> dict[int, list[list[Number]]]:
        """All weights, the error terms again from the output for every layer."""
        found = {}
        for m in range(1, self.L + 1):
            *_, (_, e) = self.error_terms(m)
            found[m] = self.from_error_terms(e, m)
        return found

    def one_cached(self) -> Number:
        """The weight from node 0 to node 0 of layer 1, only with the error terms that it needs."""
        *_, (_, e) = self.error_terms(1, node=0)
        return -(e[0] * self.y[0][0])


def count(expected: Counts, rng: Any) -> Counted:
    """The products of every way, counted on a random network of those sizes."""
    many = sum(expected.all_weights)
    if many > _MOST:
        raise SpecError(
            f"counting one by one would be {many:.3g} products, more than {_MOST:,}: "
            "verify a smaller network"
        )
    rng = options.generator(rng)
    names = ["sigmoid"] * expected.layers
    net = Network(expected.sizes, names, "squared_error", bias=False, rng=rng)
    x, t = rng.normal(size=expected.sizes[0]), rng.normal(size=expected.sizes[-1])
    right = [W.T for W in backward(net, x[None], t[None]).weights]  # to first, as in document D
    one = Evaluation(net, x, t)
    largest = max(float(np.abs(W).max()) for W in right)
    worst = 0.0

    def compare(found: Any, wanted: Any) -> None:
        nonlocal worst
        difference = np.abs(_values(found) - wanted).max() / (largest or 1.0)
        worst = max(worst, float(difference))

    def counted(way: str, everything: bool) -> int:
        Number.products = 0
        found: dict[int, Any]
        if way in ("paths", "nested"):
            term = getattr(one, way)
            if not everything:
                found = {1: term(1, 0, 0)}
            else:
                found = {
                    m: [[term(m, p, q) for q in range(W.shape[1])] for p in range(W.shape[0])]
                    for m, W in enumerate(right, start=1)
                }
        else:
            found = getattr(one, way)() if everything else {1: one.one_cached()}
        products = Number.products
        for m, values in found.items():
            compare(values, right[m - 1] if everything else right[0][0, 0])
        return products

    every, first = (
        Products(*(counted(way, everything) for way in Products._fields))
        for everything in (True, False)
    )
    return Counted(expected, every, first, worst)


def _numbers(array: Array) -> Any:
    """An array as nested lists of counting numbers."""
    if array.ndim == 0:
        return Number(float(array))
    return [_numbers(part) for part in array]


def _values(found: Any) -> Array:
    """The plain numbers of nested lists of counting ones."""
    if isinstance(found, Number):
        return np.array(found.value)
    return np.array([_values(part) for part in found])


def _sum(terms: Iterator[Number]) -> Number:
    return reduce(lambda x, y: x + y, terms)
