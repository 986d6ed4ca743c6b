"""The first steps of a derivation: how each loss is differentiated, and when delta_L is o - y."""

from __future__ import annotations

from collections.abc import Callable

from deltarule.explain.derive.task import Task
from deltarule.formula import expression as ex
from deltarule.formula.expression import Expression, Index, Plus, Sum, difference, product, signed
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

    def error(self, i: Index) -> Expression:
        """o - y, or y - o where the document writes that."""
        o, y = self._both(i)
        return difference(y, o) if self.sign < 0 else difference(o, y)

    def output_error(self, i: Index) -> tuple[int, Expression]:
        """The sign and the error that together are o - y."""
        return self.sign, self.error(i)

    def given(self, i: str) -> Expression:
        """J of the sample."""
        task, (o, y) = self.task, self._both(i)
        if self.name == "squared_error":
            return product(ex.HALF, Sum(i, task.L, ex.Power(self.error(i), 2)))
        if self.name == "log_loss":
            other = product(difference(ex.ONE, y), ex.Log(difference(ex.ONE, o)))
            return ex.Negative(Sum(i, task.L, Plus((product(y, ex.Log(o)), other))))
        if self.name == "cross_entropy":
            return ex.Negative(Sum(i, task.L, product(y, ex.Log(o))))
        return ex.LossOf(task.L)

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
        task, (o, y) = self.task, self._both(i)
        if self.name == "squared_error":
            return Sum(i, task.L, product(self.error(i), d(self.error(i))))
        if self.name == "log_loss":
            not_o, not_y = difference(ex.ONE, o), difference(ex.ONE, y)
            terms = (product(ex.Quotient(y, o), d(o)), product(ex.Quotient(not_y, not_o), d(not_o)))
            return ex.Negative(Sum(i, task.L, Plus(terms)))
        sign, slope = self.slope(i)
        return signed(sign, Sum(i, task.L, product(slope, d(o))))

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
        o, y = self._both(i)
        if self.name == "squared_error":
            return self.sign, self.error(i)
        if self.name == "log_loss":
            return self.sign, ex.Quotient(self.error(i), product(o, difference(ex.ONE, o)))
        if self.name == "cross_entropy":
            return -1, ex.Quotient(y, o)
        return 1, ex.LossSlope(self.task.L, i)

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
        known = task.net is None or task.net.activations[-1].registered
        if not known:
            return ex.MixedSlope(task.L, i, k)
        a_i: Expression = task.a(task.L, i)
        a_k: Expression = task.a(task.L, k)
        groups = task.loss.groups if task.net is None else task.net.activations[-1].groups
        if groups:
            a_k = product(ex.Same(i, k, group=True), a_k)
        return product(a_i, difference(ex.Same(i, k), a_k))

    def fused_reason(self, i: Index) -> Reason:
        """Why delta_L is o - y."""
        task = self.task
        o, y = self._both(i)
        slope = ex.Call(task.L, task.z(task.L, i), slope=True)
        name = task.loss.name.partition("(")[0]
        if name == "squared_error":
            return ("The output activation is the identity, so ", slope, " is 1.")
        if name == "log_loss":
            return (
                "The slope of the sigmoid, ",
                slope,
                ", is ",
                product(o, difference(ex.ONE, o)),
                ", which cancels.",
            )
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
