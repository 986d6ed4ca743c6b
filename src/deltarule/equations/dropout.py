"""Dropout masks from a counter-based generator, so that every engine drops the same units.

A mask is a pure function of (seed, step, layer), by SplitMix64 (Steele, Lea, Flood 2014): no state
to carry, no order of calls to keep, the same bits in any engine and on any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deltarule.equations.params import Array

_GAMMA = 0x9E3779B97F4A7C15
_M1 = 0xBF58476D1CE4E5B9
_M2 = 0x94D049BB133111EB
_WORD = (1 << 64) - 1


def _mix(x: int) -> int:
    """SplitMix64's output function on one 64-bit word."""
    x = (x + _GAMMA) & _WORD
    x = ((x ^ (x >> 30)) * _M1) & _WORD
    x = ((x ^ (x >> 27)) * _M2) & _WORD
    return x ^ (x >> 31)


def mask(
    rate: float, seed: int, step: int, layer: int, shape: tuple[int, int], dtype: Any
) -> Array:
    """The factors of a_layer (rows of the batch x units) in a step: 0, or 1 / (1 - rate).

    Element i, counted row by row, is kept if and only if word i of the stream is at least
    rate * 2^64. `step` is the number of optimizer steps done before.
    """
    key = _mix(_mix(_mix(seed & _WORD) ^ step) ^ layer)
    counter = np.arange(1, shape[0] * shape[1] + 1, dtype=np.uint64)
    x = counter * np.uint64(_GAMMA) + np.uint64(key)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(_M1)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(_M2)
    x = x ^ (x >> np.uint64(31))
    keep = x >= np.uint64(int(rate * 2.0**64))
    kept: Array = np.where(keep, 1.0 / (1.0 - rate), 0.0).astype(dtype)
    return kept.reshape(shape)
