"""Every small change of a tree: an index, a layer, a sign, a factor, a transpose.

A verification worth its name tells each from the tree that it was made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

from deltarule.formula import expression as ex
from deltarule.formula.expression import Expression, Index

LETTERS = "ijklmn"


def mutants(node: Expression) -> Iterator[Expression]:
    """The tree with one thing changed, in every way."""
    yield from _changed(node)
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, Expression):
            for one in mutants(value):
                if field.name != "by" or isinstance(one, ex.Symbol):
                    yield replace(node, **{field.name: one})
        elif isinstance(value, tuple):
            for place, child in enumerate(value):
                if isinstance(child, Expression):
                    for one in mutants(child):
                        changed = (*value[:place], one, *value[place + 1 :])
                        yield replace(node, **{field.name: changed})


def _other_indices(index: Index) -> list[Index]:
    if isinstance(index, int):
        return [index + 1, *([index - 1] if index > 1 else []), "i"]
    return [one for one in LETTERS if one != index] + [1]


def _changed(node: Expression) -> Iterator[Expression]:
    """Changes of this very node."""
    if isinstance(node, ex.Number):
        yield ex.Number(node.value + 1)
    if isinstance(node, ex.Symbol):
        for place, index in enumerate(node.indices):
            for other in _other_indices(index):
                indices = (*node.indices[:place], other, *node.indices[place + 1 :])
                yield replace(node, indices=indices)
        if len(node.indices) == 2 and node.indices[0] != node.indices[1]:
            yield replace(node, indices=node.indices[::-1])
        if node.kind != "y":
            yield replace(node, layer=node.layer + 1)
            yield replace(node, layer=node.layer - 1)
    if isinstance(node, ex.Sum):
        yield node.body
        yield replace(node, layer=node.layer - 1)
        yield from (replace(node, index=one) for one in _other_indices(node.index)[:-1])
    if isinstance(node, ex.Product | ex.MatrixProduct | ex.Hadamard):
        for place, factor in enumerate(node.factors):
            rest = (*node.factors[:place], *node.factors[place + 1 :])
            yield replace(node, factors=rest) if len(rest) > 1 else rest[0]
            negated = (*node.factors[:place], ex.Negative(factor), *node.factors[place + 1 :])
            yield replace(node, factors=negated)
        if isinstance(node, ex.MatrixProduct):
            yield replace(node, factors=node.factors[::-1])
    if isinstance(node, ex.Plus):
        for place, term in enumerate(node.terms):
            rest = (*node.terms[:place], *node.terms[place + 1 :])
            yield replace(node, terms=rest) if len(rest) > 1 else rest[0]
            other = term.body if isinstance(term, ex.Negative) else ex.Negative(term)
            yield replace(node, terms=(*node.terms[:place], other, *node.terms[place + 1 :]))
    if isinstance(node, ex.Negative | ex.Transpose | ex.SquaredNorm):
        yield node.body
    if isinstance(node, ex.Quotient):
        yield ex.Quotient(node.bottom, node.top)
        yield node.top
    if isinstance(node, ex.Power):
        yield node.base
        yield replace(node, exponent=node.exponent + 1)
    if isinstance(node, ex.Call):
        yield replace(node, layer=node.layer - 1)
        yield replace(node, slope=not node.slope)
        yield node.argument
    if isinstance(node, ex.Log | ex.LossSlope | ex.MixedUnit):
        yield ex.Negative(node)
    if isinstance(node, ex.Same):
        yield replace(node, first=1)
        yield ex.ONE
    if isinstance(node, ex.Derivative):
        yield node.body
        yield ex.Negative(node)
