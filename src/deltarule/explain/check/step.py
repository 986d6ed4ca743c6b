"""One training step, equation by equation, so that any one of them can be replaced by a wrong one.

The equations are those of backprop.py (SPEC A-D), written for arrays with radii (`approx.py`). Each
is a rule with a name; a `Variant` replaces a rule, in one layer or in all. The numbers of someone
else, where there are any, are compared with what the rules give from his own earlier numbers, and
may take their place in what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from deltarule.equations.params import Array
from deltarule.explain.check.approx import Approx
from deltarule.explain.check.problem import QUANTITIES, Problem, Told
from deltarule.explain.check.slope import slope_from_value

Rule = Callable[["Step", int], Approx]
Wrong = Callable[["Step", int, Approx], Approx]


Claims = Mapping[str, Mapping[int, Told]]


@dataclass(frozen=True)
class Variant:
    """A rule replaced by a wrong one.

    Attributes
    ----------
    code : str
        Of the mistake (see `mistakes/`).
    rule : str
        Which equation it replaces.
    layer : int or None
        In which layer; None for all.
    wrong : callable (step, l, right) -> Approx
        The wrong value, from what the step has and the value that the right rule gives.
    detail : dict
        What else tells this variant from others of its code: nodes, another layer, a factor.
    """

    code: str
    rule: str
    layer: int | None
    wrong: Wrong = field(compare=False)
    detail: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def identity(self) -> tuple[Any, ...]:
        """What two equal variants have in common."""
        return self.code, self.rule, self.layer, tuple(sorted(self.detail.items()))


class Moving(NamedTuple):
    """A parameter that is being updated."""

    old: Approx
    gradient: Approx
    velocity: Array | None


@dataclass
class Pass:
    """A forward pass: its parameters, net inputs and activations, by layer."""

    W: dict[int, Approx]
    b: dict[int, Approx | None]
    z: dict[int, Approx] = field(default_factory=dict)
    a: dict[int, Approx] = field(default_factory=dict)


class Step:
    """A step taken with the given variants in place of the right rules.

    Parameters
    ----------
    problem : Problem
    variants : sequence of Variant, optional
    claims : mapping quantity -> layer -> Told, optional
        Layers are counted 1..L; quantities without layers stand at layer 0.
    carry : "all", "consistent" or "none", default "none"
        Which claims take the place of computed values in what follows: all, those that agree with
        the computed value, or none.
    rounding : callable Approx -> Array, optional
        The radius that rounding adds to a computed value that is not claimed.

    Attributes
    ----------
    values : dict quantity -> layer -> Approx
        As the rules give them, before any claim takes their place.
    agrees : dict quantity -> layer -> bool array
        Where a claim agrees with the value (True where there is none).
    """

    def __init__(
        self,
        problem: Problem,
        variants: Sequence[Variant] = (),
        claims: Claims | None = None,
        carry: str = "none",
        rounding: Callable[[Approx], Array] | None = None,
    ) -> None:
        self.problem, self.net = problem, problem.net
        self.L, self.n = problem.L, problem.n
        self.claims, self.carry, self.rounding = claims or {}, carry, rounding
        self.values: dict[str, dict[int, Approx]] = {name: {} for name in QUANTITIES}
        self.agrees: dict[str, dict[int, Array]] = {name: {} for name in QUANTITIES}
        self._wrong: dict[tuple[str, int | None], list[Wrong]] = {}
        for one in variants:
            self._wrong.setdefault((one.rule, one.layer), []).append(one.wrong)
        self.share = 1.0 / self.n if problem.reduction == "mean" else 1.0
        self.moving: Moving | None = None
        pairs = self.net.layout.matrices(self.net.theta.astype(np.float64))
        self.p = Pass(
            {l: Approx(W) for l, (W, _) in enumerate(pairs, start=1)},
            {l: None if b is None else Approx(b) for l, (_, b) in enumerate(pairs, start=1)},
        )
        self.before = self.p
        self.slope: dict[int, Approx] = {}
        self.back: dict[int, Approx] = {}
        self.delta: dict[int, Approx] = {}
        self.gW: dict[int, Approx] = {}
        self.gb: dict[int, Approx | None] = {}
        self.new_W: dict[int, Approx] = {}
        self.new_b: dict[int, Approx | None] = {}
        with np.errstate(all="ignore"):  # a wrong rule may well divide by 0 or overflow
            self._run()

    # -- the phases -----------------------------------------------------------------------------

    def _run(self) -> None:
        X = Approx(self.problem.X)
        self._forward(X)
        self.share = float(self._rule("share", 0).v)
        self.loss = self._settle("loss", 0, self._rule("loss", 0))
        for l in range(self.L, 0, -1):
            self._backward(l)
        self._settle("input_gradients", 0, self._rule("input_gradients", 0))
        used = {l: self._rule("weights_after", l) for l in self.new_W}
        self.p = self.after = Pass(used, self.new_b)
        self._forward(X)
        self.after.a[self.L] = self._settle("output_after", 0, self.after.a[self.L])
        self.loss_after = self._settle("loss_after", 0, self._rule("loss", 0))

    def _forward(self, X: Approx) -> None:
        first = self.p is self.before
        mask = self.problem.mask(0)
        self.p.a[0] = X if mask is None or not first else X * mask
        for l in range(1, self.L + 1):
            z = self._rule("z", l)
            self.p.z[l] = self._settle("z", l, z) if first else z
            a = self._rule("a", l)
            self.p.a[l] = self._settle("a", l, a) if first else a

    def _backward(self, l: int) -> None:
        self.slope[l] = self._rule("slope", l)
        if l < self.L:
            self.back[l] = self._rule("back", l)
        self.delta[l] = self._settle("delta", l, self._rule("delta", l))
        self.gW[l] = self._settle("weight_gradients", l, self._rule("weight_gradients", l))
        self.new_W[l] = self._settle("new_weights", l, self._rule("new_weights", l))
        if self.before.b[l] is None:
            self.gb[l] = self.new_b[l] = None
            return
        self.gb[l] = self._settle("bias_gradients", l, self._rule("bias_gradients", l))
        self.new_b[l] = self._settle("new_biases", l, self._rule("new_biases", l))

    def _rule(self, name: str, l: int) -> Approx:
        value = _RULES[name](self, l)
        for where in (None, l):
            for wrong in self._wrong.get((name, where), ()):
                value = wrong(self, l, value)
        return value

    def _settle(self, name: str, l: int, value: Approx) -> Approx:
        """Keep the value, compare it with what is claimed, and choose what to go on with."""
        if name in self.values:
            self.values[name][l] = value
        told = self.claims.get(name, {}).get(l)
        rounded = np.zeros(value.v.shape) if self.rounding is None else self.rounding(value)
        radius = value.r + rounded
        if told is None:
            return Approx(value.v, radius)
        said = ~np.isnan(told.value)
        slack = 1e-12 * np.abs(value.v) + 1e-15  # of float64 arithmetic itself
        low, high = told.ends
        agrees = ~said | ((value.v + value.r >= low - slack) & (value.v - value.r <= high + slack))
        self.agrees[name][l] = agrees
        carried = said & (agrees if self.carry == "consistent" else self.carry == "all")
        # what was carried on lies within the printed digits and, if they agree, within the value
        low = np.maximum(value.v - value.r, low)
        high = np.minimum(value.v + value.r, high)
        reach = np.maximum(np.maximum(high - told.value, told.value - low), 0)
        r = np.where(agrees, reach, 0.0 if self.rounding is None else told.unit)
        return Approx(np.where(carried, told.value, value.v), np.where(carried, r, radius))

    # -- what rules ask for -----------------------------------------------------------------------

    def f(self, l: int) -> Any:
        """The activation of layer l."""
        return self.net.activations[l - 1]

    def existing(self, l: int, value: Approx) -> Approx:
        """The value with 0 where layer l has no edge."""
        edges = self.problem.edges
        return value if edges is None else value * edges[l - 1].astype(np.float64)

    def masked(self, l: int, value: Approx) -> Approx:
        """The value times the dropout mask of a_l."""
        mask = self.problem.mask(l)
        return value if mask is None else value * mask

    def output_error(self) -> Approx:
        """dJ/do of each sample, (n, n_L)."""
        Y, a = self.problem.Y, self.before.a[self.L]
        return a.apply_rows(lambda o: np.asarray(self.net.loss.dJ(o, Y), dtype=np.float64))

    def moved(self, l: int, old: Approx, gradient: Approx, velocity: Array | None) -> Approx:
        """A parameter of layer l after its update."""
        self.moving = Moving(old, gradient, velocity)
        return self._rule("update", l)


# -- the right rules ------------------------------------------------------------------------------


def _z(s: Step, l: int) -> Approx:
    """z_l = a_{l-1} W_l + b_l."""
    b = s.p.b[l]
    product = s.p.a[l - 1] @ s.p.W[l]
    return product if b is None else product + b


def _a(s: Step, l: int) -> Approx:
    """a_l = f_l(z_l)."""
    a = value_of(s.f(l), s.p.z[l])
    return s.masked(l, a) if s.p is s.before else a


def _loss(s: Step, l: int) -> Approx:
    """C = mean or sum over the samples of J(o, y)."""
    Y = s.problem.Y

    def J(o: Array) -> Array:
        return np.asarray(s.net.loss.J(o, Y), dtype=np.float64)[:, None]

    return (s.p.a[s.L].apply_rows(J) * s.share).sum()


def _slope(s: Step, l: int) -> Approx:
    """f_l'(z_l), from a_l where that is how it is done by hand; 1 stands in for softmax."""
    f = s.f(l)
    if f.jacobian_product is not None:
        return Approx(np.ones(s.before.z[l].shape))
    of_a = slope_from_value(f)
    if of_a is not None and s.problem.mask(l) is None:
        return s.before.a[l].apply(of_a)
    return s.before.z[l].apply(f.df)


