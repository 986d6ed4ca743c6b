"""The derivation in whole layers: row vectors as in document B, columns as in document A.

The gradient sought is expressed by that of the next layer's activation, that by the one after it,
until the outputs are reached (the expanded form); then what comes back in every gradient is named
and kept (the cached form).
"""

from __future__ import annotations

from deltarule.explain.derive.evaluate import Definition
from deltarule.explain.derive.steps import Step, Steps
from deltarule.explain.derive.task import Task
from deltarule.formula import expression as ex
from deltarule.formula.expression import Derivative, Expression, Symbol
from deltarule.formula.writer import unbroken


class Matrix:
    """Writes the steps of one task."""

    def __init__(self, task: Task) -> None:
        self.task, self.steps = task, Steps(task)
        self.column = task.notation.name == "column"
        self.T = task.target.layer
        self.whole = Symbol(task.target.kind, self.T)
        self.o, self.y = Symbol("a", task.L), Symbol("y", task.L)

    def run(self) -> list[Step]:
        """All steps."""
        task, T = self.task, self.T
        given = self._loss()
        self.steps.add("given", Derivative(given, self.whole), *self._words(), phase="given")
        start = T + 1 if task.target.kind == "a" else T
        if start > task.L:
            self._outputs_only()
        else:
            self._expanded(start)
            if task.cached:
                self._cached(start)
        self._unit(start)
        return self.steps.done

    # -- the parts of equations -----------------------------------------------------------------

    def d(self, l: int) -> Expression:
        """The gradient of the error by a layer's activation."""
        return Derivative(ex.Total(), Symbol("a", l))

    def _times(self, first: Expression, second: Expression) -> Expression:
        """The product of two arrays as rows have it; columns have it the other way round."""
        order = (second, first) if self.column else (first, second)
        flat: list[Expression] = []
        for one in order:
            flat.extend(one.factors if isinstance(one, ex.MatrixProduct) else (one,))
        return ex.MatrixProduct(tuple(flat))

    def _through(self, l: int, g: Expression) -> Expression:
        """dC/dz_l from g = dC/da_l."""
        if self.task.mixes and l == self.task.L:
            jacobian: Expression = ex.MixedSlope(l)
            return self._times(g, ex.Transpose(jacobian) if self.column else jacobian)
        slope = ex.Call(l, Symbol("z", l), slope=True)
        return ex.Hadamard((g, slope))

    def _back(self, l: int, delta: Expression) -> Expression:
        """dC/da_{l-1} from dC/dz_l."""
        return self._times(delta, ex.Transpose(Symbol("w", l)))

    def _sought(self, delta: Expression) -> Expression:
        """The gradient sought from dC/dz of the layer that it goes into."""
        if self.task.target.kind == "w":
            a = ex.Transpose(Symbol("a", self.T - 1))
            return self._times(a, delta)
        if self.task.target.kind == "b":
            return delta
        return self._back(self.T + 1, delta)

    def _loss(self) -> Expression:
        if self._squared():
            return ex.Product((ex.HALF, ex.SquaredNorm(self._error())))
        return ex.LossOf(self.task.L)

    def _squared(self) -> bool:
        return self.task.loss.registered and self.task.loss.name == "squared_error"

    def _error(self) -> Expression:
        if self.task.notation.target_first:
            return self.y - self.o
        return self.o - self.y

    def _output_gradient(self) -> Expression:
        if self._squared():
            return self.o - self.y
        return ex.LossSlope(self.task.L)

    def _words(self) -> tuple[str | Expression, ...]:
        what = {"w": "all weights", "b": "all biases", "a": "all activations"}[self.whole.kind]
        formula = "" if self._squared() else unbroken(self.task.loss.formula)
        name = self.task.loss.name
        shown = f"; the loss {name} of one output o with target y is {formula}" if formula else ""
        if self.whole.kind == "w" and self.task.lacks_edges(self.T):
            shown += "; elements of edges that are not there do not count"
        return (f"The gradient by {what} of the layer at once, ", self.whole, f"{shown}.")

    # -- steps ----------------------------------------------------------------------------------

    def _outputs_only(self) -> None:
        self.steps.add("simplify", self._output_gradient(), "The derivative of the loss itself.")

    def _delta(self, l: int, top: int, at_top: Expression) -> Expression:
        """dC/dz_l written out up to layer `top`, where it is `at_top`."""
        result = at_top
        for k in range(top, l, -1):
            result = self._through(k - 1, self._back(k, result))
        return result

    def _expanded(self, start: int) -> None:
        L, task = self.task.L, self.task
        z, f = Symbol("z", start), Symbol("a", start)
        self.steps.add(
            "chain rule",
            self._sought(self._through(start, self.d(start))),
            self.whole,
            " acts on the error through ",
            z,
            " and ",
            f,
            " only.",
        )
        for l in range(start + 1, L + 1):
            reason = (
                Symbol("a", l - 1),
                " acts on the error through ",
                Symbol("z", l),
                " and ",
                Symbol("a", l),
                " only",
            )
            again = "." if l == start + 1 else ", as in the step before."
            inner = self._delta(start, l, self._through(l, self.d(l)))
            rule = "chain rule" if l == start + 1 else "repeat"
            self.steps.add(rule, self._sought(inner), *reason, again)
        inner = self._delta(start, L, self._through(L, self._output_gradient()))
        self.steps.add(
            "expand a term",
            self._sought(inner),
            "At the outputs the derivative is that of the loss itself: ",
            self.d(L),
            *self._slope_in_words(),
        )
        if task.fused:
            inner = self._delta(start, L, self.o - self.y)
            self.steps.add(
                "simplify",
                self._sought(inner),
                f"For {task.loss.name} and {task.loss.link} outputs this product is ",
                self.o - self.y,
                ".",
            )

    def _slope_in_words(self) -> tuple[str | Expression, ...]:
        if self._squared():
            return (" is ", self._output_gradient(), ".")
        formula = unbroken(self.task.loss.dJ_formula)
        return (f"; of one output o with target y it is {formula}." if formula else ".",)

    def _output_delta(self) -> Expression:
        if self.task.fused:
            return self.o - self.y
        return self._through(self.task.L, self._output_gradient())

    def _cached(self, start: int) -> None:
        for l in range(self.task.L, start - 1, -1):
            term = Symbol("delta", l)
            if l == self.task.L:
                body = self._output_delta()
                why = " is computed once and kept: all other gradients need it too."
            else:
                body = self._through(l, self._back(l + 1, Symbol("delta", l + 1)))
                why = " follows from the term just kept."
            self.steps.add(
                "name a cached term",
                self._sought(self._delta(start, l, term)),
                "The term ",
                term,
                why,
                names=[Definition(term, body)],
                phase=f"cache {l}",
            )

    def _unit(self, start: int) -> None:
        """The one element that was asked for, if every factor is known by name."""
        target, kind = self.task.target, self.task.target.kind
        if not self.task.cached or start > self.task.L or kind == "a":
            return
        j = target.indices[0]
        delta = Symbol("delta", self.T, (j,))
        if kind == "b":
            element: Expression = delta
        else:
            a = Symbol("a", self.T - 1, (target.indices[1],))
            element = ex.Product((delta, a) if self.column else (a, delta))
        self.steps.add(
            "simplify",
            element,
            "Of all these the one element sought, ",
            target,
            ".",
            phase="result",
            equal_to=Derivative(ex.Total(), target),
        )


def matrix_steps(task: Task) -> list[Step]:
    """The derivation of a task in whole layers."""
    return Matrix(task).run()
