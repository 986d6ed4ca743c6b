"""Libraries that only offer `fit`: the time of a step without the fixed cost of a call.

Two calls of `fit`, with k + 1 epochs and with one, differ by k epochs and nothing else.
"""

from __future__ import annotations

import time

from benchmarks.cases import Problem

EPOCHS = 8
"""Epochs that a measurement should have, so that a call's fixed cost cancels well."""


class Fitted:
    """Base of the contenders that train by `fit(rows, epochs)` alone."""

    quantum = 1  # steps; `train` alone takes whole epochs

    def __init__(self, problem: Problem, threads: int) -> None:
        self.problem = problem
        self.reset()

    def reset(self) -> None:
        raise NotImplementedError

    def fit(self, rows: int, epochs: int) -> None:
        """Train on the first rows, in order, for some epochs, from the weights of now."""
        raise NotImplementedError

    def train(self, steps: int) -> None:
        case = self.problem.case
        self.fit(case.batches * case.batch, steps // case.batches)

    def measure(self, steps: int) -> tuple[float, int]:
        """Many epochs over the first rows: the more epochs, the less noise in the difference."""
        case = self.problem.case
        batches = max(1, min(steps // EPOCHS, case.batches) // self.quantum) * self.quantum
        epochs = max(1, steps // batches)
        start = time.perf_counter()
        self.fit(batches * case.batch, 1)
        between = time.perf_counter()
        self.fit(batches * case.batch, epochs + 1)
        end = time.perf_counter()
        return (end - between) - (between - start), batches * epochs