def _back(s: Step, l: int) -> Approx:
    """What arrives at a_l from above: delta_{l+1} W_{l+1}^T."""
    return s.masked(l, s.delta[l + 1] @ s.before.W[l + 1].T)


def _delta(s: Step, l: int) -> Approx:
    """delta_L = dJ/do f_L'(z_L), delta_l = (delta_{l+1} W_{l+1}^T) f_l'(z_l)."""
    if l < s.L:
        return through(s.f(l), s.before.z[l], s.back[l], s.slope[l])
    loss, f = s.net.loss, s.f(l)
    if loss.fused_dJ is not None and loss.links(f):
        return s.before.a[l] - s.problem.Y  # SPEC C10: so it is for every canonical pair
    return through(f, s.before.z[l], s.output_error(), s.slope[l])


def _weight_gradients(s: Step, l: int) -> Approx:
    """dC/dW_l = a_{l-1}^T delta_l, shared among the samples, plus the penalty's part."""
    g = s.before.a[l - 1].T @ s.delta[l] * s.share
    if s.problem.l2:
        g = g + s.before.W[l] * s.problem.l2
    return s.existing(l, g)


def _bias_gradients(s: Step, l: int) -> Approx:
    """dC/db_l = sum over the samples of delta_l, shared among them."""
    return s.delta[l].sum(axis=0) * s.share


