"""One contender at one thread count in one process, which waits for orders.

Thread pools can only be set through the environment before a library loads, and contenders must
take turns, so each lives in a process of its own that stays alive. Orders and answers are JSON, a
line each, on stdin and stdout.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from typing import Any, TextIO

import numpy as np

from benchmarks import cases, proof
from benchmarks.contenders import entry
from benchmarks.contenders.base import Contender


def peak_memory() -> float | None:
    """Largest resident size of this process so far, in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


class Worker:
    """Answers orders; each method is one."""

    def __init__(self, name: str, threads: int) -> None:
        self.kind = entry(name).load()
        self.threads = threads
        self.contender: Contender
        self.problem: cases.Problem

    def prepare(self, case: dict[str, Any]) -> dict[str, Any]:
        """Build, run the first steps twice (the difference is compilation), then prove the work."""
        self.problem = problem = cases.make(cases.Case.from_json(case))
        start = time.perf_counter()
        self.contender = contender = self.kind(problem, self.threads)
        built = time.perf_counter()
        contender.measure(contender.quantum)
        first = time.perf_counter()
        contender.measure(contender.quantum)
        second = time.perf_counter()
        contender.reset()
        before = proof.loss(problem, contender.weights())
        contender.train(problem.case.batches)
        after = proof.loss(problem, contender.weights())
        gc.collect()
        gc.disable()
        return {
            "quantum": contender.quantum,
            "compile_s": max(0.0, (first - built) - (second - first)) + (built - start),
            "loss_before": before,
            "loss_after": after,
        }

    def measure(self, steps: int) -> dict[str, Any]:
        """Wall clock of about so many steps; processors in use over the whole measurement."""
        start, cpu = time.perf_counter(), time.process_time()
        seconds, done = self.contender.measure(steps)
        processors = (time.process_time() - cpu) / (time.perf_counter() - start)
        # a difference of two noisy times must stay a time
        return {"seconds": max(seconds, 1e-9), "steps": done, "processors": processors}

    def predict(self, rows: int, calls: int) -> dict[str, Any]:
        """Seconds for some calls of the prediction of some rows."""
        X = np.resize(self.problem.X, (rows, self.problem.X.shape[1]))
        contender = self.contender
        batch = contender.to_input(X)
        first = contender.infer(batch)[: proof.ROWS]
        if not proof.predicts(self.problem, contender.weights(), first):
            raise ValueError("these predictions are not those of its own weights")
        start = time.perf_counter()
        for _ in range(calls):
            contender.infer(batch)
        return {"seconds": time.perf_counter() - start}

    def finish(self) -> dict[str, Any]:
        """Whether the weights stayed finite through it all, and the peak of memory."""
        finite = all(np.isfinite(W).all() for W, _ in self.contender.weights())
        return {"finite": bool(finite), "peak_mb": peak_memory()}


def main() -> None:
    """Read orders until stdin closes."""
    name, threads = sys.argv[1], int(sys.argv[2])
    answers: TextIO = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    worker: Worker | None = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order["do"] == "load":
                worker = Worker(name, threads)
                answer: dict[str, Any] = {}
            else:
                answer = getattr(worker, order.pop("do"))(**order)
        except Exception as error:  # the parent reports it and goes on without this contender
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
