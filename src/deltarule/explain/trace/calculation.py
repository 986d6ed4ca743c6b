"""Single lines of a trace: a symbol, the calculation with its numbers put in, and the value."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deltarule.equations.losses import Loss, get_loss
from deltarule.equations.params import Array
from deltarule.explain.trace import by_hand
from deltarule.explain.trace.by_hand import total
from deltarule.explain.trace.steps import Traced, TracedPass, TracedStep
from deltarule.formula.expression import Derivative, Expression, Number, Product, Quotient, signed
from deltarule.formula.function import Words
from deltarule.formula.symbols import Symbols


class Line(NamedTuple):
    """One number: `symbol = numbers = value`, or `symbol <- numbers = value`."""

    symbol: Expression
    numbers: Expression | None
    value: float
    arrow: str = "="


def has_plain_error(loss: Loss) -> bool:
    """Whether dJ/do is o - y, so that a document that writes y - o turns it round."""
    return loss.dJ_formula == get_loss("squared_error").dJ_formula


def _numbers(*factors: float) -> Product:
    return Product(tuple(map(Number, factors)))


class Calculations:
    """The lines of a trace; l is a layer, j a unit and s a sample, the last two from 0.

    Parameters
    ----------
    trace : Traced
    symbols : Symbols
    max_terms : int or None
        Of a sum; what a longer one leaves out is put in as one number: `+ 0.3 (776 more)`.
    """

    def __init__(self, trace: Traced, symbols: Symbols, max_terms: int | None) -> None:
        self.trace, self.net = trace, trace.net
        self.symbols, self.notation = symbols, symbols.notation
        self.max_terms = max_terms
        self.L = len(trace.net.sizes) - 1
        self.canonical = trace.net.loss.links(trace.net.activations[-1])

    def _sum(
        self, x: Array, w: Array, there: Array | None, w_first: bool, bias: float | None = None
    ) -> Expression:
        """x_1*w_1 + x_2*w_2 + ... (+ bias), without the terms that are not there."""
        shown = np.arange(len(x)) if there is None else np.flatnonzero(there)
        shown, rest = self._cut(shown)
        first, second = (w, x) if w_first else (x, w)
        terms: list[Expression] = [_numbers(first[k], second[k]) for k in shown]
        if len(rest):
            terms.append(by_hand.more(float(x[rest] @ w[rest]), len(rest)))
        if bias is not None:
            terms.append(Number(bias))
        return total(terms)

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
        f = self.net.activations[l - 1]
        numbers = by_hand.value(f, l, done.z[l - 1][s], j, self.max_terms)
        return Line(self.symbols.a(l, j + 1), numbers, done.a[l][s, j])

    def J(self, done: TracedPass, s: int, name: Expression, _: int) -> Line:
        o, y, loss = done.output[s], self.trace.Y[s], self.net.loss
        z = done.z[-1][s] if self.canonical else None
        if len(self.trace.X) > 1:
            name = Words((name, f"[sample {s + 1}]"))
        shown, rest = self._cut(by_hand.outputs_that_count(loss, y))
        terms = by_hand.loss_terms(loss, o, y, z, shown, self.notation.target_first)
        if len(rest):
            terms.append(by_hand.more(by_hand.loss_of_outputs(loss, o, y, z, rest), len(rest)))
        return Line(name, total(terms), done.sample_losses[s])

    def C(self, done: TracedPass, _: int) -> Line:
        return Line(self.symbols.C, self._shared(done.sample_losses), done.loss)

    def _shared(self, x: Array, d: Array | None = None, sign: int = 1) -> Expression:
        """Mean or sum over the samples of x_s, or of x_s*d_s."""
        if d is not None:
            sum_ = self._sum(x, d, None, False)
        elif len(x) == 1:
            return signed(sign, Number(x[0]))
        else:
            shown, rest = self._cut(np.arange(len(x)))
            terms: list[Expression] = [Number(x[s]) for s in shown]
            if len(rest):
                terms.append(by_hand.more(x[rest].sum(), len(rest)))
            sum_ = total(terms)
        mean = len(x) > 1 and self.trace.reduction == "mean"
        return signed(sign, Quotient(sum_, Number(len(x))) if mean else sum_)

    def dJ_da(self, step: TracedStep, l: int, s: int, j: int) -> Line:
        value = step.activation_gradients[l][s, j]
        name = Derivative(self.symbols.J, self.symbols.a(l, j + 1))
        if l == self.L:
            o, y = step.before.output[s, j], self.trace.Y[s, j]
            slope = by_hand.loss_slope(self.net.loss, o, y, value)
            return Line(name, Product((slope,)), value)
        numbers = self._from_above(step, l, s, j)
        return Line(name, signed(self.notation.sign, numbers), value)

    def _from_above(self, step: TracedStep, l: int, s: int, j: int) -> Expression:
        """sum_k delta_{l+1}[k] W_{l+1}[j,k]."""
        there = None if self.trace.edges is None else self.trace.edges[l][j]
        d = self.notation.sign * step.delta[l][s]
        return self._sum(d, step.before.weights[l][j], there, self.notation.weight_first_back)

    def _delta_line(self, step: TracedStep, l: int, s: int, j: int, numbers: Expression) -> Line:
        value = self.notation.sign * step.delta[l - 1][s, j]
        return Line(self.symbols.delta(l, j + 1), numbers, value)

    def _slope(self, step: TracedStep, l: int, s: int, j: int) -> Expression:
        return by_hand.slope(self.net.activations[l - 1], l, step.before.z[l - 1][s, j])

    def _error(self, step: TracedStep, s: int, j: int) -> Expression:
        """o - y, or y - o where error terms are negative deltas."""
        o, y = step.before.output[s, j], self.trace.Y[s, j]
        return Number(o) - Number(y) if self.notation.sign > 0 else Number(y) - Number(o)

    def fused_delta(self, step: TracedStep, l: int, s: int, j: int) -> Line:
        numbers = self._error(step, s, j)
        if not self.net.loss.registered:
            numbers = Number(self.notation.sign * step.delta[l - 1][s, j])
        return self._delta_line(step, l, s, j, numbers)

    def output_delta(self, step: TracedStep, l: int, s: int, j: int) -> Line:
        o, y, exact = step.before.output[s, j], self.trace.Y[s, j], step.activation_gradients[l]
        slope = self._slope(step, l, s, j)
        if self.notation.sign < 0 and has_plain_error(self.net.loss):
            return self._delta_line(step, l, s, j, Product((self._error(step, s, j), slope)))
        error = by_hand.loss_slope(self.net.loss, o, y, exact[s, j])
        numbers = signed(self.notation.sign, Product((error, slope)))
        return self._delta_line(step, l, s, j, numbers)

    def delta_from_gradient(self, step: TracedStep, l: int, s: int, j: int) -> Line:
        gradient = Number(step.activation_gradients[l][s, j])
        return self._delta_line(step, l, s, j, Product((gradient, self._slope(step, l, s, j))))

    def mixed_delta(self, step: TracedStep, l: int, s: int, j: int) -> Line:
        """Of softmax: a_j (g_j - sum_k g_k a_k) over its group, g = dJ/da."""
        f, sign = self.net.activations[l - 1], self.notation.sign
        if not f.registered:
            return self._delta_line(step, l, s, j, Number(sign * step.delta[l - 1][s, j]))
        a, g = step.before.a[l][s], step.activation_gradients[l][s]
        group = by_hand.group_of(f, j, len(a))
        inner = by_hand.in_brackets(self._sum(g[group], a[group], None, False))
        numbers = Product((Number(a[j]), Number(g[j]) - inner))
        return self._delta_line(step, l, s, j, signed(sign, numbers))

    def delta(self, step: TracedStep, l: int, s: int, j: int) -> Line:
        both = self._from_above(step, l, s, j), self._slope(step, l, s, j)
        product = Product(both[::-1] if self.notation.weight_first_back else both)
        return self._delta_line(step, l, s, j, product)

    def dW(self, step: TracedStep, l: int, i: int, j: int) -> Line:
        x, d = step.before.a[l - 1][:, i], self.notation.sign * step.delta[l - 1][:, j]
        x, d = (d, x) if self.notation.weight_first else (x, d)
        name = Derivative(self.symbols.C, self.symbols.W(l, i + 1, j + 1))
        numbers = self._shared(x, d, self.notation.sign)
        return Line(name, numbers, step.weight_gradients[l - 1][i, j])

    def db(self, step: TracedStep, l: int, j: int) -> Line:
        name = Derivative(self.symbols.C, self.symbols.b(l, j + 1))
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

    def _moved(self, old: float, gradient: float) -> Expression:
        return Number(old) - _numbers(self.trace.learning_rate, gradient)
