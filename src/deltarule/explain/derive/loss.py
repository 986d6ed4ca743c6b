"""The first steps of a derivation: how each loss is differentiated, and when delta_L is o - y.

J of one output and dJ/do are the trees that the loss's record states.
"""

from __future__ import annotations

from collections.abc import Callable

from deltarule.equations.activations import get_activation
from deltarule.explain.derive.task import Task
from deltarule.formula import alphabet as m
from deltarule.formula import expression as ex
from deltarule.formula.expression import (
    Expression,
    Index,
    Negative,
    Plus,
    Product,
    Sum,
    difference,
    product,
    signed,
)
from deltarule.formula.function import Equation, With, replaced
from deltarule.formula.writer import unbroken

Reason = tuple[str | Expression, ...]

_NAMES = {
    "squared_error": "squared error",
    "log_loss": "log loss",
    "cross_entropy": "cross-entropy",
}


class LossRules:
    """The loss of one task, in single outputs."""

    def __init__(self, task: Task) -> None:
        self.task = task
        name = task.loss.name.partition("(")[0]
        self.name = name if task.loss.registered and name in _NAMES else ""
        #: -1 where the document writes y - o: the derivative by o then has a minus sign.
        self.sign = -1 if task.notation.target_first else 1
        #: Whether a step follows that takes dJ/do out of the chain rule's result.
        self.simplified = self.name in ("squared_error", "log_loss")

    def _both(self, i: Index) -> tuple[Expression, Expression]:
        return self.task.a(self.task.L, i), self.task.y(i)

    def _placed(self, tree: Expression | None, i: Index) -> Expression:
        """A formula in o and y for output i, with the error as the document writes it."""
        assert tree is not None
        o, y = self._both(i)
        return replaced(tree, {m.o - m.y: self.error(i), m.o: o, m.y: y})

    def error(self, i: Index) -> Expression:
        """o - y, or y - o where the document writes that."""
        o, y = self._both(i)
        return difference(y, o) if self.sign < 0 else difference(o, y)

    def output_error(self, i: Index) -> tuple[int, Expression]:
        """The sign and the error that together are o - y."""
        return self.sign, self.error(i)

    def _terms(self, i: str) -> tuple[bool, list[Expression]]:
        """The terms of J of one output, and whether all of them are subtracted."""
        tree = self._placed(self.task.loss.tree, i)
        terms = list(tree.terms) if isinstance(tree, Plus) else [tree]
        bodies = [term.body for term in terms if isinstance(term, Negative)]
        return (True, bodies) if len(bodies) == len(terms) else (False, terms)

    def _summed(self, i: str, negative: bool, terms: list[Expression]) -> Expression:
        """Terms of one output summed over all of them, what is common to them in front."""
        body = Plus(tuple(terms)) if len(terms) > 1 else terms[0]
        if isinstance(body, Product) and body.factors[0] == ex.HALF:
            return product(ex.HALF, Sum(i, self.task.L, product(*body.factors[1:])))
        return signed(-1 if negative else 1, Sum(i, self.task.L, body))

    def given(self, i: str) -> Expression:
        """J of the sample."""
        return self._summed(i, *self._terms(i)) if self.name else ex.LossOf(self.task.L)

    def words(self) -> Reason:
        """What is given, in words."""
        by = self.task.target
        what = _NAMES.get(self.name, f"loss {self.task.loss.name}")
        kind = {"w": "weight ", "b": "bias ", "a": "activation "}[by.kind]
        if by.kind == "a" and by.layer == 0:
            kind = "input "
        formula = (
            ""
            if self.name or not self.task.loss.formula
            else (f"; of one output o with target y it is {unbroken(self.task.loss.formula)}")
        )
        return (f"The derivative of the {what} with respect to the {kind}", by, f"{formula}.")

    def chained(self, i: str, d: Callable[[Expression], Expression]) -> Expression:
        """The derivative goes into the loss."""
        if self.simplified:
            negative, terms = self._terms(i)
            return self._summed(i, negative, [_chained(term, d) for term in terms])
        sign, slope = self.slope(i)
        return signed(sign, Sum(i, self.task.L, product(slope, d(self._both(i)[0]))))

    def chain_reason(self, i: str) -> Reason:
        """Why."""
        if self.name == "squared_error":
            return (
                "The derivative of a square is twice what is squared, times the derivative of "
                "that; the 2 and the 1/2 cancel.",
            )
        if self.name:
            return (
                "The derivative of a logarithm is one over its inside, times the derivative of "
                "that inside.",
            )
        formula = unbroken(self.task.loss.dJ_formula)
        shown = f" (for one output o with target y: {formula})" if formula else ""
        return (
            "The loss depends on every output: a sum of ",
            ex.LossSlope(self.task.L, i),
            f", the derivative by one output{shown}, times the derivative of that output.",
        )

    def slope(self, i: str) -> tuple[int, Expression]:
        """The sign and the factor that together are dJ/do_i."""
        if not self.name:
            return 1, ex.LossSlope(self.task.L, i)
        slope = self._placed(self.task.loss.slope_tree, i)
        if isinstance(slope, Negative):
            return -1, slope.body
        return self.sign, slope

    def simplify_reason(self, i: str) -> Reason:
        """Why what the chain rule gave is the slope of the loss, times the derivative of o."""
        o, y = self._both(i)
        if self.name == "squared_error":
            return (
                "The target ",
                y,
                " is a constant",
                "." if self.sign > 0 else ", and the minus sign goes to the front.",
            )
        return (
            "The derivative of ",
            difference(ex.ONE, o),
            " is minus that of ",
            o,
            "; both terms together are one quotient.",
        )

    def mixed_slope(self, i: Index, k: Index) -> Expression:
        """da_i/dz_k at the outputs, written out for softmax."""
        task = self.task
        softmax = get_activation(task.loss.link) if task.net is None else task.net.activations[-1]
        if not softmax.registered:
            return ex.MixedSlope(task.L, i, k)
        a_k: Expression = task.a(task.L, k)
        if softmax.groups:
            a_k = product(ex.Same(i, k, group=True), a_k)
        stated = softmax.slope_tree
        assert isinstance(stated, With)
        assert isinstance(stated.body, Equation)
        places = {m.a_i: task.a(task.L, i), m.a_j: a_k, m.i_is_j: ex.Same(i, k)}
        return replaced(stated.body.right, places)

    def fused_reason(self, i: Index) -> Reason:
        """Why delta_L is o - y."""
        task = self.task
        o, y = self._both(i)
        slope = ex.Call(task.L, task.z(task.L, i), slope=True)
        name = task.loss.name.partition("(")[0]
        if name == "squared_error":
            return ("The output activation is the identity, so ", slope, " is 1.")
        if name == "log_loss":
            of_a = get_activation(task.loss.link).slope_tree
            assert of_a is not None
            is_ = replaced(of_a, {m.a: o})
            return ("The slope of the sigmoid, ", slope, ", is ", is_, ", which cancels.")
        if name == "poisson":
            return (
                "The slope of exp, ",
                slope,
                ", is ",
                o,
                ", and ",
                o,
                " times the derivative of the loss is ",
                difference(o, y),
                ".",
            )
        return (
            "The outputs cancel, the targets sum to 1 (in each group), and what is left of the "
            "double sum is one sum of ",
            self.error(i),
            ".",
        )


def _chained(term: Expression, d: Callable[[Expression], Expression]) -> Expression:
    """The derivative of 1/2 u^2, or of c log(u), by the chain rule."""
    assert isinstance(term, Product), term
    factor, outer = term.factors
    if isinstance(outer, ex.Power):
        return product(outer.base, d(outer.base))
    assert isinstance(outer, ex.Log), outer
    return product(ex.Quotient(factor, outer.argument), d(outer.argument))
