"""The notations of four documents on back-propagation, and our own: ONE table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from deltarule.errors import unknown_name


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
