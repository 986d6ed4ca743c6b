"""Libraries that only offer `fit`: the time of a step without the fixed cost of a call.

The clock is read inside one call of `fit`, at the end of each epoch. What comes before the end of
the first (checks, set-up, compilation) is left out. (Differences between two calls would be
smaller than the noise of a busy machine.)
"""

from __future__ import annotations

import time

from benchmarks.cases import Problem


class Fitted:
    """Base of the contenders that train by `fit` alone. They call `self.epoch_ended()`."""

    quantum = 1  # steps; `train` alone takes whole epochs

    def __init__(self, problem: Problem, threads: int) -> None:
        self.problem = problem
        self.ends: list[float] = []
        self.reset()

    def reset(self) -> None:
        raise NotImplementedError

    def fit(self, rows: int, epochs: int) -> None:
        """Train on the first rows, in order, for some epochs, from the weights of now."""
        raise NotImplementedError

    def epoch_ended(self) -> None:
        """Read the clock."""
        self.ends.append(time.perf_counter())

    def train(self, steps: int) -> None:
        case = self.problem.case
        self.fit(case.batches * case.batch, steps // case.batches)

    def measure(self, steps: int) -> tuple[float, int]:
        """Part of the rows, or all of them as often as it takes, after an epoch to set up."""
        case = self.problem.case
        batches = max(1, min(steps, case.batches) // self.quantum) * self.quantum
        epochs = max(1, steps // batches)
        self.ends.clear()
        self.fit(batches * case.batch, epochs + 1)
        if len(self.ends) != epochs + 1:
            raise RuntimeError(f"{len(self.ends)} epochs instead of {epochs + 1}")
        return self.ends[-1] - self.ends[0], batches * epochs
