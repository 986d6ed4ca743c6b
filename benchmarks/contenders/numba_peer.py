"""Numba: plain loops over samples, compiled for the very sizes of the network.

One hidden layer has its own kernel, whose loop bounds are constants to the compiler; deeper
networks go through a general one. One thread; inner loops run along rows of W and vectorize.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from benchmarks.cases import Case, Floats, Problem, Weights
from benchmarks.contenders.base import Timed

Kernel = Callable[..., None]


def _jit(function: Kernel) -> Kernel:
    """Compiled on its first call."""
    kernel: Kernel = numba.njit(fastmath=True, error_model="numpy")(function)
    return kernel


def _shallow(case: Case) -> Kernel:
    """train(X, Y, at, steps, W1, b1, W2, b2) for n_in-n_hidden-n_out; the bounds are constants."""
    n_in, n_hidden, n_out = case.sizes
    batch, batches, relu = case.batch, case.batches, case.activation == "relu"
    scale = np.float32(case.learning_rate / case.batch)
    one, zero = np.float32(1), np.float32(0)

    @_jit
    def train(X: Any, Y: Any, at: int, steps: int, W1: Any, b1: Any, W2: Any, b2: Any) -> None:
        h, d1 = np.empty(n_hidden, np.float32), np.empty(n_hidden, np.float32)
        d2 = np.empty(n_out, np.float32)
        G1, g1, G2, g2 = np.zeros_like(W1), np.zeros_like(b1), np.zeros_like(W2), np.zeros_like(b2)
        for _ in range(steps):
            for row in range(at * batch, at * batch + batch):
                for j in range(n_hidden):
                    h[j] = b1[j]
                for i in range(n_in):
                    x = X[row, i]
                    for j in range(n_hidden):
                        h[j] += x * W1[i, j]
                for j in range(n_hidden):
                    h[j] = max(h[j], zero) if relu else one / (one + np.exp(-h[j]))
                for k in range(n_out):
                    d2[k] = b2[k] - Y[row, k]
                for j in range(n_hidden):
                    for k in range(n_out):
                        d2[k] += h[j] * W2[j, k]
                for j in range(n_hidden):
                    total = zero
                    for k in range(n_out):
                        total += d2[k] * W2[j, k]
                    if relu:
                        d1[j] = total if h[j] > zero else zero
                    else:
                        d1[j] = total * h[j] * (one - h[j])
                if batch == 1:
                    for j in range(n_hidden):
                        for k in range(n_out):
                            W2[j, k] -= scale * h[j] * d2[k]
                    for k in range(n_out):
                        b2[k] -= scale * d2[k]
                    for i in range(n_in):
                        x = scale * X[row, i]
                        for j in range(n_hidden):
                            W1[i, j] -= x * d1[j]
                    for j in range(n_hidden):
                        b1[j] -= scale * d1[j]
                else:
                    for j in range(n_hidden):
                        for k in range(n_out):
                            G2[j, k] += h[j] * d2[k]
                    for k in range(n_out):
                        g2[k] += d2[k]
                    for i in range(n_in):
                        x = X[row, i]
                        for j in range(n_hidden):
                            G1[i, j] += x * d1[j]
                    for j in range(n_hidden):
                        g1[j] += d1[j]
            if batch > 1:
                for i in range(n_in):
                    for j in range(n_hidden):
                        W1[i, j] -= scale * G1[i, j]
                        G1[i, j] = zero
                for j in range(n_hidden):
                    b1[j] -= scale * g1[j]
                    g1[j] = zero
                    for k in range(n_out):
                        W2[j, k] -= scale * G2[j, k]
                        G2[j, k] = zero
                for k in range(n_out):
                    b2[k] -= scale * g2[k]
                    g2[k] = zero
            at = (at + 1) % batches

    return train


def _deep(case: Case) -> Kernel:
    """train(X, Y, at, steps, Ws, bs, a, deltas), any depth; a and deltas are batch x n_l."""
    batch, batches, relu = case.batch, case.batches, case.activation == "relu"
    scale = np.float32(case.learning_rate / case.batch)
    one, zero, last = np.float32(1), np.float32(0), len(case.layers)

    @_jit
    def train(X: Any, Y: Any, at: int, steps: int, Ws: Any, bs: Any, a: Any, deltas: Any) -> None:
        for _ in range(steps):
            a[0][:] = X[at * batch : (at + 1) * batch]
            for l in range(last):
                W, b, source, z = Ws[l], bs[l], a[l], a[l + 1]
                for row in range(batch):
                    z[row] = b
                    for i in range(W.shape[0]):
                        x = source[row, i]
                        for j in range(W.shape[1]):
                            z[row, j] += x * W[i, j]
                    if l < last - 1:
                        for j in range(W.shape[1]):
                            value = z[row, j]
                            z[row, j] = max(value, zero) if relu else one / (one + np.exp(-value))
            deltas[last][:] = a[last] - Y[at * batch : (at + 1) * batch]
            for back in range(last):
                l = last - 1 - back
                W, b, source, delta, before = Ws[l], bs[l], a[l], deltas[l + 1], deltas[l]
                if l > 0:
                    for row in range(batch):
                        for i in range(W.shape[0]):
                            total = zero
                            for j in range(W.shape[1]):
                                total += delta[row, j] * W[i, j]
                            f = source[row, i]
                            if relu:
                                before[row, i] = total if f > zero else zero
                            else:
                                before[row, i] = total * f * (one - f)
                for row in range(batch):
                    for i in range(W.shape[0]):
                        x = scale * source[row, i]
                        for j in range(W.shape[1]):
                            W[i, j] -= x * delta[row, j]
                    for j in range(W.shape[1]):
                        b[j] -= scale * delta[row, j]
            at = (at + 1) % batches

    return train


class NumbaLoop(Timed):
    """The loops on one problem."""

    quantum = 1

    def __init__(self, problem: Problem, threads: int) -> None:
        case = problem.case
        self.problem = problem
        self.shallow = len(case.sizes) == 3
        self.kernel = _shallow(case) if self.shallow else _deep(case)
        self.a = tuple(np.empty((case.batch, n), dtype=np.float32) for n in case.sizes)
        self.delta = tuple(np.empty_like(a) for a in self.a)
        self.reset()

    def reset(self) -> None:
        self.W = tuple(W.copy() for W, _ in self.problem.weights)
        self.b = tuple(b.copy() for _, b in self.problem.weights)
        self.at = 0

    def train(self, steps: int) -> None:
        X, Y = self.problem.X, self.problem.Y
        if self.shallow:
            self.kernel(X, Y, self.at, steps, self.W[0], self.b[0], self.W[1], self.b[1])
        else:
            self.kernel(X, Y, self.at, steps, self.W, self.b, self.a, self.delta)
        self.at = (self.at + steps) % self.problem.case.batches

    def weights(self) -> Weights:
        return [(W.copy(), b.copy()) for W, b in zip(self.W, self.b, strict=True)]

    def to_input(self, X: Floats) -> Any:
        return X

    def infer(self, X: Any) -> Any:
        raise NotImplementedError("no peer predicts through Numba")
