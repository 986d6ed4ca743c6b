"""deltarule, through the public names only: what a user gets, every fixed cost included.

Unlike the peers that only offer `fit`, nothing is left out: each measurement is one `dr.train`.
"""

from __future__ import annotations

from typing import Any

import deltarule as dr
from benchmarks.cases import Floats, Problem, Weights
from benchmarks.contenders.base import Timed


class Deltarule(Timed):
    """`dr.train` with SGD, float32, no validation, rows in order."""

    def __init__(self, problem: Problem, threads: int) -> None:
        case = problem.case
        self.problem = problem
        self.quantum = case.batches
        self.net = dr.Network(
            list(case.sizes),
            activations=case.activation,
            loss="squared_error",
            dtype="float32",
            rng=0,
        )
        self.optimizer = dr.SGD(case.learning_rate)
        self.reset()

    def reset(self) -> None:
        for l, (W, b) in enumerate(self.problem.weights):
            self.net.weights[l][...] = W
            bias = self.net.biases[l]
            assert bias is not None
            bias[...] = b

    def train(self, steps: int) -> None:
        case = self.problem.case
        dr.train(
            self.net,
            self.problem.X,
            self.problem.Y,
            batch_size=case.batch,
            epochs=steps // case.batches,
            optimizer=self.optimizer,
            validation=None,
            shuffle=False,
        )

    def weights(self) -> Weights:
        pairs = zip(self.net.weights, self.net.biases, strict=True)
        return [(W.copy(), b.copy()) for W, b in pairs if b is not None]

    def to_input(self, X: Floats) -> Any:
        return X

    def infer(self, X: Any) -> Any:
        return self.net.predict(X)
