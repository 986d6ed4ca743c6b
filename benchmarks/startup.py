"""What a user waits for: the import, and the time from process start to the first epoch."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from benchmarks import cases
from benchmarks.contenders import Entry, entry
from benchmarks.measure import Plan
from benchmarks.process import ROOT, TIME_LIMIT, environment

IMPORTS = {
    "deltarule": "deltarule",
    "numpy": "numpy",
    "torch": "torch",
    "jax": "jax",
    "sklearn": "sklearn.neural_network",
    "keras": "keras",
}
READY = "ready"


def _seconds(arguments: list[str], threads: int) -> float | None:
    """From the start of a Python process until it says that it is ready; None if it never does."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment(threads),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    alarm = threading.Timer(TIME_LIMIT, process.kill)
    alarm.start()
    try:
        ready = any(line.strip() == READY for line in process.stdout)
        return time.perf_counter() - start if ready else None
    finally:
        alarm.cancel()
        process.communicate()


def _medians(commands: dict[str, list[str]], plan: Plan) -> dict[str, float]:
    """Median seconds of each command, interleaved; the first round only warms the file cache."""
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(plan.rounds + 1):
        for name, command in commands.items():
            seconds = _seconds(command, max(plan.threads))
            if round_ and seconds is not None:
                samples[name].append(seconds)
    return {name: statistics.median(values) for name, values in samples.items() if values}


def import_times(entries: Sequence[Entry], plan: Plan) -> dict[str, float]:
    """Seconds of `import`, over those of an empty Python."""
    plan.log("import times")
    families = {e.family for e in entries} & IMPORTS.keys()
    say = f"print('{READY}', flush=True)"
    commands = {name: ["-c", f"import {IMPORTS[name]}; {say}"] for name in sorted(families)}
    medians = _medians({"": ["-c", say], **commands}, plan)
    empty = medians.pop("")
    return {name: seconds - empty for name, seconds in medians.items()}


def first_epochs(entries: Sequence[Entry], plan: Plan) -> dict[str, float]:
    """Seconds from process start through import, building and compiling to one trained epoch."""
    plan.log(f"first epoch of {cases.FIRST_EPOCH.name}")
    commands = {e.name: ["-m", "benchmarks.startup", e.name] for e in entries}
    return _medians(commands, plan)


def _first_epoch(name: str) -> None:
    """Runs in the measured process."""
    problem = cases.make(cases.FIRST_EPOCH)
    contender = entry(name).load()(problem, int(os.environ["OMP_NUM_THREADS"]))
    contender.train(problem.case.batches)
    print(READY, flush=True)


if __name__ == "__main__":
    _first_epoch(sys.argv[1])
