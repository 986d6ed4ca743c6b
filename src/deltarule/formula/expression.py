"""Expressions of a derivation as trees, so that each can be written, evaluated and changed.

A tree knows no notation: `Symbol("w", 1, (7, 3))` is w_173 in one document and w_73^1 in another.
Layers are l = 0..L with the inputs as layer 0, units are counted from 1; an index is a number or
the letter of a sum around it. A symbol without indices is the array of a whole layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, fields, replace
from typing import Any

Index = int | str
Absent = Set["Expression"]


@dataclass(frozen=True)
class Expression:
    """Any node of a tree."""

    def children(self) -> Iterator[Expression]:
        """The nodes directly below this one."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Expression):
                yield value
            elif isinstance(value, tuple):
                yield from (one for one in value if isinstance(one, Expression))

    def walk(self) -> Iterator[Expression]:
        """This node and all below it, each before those below it."""
        waiting: list[Expression] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(list(node.children())))

    def rebuilt(self, change: Callable[[Expression], Expression]) -> Expression:
        """The same node over changed children."""
        changed: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Expression):
                changed[field.name] = change(value)
            elif isinstance(value, tuple):
                changed[field.name] = tuple(
                    change(one) if isinstance(one, Expression) else one for one in value
                )
        return replace(self, **changed) if changed else self

    def __add__(self, other: Operand) -> Plus:
        return Plus((*_terms(self), *_terms(tree(other))))

    def __radd__(self, other: float) -> Plus:
        return tree(other) + self

    def __sub__(self, other: Operand) -> Plus:
        return Plus((*_terms(self), Negative(tree(other))))

    def __rsub__(self, other: float) -> Plus:
        return tree(other) - self

    def __mul__(self, other: Operand) -> Product:
        return Product((*_factors(self), *_factors(tree(other))))

    def __rmul__(self, other: float) -> Product:
        return tree(other) * self

    def __truediv__(self, other: Operand) -> Quotient:
        return Quotient(self, tree(other))

    def __rtruediv__(self, other: float) -> Quotient:
        return tree(other) / self

    def __pow__(self, exponent: int) -> Power:
        return Power(self, exponent)

    def __neg__(self) -> Negative:
        return Negative(self)


Operand = Expression | float


@dataclass(frozen=True)
class Number(Expression):
    """A number."""

    value: float


@dataclass(frozen=True)
class Symbol(Expression):
    """z, a, w, b, y or delta (the cached term) of a layer; of w the unit that it leads to first."""

    kind: str
    layer: int
    indices: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Total(Expression):
    """The error of the sample, as a symbol."""


@dataclass(frozen=True)
class LossOf(Expression):
    """J of the outputs (of the last layer) and the targets, for a loss not written out."""

    layer: int


@dataclass(frozen=True)
class LossSlope(Expression):
    """dJ/do of one output, or of all (a vector) without an index."""

    layer: int
    index: Index | None = None


@dataclass(frozen=True)
class Sum(Expression):
    """The sum over the units of a layer."""

    index: str
    layer: int
    body: Expression


@dataclass(frozen=True)
class Product(Expression):
    """Numbers multiplied."""

    factors: tuple[Expression, ...]


