"""C at one learning rate after the other: what a step promises to first order, and what it does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deltarule.equations import backprop
from deltarule.equations.params import Array
from deltarule.errors import SpecError
from deltarule.explain.case import Case

_RATES = tuple(float(f"1e{k}") for k in range(-7, 3))
_EPS = float(np.finfo(np.float64).eps)
_SURE = 20.0  # ratios are trusted where what they miss 1 by is that many times the rounding


@dataclass(frozen=True)
class DescentStep:
    """One learning rate, tried.

    Attributes
    ----------
    learning_rate : float
        alpha
    predicted : float
        -alpha |dC/dtheta|^2, the change of C to first order.
    measured : float
        C(theta - alpha dC/dtheta) - C(theta); NaN or infinity where that is no finite number.
    rounding : float
        How far off `measured` may be by rounding alone.
    kinks : int
        Net inputs (and errors o - y) that the step carries across a kink of an activation (or of
        the loss): the first order says nothing about the other side.
    """

    learning_rate: float
    predicted: float
    measured: float
    rounding: float
    kinks: int

    @property
    def ratio(self) -> float:
        """measured / predicted: tends to 1 as alpha does to 0. NaN where nothing is predicted."""
        return self.measured / self.predicted if self.predicted else math.nan

    @property
    def falls(self) -> bool:
        """Whether C is less after the step."""
        return self.measured < 0

    @property
    def only_rounding(self) -> bool:
        """Whether the change of C is too small to be told from rounding."""
        return math.isfinite(self.measured) and abs(self.predicted) <= self.rounding

    @property
    def trusted(self) -> bool:
        """Whether the distance of the ratio from 1 is no matter of rounding or of a kink."""
        if self.kinks or not math.isfinite(self.ratio):
            return False
        return abs(self.measured - self.predicted) > _SURE * self.rounding


class Problem:
    """C as a function of theta, in float64, with which edges and biases a step moves."""

    def __init__(self, case: Case) -> None:
        self.net, self.X, self.Y, self.share = case.net, case.X, case.Y, case.share
        self.edges, self.trained = case.edges, case.trainable_biases
        self.theta = case.net.theta.astype(np.float64)

    def _sides(self, z: Sequence[Array], o: Array) -> list[Array]:
        """On which side of each kink every net input and error lies: -1, 0 (on it) or 1."""
        with np.errstate(invalid="ignore"):
            sides = [
                np.sign(one - kink)
                for f, one in zip(self.net.activations, z, strict=True)
                for kink in f.kinks
            ]
            return sides + [np.sign(o - self.Y - kink) for kink in self.net.loss.kinks]

    def start(self) -> tuple[Array, Array, list[Array]]:
        """J of each sample, dC/dtheta, and the sides of the kinks."""
        layers, loss = self.net.layers(self.theta), self.net.loss
        with np.errstate(all="ignore"):
            z, a = backprop.forward(layers, self.X)
            J = np.asarray(loss.value(self.net.activations[-1], z[-1], self.Y))
            delta = backprop.deltas(layers, loss, z, self.Y)
            dW, db = backprop.gradients(layers, a, delta, self.share)
        if self.edges is not None:
            dW = [np.where(edge, g, 0.0) for edge, g in zip(self.edges, dW, strict=True)]
        if not self.trained:
            db = [None if g is None else np.zeros_like(g) for g in db]
        gradient = np.concatenate(self.net.layout.join(dW, db))
        return J, gradient, self._sides(z, a[-1])

    def step(
        self, alpha: float, losses: Array, gradient: Array, squared: float, sides: list[Array]
    ) -> DescentStep:
        """What a step of -alpha times the gradient does."""
        with np.errstate(all="ignore"):
            layers = self.net.layers(self.theta - alpha * gradient)
            z, a = backprop.forward(layers, self.X)
            J = np.asarray(self.net.loss.value(self.net.activations[-1], z[-1], self.Y))
            # summed sample by sample and exactly: C itself would lose the digits that matter
            changes = self.share * (J - losses)
            sums = self.share @ (np.abs(J) + np.abs(losses))
            moved = math.inf if not np.isfinite(changes).all() else math.fsum(changes)
            if np.isnan(changes).any():
                moved = math.nan
            crossed = sum(
                int((before * after < 0).sum())
                for before, after in zip(sides, self._sides(z, a[-1]), strict=True)
            )
        rounding = float(sums) * _EPS * (2 + len(self.net.weights))
        return DescentStep(alpha, 0.0 - alpha * squared, moved, rounding, crossed)


def checked_rates(given: Sequence[float] | None) -> list[float]:
    """The learning rates to try, rising. SpecError for what is no list of numbers > 0."""
    if given is None:
        return list(_RATES)
    try:
        rates = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        rates = np.array([math.nan])
    if rates.ndim != 1 or not rates.size or not ((rates > 0) & np.isfinite(rates)).all():
        raise SpecError(f"learning_rates must be a list of finite numbers > 0, got {given!r:.60}")
    return sorted({float(rate) for rate in rates})


def order(steps: Sequence[DescentStep]) -> tuple[float, float]:
    """The order of ratio -> 1, and the curvature, from the two smallest rates that tell them."""
    sure = [one for one in steps if one.trusted]
    if len(sure) < 2:
        return math.nan, math.nan
    first, second = sure[:2]
    if abs(second.ratio - 1) > 0.5:  # far from small: that is no order any more
        return math.nan, math.nan
    grown = math.log(abs(second.ratio - 1) / abs(first.ratio - 1))
    order = grown / math.log(second.learning_rate / first.learning_rate)
    return order, 2 * (1 - first.ratio) / first.learning_rate


def limit(steps: Sequence[DescentStep], tried: Any) -> float:
    """The learning rate at which C stops falling; what only rounding tells counts as falling."""
    low = 0.0
    for one in steps:
        if one.falls or (one.only_rounding and one.predicted):
            low = one.learning_rate
            continue
        high = one.learning_rate
        while low and high / low > 1.01:
            middle = math.sqrt(low * high)
            low, high = (middle, high) if tried(middle).falls else (low, middle)
        return low
    return math.inf
