"""NumPy at its best: no allocation per step, and every product fused with what follows it.

All products go through SciPy's BLAS, never NumPy's: each brings an OpenBLAS with its own threads,
and going back and forth between the two pools is many times slower. BLAS counts columns first, so
each row-major matrix M is passed as its transpose view, and nothing is copied.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg.blas import sgemm, sgemv
from scipy.special import expit

from benchmarks.cases import Floats, Problem, Weights
from benchmarks.contenders.base import Timed

ONE, HALF = np.float32(1), np.float32(0.5)
EXPIT_UP_TO = 300  # expit is one call but not vectorized; above this many numbers tanh is faster
SIGN_UP_TO = 4096  # likewise for the slope of relu: by sign, or by a mask


def _sigmoid(z: Floats) -> None:
    if z.size <= EXPIT_UP_TO:
        expit(z, z)
        return
    np.multiply(z, HALF, z)
    np.tanh(z, z)
    np.multiply(z, HALF, z)
    np.add(z, HALF, z)


class NumpyBlas(Timed):
    """In-place buffers; z = a W + b, delta W^T and W += s a^T delta are one BLAS call each."""

    quantum = 1

    def __init__(self, problem: Problem, threads: int) -> None:
        case = problem.case
        self.problem, self.relu = problem, case.activation == "relu"
        self.scale = -case.learning_rate / case.batch
        shape = (case.batches, case.batch, -1)
        self.xs, self.ys = list(problem.X.reshape(shape)), list(problem.Y.reshape(shape))
        self.a = [np.empty((case.batch, n), dtype=np.float32) for n in case.sizes]
        self.delta = [np.empty_like(a) for a in self.a]
        self.slope = [np.empty_like(a) for a in self.a]
        self.mask = [np.empty(a.shape, dtype=bool) for a in self.a]
        self.ones = np.ones(case.batch, dtype=np.float32)
        self.reset()

    def reset(self) -> None:
        self.W = [W.copy() for W, _ in self.problem.weights]
        self.b = [b.copy() for _, b in self.problem.weights]
        self.at = 0

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self._step(self.xs[self.at], self.ys[self.at])
            self.at = (self.at + 1) % len(self.xs)

    def _step(self, x: Floats, y: Floats) -> None:
        W, b, a, delta, scale = self.W, self.b, self.a, self.delta, self.scale
        last = len(W)
        a[0] = x
        for l in range(1, last + 1):
            z = a[l]
            z[...] = b[l - 1]
            sgemm(1.0, W[l - 1].T, a[l - 1].T, 1.0, z.T, 0, 0, 1)
            if l < last:
                if self.relu:
                    np.maximum(z, 0, out=z)
                else:
                    _sigmoid(z)
        np.subtract(a[last], y, delta[last])
        for l in range(last, 0, -1):
            d = delta[l].T
            if l > 1:
                sgemm(1.0, W[l - 1].T, d, 0.0, delta[l - 1].T, 1, 0, 1)
                self._times_slope(l - 1)
            sgemm(scale, d, a[l - 1].T, 1.0, W[l - 1].T, 0, 1, 1)
            sgemv(scale, d, self.ones, 1.0, b[l - 1], 0, 1, 0, 1, 0, 1)

    def _times_slope(self, l: int) -> None:
        a, delta, slope = self.a[l], self.delta[l], self.slope[l]
        if not self.relu:
            np.subtract(ONE, a, slope)
            np.multiply(slope, a, slope)
            np.multiply(delta, slope, delta)
        elif a.size <= SIGN_UP_TO:
            np.sign(a, slope)
            np.multiply(delta, slope, delta)
        else:
            np.greater(a, 0, self.mask[l])
            np.multiply(delta, self.mask[l], delta)

    def weights(self) -> Weights:
        return [(W.copy(), b.copy()) for W, b in zip(self.W, self.b, strict=True)]

    def to_input(self, X: Floats) -> Any:
        return X

    def infer(self, X: Any) -> Any:
        a = X
        for l in range(1, len(self.W) + 1):
            z = a @ self.W[l - 1]
            z += self.b[l - 1]
            if l < len(self.W):
                if self.relu:
                    np.maximum(z, 0, out=z)
                else:
                    _sigmoid(z)
            a = z
        return a
