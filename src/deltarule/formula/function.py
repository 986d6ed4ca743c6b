"""Functions of numbers as trees: what a record states of its value and its slope.

Beside the nodes of `expression.py`: variables, functions by name, cases, definitions. A record's
tree knows no layer; `replaced` puts symbols of a network, or numbers, in place of its variables.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from deltarule.formula.expression import Expression, Index, Negative, Number, Plus, Product


@dataclass(frozen=True)
class Variable(Expression):
    """A letter, such as the z of f(z), or one of many, such as z_i."""

    letter: str
    indices: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Function(Expression):
    """A function by its name: exp, tanh, cosh, sign, Phi and phi (of the normal distribution)."""

    name: str
    argument: Expression


@dataclass(frozen=True)
class Magnitude(Expression):
    """The absolute value."""

    body: Expression


@dataclass(frozen=True)
class Largest(Expression):
    """The larger of two."""

    first: Expression
    second: Expression


@dataclass(frozen=True)
class Comparison(Expression):
    """What a case depends on; the sign is one of >, < and <=."""

    left: Expression
    sign: str
    right: Expression


@dataclass(frozen=True)
class Cases(Expression):
    """One expression where a condition holds, another one elsewhere."""

    condition: Comparison
    holds: Expression
    otherwise: Expression


@dataclass(frozen=True)
class Clipped(Expression):
    """The body, held between two numbers."""

    body: Expression
    low: float
    high: float


@dataclass(frozen=True)
class Equation(Expression):
    """left = right, or left <- right."""

    left: Expression
    right: Expression
    sign: str = "="


@dataclass(frozen=True)
class With(Expression):
    """The body, and what else is to be known of it: what its letters stand for, or words."""

    body: Expression
    known: tuple[Expression, ...]

    @property
    def definitions(self) -> dict[Expression, Expression]:
        """What letters of the body stand for."""
        return {one.left: one.right for one in self.known if isinstance(one, Equation)}


@dataclass(frozen=True)
class Words(Expression):
    """Plain text with expressions in it."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True)
class Quoted(Expression):
    """A record's formula as it stands there: with room around its signs, its constants computed."""

    body: Expression


@dataclass(frozen=True)
class FunctionName(Expression):
    """The activation function of a layer, or its slope, without an argument."""

    layer: int
    slope: bool = False


def replaced(node: Expression, by: Mapping[Expression, Expression]) -> Expression:
    """The tree with other nodes in place of some."""
    found = by.get(node)
    return node.rebuilt(lambda child: replaced(child, by)) if found is None else found


def with_constants_computed(node: Expression) -> Expression:
    """The tree with sums of numbers alone, and the numbers that begin a product, as one number."""
    done = node.rebuilt(with_constants_computed)
    if isinstance(done, Plus):
        terms = [_number(one) for one in done.terms]
        known = [one for one in terms if one is not None]
        return Number(sum(known)) if len(known) == len(terms) else done
    if isinstance(done, Product):
        first = list(itertools.takewhile(lambda one: isinstance(one, Number), done.factors))
        if len(first) > 1:
            number = math.prod(one.value for one in first if isinstance(one, Number))
            return Product((Number(number), *done.factors[len(first) :]))
    return done


def _number(node: Expression) -> float | None:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Negative) and isinstance(node.body, Number):
        return -node.body.value
    return None


def told(text: str, letters: str) -> Words:
    """A formula that somebody put in words of his own: text, in which single letters are known."""
    parts = re.split(rf"\b([{letters}])\b", text)
    return Words(tuple(Variable(p) if k % 2 else p for k, p in enumerate(parts) if p))