def _input_gradients(s: Step, l: int) -> Approx:
    """dJ/dX = delta_1 W_1^T of each sample."""
    g = s.delta[1] @ s.before.W[1].T
    mask = s.problem.mask(0)
    return g if mask is None else g * mask


def _share(s: Step, l: int) -> Approx:
    """The weight of each sample in C: 1/n for the mean, 1 for the sum."""
    return Approx(s.share)


def _update(s: Step, l: int) -> Approx:
    """w <- w - alpha dC/dw; with momentum w <- w + mu v - alpha dC/dw."""
    assert s.moving is not None
    old, gradient, velocity = s.moving
    new = old - gradient * s.problem.learning_rate
    return new if velocity is None else new + velocity * s.problem.momentum


def _new_weights(s: Step, l: int) -> Approx:
    velocity = None if s.problem.velocity is None else s.problem.velocity[0][l - 1]
    return s.existing(l, s.moved(l, s.before.W[l], s.gW[l], velocity))


def _new_biases(s: Step, l: int) -> Approx:
    b, g = s.before.b[l], s.gb[l]
    assert b is not None
    assert g is not None
    velocity = None if s.problem.velocity is None else s.problem.velocity[1][l - 1]
    return s.moved(l, b, g, velocity) if s.problem.trainable_biases else b


def _weights_after(s: Step, l: int) -> Approx:
    """The weights that the forward pass after the step takes: the new ones."""
    return s.new_W[l]


_RULES: Mapping[str, Rule] = {
    "share": _share,
    "update": _update,
    "weights_after": _weights_after,
    "z": _z,
    "a": _a,
    "loss": _loss,
    "slope": _slope,
    "back": _back,
    "delta": _delta,
    "weight_gradients": _weight_gradients,
    "bias_gradients": _bias_gradients,
    "input_gradients": _input_gradients,
    "new_weights": _new_weights,
    "new_biases": _new_biases,
}


def value_of(f: Any, z: Approx) -> Approx:
    """f(z), unit by unit, or row by row for softmax."""
    return z.apply_rows(f.f) if f.jacobian_product is not None else z.apply(f.f)


def through(f: Any, z: Approx, g: Approx, slope: Approx) -> Approx:
    """dJ/dz from g = dJ/da: g times the slope, or the Jacobian product of softmax."""
    if f.jacobian_product is None:
        return g * slope
    product = f.jacobian_product
    by_g = g.apply_rows(lambda moved: product(z.v, moved))
    by_z = z.apply_rows(lambda moved: product(moved, g.v))
    return Approx(by_g.v, by_g.r + by_z.r)
