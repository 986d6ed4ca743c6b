"""What would help a network: each advice is tried on a copy, and told with what it did.

All are trained alike: 100 steps of Adam at its default rate on the same rows, all of them at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deltarule.equations.params import Array
from deltarule.errors import DivergenceError
from deltarule.explain.case import Case
from deltarule.explain.diagnose.findings import Finding
from deltarule.explain.diagnose.measure import measure
from deltarule.network.network import Network
from deltarule.training.plan import train

#: Steps of every trial, and how many rows it takes at most.
STEPS = 100
ROWS = 256
#: An advice helps if its loss after these steps is below this share of that of the network itself.
HELPS_BELOW = 0.95
_DEAD_OR_FLAT = ("non_finite", "vanishes", "explodes", "same_rows", "saturated", "dead")
_REDRAWN = ("auto", "orthogonal")
_OTHERS = ("tanh", "relu", "selu")
_SCALED = "scaled to mean 0 and deviation 1, weights drawn again"


@dataclass(frozen=True)
class Trial:
    """What was measured of one network.

    Attributes
    ----------
    delta_ratio : float or None
        rms(delta_1) / rms(delta_L) before training, in the network's precision; None for 0/0.
    loss_start, loss_end : float
        C of the data, without penalties, before and after the steps; NaN if training diverged.
        Of scaled targets, C of the targets as they were given.
    """

    delta_ratio: float | None
    loss_start: float
    loss_end: float


@dataclass(frozen=True)
class Advice:
    """One change that was tried on a copy.

    Attributes
    ----------
    code : str
        Such as "initializer=orthogonal", "activation=relu", "scale_inputs".
    sentence : str
        What was changed.
    how : str
        How to do it in Python.
    before, after : Trial
        Of the network as it is, and of the changed copy.
    """

    code: str
    sentence: str
    how: str
    before: Trial
    after: Trial

    @property
    def helped(self) -> bool:
        """Whether the loss after the steps is below 0.95 of what it is without the change."""
        before, after = self.before.loss_end, self.after.loss_end
        if not math.isfinite(after):
            return False
        return not math.isfinite(before) or after < HELPS_BELOW * before


@dataclass(frozen=True)
class _Change:
    """A changed copy with the data that it takes, and how its outputs become those of the task."""

    code: str
    sentence: str
    how: str
    net: Network
    X: Array
    Y: Array
    unscale: Callable[[Network], Network] = Network.copy


def advise(case: Case, seed: int, findings: Sequence[Finding]) -> list[Advice]:
    """Try what the findings suggest on dense rows; what helped comes first, the best of it first.

    `seed` is the `rng` of new weights and of the training.
    """
    changes = list(_changes(case, seed, {finding.code for finding in findings}))
    if not changes:
        return []
    before = _try(case, seed, _Change("", "", "", case.net, case.X, case.Y))
    advice = [
        Advice(one.code, one.sentence, one.how, before, _try(case, seed, one)) for one in changes
    ]
    return sorted(advice, key=lambda one: (not one.helped, _or_last(one.after.loss_end)))


def _or_last(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


# -- trials ----------------------------------------------------------------------------------------


def _try(case: Case, seed: int, change: _Change) -> Trial:
    net = change.net.copy()
    _, ratio = _measured(net, change.X, change.Y, case.sample_weight)
    start, _ = _measured(change.unscale(net), change.X, case.Y, case.sample_weight)
    try:
        train(
            net,
            change.X,
            change.Y,
            epochs=STEPS,
            batch_size="full",
            optimizer="adam",
            l2=case.l2,
            sample_weight=case.sample_weight,
            validation=None,
            rng=seed,
        )
    except DivergenceError:
        return Trial(ratio, start, math.nan)
    end, _ = _measured(change.unscale(net), change.X, case.Y, case.sample_weight)
    return Trial(ratio, start, end)


def _measured(net: Network, X: Array, Y: Array, weight: Array | None) -> tuple[float, float | None]:
    """C, and rms(delta_1) / rms(delta_L), in the network's own precision."""
    done = measure(Case(net, X, Y, weight), quick=True)
    return done.loss, done.layers[0].delta_to_top


# -- changes ---------------------------------------------------------------------------------------


