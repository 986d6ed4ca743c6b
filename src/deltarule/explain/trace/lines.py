"""The lines of a trace: each number with the calculation that gives it, grouped by formula.

Text, Markdown and pages show these same lines. Groups are light, and a line is written only when
it is asked for: a trace of a large network has millions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from deltarule.equations.losses import get_loss
from deltarule.equations.params import Array
from deltarule.explain.trace.calculation import Line, Writer, has_plain_error
from deltarule.explain.trace.steps import Traced, TracedPass, TracedStep
from deltarule.formula.expression import HALF, Derivative, Expression, Sum
from deltarule.formula.function import Equation, Quoted, Variable, With, Words, told
from deltarule.formula.plain import Figures, Plain
from deltarule.formula.symbols import NET_INPUT, OUTPUT, TARGET, Symbols

PHASES = {
    "forward": "Forward pass",
    "loss": "Loss",
    "backward": "Backward pass",
    "gradients": "Gradients",
    "update": "Update",
    "after": "Forward pass after the update",
}
Form = TypeVar("Form", bound=Plain)
_ONE = np.zeros((1, 1), dtype=np.intp)


@dataclass(frozen=True, eq=False)
class Group:
    """The lines of one formula.

    Attributes
    ----------
    phase : one of PHASES
    layer : 0..L
    sample : int or None
        Counted from 1; None where all samples take part.
    quantity : str
        "z", "a", "loss", "activation_gradients", "delta", "weight_gradients", "bias_gradients",
        "new_weights" or "new_biases".
    equation : Expression
    entries : (m, 1) or (m, 2) array of int
        Unit j of the layer, or (i, j) of a weight, counted from 0.
    write : callable (j) or (i, j) -> Line
    """

    phase: str
    layer: int
    sample: int | None
    quantity: str
    equation: Expression
    entries: Array
    write: Callable[..., Line]

    def lines(self, entries: Array | None = None) -> list[Line]:
        """The lines of these entries, or of all."""
        chosen = self.entries if entries is None else entries
        with np.errstate(all="ignore"):  # numbers that overflowed are shown as they are
            return [self.write(*(int(k) for k in entry)) for entry in chosen]

    def of_neuron(self, j: int) -> Array:
        """The entries that belong to unit j (counted from 0): of weights, those that lead to it."""
        chosen: Array = self.entries[self.entries[:, -1] == j]
        return chosen


class Lines:
    """All lines of a trace in one notation; see `Writer` for max_terms.

    Parameters
    ----------
    digits : int or None
        Significant digits shown.
    """

    def __init__(
        self,
        trace: Traced,
        notation: str,
        digits: int | None,
        max_terms: int | None,
    ) -> None:
        self.trace, self.net = trace, trace.net
        self.symbols = Symbols(notation, trace.net.sizes)
        self.notation = self.symbols.notation
        self.n = Figures(digits)
        self._forms: dict[type[Plain], Plain] = {}
        self.write = Writer(trace, self.symbols, max_terms)
        self.L = len(trace.net.sizes) - 1
        loss = trace.net.loss
        self.fused = loss.fused_dJ is not None and loss.links(trace.net.activations[-1])

    def written(self, formula: Expression, form: type[Form]) -> str:
        """A formula in a format."""
        return self.form(form).write(formula)

    def form(self, form: type[Form]) -> Form:
        """What writes formulas in a format, in this notation and with these digits."""
        known = self._forms.get(form)
        if known is None:
            known = self._forms[form] = form(self.notation, self.symbols.set_apart, self.n)
        return known  # type: ignore[return-value]  # of that very type

    # -- groups in the order of computation ---------------------------------------------------

    def groups(
        self,
        step: int,
        layers: Sequence[int] | None = None,
        samples: Sequence[int] | None = None,
        after: bool = False,
    ) -> Iterator[Group]:
        """The groups of a step (counted from 1), of these layers 0..L and samples 1..n only.

        The pass after the update comes with the last step, or if it is asked for; otherwise it is
        the first pass of the next step.
        """
        kept = range(self.L + 1) if layers is None else sorted(set(layers))
        of = range(1, len(self.trace.X) + 1) if samples is None else samples
        traced = self.trace.steps[step - 1]
        yield from self._passes("forward", "loss", traced.before, kept, of)
        for s in of:
            for l in reversed(kept):
                if l > 0:
                    yield from self._backward(traced, l, s)
        yield from self._gradients(traced, kept, of)
        yield from self._updates(traced, kept)
        if after or step == len(self.trace.steps):
            yield from self._passes("after", "after", traced.after, kept, of)

    def _passes(
        self, phase: str, last: str, done: TracedPass, layers: Sequence[int], of: Sequence[int]
    ) -> Iterator[Group]:
        for s in of:
            for l in layers:
                if l > 0:
                    yield from self._forward(phase, done, l, s)
        if self.L in layers:
            yield from self._loss(last, done, of)

    def _units(self, l: int) -> Array:
        return np.arange(self.net.sizes[l])[:, None]

    def _edges(self, l: int) -> Array:
        there = np.ones(self.net.sizes[l - 1 : l + 1], dtype=bool)
        if self.trace.edges is not None:
            there = self.trace.edges[l - 1]
        if self.notation.to_first:  # in the order of the indices as they are written
            return np.argwhere(there.T)[:, ::-1]
        return np.argwhere(there)

    def _group(
        self,
        phase: str,
        l: int,
        s: int | None,
        quantity: str,
        equation: Expression,
        write: Callable[..., Line],
        entries: Array | None = None,
    ) -> Group:
        """A group of one line for each unit of the layer, or of these entries."""
        there = self._units(l) if entries is None else entries
        return Group(phase, l, s, quantity, equation, there, write)

    def _forward(self, phase: str, done: TracedPass, l: int, s: int) -> Iterator[Group]:
        f = self.net.activations[l - 1]
        net_input = self.symbols.net_input(l, self.net.bias[l - 1])
        activation = self.symbols.activation(l, _stated(f.tree, f.formula, "az"))
        yield self._group(phase, l, s, "z", net_input, partial(self.write.z, done, l, s - 1))
        yield self._group(phase, l, s, "a", activation, partial(self.write.a, done, l, s - 1))

    def _loss(self, phase: str, done: TracedPass, of: Sequence[int]) -> Iterator[Group]:
        symbols, single = self.symbols, len(self.trace.X) == 1  # then C is J
        J = symbols.C if single else symbols.J
        formula = self._loss_formula()
        shown: Expression = J
        if formula is not None:
            each: Expression = Quoted(symbols.of_output(formula))
            over = self.net.sizes[-1] > 1
            shown = Equation(J, Sum(symbols.unit, self.L, each) if over else each)
        for s in of:
            write = partial(self.write.J, done, s - 1, J)
            yield self._group(phase, self.L, s, "loss", shown, write, _ONE)
        if not single:
            parts = (f"{self.trace.reduction} of ", J, " over the samples")
            equation = Equation(symbols.C, Words(parts))
            of_all = partial(self.write.C, done)
            yield self._group(phase, self.L, None, "loss", equation, of_all, _ONE)

    def _loss_formula(self) -> Expression | None:
        """J of one output in o and y; the squared error as the document writes it."""
        loss = self.net.loss
        if self.notation.target_first and loss.formula == get_loss("squared_error").formula:
            return HALF * (TARGET - OUTPUT) ** 2
        return _stated(loss.tree, loss.formula, "oy")

    def _backward(self, step: TracedStep, l: int, s: int) -> Iterator[Group]:
        symbols, f = self.symbols, self.net.activations[l - 1]
        mixes = f.jacobian_product is not None
        rule: Expression
        if l == self.L and self.fused:
            write = self.write.fused_delta
            known = self.net.loss.registered
            error = symbols.output_error() if known else Derivative(Variable("J"), NET_INPUT)
            rule = Equation(symbols.delta(l, symbols.any_unit), error)
        elif self.notation.two_steps or mixes:
            through = partial(self.write.dJ_da, step, l, s - 1)
            formula = symbols.activation_gradient(l) if l < self.L else self._loss_slope()
            yield self._group("backward", l, s, "activation_gradients", formula, through)
            write = self.write.mixed_delta if mixes else self.write.delta_from_gradient
            rule = symbols.mixed_delta() if mixes else symbols.delta_from_gradient(l)
            rule = rule if mixes else self._with_slope(rule, l)
        elif l == self.L:
            write, rule = self.write.output_delta, self._with_slope(self._output_rule(), l)
        else:
            write, rule = self.write.delta, self._with_slope(symbols.delta_rule(l), l)
        yield self._group("backward", l, s, "delta", rule, partial(write, step, l, s - 1))

    def _with_slope(self, rule: Expression, l: int) -> Expression:
        """A delta's rule, and what the slope in it is."""
        f = self.net.activations[l - 1]
        slope = _stated(f.slope_tree, f.df_formula, "az")
        return rule if slope is None else With(rule, (self.symbols.stated(l, slope, slope=True),))

    def _gradients(
        self, step: TracedStep, layers: Sequence[int], of: Sequence[int]
    ) -> Iterator[Group]:
        for l in layers:
            if l == 0:
                continue
            formula = self._over_samples(self.symbols.weight_gradient(l))
            write = partial(self.write.dW, step, l)
            edges = self._edges(l)
            yield self._group("gradients", l, None, "weight_gradients", formula, write, edges)
            if self.net.bias[l - 1]:
                formula = self._over_samples(self.symbols.bias_gradient(l))
                write = partial(self.write.db, step, l)
                yield self._group("gradients", l, None, "bias_gradients", formula, write)
        if 0 in layers:
            formula = self.symbols.activation_gradient(0)
            for s in of:
                write = partial(self.write.dJ_da, step, 0, s - 1)
                yield self._group("gradients", 0, s, "activation_gradients", formula, write)

    def _updates(self, step: TracedStep, layers: Sequence[int]) -> Iterator[Group]:
        symbols = self.symbols
        for l in layers:
            if l == 0:
                continue
            one = () if self.notation.matrix else (symbols.source, symbols.unit)
            W = symbols.W(l, *one)
            formula, write, edges = (
                symbols.update(W),
                partial(self.write.W, step, l),
                self._edges(l),
            )
            yield self._group("update", l, None, "new_weights", formula, write, edges)
            if self.net.bias[l - 1] and self.trace.trainable_biases:
                formula = symbols.update(symbols.b(l, symbols.any_unit))
                write = partial(self.write.b, step, l)
                yield self._group("update", l, None, "new_biases", formula, write)

    # -- formulas ------------------------------------------------------------------------------

    def _over_samples(self, rule: Equation) -> Equation:
        if len(self.trace.X) == 1:
            return rule
        right = Words((f"{self.trace.reduction} over the samples of ", rule.right))
        return Equation(rule.left, right)

    def _loss_slope(self) -> Expression:
        symbols, loss = self.symbols, self.net.loss
        name = Derivative(symbols.J, symbols.a(self.L, symbols.any_unit))
        formula = _stated(loss.slope_tree, loss.dJ_formula, "oy")
        return name if formula is None else Equation(name, Quoted(symbols.of_output(formula)))

    def _output_rule(self) -> Expression:
        """delta_L = dJ/da_L f_L'(z_L) in one step; the squared error's difference is put in."""
        if has_plain_error(self.net.loss):
            return self.symbols.output_delta()
        return With(self.symbols.delta_from_gradient(self.L), (self._loss_slope(),))


def _stated(tree: Expression | None, text: str, letters: str) -> Expression | None:
    """What a record states, as a tree or in its own words; None if it states nothing."""
    return tree if tree is not None or not text else told(text, letters)
