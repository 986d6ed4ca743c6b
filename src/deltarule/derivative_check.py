"""A user's own Activation or Loss is compared with finite differences before it is trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deltarule.activations import Activation
from deltarule.errors import DerivativeError
from deltarule.losses import Loss
from deltarule.params import Array

_POINTS = np.linspace(-3.1, 3.3, 41)  # 0 and other likely kinks are not among them
_STEP = 1e-6
_TOLERANCE = 1e-5


def check_own_functions(activations: Sequence[Activation], loss: Loss) -> None:
    """Check every activation and loss that is not one of the package's own.

    Raises DerivativeError with the point, the value given and the value measured.
    """
    for f in dict.fromkeys(activations):
        if not f.registered:
            check_activation(f)
    if not loss.registered:
        check_loss(loss, activations[-1])


def check_activation(f: Activation) -> None:
    """Compare f'(z) with central differences of f; for one that mixes units, J^T g instead."""
    if f.jacobian_product is not None:
        _check_jacobian(f)
        return
    owner = f"activation {f.name!r}"
    value, slope = _call(owner, "f", f.f, _POINTS), _call(owner, "df", f.df, _POINTS)
    up, down = f.f(_POINTS + _STEP), f.f(_POINTS - _STEP)
    measured = (up - down) / (2 * _STEP)
    kink = np.abs((up - value) - (value - down)) / _STEP > 1e-3
    _compare(owner, "df", "z", _POINTS, slope, measured, kink)


def _check_jacobian(f: Activation) -> None:
    z = _POINTS[:12].reshape(3, 4) * np.array([1.0, -0.7, 0.4, 1.3])
    g = np.cos(np.arange(12.0)).reshape(3, 4)
    given = _call(f"activation {f.name!r}", "jacobian_product", lambda x: f.backward(x, g), z)
    measured = np.empty_like(z)
    for i in range(z.shape[1]):
        step = np.zeros_like(z)
        step[:, i] = _STEP
        measured[:, i] = ((f.f(z + step) - f.f(z - step)) * g).sum(axis=1) / (2 * _STEP)
    kink = np.zeros(z.shape, dtype=bool)
    _compare(f"activation {f.name!r}", "jacobian_product", "z", z, given, measured, kink)


def check_loss(loss: Loss, output: Activation) -> None:
    """Compare dJ/do with central differences of J at outputs that `output` can give.

    If the loss has a fused form and `output` is its link, the fused pair is checked as well.
    """
    rng = np.random.default_rng(0)
    z = rng.uniform(-2, 2, (40, 3))
    y = _plausible_targets(loss, rng, z.shape)
    owner = f"loss {loss.name!r}"
    pairs: list[tuple[str, str, Any, Any, Array]] = [("dJ", "o", loss.J, loss.dJ, output.f(z))]
    if loss.fused_J is not None and loss.fused_dJ is not None and output.name == loss.link:
        pairs.append(("fused_dJ", "z", loss.fused_J, loss.fused_dJ, z))
    for name, symbol, J, dJ, at in pairs:
        value = np.asarray(J(at, y))
        if value.shape != (len(at),):
            raise DerivativeError(
                f"{owner}: J gave shape {value.shape} for outputs {at.shape}; it must give one "
                f"number per sample, ({len(at)},): sum over the outputs, not over the samples"
            )
        given = _call(owner, name, lambda o, dJ=dJ: dJ(o, y), at)
        measured, kink = np.empty_like(at), np.zeros(at.shape, dtype=bool)
        for i in range(at.shape[1]):
            step = np.zeros_like(at)
            step[:, i] = _STEP
            up, down = J(at + step, y), J(at - step, y)
            measured[:, i] = (up - down) / (2 * _STEP)
            kink[:, i] = np.abs(up - 2 * value + down) / _STEP > 1e-3
        _compare(owner, name, symbol, at, given, measured, kink)


def _plausible_targets(loss: Loss, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    if loss.targets == "count":
        return rng.poisson(2.0, shape).astype(np.float64)
    if loss.targets == "unit":
        return rng.integers(0, 2, shape).astype(np.float64)
    if loss.targets == "distribution":
        return np.eye(shape[1])[rng.integers(0, shape[1], shape[0])]
    return rng.standard_normal(shape)


def _call(owner: str, name: str, function: Any, at: Array) -> Array:
    result = np.asarray(function(at))
    if result.shape != at.shape:
        raise DerivativeError(
            f"{owner}: {name} gave shape {result.shape} for an array of shape {at.shape}; it must "
            "work element by element"
        )
    return result


def _compare(
    owner: str, name: str, symbol: str, at: Array, given: Array, measured: Array, kink: Array
) -> None:
    error = np.abs(given - measured)
    wrong = (error > _TOLERANCE * np.maximum(1, np.abs(measured))) & ~kink
    if not wrong.any():
        return
    worst = np.unravel_index(np.argmax(np.where(wrong, error, -1)), error.shape)
    raise DerivativeError(
        f"{owner}: {name} is not the derivative of its value: at {symbol} = {at[worst]:.4g} it "
        f"gives {given[worst]:.6g}, finite differences give {measured[worst]:.6g} "
        f"({int(wrong.sum())} of {wrong.size} points disagree). Correct it, or pass "
        "check_derivatives=False to skip this check"
    )
