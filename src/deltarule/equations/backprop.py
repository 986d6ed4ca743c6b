"""THE EQUATIONS: forward, deltas, gradients, in the notation of docs/checklist.md.

The whole algorithm (SPEC C1, C12) over any array namespace (numpy, jax.numpy), without mutation.
Layers are l = 1..L, rows are samples, a_0 = X. W (n_{l-1}, n_l), b (n_l,), z, a, delta (n, n_l).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from deltarule.equations.activations import Activation
from deltarule.equations.losses import Loss


class Layer(NamedTuple):
    """One layer of the equations."""

    W: Any
    b: Any | None
    f: Activation


def forward(layers: Sequence[Layer], X: Any) -> tuple[list[Any], list[Any]]:
    """z_l = a_{l-1} W_l + b_l ; a_l = f_l(z_l)   (A1, A4, B1, C2, D1). Returns z_1..L, a_0..L."""
    z, a = [], [X]
    for W, b, f in layers:
        z.append(a[-1] @ W if b is None else a[-1] @ W + b)
        a.append(f.f(z[-1]))
    return z, a


def deltas(layers: Sequence[Layer], loss: Loss, z: Sequence[Any], Y: Any) -> list[Any]:
    """delta_L = dJ/da_L f_L'(z_L) ; delta_l = (delta_{l+1} W_{l+1}^T) f_l'(z_l)   (B5, C8, D4).

    delta_l = dJ/dz_l, one row per sample. Each is computed once from the next: cost linear in the
    depth (A7).
    """
    delta = [loss.delta(layers[-1].f, z[-1], Y)]
    for l in range(len(layers) - 1, 0, -1):
        delta.insert(0, layers[l - 1].f.backward(z[l - 1], delta[0] @ layers[l].W.T))
    return delta


def gradients(
    layers: Sequence[Layer], a: Sequence[Any], delta: Sequence[Any], share: Any
) -> tuple[list[Any], list[Any]]:
    """dC/dW_l = a_{l-1}^T delta_l ; dC/db_l = sum over rows of delta_l   (B5, C8).

    share (n,): the weight of each sample in C = sum_i share_i J_i; 1/n for the mean.
    """
    shared = [share[:, None] * d for d in delta]
    dW = [a_prev.T @ d for a_prev, d in zip(a, shared, strict=False)]
    db = [
        None if layer.b is None else d.sum(axis=0) for layer, d in zip(layers, shared, strict=True)
    ]
    return dW, db


def activation_gradients(layers: Sequence[Layer], delta: Sequence[Any], dJ_do: Any) -> list[Any]:
    """dJ/da_l = delta_{l+1} W_{l+1}^T for l = 0..L-1 (dJ/dX first, D5), then dJ/da_L   (A5)."""
    return [d @ layer.W.T for layer, d in zip(layers, delta, strict=True)] + [dJ_do]


def expanded_gradients(
    layers: Sequence[Layer], loss: Loss, z: Sequence[Any], a: Sequence[Any], Y: Any, share: Any
) -> tuple[list[Any], list[Any]]:
    """The same dC/dW_l, dC/db_l by the chain rule alone, nothing kept from layer to layer (A3, B4).

    dJ/da_L = dJ/do ; dJ/da_{i} = (dJ/da_{i+1} f'(z_{i+1})) W_{i+1}^T, from the top again for every
    layer: cost quadratic in the depth.
    """
    dW, db = [], []
    for l in range(1, len(layers) + 1):
        g = loss.dJ(a[-1], Y)
        for k in range(len(layers), l, -1):
            g = layers[k - 1].f.backward(z[k - 1], g) @ layers[k - 1].W.T
        g = share[:, None] * layers[l - 1].f.backward(z[l - 1], g)
        dW.append(a[l - 1].T @ g)
        db.append(None if layers[l - 1].b is None else g.sum(axis=0))
    return dW, db
