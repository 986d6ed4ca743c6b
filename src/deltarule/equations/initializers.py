"""Registry of initializers: random weights (n_in, n_out) that keep signals alive through the depth.

A network's biases start at 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from deltarule.equations.params import Array
from deltarule.errors import SpecError, unknown_name

Initializer = Callable[[np.random.Generator, int, int], Array]
"""(rng, n_in, n_out) -> weights (n_in, n_out), float64."""


def _uniform_within(limit: Callable[[int, int], float]) -> Initializer:
    def draw(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
        bound = limit(n_in, n_out)
        return rng.uniform(-bound, bound, (n_in, n_out))

    return draw


def _normal_with(deviation: Callable[[int, int], float]) -> Initializer:
    def draw(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
        return deviation(n_in, n_out) * rng.standard_normal((n_in, n_out))

    return draw


def _orthogonal(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Orthonormal rows or columns, uniformly distributed (Saxe et al. 2014)."""
    tall = rng.standard_normal((max(n_in, n_out), min(n_in, n_out)))
    q, r = np.linalg.qr(tall)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # QR alone would favour some signs
    return q if n_in >= n_out else q.T


INITIALIZERS: Mapping[str, Initializer] = {
    # Glorot, Bengio 2010
    "glorot_uniform": _uniform_within(lambda n_in, n_out: math.sqrt(6 / (n_in + n_out))),
    "glorot_normal": _normal_with(lambda n_in, n_out: math.sqrt(2 / (n_in + n_out))),
    # He et al. 2015
    "he_uniform": _uniform_within(lambda n_in, n_out: math.sqrt(6 / n_in)),
    "he_normal": _normal_with(lambda n_in, n_out: math.sqrt(2 / n_in)),
    # LeCun et al. 1998
    "lecun_normal": _normal_with(lambda n_in, n_out: math.sqrt(1 / n_in)),
    "orthogonal": _orthogonal,
    "normal": _normal_with(lambda n_in, n_out: 0.05),
    "uniform": _uniform_within(lambda n_in, n_out: 0.05),
    "zeros": lambda rng, n_in, n_out: np.zeros((n_in, n_out)),
}


def get_initializer(spec: Any, activation_default: str) -> Initializer:
    """The initializer of that name; "auto" is the one that suits the layer's activation.

    A callable (rng, n_in, n_out) -> (n_in, n_out) is taken as it is.
    """
    if callable(spec):
        return spec  # type: ignore[no-any-return]  # a user's own function, checked by shape later
    if not isinstance(spec, str):
        raise SpecError(f"an initializer must be a name or a function, got {spec!r}")
    name = activation_default if spec == "auto" else spec
    if name not in INITIALIZERS:
        raise unknown_name("initializer", name, ["auto", *INITIALIZERS])
    return INITIALIZERS[name]
