"""The command line: what to measure, and where the results go."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import cases, machine, measure, predict, report, startup
from benchmarks.contenders import OURS, Entry, chosen
from benchmarks.process import all_threads

PARTS = ("table", "depth", "batch", "width", "threads", "latency", "predict", "import",
         "first_epoch")  # fmt: skip
CURVES = {"depth": cases.depths, "batch": cases.batches, "width": cases.widths}
CURVE_FORMS = (
    OURS,
    "numpy",
    "torch-hand",
    "jax-hand",
)  # one form of each; the table has the others


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Ours against every installed peer, in one interleaved run.",
        epilog="Example: python -m benchmarks --rows 1-5 --parts table --json results.json",
    )
    parser.add_argument("--rows", help="rows of the table, such as 1,3,5-7 (default: all nine)")
    parser.add_argument("--parts", help=f"what to measure (default: all of {','.join(PARTS)})")
    parser.add_argument("--peers", help="contenders or libraries (default: all installed)")
    parser.add_argument("--rounds", type=int, help="turns of each contender (default: 7, quick: 3)")
    parser.add_argument("--quick", action="store_true", help="short turns, fewer rounds and sizes")
    parser.add_argument("--threads", help="thread counts (default: 1 and all processors)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write every measurement here")
    parser.add_argument("--markdown", type=Path, metavar="OUT", help="write the report here")
    return parser


def _rows(text: str | None) -> list[cases.Case]:
    """The rows of the table that a list such as `1,3,5-7` names, counted from 1."""
    if text is None:
        return list(cases.TABLE)
    picked: list[cases.Case] = []
    for piece in text.split(","):
        first, _, last = piece.partition("-")
        for row in range(int(first), int(last or first) + 1):
            if not 1 <= row <= len(cases.TABLE):
                raise ValueError(f"row {row} does not exist; the table has 1..{len(cases.TABLE)}")
            picked.append(cases.TABLE[row - 1])
    return picked


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _run(
    parts: list[str], rows: list[cases.Case], entries: list[Entry], plan: measure.Plan, quick: bool
) -> dict[str, Any]:
    _log(f"contenders: {', '.join(e.name for e in entries)}")
    results: dict[str, Any] = {"machine": machine.facts(peak=not quick)}
    forms = [e for e in entries if e.name in CURVE_FORMS]
    if "table" in parts:
        results["table"] = [measure.run(case, entries, plan) for case in rows]
    for part, make in CURVES.items():
        if part in parts:
            results[part] = [measure.run(case, forms, plan) for case in make(quick)]
    if "threads" in parts:
        counts = tuple(range(1, all_threads() + 1))
        wide = measure.Plan(plan.rounds, plan.seconds, counts, plan.log)
        large = cases.TABLE[5:6] if quick else cases.TABLE[5:7]
        results["threads"] = [measure.run(case, forms, wide) for case in large]
    if "latency" in parts:
        results["latency"] = [predict.run(case, 1, entries, plan) for case in cases.LATENCY]
    if "predict" in parts:
        results["predict"] = [
            predict.run(case, predict.MANY, entries, plan) for case in cases.LATENCY
        ]
    if "import" in parts:
        results["import"] = startup.import_times(entries, plan)
    if "first_epoch" in parts:
        results["first_epoch"] = startup.first_epochs(entries, plan)
    return results


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the report to stdout, write the files; 1 if someone did not do equal work."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        rows = _rows(options.rows)
        entries = chosen(options.peers.split(",") if options.peers else None)
        parts = options.parts.split(",") if options.parts else list(PARTS)
        if unknown := set(parts) - set(PARTS):
            raise ValueError(f"unknown parts {sorted(unknown)}; known: {', '.join(PARTS)}")
        threads = tuple(map(int, options.threads.split(","))) if options.threads else None
    except ValueError as error:
        parser.error(str(error))
    plan = measure.Plan(
        rounds=options.rounds or (3 if options.quick else 7),
        seconds=0.02 if options.quick else 0.1,
        threads=threads or tuple(sorted({1, all_threads()})),
        log=_log,
    )
    results = _run(parts, rows, entries, plan, options.quick)
    text = report.markdown(results)
    print(text, end="")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    measured = [r for part in ("table", *CURVES, "threads") for r in results.get(part, [])]
    return int(any(not c["equal_work"] for r in measured for c in r["contenders"]))


if __name__ == "__main__":
    sys.exit(main())
