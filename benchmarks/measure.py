"""The interleaved run: all contenders take turns, round after round, on one case.

A noisy or throttling machine then hits everyone alike, and ratios stay meaningful where times do
not. Everyone runs at one thread and at all of them; a library's best form and count stand for it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import cases, proof
from benchmarks.contenders import OURS, Entry
from benchmarks.process import Process, WorkerError

PAUSE = 0.03  # seconds between turns, for spinning threads of the last contender to go to sleep
DROP_FACTOR = 1.5  # a thread count this much slower than the other one of its contender ...
DROP_FROM = 0.02  # ... is timed only in advance, where a step takes at least so many seconds


@dataclass(frozen=True)
class Plan:
    """How long and how often to measure.

    Attributes
    ----------
    rounds : int
        Turns of each contender; the median over them counts.
    seconds : float
        What a turn should last; a single step may take longer.
    threads : tuple of int
        The thread counts that each contender is run with.
    log : callable
        Takes each line of progress.
    """

    rounds: int
    seconds: float
    threads: tuple[int, ...]
    log: Callable[[str], None]


@dataclass
class Runner:
    """A prepared contender and its samples (seconds per step)."""

    entry: Entry
    threads: int
    process: Process
    prepared: dict[str, Any]
    steps: int
    samples: list[float] = field(default_factory=list)
    processors: list[float] = field(default_factory=list)
    dropped: bool = False

    def turn(self) -> float:
        """One timing; seconds per step."""
        answer = self.process.ask("measure", steps=self.steps)
        self.processors.append(answer["processors"])
        return float(answer["seconds"] / answer["steps"])

    def result(self) -> dict[str, Any]:
        """What the JSON file keeps."""
        micro = sorted(1e6 * s for s in self.samples)
        return {
            "name": self.entry.name,
            "family": self.entry.family,
            "threads": self.threads,
            "us": statistics.median(micro),
            "us_min": micro[0],
            "us_max": micro[-1],
            "us_rounds": [1e6 * s for s in self.samples],
            "steps_per_turn": self.steps,
            "processors_used": statistics.median(self.processors),
            "dropped": self.dropped,
            **{key: self.prepared[key] for key in ("compile_s", "loss_before", "loss_after")},
        }


def _calibrate(process: Process, quantum: int, seconds: float) -> int:
    """Steps, a multiple of the quantum, that last at least half as long and about so long.

    The trials are the warm-up. A number is taken only when a second timing confirms it: on a
    busy machine a single one may be many times too long.
    """
    steps = quantum
    while True:
        took = process.ask("measure", steps=steps)["seconds"]
        again = process.ask("measure", steps=steps)["seconds"] if took < 1 else took
        if min(took, again) >= seconds / 2:
            return steps
        wanted = min(16.0, 1.1 * seconds / min(took, again)) * steps
        steps = max(steps // quantum + 1, round(wanted / quantum)) * quantum


def _prepare(
    case: cases.Case, entries: Sequence[Entry], plan: Plan, errors: list[str]
) -> list[Runner]:
    """Start everyone at once (imports overlap), then prepare one after the other."""
    waiting = [
        (entry, threads, Process(entry.name, threads))
        for entry in entries
        if entry.suits(case)
        for threads in (plan.threads if entry.parallel else plan.threads[:1])
    ]
    runners: list[Runner] = []
    for entry, threads, process in waiting:
        try:
            process.receive()
            prepared = process.ask("prepare", case=case.to_json())
            steps = _calibrate(process, prepared["quantum"], plan.seconds)
            runners.append(Runner(entry, threads, process, prepared, steps))
            plan.log(f"  {entry.name}, {threads} threads: ready, {steps} steps a turn")
        except WorkerError as error:
            errors.append(f"{case.name}, {threads} threads, {error}")
            process.close()
    return runners


def _drop_slow(runners: list[Runner]) -> None:
    """Time each, and end the thread counts that large networks need not be measured with."""
    first = [(runner, min(runner.turn(), runner.turn())) for runner in runners]
    for runner, seconds in first:
        best = min(s for r, s in first if r.entry is runner.entry)
        if seconds > max(DROP_FACTOR * best, DROP_FROM):
            runner.dropped = True
            runner.samples = [seconds]
            runner.process.close()
        else:
            runner.processors.clear()


def run(case: cases.Case, entries: Sequence[Entry], plan: Plan) -> dict[str, Any]:
    """Measure one case; the result holds every sample, and the proof of equal work."""
    plan.log(f"{case.name}: preparing")
    problem = cases.make(case)
    expected = proof.loss(problem, proof.reference(problem))
    before = proof.loss(problem, problem.weights)
    errors: list[str] = []
    runners = _prepare(case, entries, plan, errors)
    results = []
    try:
        _drop_slow(runners)
        running = [r for r in runners if not r.dropped]
        for round_ in range(plan.rounds):
            turn = round_ % max(1, len(running))  # nobody is always first
            for runner in running[turn:] + running[:turn]:
                time.sleep(PAUSE)
                runner.samples.append(runner.turn())
        for runner in runners:
            result = runner.result()
            if not runner.dropped:
                result |= runner.process.ask("finish")
            result["equal_work"] = proof.agrees(before, expected, result["loss_after"])
            results.append(result)
            plan.log(
                f"  {runner.entry.name:15} {runner.threads} threads {result['us']:12.3f} us/step"
                f"  loss {result['loss_after']:.6g}{'' if result['equal_work'] else '  WRONG'}"
            )
    finally:
        for runner in runners:
            runner.process.close()
    for error in errors:
        plan.log(f"  left out: {error}")
    return {
        **case.to_json(),
        "name": case.name,
        "flops": case.flops,
        "loss_before": before,
        "loss_expected": expected,
        "contenders": results,
        "errors": errors,
        **summary(results),
    }


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The best of ours, the best of the peers, and the ratio with its spread over the rounds.

    Only contenders that did equal work count.
    """
    valid = [r for r in results if r["equal_work"] and not r["dropped"]]
    ours = min((r for r in valid if r["family"] == OURS), key=lambda r: r["us"], default=None)
    peer = min((r for r in valid if r["family"] != OURS), key=lambda r: r["us"], default=None)
    if ours is None or peer is None:
        return {"best_peer": peer and peer["name"], "ratio": None}
    pairs = zip(peer["us_rounds"], ours["us_rounds"], strict=True)
    by_round = [theirs / mine for theirs, mine in pairs]
    return {
        "best_peer": peer["name"],
        "ratio": peer["us"] / ours["us"],
        "ratio_low": min(by_round),
        "ratio_high": max(by_round),
    }
