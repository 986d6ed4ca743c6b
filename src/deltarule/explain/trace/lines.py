"""The lines of a trace: each number with the calculation that gives it, grouped by formula.

Text, Markdown and pages show these same lines. Groups are light, and a line is written only when
it is asked for: a trace of a large network has millions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from deltarule.equations.params import Array
from deltarule.explain.trace.calculation import Line, Writer
from deltarule.explain.trace.steps import Traced, TracedPass, TracedStep
from deltarule.formula.notation import Symbols

PHASES = {
    "forward": "Forward pass",
    "loss": "Loss",
    "backward": "Backward pass",
    "gradients": "Gradients",
    "update": "Update",
    "after": "Forward pass after the update",
}
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
    formula : str
    entries : (m, 1) or (m, 2) array of int
        Unit j of the layer, or (i, j) of a weight, counted from 0.
    write : callable (j) or (i, j) -> Line
    """

    phase: str
    layer: int
    sample: int | None
    quantity: str
    formula: str
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
    """All lines of a trace in one notation; see `Writer` for digits and max_terms."""

    def __init__(
        self, trace: Traced, notation: str, digits: int | None, max_terms: int | None
    ) -> None:
        self.trace, self.net = trace, trace.net
        self.symbols = Symbols(notation, trace.net.sizes)
        self.notation = self.symbols.notation
        self.write = Writer(trace, self.symbols, digits, max_terms)
        self.L = len(trace.net.sizes) - 1
        loss = trace.net.loss
        self.fused = loss.fused_dJ is not None and loss.links(trace.net.activations[-1])

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

    def _forward(self, phase: str, done: TracedPass, l: int, s: int) -> Iterator[Group]:
        net_input = self.symbols.net_input(l, self.net.bias[l - 1])
        activation = self.symbols.activation(l, self.net.activations[l - 1].formula)
        units = self._units(l)
        yield Group(phase, l, s, "z", net_input, units, partial(self.write.z, done, l, s - 1))
        yield Group(phase, l, s, "a", activation, units, partial(self.write.a, done, l, s - 1))

    def _loss(self, phase: str, done: TracedPass, of: Sequence[int]) -> Iterator[Group]:
        formula = self.net.loss.formula
        if formula == "1/2 (o - y)^2" and self.notation.target_first:
            formula = "1/2 (y - o)^2"
        over = f"sum_{self.symbols.unit} " if self.net.sizes[-1] > 1 else ""
        single = len(self.trace.X) == 1  # then C is J
        J = self.symbols.C if single else self.symbols.J
        shown = f"{J} = {over}{self.symbols.of_output(formula)}" if formula else J
        for s in of:
            write = partial(self.write.J, done, s - 1, J)
            yield Group(phase, self.L, s, "loss", shown, _ONE, write)
        if not single:
            shown = f"{self.symbols.C} = {self.trace.reduction} of {J} over the samples"
            yield Group(phase, self.L, None, "loss", shown, _ONE, partial(self.write.C, done))

    def _backward(self, step: TracedStep, l: int, s: int) -> Iterator[Group]:
        symbols, f, units = self.symbols, self.net.activations[l - 1], self._units(l)
        slope = f", {symbols.f(l, slope=True)}(z) = {f.df_formula}" if f.df_formula else ""
        mixes = f.jacobian_product is not None
        if l == self.L and self.fused:
            write, formula = self.write.fused_delta, f"{symbols.delta(l, self._j)} = "
            formula += symbols.output_error() if self.net.loss.registered else "dJ/dz"
        elif self.notation.two_steps or mixes:
            through = partial(self.write.dJ_da, step, l, s - 1)
            formula = symbols.activation_gradient(l) if l < self.L else self._loss_slope()
            yield Group("backward", l, s, "activation_gradients", formula, units, through)
            write = self.write.mixed_delta if mixes else self.write.delta_from_gradient
            formula = symbols.mixed_delta() if mixes else symbols.delta_from_gradient(l) + slope
        elif l == self.L:
            write, formula = self.write.output_delta, self._output_rule() + slope
        else:
            write, formula = self.write.delta, symbols.delta_rule(l) + slope
        yield Group("backward", l, s, "delta", formula, units, partial(write, step, l, s - 1))

    def _gradients(
        self, step: TracedStep, layers: Sequence[int], of: Sequence[int]
    ) -> Iterator[Group]:
        for l in layers:
            if l == 0:
                continue
            formula = self._over_samples(self.symbols.weight_gradient(l))
            write = partial(self.write.dW, step, l)
            yield Group("gradients", l, None, "weight_gradients", formula, self._edges(l), write)
            if self.net.bias[l - 1]:
                formula = self._over_samples(self.symbols.bias_gradient(l))
                write = partial(self.write.db, step, l)
                yield Group("gradients", l, None, "bias_gradients", formula, self._units(l), write)
        if 0 in layers:
            formula = self.symbols.activation_gradient(0)
            for s in of:
                write = partial(self.write.dJ_da, step, 0, s - 1)
                units = self._units(0)
                yield Group("gradients", 0, s, "activation_gradients", formula, units, write)

    def _updates(self, step: TracedStep, layers: Sequence[int]) -> Iterator[Group]:
        symbols = self.symbols
        for l in layers:
            if l == 0:
                continue
            W = symbols.W(l) if self.notation.matrix else symbols.W(l, symbols.source, symbols.unit)
            formula, write = symbols.update(W), partial(self.write.W, step, l)
            yield Group("update", l, None, "new_weights", formula, self._edges(l), write)
            if self.net.bias[l - 1] and self.trace.trainable_biases:
                formula, write = (
                    symbols.update(symbols.b(l, self._j)),
                    partial(self.write.b, step, l),
                )
                yield Group("update", l, None, "new_biases", formula, self._units(l), write)

    # -- formulas ------------------------------------------------------------------------------

    @property
    def _j(self) -> str:
        """The letter of any unit; none where a formula is of a whole layer."""
        return "" if self.notation.matrix else self.symbols.unit

    def _over_samples(self, formula: str) -> str:
        if len(self.trace.X) == 1:
            return formula
        return formula.replace(" = ", f" = {self.trace.reduction} over the samples of ", 1)

    def _loss_slope(self) -> str:
        symbols, formula = self.symbols, self.net.loss.dJ_formula
        name = symbols.d(symbols.J, symbols.a(self.L, self._j))
        return f"{name} = {symbols.of_output(formula)}" if formula else name

    def _output_rule(self) -> str:
        """delta_L = dJ/da_L f_L'(z_L) in one step; the squared error's difference is put in."""
        symbols = self.symbols
        if self.net.loss.dJ_formula != "o - y":
            return f"{symbols.delta_from_gradient(self.L)}, {self._loss_slope()}"
        slope = symbols.f(self.L, symbols.z(self.L, self._j), slope=True)
        times = " .* " if self.notation.matrix else "*"
        return f"{symbols.delta(self.L, self._j)} = ({symbols.output_error()}){times}{slope}"
