"""Singular values of a layer's Jacobian: by how much it stretches what passes back through it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from deltarule.equations.activations import Activation
from deltarule.equations.params import Array

_SAMPLES = 4
_MOST_WORK = 256**3  # n_in n_out min(n_in, n_out) of a decomposition that takes milliseconds
_ITERATIONS = 40


@dataclass(frozen=True)
class Jacobian:
    """Singular values of da_l/da_{l-1}, that is of D_l W_l^T with D_l = diag f'(z_l).

    Each is taken for a few rows of the data apart, then averaged over these rows.

    Attributes
    ----------
    largest : float
    rms : float
        |D_l W_l^T| / sqrt(n_l), the factor by which a dJ/da_l of random direction grows.
    geometric_mean : float or None
        Of those that are not 0 (to rounding).
    smallest : float or None
        0 if the matrix is singular.
    rank : float or None
        How many are not 0.
    samples : int
        The number of rows.

    The three that can be None are so for wide layers (more than about 256 x 256), where `largest`
    comes from a power iteration.
    """

    largest: float
    rms: float
    geometric_mean: float | None
    smallest: float | None
    rank: float | None
    samples: int

    @property
    def condition(self) -> float | None:
        """Largest over smallest; None if that is 0 or not known."""
        return self.largest / self.smallest if self.smallest else None


def layer_jacobian(W: Array, f: Activation, z: Array, rng: np.random.Generator) -> Jacobian | None:
    """Those of a layer with weights W (n_{l-1}, n_l) at a few rows of z (n, n_l).

    None where a number is not finite.
    """
    rows = rng.permutation(len(z))[:_SAMPLES]
    matrices = [_matrix(W, f, z[i]) for i in rows]
    if not all(np.isfinite(A).all() for A in matrices):
        return None
    size = _mean([math.sqrt(float(np.vdot(A, A)) / W.shape[1]) for A in matrices])
    if W.size * min(W.shape) > _MOST_WORK:
        largest = _mean([_largest(A, rng) for A in matrices])
        return Jacobian(largest, size, None, None, None, len(rows))
    values = np.linalg.svd(np.stack(matrices), compute_uv=False)
    # as in matrix_rank: what is smaller than rounding errors can be is 0
    rounding = max(W.shape) * float(np.finfo(np.float64).eps)
    floor = values[:, :1] * rounding
    if f.jacobian_product is not None:  # its slopes, at most 1, are differences such as p - p^2
        floor = np.maximum(floor, rounding * float(np.linalg.norm(W)))
    there = (values > floor) & (values > 0)
    logs = np.log(np.where(there, values, 1)).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return Jacobian(
        largest=float(values[:, 0].mean()),
        rms=size,
        geometric_mean=float(np.where(there.any(axis=1), np.exp(logs), 0).mean()),
        smallest=float(np.where(there[:, -1], values[:, -1], 0).mean()),
        rank=float(there.sum(axis=1).mean()),
        samples=len(rows),
    )


def _matrix(W: Array, f: Activation, z: Array) -> Array:
    """D W^T (n_l, n_{l-1}) at one row of z; D is the whole Jacobian of an f that mixes units."""
    if f.jacobian_product is None:
        return np.asarray(f.df(z)[:, None] * W.T)
    k = len(z)
    return np.asarray(f.backward(np.tile(z, (k, 1)), np.eye(k)) @ W.T)


def _largest(A: Array, rng: np.random.Generator) -> float:
    """The largest singular value, from below, by power iteration on A^T A."""
    v: Array = rng.standard_normal((A.shape[1],))
    for _ in range(_ITERATIONS):
        v = A.T @ (A @ v)
        size = float(np.linalg.norm(v))
        if size == 0:
            return 0.0
        v /= size
    return float(np.linalg.norm(A @ v))


def _mean(values: list[float]) -> float:
    return float(np.mean(values))
