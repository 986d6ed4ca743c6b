"""Single lines of a trace: a symbol, the calculation with its numbers put in, and the value."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deltarule.equations.params import Array
from deltarule.explain.trace import by_hand
from deltarule.explain.trace.by_hand import Figures, join_terms, product_of
from deltarule.explain.trace.steps import Traced, TracedPass, TracedStep
from deltarule.formula.notation import Symbols


class Line(NamedTuple):
    """One number: `symbol = numbers = value`, or `symbol <- numbers = value`."""

    symbol: str
    numbers: str
    value: float
    arrow: str = "="


class Writer:
    """Writes the lines of a trace; l is a layer, j a unit and s a sample, the last two from 0.

    Parameters
    ----------
    trace : Traced
    symbols : Symbols
    digits : int or None
        Significant digits shown.
    max_terms : int or None
        Of a sum; what a longer one leaves out is put in as one number: `+ 0.3 (776 more)`.
    """

    def __init__(
        self, trace: Traced, symbols: Symbols, digits: int | None, max_terms: int | None
    ) -> None:
        self.trace, self.net = trace, trace.net
        self.symbols, self.notation = symbols, symbols.notation
        self.n = Figures(digits)
        self.max_terms = max_terms
        self.L = len(trace.net.sizes) - 1
        self.canonical = trace.net.loss.links(trace.net.activations[-1])

    def _sum(
        self, x: Array, w: Array, there: Array | None, w_first: bool, bias: float | None = None
    ) -> str:
        """x_1*w_1 + x_2*w_2 + ... (+ bias), without the terms that are not there."""
        shown = np.arange(len(x)) if there is None else np.flatnonzero(there)
        shown, rest = self._cut(shown)
        first, second = (w, x) if w_first else (x, w)
        factor = self.n.factor
        terms = [f"{factor(first[k])}*{factor(second[k])}" for k in shown]
        if len(rest):
            terms.append(f"{factor(x[rest] @ w[rest])} ({len(rest)} more)")
        if bias is not None:
            terms.append(factor(bias))
        return join_terms(terms)

    def _cut(self, terms: Array) -> tuple[Array, Array]:
        """The terms that are written out, and those that are put in as one number."""
        if self.max_terms is None or len(terms) <= self.max_terms:
            return terms, terms[:0]
        return terms[: self.max_terms], terms[self.max_terms :]

    def z(self, done: TracedPass, l: int, s: int, j: int) -> Line:
        b = done.biases[l - 1]
        there = None if self.trace.edges is None else self.trace.edges[l - 1][:, j]
        numbers = self._sum(
            done.a[l - 1][s],
            done.weights[l - 1][:, j],
            there,
            self.notation.weight_first,
            None if b is None else b[j],
        )
        return Line(self.symbols.z(l, j + 1), numbers, done.z[l - 1][s, j])

    def a(self, done: TracedPass, l: int, s: int, j: int) -> Line:
        f, name = self.net.activations[l - 1], self.symbols.f(l)
        numbers = by_hand.value(self.n, f, name, done.z[l - 1][s], j, self.max_terms)
        return Line(self.symbols.a(l, j + 1), numbers, done.a[l][s, j])

    def J(self, done: TracedPass, s: int, name: str, _: int) -> Line:
        o, y, loss = done.output[s], self.trace.Y[s], self.net.loss
        z = done.z[-1][s] if self.canonical else None
        which = f"[sample {s + 1}]" if len(self.trace.X) > 1 else ""
        shown, rest = self._cut(by_hand.outputs_that_count(loss, y))
        terms = by_hand.loss_terms(self.n, loss, o, y, z, shown, self.notation.target_first)
        if len(rest):
            value = by_hand.loss_of_outputs(loss, o, y, z, rest)
            terms.append(f"{self.n.factor(value)} ({len(rest)} more)")
        return Line(name + which, join_terms(terms), done.sample_losses[s])

    def C(self, done: TracedPass, _: int) -> Line:
        return Line(self.symbols.C, self._shared(done.sample_losses), done.loss)

    def _shared(self, x: Array, d: Array | None = None, sign: int = 1) -> str:
        """Mean or sum over the samples of x_s, or of x_s*d_s."""
        factor = self.n.factor
        if d is None:
            shown, rest = self._cut(np.arange(len(x)))
            terms = [factor(x[s]) for s in shown]
            if len(rest):
                terms.append(f"{factor(x[rest].sum())} ({len(rest)} more)")
            text = join_terms(terms)
        else:
            text = self._sum(x, d, None, False)
        if len(x) == 1 and d is None:
            return f"-{text}" if sign < 0 else self.n(x[0])
        over = f"/{len(x)}" if len(x) > 1 and self.trace.reduction == "mean" else ""
        return f"{'-' * (sign < 0)}{product_of(text) if over or sign < 0 else text}{over}"

    def dJ_da(self, step: TracedStep, l: int, s: int, j: int) -> Line:
        symbols, value = self.symbols, step.activation_gradients[l][s, j]
        name = symbols.d(symbols.J, symbols.a(l, j + 1))
        if l == self.L:
            o, y = step.before.output[s, j], self.trace.Y[s, j]
            return Line(name, by_hand.loss_slope(self.n, self.net.loss, o, y, value), value)
        numbers = self._from_above(step, l, s, j)
        return Line(name, f"-{product_of(numbers)}" if self.notation.sign < 0 else numbers, value)

    def _from_above(self, step: TracedStep, l: int, s: int, j: int) -> str:
        """sum_k delta_{l+1}[k] W_{l+1}[j,k]."""
        there = None if self.trace.edges is None else self.trace.edges[l][j]
        d = self.notation.sign * step.delta[l][s]
        return self._sum(d, step.before.weights[l][j], there, self.notation.weight_first_back)

    def _delta_line(self, step: TracedStep, l: int, s: int, j: int, numbers: str) -> Line:
        return Line(
            self.symbols.delta(l, j + 1), numbers, self.notation.sign * step.delta[l - 1][s, j]
        )

    def _slope(self, step: TracedStep, l: int, s: int, j: int) -> str:
        name = self.symbols.f(l, slope=True)
        return by_hand.slope(self.n, self.net.activations[l - 1], name, step.before.z[l - 1][s, j])

    def fused_delta(self, step: TracedStep, l: int, s: int, j: int) -> Line:
        o, y = step.before.output[s, j], self.trace.Y[s, j]
        numbers = by_hand.difference(self.n, o, y, self.notation.sign < 0)
        if not self.net.loss.registered:
            numbers = self.n(self.notation.sign * step.delta[l - 1][s, j])
        return self._delta_line(step, l, s, j, numbers)

    def output_delta(self, step: TracedStep, l: int, s: int, j: int) -> Line:
        o, y, exact = step.before.output[s, j], self.trace.Y[s, j], step.activation_gradients[l]
        numbers = by_hand.loss_slope(self.n, self.net.loss, o, y, exact[s, j])
        if self.notation.sign < 0:
            flipped = f"({by_hand.difference(self.n, o, y, True)})"
            numbers = flipped if self.net.loss.dJ_formula == "o - y" else f"-{numbers}"
        return self._delta_line(step, l, s, j, f"{numbers}*{self._slope(step, l, s, j)}")

    def delta_from_gradient(self, step: TracedStep, l: int, s: int, j: int) -> Line:
        numbers = self.n.factor(step.activation_gradients[l][s, j])
        return self._delta_line(step, l, s, j, f"{numbers}*{self._slope(step, l, s, j)}")

    def mixed_delta(self, step: TracedStep, l: int, s: int, j: int) -> Line:
        """Of softmax: a_j (g_j - sum_k g_k a_k) over its group, g = dJ/da."""
        f, sign = self.net.activations[l - 1], self.notation.sign
        if not f.registered:
            return self._delta_line(step, l, s, j, self.n(sign * step.delta[l - 1][s, j]))
        a, g = step.before.a[l][s], step.activation_gradients[l][s]
        group = by_hand.group_of(f, j, len(a))
        inner = self._sum(g[group], a[group], None, False)
        numbers = f"{self.n.factor(a[j])}*({self.n.factor(g[j])} - ({inner}))"
        return self._delta_line(step, l, s, j, "-" * (sign < 0) + numbers)

    def delta(self, step: TracedStep, l: int, s: int, j: int) -> Line:
        arriving = product_of(self._from_above(step, l, s, j))
        slope = self._slope(step, l, s, j)
        first, second = (slope, arriving) if self.notation.weight_first_back else (arriving, slope)
        return self._delta_line(step, l, s, j, f"{first}*{second}")

    def dW(self, step: TracedStep, l: int, i: int, j: int) -> Line:
        x, d = step.before.a[l - 1][:, i], self.notation.sign * step.delta[l - 1][:, j]
        x, d = (d, x) if self.notation.weight_first else (x, d)
        name = self.symbols.d(self.symbols.C, self.symbols.W(l, i + 1, j + 1))
        numbers = self._shared(x, d, self.notation.sign)
        return Line(name, numbers, step.weight_gradients[l - 1][i, j])

    def db(self, step: TracedStep, l: int, j: int) -> Line:
        name = self.symbols.d(self.symbols.C, self.symbols.b(l, j + 1))
        d, gradient = self.notation.sign * step.delta[l - 1][:, j], step.bias_gradients[l - 1]
        assert gradient is not None
        return Line(name, self._shared(d, None, self.notation.sign), gradient[j])

    def W(self, step: TracedStep, l: int, i: int, j: int) -> Line:
        old, new = step.before.weights[l - 1][i, j], step.after.weights[l - 1][i, j]
        numbers = self._moved(old, step.weight_gradients[l - 1][i, j])
        return Line(self.symbols.W(l, i + 1, j + 1), numbers, new, "<-")

    def b(self, step: TracedStep, l: int, j: int) -> Line:
        old, new, g = (
            step.before.biases[l - 1],
            step.after.biases[l - 1],
            step.bias_gradients[l - 1],
        )
        assert old is not None
        assert new is not None
        assert g is not None
        return Line(self.symbols.b(l, j + 1), self._moved(old[j], g[j]), new[j], "<-")

    def _moved(self, old: float, gradient: float) -> str:
        factor = self.n.factor
        return f"{factor(old)} - {factor(self.trace.learning_rate)}*{factor(gradient)}"
