"""What a worker asks of a contender: train for some steps, show the weights, predict."""

from __future__ import annotations

import time
from typing import Any, Protocol

from benchmarks.cases import Floats, Problem, Weights


class Contender(Protocol):
    """One form of one library on one problem.

    Attributes
    ----------
    quantum : int
        `train` and `measure` take multiples of this many steps.
    """

    quantum: int

    def __init__(self, problem: Problem, threads: int) -> None: ...

    def reset(self) -> None:
        """Back to the starting weights and the first batch."""
        ...

    def train(self, steps: int) -> None:
        """Go on for some steps through the batches in order; return when they are done."""
        ...

    def measure(self, steps: int) -> tuple[float, int]:
        """Seconds for about so many steps, and the number of steps that they were."""
        ...

    def weights(self) -> Weights:
        """(W_l, b_l) now."""
        ...

    def to_input(self, X: Floats) -> Any:
        """Rows in the form that `infer` takes at no further cost."""
        ...

    def infer(self, X: Any) -> Any:
        """Outputs of prepared rows, finished, in the library's own form."""
        ...


class Timed:
    """`measure` for the contenders whose cost per call is all in the steps."""

    def train(self, steps: int) -> None:
        raise NotImplementedError

    def measure(self, steps: int) -> tuple[float, int]:
        start = time.perf_counter()
        self.train(steps)
        return time.perf_counter() - start, steps
