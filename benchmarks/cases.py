"""What is measured: the nine networks of the table, and the data and starting weights of each.

Everything is a pure function of the case, so that every worker process makes the same bits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DEEP = 10
"""More layers than these start near the identity."""

Floats = NDArray[np.float32]
Weights = list[tuple[Floats, Floats]]


@dataclass(frozen=True)
class Case:
    """One network, trained by plain SGD on 1/2 ||o - y||^2 (mean over the batch), float32.

    Attributes
    ----------
    sizes : tuple of int
        n_0, ..., n_L. The output layer is linear.
    activation : "sigmoid" or "relu"
        Of the hidden layers.
    batch : int
        Rows per step.
    batches : int
        Steps per epoch: the data has batch * batches rows.
    learning_rate : float
        Small enough that the loss of every row falls and no contender diverges.
    aim : float or None
        The ratio that we mean to reach against the best peer.
    """

    sizes: tuple[int, ...]
    activation: str
    batch: int
    batches: int
    learning_rate: float
    aim: float | None = None

    @property
    def name(self) -> str:
        """As the tables print it, such as `784-30-10 sigmoid, 10`."""
        inner = set(self.sizes)
        if len(inner) == 1 and len(self.sizes) > 3:
            width = self.sizes[0]
            shape = f"{len(self.sizes) - 1} layers {width} x {width}"
        else:
            shape = "-".join(map(str, self.sizes))
        return f"{shape} {self.activation}, {self.batch}"

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(n_{l-1}, n_l) for l = 1..L."""
        return list(zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum((n_in + 1) * n_out for n_in, n_out in self.layers)

    @property
    def flops(self) -> int:
        """Of the products of one step; the first layer needs no delta for its input."""
        weights = [n_in * n_out for n_in, n_out in self.layers]
        return self.batch * (6 * sum(weights) - 2 * weights[0])

    def to_json(self) -> dict[str, Any]:
        """Everything that `from_json` needs."""
        return asdict(self)

    @staticmethod
    def from_json(fields: dict[str, Any]) -> Case:
        """The inverse of `to_json`."""
        return Case(**{**fields, "sizes": tuple(fields["sizes"])})


TABLE: tuple[Case, ...] = (
    Case((2, 2, 1), "sigmoid", 1, 20_000, 0.1, 1.2),
    Case((4, 16, 3), "sigmoid", 1, 20_000, 0.1, 2.0),
    Case((4, 16, 3), "sigmoid", 32, 1_000, 0.1, 3.5),
    Case((64, 128, 10), "sigmoid", 32, 500, 0.05, 2.2),
    Case((784, 30, 10), "sigmoid", 10, 1_000, 0.02, 3.0),
    Case((784, 512, 512, 10), "relu", 128, 40, 0.01, 1.5),
    Case((1024,) * 5, "relu", 256, 8, 1e-3, 1.4),
    Case((4096,) * 5, "relu", 512, 6, 1e-3, 1.1),
    Case((64,) * 101, "relu", 32, 50, 1e-4, 3.5),
)

FIRST_EPOCH = Case((784, 30, 10), "sigmoid", 10, 100, 0.02)
"""What "from process start to the first finished epoch" trains."""

LATENCY: tuple[Case, ...] = (
    Case((4, 16, 3), "sigmoid", 1, 64, 0.1),
    Case((784, 30, 10), "sigmoid", 1, 64, 0.02),
    Case((784, 512, 512, 10), "relu", 1, 64, 1e-4),
)


def depths(quick: bool) -> list[Case]:
    """Cost against depth: layers 64 x 64, batch 32."""
    layers = (10, 100) if quick else (10, 100, 1000)
    return [Case((64,) * (n + 1), "relu", 32, max(5, 500 // n), 1e-2 / n) for n in layers]


def batches(quick: bool) -> list[Case]:
    """Cost against the batch size: 64-128-10."""
    sizes = (1, 32, 256) if quick else (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    return [Case((64, 128, 10), "sigmoid", n, max(8, 8192 // n), 0.01) for n in sizes]


def widths(quick: bool) -> list[Case]:
    """Cost against the width: four square layers, batch 64."""
    widths = (16, 128) if quick else (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
    return [Case((n,) * 5, "relu", 64, max(4, min(256, 65536 // n // 16)), 1e-4) for n in widths]


@dataclass(frozen=True)
class Problem:
    """A case with its data and starting weights.

    Attributes
    ----------
    X : (batch * batches, n_0) float32
    Y : (batch * batches, n_L) float32
    weights : list of (W_l (n_{l-1}, n_l), b_l (n_l,)), float32
    """

    case: Case
    X: Floats
    Y: Floats
    weights: Weights


def make(case: Case) -> Problem:
    """The problem of a case: noisy sines of random projections, Glorot or He normal weights.

    Many layers of such weights map all rows to nearly the same output, and training then follows
    rounding errors, which would prove nothing about equal work: deep networks start near the
    identity instead.
    """
    rng = np.random.default_rng(2024)
    rows, n_in, n_out = case.batch * case.batches, case.sizes[0], case.sizes[-1]
    X = rng.standard_normal((rows, n_in), dtype=np.float32)
    projection = rng.standard_normal((n_in, min(n_out, 16)), dtype=np.float32) / np.sqrt(n_in)
    signal = np.sin(2 * X @ projection.astype(np.float32))
    noise = rng.standard_normal((rows, n_out), dtype=np.float32)
    Y = signal[:, np.arange(n_out) % signal.shape[1]] + np.float32(0.1) * noise
    weights = []
    deep = len(case.layers) > DEEP
    for fan_in, fan_out in case.layers:
        scale = 2 / fan_in if case.activation == "relu" else 2 / (fan_in + fan_out)
        W = rng.standard_normal((fan_in, fan_out), dtype=np.float32) * np.float32(np.sqrt(scale))
        if deep:
            W = W / np.float32(len(case.layers)) + np.eye(fan_in, fan_out, dtype=np.float32)
        weights.append((W, np.zeros(fan_out, dtype=np.float32)))
    return Problem(case, X, np.ascontiguousarray(Y, dtype=np.float32), weights)