@dataclass(frozen=True)
class Plus(Expression):
    """Terms added."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Negative(Expression):
    """A minus sign before the body."""

    body: Expression


@dataclass(frozen=True)
class Quotient(Expression):
    """One number by another."""

    top: Expression
    bottom: Expression


@dataclass(frozen=True)
class Power(Expression):
    """A whole power."""

    base: Expression
    exponent: int


@dataclass(frozen=True)
class Call(Expression):
    """The activation function of a layer, or its slope, of an argument."""

    layer: int
    argument: Expression
    slope: bool = False


@dataclass(frozen=True)
class Log(Expression):
    """The natural logarithm."""

    argument: Expression


@dataclass(frozen=True)
class MixedUnit(Expression):
    """One unit of an activation that mixes the units of a layer: f_i(z_1, z_2, ...)."""

    layer: int
    index: Index


@dataclass(frozen=True)
class MixedSlope(Expression):
    """da_i/dz_k of such an activation; without indices the matrix of all of them."""

    layer: int
    index: Index | None = None
    by: Index | None = None


@dataclass(frozen=True)
class Same(Expression):
    """1 if two units are the same, else 0; of the same group, if `group`."""

    first: Index
    second: Index
    group: bool = False


@dataclass(frozen=True)
class Derivative(Expression):
    """The partial derivative of the body by a symbol."""

    body: Expression
    by: Expression


@dataclass(frozen=True)
class MatrixProduct(Expression):
    """Matrices and vectors multiplied, in this order."""

    factors: tuple[Expression, ...]


@dataclass(frozen=True)
class Hadamard(Expression):
    """Arrays multiplied element by element."""

    factors: tuple[Expression, ...]


@dataclass(frozen=True)
class Transpose(Expression):
    """Rows and columns exchanged."""

    body: Expression


@dataclass(frozen=True)
class SquaredNorm(Expression):
    """The sum of the squares of a vector."""

    body: Expression


ZERO = Number(0)
ONE = Number(1)
HALF = Quotient(ONE, Number(2))


def tree(value: Operand) -> Expression:
    """The expression itself, or a number as one."""
    return value if isinstance(value, Expression) else Number(float(value))


def _terms(node: Expression) -> tuple[Expression, ...]:
    return node.terms if isinstance(node, Plus) else (node,)


def _factors(node: Expression) -> tuple[Expression, ...]:
    return node.factors if isinstance(node, Product) else (node,)


def product(*factors: Expression) -> Expression:
    """The factors multiplied, without those that are 1; products in it are opened."""
    flat: list[Expression] = []
    for factor in factors:
        flat.extend(one for one in _factors(factor) if one != ONE)
    return Product(tuple(flat)) if len(flat) > 1 else flat[0] if flat else ONE


def difference(first: Expression, second: Expression) -> Expression:
    """first - second."""
    return Plus((first, Negative(second)))


def signed(sign: int, body: Expression) -> Expression:
    """The body, or its negative."""
    return body if sign > 0 else Negative(body)


def substituted(node: Expression, letter: str, value: int) -> Expression:
    """The tree with the number of a unit in place of an index letter."""

    def put_in(index: Any) -> Any:
        return value if index == letter else index

    if isinstance(node, Symbol):
        return replace(node, indices=tuple(map(put_in, node.indices)))
    if isinstance(node, LossSlope | MixedUnit):
        return replace(node, index=put_in(node.index))
    if isinstance(node, MixedSlope):
        return replace(node, index=put_in(node.index), by=put_in(node.by))
    if isinstance(node, Same):
        return replace(node, first=put_in(node.first), second=put_in(node.second))
    return node.rebuilt(lambda child: substituted(child, letter, value))


def written_out(
    node: Expression, sizes: tuple[int, ...], absent: Absent = frozenset()
) -> Expression:
    """The tree with every sum over the units of a layer as its terms, added.

    A term that is a product with an absent edge's weight is left out; a sum without terms is 0.
    """
    if isinstance(node, Sum):
        bodies = (substituted(node.body, node.index, j + 1) for j in range(sizes[node.layer]))
        there = [written_out(one, sizes, absent) for one in bodies if not _is_absent(one, absent)]
        terms = tuple(one for one in there if one != ZERO)
        return Plus(terms) if len(terms) > 1 else terms[0] if terms else ZERO
    done = node.rebuilt(lambda child: written_out(child, sizes, absent))
    if isinstance(done, Product | Negative) and ZERO in done.children():
        return ZERO
    return done


def _is_absent(node: Expression, absent: Absent) -> bool:
    return not absent.isdisjoint(_factors(node))


def terms_when_written_out(node: Expression, sizes: tuple[int, ...]) -> int:
    """How many terms the sums of a tree have, written out; 0 if it has none."""
    below = [terms_when_written_out(child, sizes) for child in node.children()]
    if isinstance(node, Sum):
        return sizes[node.layer] * max(1, *below)
    return sum(below)


def terms_left_out(node: Expression, sizes: tuple[int, ...], absent: Absent) -> int:
    """How many of these terms belong to absent edges."""
    if not isinstance(node, Sum):
        return sum(terms_left_out(child, sizes, absent) for child in node.children())
    bodies = [substituted(node.body, node.index, j + 1) for j in range(sizes[node.layer])]
    return sum(
        max(1, terms_when_written_out(one, sizes))
        if _is_absent(one, absent)
        else terms_left_out(one, sizes, absent)
        for one in bodies
    )
