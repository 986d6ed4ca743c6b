"""A formula as a tree, and how each of four documents writes it. Knows no network."""

from deltarule.formula.expression import Expression, Negative, Symbol
from deltarule.formula.notation import Notation, get_notation

__all__ = [
    "Expression",
    "Negative",
    "Notation",
    "Symbol",
    "get_notation",
]
