"""The results as Markdown: the table of ratios first, then everything that explains them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.contenders import ENTRIES, OURS, entry

THREADS_PAY_FROM = 1e7
"""Flops per step below which nobody gains from a second thread."""


def geometric_mean(ratios: Sequence[float]) -> float:
    """exp of the mean logarithm. Raises ValueError when there is nothing to average."""
    if not ratios:
        raise ValueError("the geometric mean of no ratios does not exist")
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def number(value: float | None) -> str:
    """Three significant digits, thousands with commas."""
    if value is None:
        return "-"
    if value >= 1000:
        digits = 3 - len(str(int(value)))
        return f"{round(value, digits):,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column to the left and the others to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def best_of(result: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The faster thread count of a contender in a row."""
    found = [c for c in result["contenders"] if c["name"] == name]
    return min(found, key=lambda c: c["us"], default=None)


def _cell(result: dict[str, Any], name: str) -> str:
    """Microseconds and the thread count that they were reached with; wrong work is not a time."""
    found = best_of(result, name)
    if found is None:
        return "-"
    if not found["equal_work"]:
        return "wrong"
    text = f"{number(found['us'])} ({found['threads']})"
    best = name == OURS or name == result["best_peer"]
    return f"**{text}**" if best else text


def _present(results: Sequence[dict[str, Any]]) -> list[str]:
    names = {c["name"] for result in results for c in result["contenders"]}
    return [e.name for e in ENTRIES if e.name in names]


def _limit(flops: int, peaks: dict[str, float]) -> str:
    """Microseconds of a step's flops at the best sgemm rate; small steps have one thread only."""
    if not peaks:
        return "-"
    rate = max(peaks.values()) if flops > THREADS_PAY_FROM else peaks["1"]
    return number(flops / rate / 1e3)


def _training(results: Sequence[dict[str, Any]], peaks: dict[str, float]) -> str:
    names = _present(results)
    header = ["network, batch", *names, "limit", "ratio (rounds)", "aim"]
    rows = []
    for result in results:
        limit = _limit(result["flops"], peaks)
        ratio = "-"
        if result["ratio"] is not None:
            low, high = number(result["ratio_low"]), number(result["ratio_high"])
            ratio = f"**{number(result['ratio'])}** ({low}-{high})"
        aim = f">= {result['aim']}" if result["aim"] else "-"
        cells = [_cell(result, name) for name in names]
        rows.append([result["name"], *cells, limit, ratio, aim])
    return table(header, rows)


def _details(results: Sequence[dict[str, Any]]) -> str:
    header = [
        "network, batch",
        "contender",
        "threads",
        "us/step",
        "min",
        "max",
        "processors",
        "compile s",
        "peak MB",
        "loss after one epoch",
        "equal work",
    ]
    rows = [
        [
            result["name"],
            c["name"],
            f"{c['threads']}{' (dropped)' if c['dropped'] else ''}",
            number(c["us"]),
            number(c["us_min"]),
            number(c["us_max"]),
            number(c["processors_used"]),
            number(c["compile_s"]),
            number(c.get("peak_mb")),
            f"{c['loss_after']:.6g}",
            "yes" if c["equal_work"] else "NO",
        ]
        for result in results
        for c in result["contenders"]
    ]
    return table(header, rows)


def _curve(results: Sequence[dict[str, Any]]) -> str:
    names = _present(results)
    header = ["network, batch", *names, "ratio"]
    rows = [[r["name"], *[_cell(r, name) for name in names], number(r["ratio"])] for r in results]
    return table(header, rows)


def _threads(results: Sequence[dict[str, Any]]) -> str:
    rows = []
    for result in results:
        counts = sorted({c["threads"] for c in result["contenders"]})
        for name in _present([result]):
            by = {c["threads"]: c["us"] for c in result["contenders"] if c["name"] == name}
            cells = [number(by.get(n)) for n in counts]
            gain = by[min(by)] / by[max(by)]
            rows.append([result["name"], name, *cells, number(gain)])
    header = ["network, batch", "contender", *[f"{n} threads" for n in counts], "gain"]
    return table(header, rows)


def _predictions(results: Sequence[dict[str, Any]]) -> str:
    names = [e.name for e in ENTRIES if any(e.name in r["contenders"] for r in results)]
    rows = []
    for result in results:
        found = [result["contenders"].get(name) for name in names]
        cells = [f"{number(c['us'])} ({c['threads']})" if c else "-" for c in found]
        rows.append(["-".join(map(str, result["sizes"])), str(result["rows"]), *cells])
    return table(["network", "rows", *names], rows)


def _seconds(values: dict[str, float]) -> str:
    return table(["", *values], [["seconds", *[f"{v:.2f}" for v in values.values()]]])


def _facts(facts: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    peaks = ", ".join(f"{gflops:.0f} on {n}" for n, gflops in facts["peak_gflops"].items())
    lines = [
        f"- Processor: {facts['processor']}, {facts['threads']} threads used, {facts['system']}, "
        f"{' '.join(facts['vector_units'])}",
        f"- BLAS of NumPy: {facts['blas']}; best sgemm rate in GFLOP/s by threads: {peaks or '-'}",
        f"- {versions}",
    ]
    if facts["load_before"] is not None:
        lines.append(f"- Load of the machine before the run: {facts['load_before']:.2f}")
    return "\n".join(lines)


def markdown(results: dict[str, Any]) -> str:
    """The whole report; sections that were not measured are left out."""
    facts, training = results["machine"], results.get("table", [])
    parts = ["# Benchmark results", _facts(facts)]
    if training:
        parts += [
            "## Training",
            "Microseconds per step (threads), float32, plain SGD, squared error, linear output; "
            "medians of interleaved rounds. `limit`: the flops at the best sgemm rate. "
            "`ratio`: the best peer's time over ours (lowest and highest round).",
            _training(training, facts["peak_gflops"]),
        ]
        ratios = [r["ratio"] for r in training if r["ratio"] is not None]
        if ratios:
            mean = number(geometric_mean(ratios))
            parts.append(f"Geometric mean over {len(ratios)} rows: **{mean}**")
        labels = [f"- `{name}`: {entry(name).label}" for name in _present(training)]
        parts += ["\n".join(labels), "### Every measurement", _details(training)]
    titles = {"depth": "Cost against depth", "batch": "Cost against the batch size",
              "width": "Cost against the width"}  # fmt: skip
    for key, title in titles.items():
        if results.get(key):
            parts += [f"## {title}", "Microseconds per step (threads).", _curve(results[key])]
    if results.get("threads"):
        parts += ["## Scaling over threads", "Microseconds per step.", _threads(results["threads"])]
    for key, title in {"latency": "Latency of one row", "predict": "Prediction of many"}.items():
        if results.get(key):
            parts += [f"## {title}", "Microseconds per call (threads).", _predictions(results[key])]
    for key, title in {
        "import": "Import, over an empty Python",
        "first_epoch": "From process start to the first finished epoch of 784-30-10",
    }.items():
        if results.get(key):
            parts += [f"## {title}", _seconds(results[key])]
    left_out = [
        error
        for key in ("table", "depth", "batch", "width", "threads", "latency", "predict")
        for result in results.get(key, [])
        for error in result["errors"]
    ]
    if left_out:
        parts += ["## Left out", "\n".join(f"- {error}" for error in left_out)]
    return "\n\n".join(parts) + "\n"
