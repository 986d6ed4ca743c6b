"""How far a network's gradients may be off by rounding alone, and where it decides on a side.

First-order, as if the errors of all operations were independent; in units of the arithmetic's eps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deltarule import backprop
from deltarule.activations import Activation
from deltarule.backprop import Layer
from deltarule.losses import Loss
from deltarule.params import Array

_NEAR = 32.0  # roundings


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
    error = _of_delta_L(loss, layers[-1].f, z[-1], a[-1], Y, delta[-1])
    found: list[tuple[Array, Array, Array]] = []
    for l in range(len(layers), 0, -1):
        W, x = layers[l - 1].W, a[l - 1]
        shared = share[:, None] * np.sqrt(error**2 + delta[l - 1] ** 2)
        below = np.sqrt((error**2 + delta[l - 1] ** 2) @ (W**2).T)
        of_weights, of_biases = np.sqrt((x**2).T @ shared**2), np.sqrt((shared**2).sum(axis=0))
        found.insert(0, (_finite(of_weights), _finite(of_biases), _finite(below)))
        if l > 1:
            slope = np.abs(layers[l - 2].f.backward(z[l - 2], np.ones_like(x)))
            arriving = np.abs(delta[l - 1] @ W.T)
            error = np.sqrt((below * slope) ** 2 + (arriving * _of_slope(slope, x)) ** 2)
    return found


def _of_slope(slope: Array, a: Array) -> Array:
    """Of a slope that is computed from the activation, as 1 - a^2 is: one of 0 has none."""
    return np.where(slope > 0, np.maximum(slope, np.minimum(1.0, np.abs(a))), 0.0)


def _of_delta_L(
    loss: Loss, output: Activation, z: Array, o: Array, Y: Array, delta: Array
) -> Array:
    """Of o - y, or of dJ/do times the slope."""
    if loss.fused_dJ is not None and loss.links(output):
        return np.abs(o) + np.abs(Y)
    g = np.abs(loss.dJ(o, Y))
    if output.jacobian_product is None:
        g = g * _of_slope(np.abs(output.df(z)), o)
    else:
        g = np.abs(o) * (g + (np.abs(o) * g).sum(axis=1, keepdims=True))
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
