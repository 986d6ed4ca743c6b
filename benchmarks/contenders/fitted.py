"""Libraries that only offer `fit`: the time of a step without the fixed cost of a call.

Two calls of `fit`, with k + 1 epochs and with one, differ by k epochs and nothing else.
"""

from __future__ import annotations

import time

from benchmarks.cases import Problem


class Fitted:
    """Base of the contenders that train by `fit(rows, epochs)` alone."""

    quantum = 1

    def __init__(self, problem: Problem, threads: int) -> None:
        self.problem = problem
        self.reset()

    def reset(self) -> None:
        raise NotImplementedError

    def fit(self, rows: int, epochs: int) -> None:
        """Train on the first rows, in order, for some epochs, from the weights of now."""
        raise NotImplementedError

    def _plan(self, steps: int) -> tuple[int, int]:
        """Rows and epochs that make these steps: part of an epoch, or whole ones."""
        case = self.problem.case
        if steps < case.batches:
            return steps * case.batch, 1
        return case.batches * case.batch, steps // case.batches

    def train(self, steps: int) -> None:
        rows, epochs = self._plan(steps)
        self.fit(rows, epochs)

    def measure(self, steps: int) -> float:
        rows, epochs = self._plan(steps)
        start = time.perf_counter()
        self.fit(rows, 1)
        between = time.perf_counter()
        self.fit(rows, epochs + 1)
        end = time.perf_counter()
        return (end - between) - (between - start)
