"""How far a network's gradients may be off by rounding alone, and where it decides on a side.

First-order, as if the errors of all operations were independent; in units of the arithmetic's eps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deltarule.equations import backprop
from deltarule.equations.activations import Activation
from deltarule.equations.backprop import Layer
from deltarule.equations.losses import Loss
from deltarule.equations.params import Array

_NEAR = 32.0  # roundings
_NUDGE = 8 * float(np.finfo(np.float64).eps)


def of_gradients(
    layers: Sequence[Layer],
    loss: Loss,
    z: Sequence[Array],
    a: Sequence[Array],
    Y: Array,
    share: Array,
) -> list[tuple[Array, Array, Array]]:
    """For l = 1..L the rounding of dC/dW_l, dC/db_l and dJ/da_{l-1}, in units of eps.

    Arguments are those of `backprop.gradients`; z, a and Y in float64.
    """
    delta = backprop.deltas(layers, loss, z, Y)
    slopes = [
        _sizes_of_slope(layer.f, z_l, a_l) for layer, z_l, a_l in zip(layers, z, a[1:], strict=True)
    ]
    of_a = _of_activations(layers, a, slopes)
    error = _of_delta_L(loss, layers[-1].f, a[-1], Y, delta[-1], slopes[-1], of_a[-1])
    found: list[tuple[Array, Array, Array]] = []
    for l in range(len(layers), 0, -1):
        W, x = layers[l - 1].W, a[l - 1]
        shared = share[:, None] * np.sqrt(error**2 + delta[l - 1] ** 2)
        below = np.sqrt((error**2 + delta[l - 1] ** 2) @ (W**2).T)
        of_weights = np.sqrt((x**2 + of_a[l - 1] ** 2).T @ shared**2)
        of_biases = np.sqrt((shared**2).sum(axis=0))
        found.insert(0, (_finite(of_weights), _finite(of_biases), _finite(below)))
        if l > 1:
            slope, arriving = slopes[l - 2], np.abs(delta[l - 1] @ W.T)
            error = np.sqrt((below * slope) ** 2 + (arriving * _of_slope(slope, x)) ** 2)
    return found


def of_values(
    layers: Sequence[Layer],
    loss: Loss,
    z: Sequence[Array],
    a: Sequence[Array],
    Y: Array,
    J: Array,
) -> Array:
    """Of J (n,) of each sample: its own, and that of z_L and of o as they reach it."""
    W, b, output = layers[-1]
    slopes = [
        _sizes_of_slope(layer.f, *pair) for layer, *pair in zip(layers, z, a[1:], strict=True)
    ]
    of_input = _of_activations(layers[:-1], a[:-1], slopes)[-1]
    squares = (a[-2] ** 2 + of_input**2) @ W**2 + (0 if b is None else b**2) + z[-1] ** 2
    delta = loss.delta(output, z[-1], Y)
    parts = np.abs(J) + np.sqrt((delta**2 * squares).sum(axis=1))
    if loss.fused_J is None or not loss.links(output):
        parts = parts + np.sqrt(((loss.dJ(a[-1], Y) * a[-1]) ** 2).sum(axis=1))
    elif loss.targets != "real":  # differences of terms like log(sum exp(z)) and y z
        parts = parts + np.sqrt((a[-1] ** 2 + (Y * z[-1]) ** 2).sum(axis=1))
    return np.where(np.isfinite(parts), parts, np.abs(J))


def _sizes_of_slope(f: Activation, z: Array, a: Array) -> Array:
    """|f'(z)|; of one that mixes units, the largest that it can be for softmax."""
    if f.jacobian_product is not None:
        return np.abs(a)
    return np.asarray(np.abs(f.df(z)))


def _of_activations(
    layers: Sequence[Layer], a: Sequence[Array], slopes: Sequence[Array]
) -> list[Array]:
    """Of a_0 (none) to a_L in the forward pass."""
    found = [np.zeros_like(a[0])]
    for l, (W, b, _) in enumerate(layers):
        squares = (a[l] ** 2 + found[-1] ** 2) @ W**2 + (0 if b is None else b**2)
        found.append(np.sqrt(squares * slopes[l] ** 2 + a[l + 1] ** 2))
    return found


def _of_slope(slope: Array, a: Array) -> Array:
    """Of a slope that is computed from the activation, as 1 - a^2 is: one of 0 has none."""
    return np.where(slope > 0, np.maximum(slope, np.minimum(1.0, np.abs(a))), 0.0)


def _of_delta_L(
    loss: Loss, output: Activation, o: Array, Y: Array, delta: Array, slope: Array, of_o: Array
) -> Array:
    """Of o - y, or of dJ/do times the slope."""
    if loss.fused_dJ is not None and loss.links(output):
        return of_o + np.abs(Y)
    g = loss.dJ(o, Y)
    of_g = np.zeros_like(g)
    if not loss.kinks:  # what the rounding of o does to it
        of_g = np.abs(loss.dJ(o * (1 - _NUDGE), Y) - g) / _NUDGE
    g = np.abs(g)
    if output.jacobian_product is None:
        g = g * _of_slope(slope, o) + of_g * slope
    else:
        g = np.abs(o) * (g + of_g + (np.abs(o) * (g + of_g)).sum(axis=1, keepdims=True))
    return np.asarray(np.maximum(np.abs(delta), g))


def _finite(rounding: Array) -> Array:
    """0 for what overflows: there the gradient itself is almost infinite."""
    return np.where(np.isfinite(rounding), rounding, 0.0)


def near_kinks(
    layers: Sequence[Layer],
    loss: Loss,
    z: Sequence[Array],
    a: Sequence[Array],
    Y: Array,
    eps: float,
) -> list[NDArray[np.bool_]]:
    """For each layer, the net inputs (n, n_l) whose side of a kink rounding may decide.

    Kinks of the loss count for the last layer.
    """
    found = []
    for l, (W, b, f) in enumerate(layers):
        near = np.zeros(z[l].shape, dtype=bool)
        if len(f.kinks):
            size = np.abs(a[l]) @ np.abs(W) + (0 if b is None else np.abs(b))
            for kink in f.kinks:
                near |= (np.abs(z[l] - kink) <= _NEAR * eps * size) & (size > 0)
        found.append(near)
    for kink in loss.kinks:
        size = np.abs(a[-1]) + np.abs(Y)
        found[-1] |= (np.abs(a[-1] - Y - kink) <= _NEAR * eps * size) & (size > 0)
    return found