def _changes(case: Case, seed: int, codes: set[str]) -> Iterator[_Change]:
    X, Y, net = case.X, case.Y, case.net
    fresh = _network(net, seed, net.activations, "auto")
    inputs = _badly_scaled(X)
    targets = (
        net.loss.targets == "real" and net.activations[-1].name == "identity" and _badly_scaled(Y)
    )
    scaled_X = _scaled(X, *_scale(X))
    scaled_Y, unscale = _scaled_targets(case)
    how_X, how_Y = "X = (X - X.mean(0)) / X.std(0)", "Y = (Y - Y.mean(0)) / Y.std(0)"
    if inputs:
        yield _Change("scale_inputs", f"inputs {_SCALED}", how_X, fresh, scaled_X, Y)
    if targets:
        yield _Change("scale_targets", f"targets {_SCALED}", how_Y, fresh, X, scaled_Y, unscale)
    if inputs and targets:
        how, what = f"{how_X}; {how_Y}", f"inputs and targets {_SCALED}"
        yield _Change("scale_both", what, how, fresh, scaled_X, scaled_Y, unscale)
    if codes & {"zero_in_float32", "underflow_in_float32", "non_finite"} and (
        net.dtype == np.float32
    ):
        double = _described(net, "float64", net.bias)
        double.theta = net.theta
        how = 'dr.Network(..., dtype="float64")'
        yield _Change("float64", "numbers in float64", how, double, X, Y)
    deep = bool(codes & {*_DEAD_OR_FLAT, "zero_in_float32"})
    # beside scaled data, which start from new weights, new weights alone are the comparison
    for name in _REDRAWN if deep else ("auto",) if inputs or targets else ():
        yield _Change(
            f"initializer={name}",
            f"weights drawn again by the initializer {name!r}",
            f'dr.Network(..., initializer="{name}")',
            _network(net, seed, net.activations, name),
            X,
            Y,
        )
    if not deep or len(net.sizes) < 3:
        return
    hidden = {f.name for f in net.activations[:-1]}
    others = [*_OTHERS, "leaky_relu"] if hidden == {"relu"} and "dead" in codes else _OTHERS
    for name in others:
        if hidden != {name}:
            kinds = [*[name] * (len(net.sizes) - 2), net.activations[-1]]
            yield _Change(
                f"activation={name}",
                f"hidden layers with {name}, weights drawn to suit it",
                f'dr.Network(..., activations="{name}")',
                _network(net, seed, kinds, "auto"),
                X,
                Y,
            )


def _network(net: Network, seed: int, activations: Sequence[object], initializer: str) -> Network:
    return Network(
        net.sizes,
        activations,  # type: ignore[arg-type]  # names and records side by side
        net.loss,
        net.bias,
        net.dtype,
        rng=seed,
        initializer=initializer,
        check_derivatives=False,
    )


def _scale(values: Array) -> tuple[Array, Array]:
    std = values.std(axis=0)
    return values.mean(axis=0), np.where(std > 0, std, 1)


def _badly_scaled(values: Array) -> bool:
    """Whether a column that varies is far from mean 0 (3 deviations) or deviation 1 (10 times)."""
    mean, std = values.mean(axis=0), values.std(axis=0)
    varies = std > 1e-9 * np.abs(mean)
    far = (np.abs(mean) > 3 * std) | (std > 10) | (std < 0.1)
    return bool((varies & far).any())


def _scaled(values: Array, mean: Array, std: Array) -> Array:
    return np.asarray((values - mean) / std, dtype=values.dtype)


def _scaled_targets(case: Case) -> tuple[Array, Callable[[Network], Network]]:
    """The targets scaled, and what gives a network for them the outputs of the task again."""
    mean, std = _scale(case.Y)

    def unscale(net: Network) -> Network:
        """The network whose outputs are std * output + mean: its last layer scaled."""
        result = _described(net, net.dtype, bias=[*net.bias[:-1], True])
        pairs = zip(
            net.layout.matrices(net.theta), result.layout.matrices(result.theta), strict=True
        )
        last = len(net.sizes) - 2
        for l, ((W, b), (W_new, b_new)) in enumerate(pairs):
            scale, shift = (std, mean) if l == last else (1, 0)
            W_new[...] = W * scale
            if b_new is not None:
                b_new[...] = (0 if b is None else b) * scale + shift
        return result

    return _scaled(case.Y, mean, std), unscale


def _described(net: Network, dtype: Any, bias: Sequence[bool]) -> Network:
    """A network like it, all parameters 0."""
    return Network(
        net.sizes,
        net.activations,
        net.loss,
        bias,
        dtype,
        initializer="zeros",
        check_derivatives=False,
    )
