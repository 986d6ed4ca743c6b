"""Prediction: the latency of a single row, and the throughput of many."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import cases
from benchmarks.contenders import Entry
from benchmarks.measure import PAUSE, Plan
from benchmarks.process import Process, WorkerError

PREDICTORS = ("deltarule", "numpy", "torch-hand", "jax-hand", "sklearn")
MANY = 10_000


def _calls(process: Process, rows: int, seconds: float) -> int:
    """Calls that last about so long."""
    calls = 1
    while True:
        took: float = max(process.ask("predict", rows=rows, calls=calls)["seconds"], 1e-9)
        if took >= seconds / 4:
            return max(1, round(seconds / took * calls))
        calls *= 4


def run(case: cases.Case, rows: int, entries: Sequence[Entry], plan: Plan) -> dict[str, Any]:
    """Median microseconds of the prediction of so many rows, interleaved, best thread count."""
    plan.log(f"predict {rows} rows of {'-'.join(map(str, case.sizes))}")
    taking_part = [
        (entry.name, threads, Process(entry.name, threads))
        for entry in entries
        if entry.name in PREDICTORS
        for threads in plan.threads
    ]
    samples: dict[tuple[str, int], list[float]] = {}
    errors, ready = [], []
    try:
        for name, threads, process in taking_part:
            try:
                process.receive()
                process.ask("prepare", case=case.to_json())
                ready.append((name, threads, process, _calls(process, rows, plan.seconds)))
            except WorkerError as error:
                errors.append(f"{case.name}, {threads} threads, {error}")
        for _ in range(plan.rounds):
            for name, threads, process, calls in ready:
                time.sleep(PAUSE)
                seconds = process.ask("predict", rows=rows, calls=calls)["seconds"]
                samples.setdefault((name, threads), []).append(1e6 * seconds / calls)
    finally:
        for _, _, process in taking_part:
            process.close()
    best: dict[str, dict[str, Any]] = {}
    for (name, threads), values in samples.items():
        median = statistics.median(values)
        if name not in best or median < best[name]["us"]:
            best[name] = {
                "us": median,
                "us_min": min(values),
                "us_max": max(values),
                "threads": threads,
            }
    return {"sizes": list(case.sizes), "rows": rows, "contenders": best, "errors": errors}
