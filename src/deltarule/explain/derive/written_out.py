"""The last step again: its sums as terms, and the numbers of a sample in place of its symbols."""

from __future__ import annotations

from dataclasses import replace

from deltarule.explain.derive.evaluate import Definition, Point, evaluate
from deltarule.explain.derive.steps import Step
from deltarule.explain.derive.task import Task
from deltarule.formula import expression as ex
from deltarule.formula.expression import (
    Expression,
    Number,
    Symbol,
    terms_left_out,
    terms_when_written_out,
    written_out,
)

_MOST_TERMS = 12


def with_sums_written_out(task: Task, steps: list[Step], point: Point | None) -> list[Step]:
    """The last step again with its sums as terms, and with the numbers of a sample."""
    assert task.net is not None
    last, sizes = steps[-1], task.net.sizes
    expression = last.expression
    terms = terms_when_written_out(expression, sizes)
    if terms > _MOST_TERMS:
        return steps
    done = list(steps)
    if terms:
        why = _of_terms(expression, terms, terms_left_out(expression, sizes, task.absent))
        expression = written_out(expression, sizes, task.absent)
        step = replace(last, rule="expand a term", expression=expression, reason=(why,))
        done.append(replace(step, number=len(done) + 1, names=(), phase="numbers"))
    if point is not None:
        known = [name for step in steps for name in step.names]
        there = Point(point.net, point.a[0], point.y, known)
        units = [one for name in known for one in _units(name, task)]
        numbered = [Definition(one.symbol, with_numbers(one.expression, there)) for one in units]
        reason = ("With the numbers of the sample put in.",)
        step = replace(last, rule="simplify", expression=with_numbers(expression, there))
        step = replace(step, number=len(done) + 1, reason=reason, names=tuple(numbered))
        done.append(replace(step, phase="numbers", numeric=True))
    return done


def _of_terms(expression: Expression, terms: int, left_out: int) -> str:
    if terms == 1:
        return "The sum is over one unit only."
    nested = any(
        isinstance(inner, ex.Sum)
        for outer in expression.walk()
        if isinstance(outer, ex.Sum)
        for inner in outer.body.walk()
    )
    said = (
        f"Written out, the sums have {terms} terms: one for each path through their units"
        if nested
        else f"Written out, the sum has {terms} terms: one for each unit that it is over"
    )
    lacking = "; {} over an edge that is not there {} left out"
    if left_out:
        said += lacking.format(left_out, "is" if left_out == 1 else "are")
    return f"{said}."


def _units(name: Definition, task: Task) -> list[Definition]:
    """A cached term for every unit that it is of, with its sum written out; none if too long."""
    assert task.net is not None
    letter, l, sizes = name.symbol.indices[0], name.symbol.layer, task.net.sizes
    one = isinstance(letter, int)
    units = 1 if one else sizes[l]
    if max(units, terms_when_written_out(name.expression, sizes)) > _MOST_TERMS:
        return []
    bodies = {
        j: name.expression if one else ex.substituted(name.expression, str(letter), int(j))
        for j in ((letter,) if one else range(1, sizes[l] + 1))
    }
    return [
        Definition(Symbol("delta", l, (j,)), written_out(body, sizes, task.absent))
        for j, body in bodies.items()
    ]


def with_numbers(node: Expression, point: Point) -> Expression:
    """The tree with the number of every symbol, slope and output in its place."""
    leaf = isinstance(node, Symbol | ex.LossSlope | ex.Same | ex.MixedSlope)
    if leaf or (isinstance(node, ex.Call) and node.slope):
        return Number(float(evaluate(point, node).value))
    return node.rebuilt(lambda child: with_numbers(child, point))
