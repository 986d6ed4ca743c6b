"""Worker processes as the parent sees them: start, order, answer, end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TIME_LIMIT = 300.0  # seconds for one order; a compiler that takes longer is out


class WorkerError(RuntimeError):
    """A contender that could not do what it was asked."""


def all_threads() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def environment(threads: int) -> dict[str, str]:
    """The environment in which every library uses so many threads."""
    names = ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM", "BLIS")
    variables = {f"{name}_NUM_THREADS": str(threads) for name in names}
    variables["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # compile times are those of a first run
    variables["NPROC"] = str(threads)  # XLA's pool
    variables["KERAS_BACKEND"] = "jax"
    variables["JAX_PLATFORMS"] = "cpu"
    variables["CUDA_VISIBLE_DEVICES"] = ""
    variables["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if threads == 1:
        variables["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return {**os.environ, **variables}


class Process:
    """A worker process. Use as a context manager, or call `close`."""

    def __init__(self, name: str, threads: int) -> None:
        self.name, self.threads = name, threads
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment(threads),
        )
        self.send("load")

    def send(self, order: str, **arguments: Any) -> None:
        """Give an order; `receive` waits for its answer."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"do": order, **arguments}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerError(f"{self.name}: the process is gone") from error

    def receive(self) -> dict[str, Any]:
        """The answer to the last order. Raises WorkerError if it failed or took too long."""
        assert self.process.stdout is not None
        alarm = threading.Timer(TIME_LIMIT, self.process.kill)
        alarm.start()
        try:
            line = self.process.stdout.readline()
        finally:
            alarm.cancel()
        if not line:
            raise WorkerError(f"{self.name}: ended, or took more than {TIME_LIMIT:.0f} s")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.name}: {answer['error']}")
        return answer

    def ask(self, order: str, **arguments: Any) -> dict[str, Any]:
        """Give an order and wait for its answer."""
        self.send(order, **arguments)
        return self.receive()

    def close(self) -> None:
        """End the process."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
