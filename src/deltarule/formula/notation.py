"""The symbols and equations of four documents on back-propagation, and our own: ONE table.

A symbol is written in plain text (`z_1[2]`, `w_21^1`, `net_1^(2)`); `typeset.py` sets them.
`Symbols` are the symbols of one network in one notation: what its layers, units, weights and
gradients are called, and how each equation is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from deltarule.errors import unknown_name

Index = int | str


class Pattern(NamedTuple):
    """A symbol: its letter, and which indices stand below it, above it and in brackets.

    l is the layer and m the next one; j is the unit, i the unit before it that a weight comes from.
    """

    letter: str
    sub: str = ""
    sup: str = ""
    at: str = ""


@dataclass(frozen=True)
class Notation:
    """How one document writes back-propagation.

    Attributes
    ----------
    name, document : str
    z, a, W, b, delta, y : Pattern
        Net input, activation, weight, bias, delta, target.
    J, C : str
        The loss of one sample, and the error of all.
    f : Pattern
        The activation function of a layer.
    unit, source, next : str
        The letters that stand for a unit, one of the layer before, one of the layer after.
    delta_name : str
        What a delta is called.
    sign : 1 or -1
        -1 where the error terms are -delta.
    weight_first, weight_first_back : bool
        w a rather than a w in the net input, and w delta rather than delta w on the way back.
    target_first : bool
        y - o rather than o - y in the squared error.
    matrix : bool
        Equations are written for whole layers.
    two_steps : bool
        dJ/da on the way back, then delta from it; else delta in one step.
    """

    name: str
    document: str
    z: Pattern
    a: Pattern
    W: Pattern
    b: Pattern
    delta: Pattern
    y: Pattern
    J: str
    C: str
    f: Pattern
    unit: str = "j"
    source: str = "i"
    next: str = "k"
    delta_name: str = "delta"
    sign: int = 1
    weight_first: bool = False
    weight_first_back: bool = False
    target_first: bool = False
    matrix: bool = False
    two_steps: bool = False

    @property
    def to_first(self) -> bool:
        """Whether a weight names the unit that it leads to before the one that it comes from."""
        indices = self.W.sub + self.W.at
        return indices.index("j") < indices.index("i")


NOTATIONS = {
    one.name: one
    for one in (
        Notation(
            "canonical",
            "this package: rows are samples, layers 0..L",
            *(Pattern("z", "l", "", "j"), Pattern("a", "l", "", "j"), Pattern("W", "l", "", "ij")),
            *(Pattern("b", "l", "", "j"), Pattern("delta", "l", "", "j"), Pattern("y", at="j")),
            *("J", "C", Pattern("f", "l")),
            two_steps=True,
        ),
        Notation(
            "index",
            "A thorough derivation of back-propagation (Gashler 2010): error terms e = -delta",
            *(Pattern("x", "lj"), Pattern("y", "lj"), Pattern("w", "lji")),
            *(Pattern("b", "lj"), Pattern("e", "lj"), Pattern("t", "j")),
            *("E", "E", Pattern("f", "l")),
            source="k",
            next="i",
            delta_name="error term",
            sign=-1,
            weight_first=True,
            target_first=True,
        ),
        Notation(
            "delta",
            "Backpropagation: step-by-step derivation (Yehoshua 2023): w_ij^l goes from j to i",
            *(Pattern("z", "j", "l"), Pattern("a", "j", "l"), Pattern("w", "ji", "l")),
            *(Pattern("b", "j", "l"), Pattern("delta", "j", "l"), Pattern("y", "j")),
            *("J", "E", Pattern("f")),
            unit="i",
            source="j",
            next="j",
            weight_first=True,
            weight_first_back=True,
        ),
        Notation(
            "row",
            "Backpropagation Algorithm (2015): row vectors, the inputs are layer 1",
            *(Pattern("z", "m", "", "j"), Pattern("a", "m", "", "j"), Pattern("w", "l", "", "ij")),
            *(Pattern("b", "l", "", "j"), Pattern("delta", "m", "", "j"), Pattern("y", at="j")),
            *("C", "C", Pattern("sigma")),
            target_first=True,
            matrix=True,
        ),
        Notation(
            "column",
            "A note for back propagation: columns, the inputs are O^(1), the delta is dJ/dnet",
            *(Pattern("net", "j", "(m)"), Pattern("O", "j", "(m)"), Pattern("w", "ji", "(l)")),
            *(Pattern("b", "j", "(l)"), Pattern("dJ/dnet", "j", "(m)"), Pattern("y", "j")),
            *("J", "J", Pattern("sigma")),
            delta_name="gradient",
            weight_first=True,
            weight_first_back=True,
            two_steps=True,
        ),
    )
}


def get_notation(name: str) -> Notation:
    """The notation of that name. Raises SpecError for an unknown one."""
    if name not in NOTATIONS:
        raise unknown_name("notation", name, NOTATIONS)
    return NOTATIONS[name]


class Symbols:
    """The symbols of one network: layers l = 1..L and units j counted from 1, or letters for any.

    Parameters
    ----------
    notation : str
    sizes : sequence of int
        Of the network. Where an index may have two digits, indices are set apart by commas.
    """

    def __init__(self, notation: str, sizes: Sequence[int]) -> None:
        self.notation = n = get_notation(notation)
        self.L = len(sizes) - 1
        self.J, self.C = n.J, n.C
        self.unit, self.source, self.next = n.unit, n.source, n.next
        self._comma = "," if max(*sizes, self.L) > 9 else ""

    def _write(self, pattern: Pattern, l: int, j: Index = "", i: Index = "") -> str:
        letter, sub, sup, at = pattern
        values = {"l": str(l), "m": str(l + 1), "j": str(j), "i": str(i)}
        text = letter
        if sub:
            text += "_" + self._comma.join(values[one] for one in sub)
        if sup:
            text += "^" + "".join(values.get(one, one) for one in sup)
        if at and j != "":
            text += f"[{','.join(values[one] for one in at)}]"
        return text

    def z(self, l: int, j: Index = "") -> str:
        """The net input of unit j of layer l; of the whole layer without j (matrix notation)."""
        return self._write(self.notation.z, l, j)

    def a(self, l: int, j: Index = "") -> str:
        """The activation of unit j of layer l; layer 0 holds the inputs."""
        return self._write(self.notation.a, l, j)

    def W(self, l: int, i: Index = "", j: Index = "") -> str:
        """The weight from unit i of layer l - 1 to unit j of layer l."""
        return self._write(self.notation.W, l, j, i)

    def b(self, l: int, j: Index = "") -> str:
        """The bias of unit j of layer l."""
        return self._write(self.notation.b, l, j)

    def delta(self, l: int, j: Index = "") -> str:
        """The delta (or error term) of unit j of layer l."""
        return self._write(self.notation.delta, l, j)

    def y(self, j: Index = "") -> str:
        """The target of output j."""
        return self._write(self.notation.y, self.L, j)

    def f(self, l: int, argument: str = "", slope: bool = False) -> str:
        """The activation function of layer l, or its slope, of the argument if one is given."""
        name = self._write(self.notation.f, l) + "'" * slope
        return f"{name}({argument})" if argument else name

    def d(self, of: str, by: str) -> str:
        """A derivative."""
        return f"d{of}/d{by}"

    # -- the equations, of any unit of layer l ------------------------------------------------

    def net_input(self, l: int, bias: bool) -> str:
        """z_l = a_{l-1} W_l + b_l."""
        n, (j, i) = self.notation, (self.unit, self.source)
        if n.matrix:
            return f"{self.z(l)} = {self.a(l - 1)} {self.W(l)}" + f" + {self.b(l)}" * bias
        product = _product(self.a(l - 1, i), self.W(l, i, j), n.weight_first)
        return f"{self.z(l, j)} = sum_{i} {product}" + f" + {self.b(l, j)}" * bias

    def activation(self, l: int, formula: str) -> str:
        """a_l = f_l(z_l)."""
        j = "" if self.notation.matrix else self.unit
        shown = f", {self.f(l)}(z) = {formula}" if formula else ""
        return f"{self.a(l, j)} = {self.f(l, self.z(l, j))}{shown}"

    def of_output(self, formula: str) -> str:
        """A formula in o and y, in the symbols of output and target of one output."""
        j = "" if self.notation.matrix else self.unit
        names = {"o": self.a(self.L, j), "y": self.y(j)}
        return re.sub(r"\b[oy]\b", lambda found: names[found[0]], formula)

    def output_error(self) -> str:
        """o - y, or y - o where error terms are negative deltas."""
        return self.of_output("o - y" if self.notation.sign > 0 else "y - o")

    def activation_gradient(self, l: int) -> str:
        """dJ/da_l = delta_{l+1} W_{l+1}^T, for l < L."""
        n = self.notation
        if n.matrix:
            return f"{self.d(self.J, self.a(l))} = {self.delta(l + 1)} {self.W(l + 1)}'"
        # a unit of layer l is where the weight comes from
        j, k = (self.unit, self.next) if n.two_steps else (self.source, self.unit)
        product = _product(self.delta(l + 1, k), self.W(l + 1, j, k), n.weight_first_back)
        return f"{self.d(self.J, self.a(l, j))} = {'-' * (n.sign < 0)}sum_{k} {product}"

    def delta_from_gradient(self, l: int) -> str:
        """delta_l = dJ/da_l f_l'(z_l)."""
        j = "" if self.notation.matrix else self.unit
        by = self.d(self.J, self.a(l, j))
        times = " .* " if self.notation.matrix else "*"
        minus = "-" * (self.notation.sign < 0)
        return f"{self.delta(l, j)} = {minus}{by}{times}{self.f(l, self.z(l, j), slope=True)}"

    def mixed_delta(self) -> str:
        """delta_L where the output activation mixes the units: the Jacobian product of softmax."""
        j, k = ("j", "k") if self.notation.matrix else (self.unit, self.next)
        a_j, a_k = self.a(self.L, j), self.a(self.L, k)
        minus = "-" * (self.notation.sign < 0)
        rule = f"{self.delta(self.L, j)} = {minus}{a_j}*(g_{j} - sum_{k} g_{k}*{a_k})"
        return f"{rule}, g_{j} = {self.d(self.J, a_j)}"

    def delta_rule(self, l: int) -> str:
        """delta_l = (delta_{l+1} W_{l+1}^T) f_l'(z_l), for l < L."""
        n, (j, k) = self.notation, (self.unit, self.next)
        slope = self.f(l, self.z(l, "" if n.matrix else j), slope=True)
        if n.matrix:
            return f"{self.delta(l)} = {self.delta(l + 1)} {self.W(l + 1)}' .* {slope}"
        product = _product(self.delta(l + 1, k), self.W(l + 1, j, k), n.weight_first_back)
        if n.weight_first_back:
            return f"{self.delta(l, j)} = {slope}*sum_{k} {product}"
        return f"{self.delta(l, j)} = sum_{k} {product}*{slope}"

    def weight_gradient(self, l: int) -> str:
        """dC/dW_l = a_{l-1}^T delta_l, of one sample."""
        n, (j, i) = self.notation, (self.unit, self.source)
        if n.matrix:
            return f"{self.d(self.C, self.W(l))} = {self.a(l - 1)}' {self.delta(l)}"
        flipped = n.weight_first
        product = _product(self.a(l - 1, i), self.delta(l, j), flipped)
        return f"{self.d(self.C, self.W(l, i, j))} = {'-' * (n.sign < 0)}{product}"

    def bias_gradient(self, l: int) -> str:
        """dC/db_l = delta_l, of one sample."""
        j = "" if self.notation.matrix else self.unit
        minus = "-" * (self.notation.sign < 0)
        return f"{self.d(self.C, self.b(l, j))} = {minus}{self.delta(l, j)}"

    def update(self, parameter: str) -> str:
        """w <- w - alpha dC/dw."""
        return f"{parameter} <- {parameter} - alpha*{self.d(self.C, parameter)}"


def _product(x: str, w: str, weight_first: bool) -> str:
    return f"{w}*{x}" if weight_first else f"{x}*{w}"
