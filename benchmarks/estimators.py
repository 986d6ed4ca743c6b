"""Our estimators against scikit-learn's, both with their defaults: score and seconds.

    python -m benchmarks.estimators
    python -m benchmarks.estimators --tables digits,wine --states 5 --threads 1
    python -m benchmarks.estimators --data FOLDER --json out.json --markdown out.md

5 folds, the same for both, inputs standardized and categories one-hot inside each fold, the same
`random_state` for both. The two take turns, fold by fold, and change who begins.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold

import deltarule as dr
from benchmarks import machine, tables
from benchmarks.report import geometric_mean, number, table

FOLDS = 5
OURS, THEIRS = "deltarule", "scikit-learn"
LARGE = 10_000  # rows from which a table is fitted with fewer random states
SAME = 1e-9  # scores nearer than this differ by rounding: one sample more would be 1e-5 or so
PREDICT_SECONDS = 0.02  # what the timing of a prediction should last at least

KINDS: dict[str, dict[bool, Callable[..., Any]]] = {
    OURS: {True: dr.MLPClassifier, False: dr.MLPRegressor},
    THEIRS: {True: neural_network.MLPClassifier, False: neural_network.MLPRegressor},
}


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let both use so many threads; None is the default of each."""
    if count is None:
        yield
        return
    before = dr.get_num_threads()
    try:
        dr.set_num_threads(count)
        with threadpoolctl.threadpool_limits(count):
            yield
    finally:
        dr.set_num_threads(before)


def fit_and_score(
    kind: Callable[..., Any], random_state: int, fold: Sequence[Any]
) -> dict[str, Any]:
    """One fit with the defaults: its seconds and score, and the seconds of a prediction.

    "cpu" is processor seconds, of all threads: a busy machine hardly changes them.
    """
    X, y, X_test, y_test = fold
    model = kind(random_state=random_state)
    start, processors = time.perf_counter(), time.process_time()
    model.fit(X, y)
    fit, processors = time.perf_counter() - start, time.process_time() - processors
    score = model.score(X_test, y_test)
    calls = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < PREDICT_SECONDS:
        model.predict(X_test)
        calls += 1
    return {
        "fit": fit,
        "cpu": processors,
        "predict": elapsed / calls,
        "score": float(score),
        "epochs": int(model.n_iter_),
        "loss": float(model.loss_),
    }


def folds(one: tables.Table, dtype: str = "float64") -> list[tuple[Any, ...]]:
    """X, y, X_test, y_test of each fold."""
    splitter = StratifiedKFold if one.classifies else KFold
    found = []
    for train, test in splitter(FOLDS, shuffle=True, random_state=0).split(one.numbers, one.y):
        X, X_test = (part.astype(dtype) for part in one.fold(train, test))
        found.append((X, one.y[train], X_test, one.y[test]))
    return found


def measure(
    one: tables.Table,
    states: int,
    counts: Sequence[int | None],
    dtype: str,
    log: Callable[[str], None],
) -> dict[str, Any]:
    """Every fit of a table, in turns; the list "fits" has one entry for each."""
    data = folds(one, dtype)
    fits: list[dict[str, Any]] = []
    names = [THEIRS, OURS]
    for state in range(states):
        for k, fold in enumerate(data):
            for count in counts:
                names.reverse()
                for name in names:
                    with threads(count):
                        kind = KINDS[name][one.classifies]
                        result = fit_and_score(kind, 1000 * state + k, fold)
                    fits.append(
                        {"name": name, "state": state, "fold": k, "threads": count} | result
                    )
        log(f"{one.name}: random state {state + 1} of {states}")
    return {
        "name": one.name,
        "rows": len(one.y),
        "inputs": data[0][0].shape[1],
        "classifies": one.classifies,
        "fits": fits,
        "summary": summary(fits),
    }


def summary(fits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean scores, their paired difference, and the median over the states of each's seconds.

    "fit" is seconds of the fits of all folds, "error" the standard error of the mean paired
    difference of the scores, and "equal" the number of "pairs" that differ by less than SAME.
    """
    counts = list(dict.fromkeys(f["threads"] for f in fits))
    scores = {
        name: np.array(
            [f["score"] for f in fits if f["name"] == name and f["threads"] == counts[0]]
        )
        for name in (OURS, THEIRS)
    }
    apart = scores[OURS] - scores[THEIRS]
    result: dict[str, Any] = {
        "score": {name: float(values.mean()) for name, values in scores.items()},
        "difference": float(apart.mean()),
        "error": float(apart.std(ddof=1) / np.sqrt(len(apart))),
        "equal": int((np.abs(apart) < SAME).sum()),
        "pairs": len(apart),
        "times": [],
    }
    for count in counts:
        entry: dict[str, Any] = {"threads": count}
        for name in (OURS, THEIRS):
            own = [f for f in fits if f["name"] == name and f["threads"] == count]
            entry[name] = {
                "fit": _median_over_states(own, "fit"),
                "cpu": _median_over_states(own, "cpu"),
                "predict": statistics.median(f["predict"] for f in own),
                "epochs": statistics.mean(f["epochs"] for f in own),
            }
        result["times"].append(entry)
    return result


def _median_over_states(fits: Sequence[dict[str, Any]], what: str) -> float:
    """The sum over the folds, of the middle random state."""
    by_state: dict[int, float] = {}
    for fit in fits:
        by_state[fit["state"]] = by_state.get(fit["state"], 0.0) + fit[what]
    return statistics.median(by_state.values())


def _apart(difference: float, error: float) -> str:
    if max(abs(difference), error) < SAME:
        return "0"
    return f"{difference:+.5f} ± {error:.5f}"


def _scores(results: Sequence[dict[str, Any]]) -> str:
    rows = []
    for result in results:
        own = result["summary"]
        rows.append(
            [
                result["name"],
                f"{result['rows']:,} x {result['inputs']}",
                "accuracy" if result["classifies"] else "R2",
                f"{own['score'][THEIRS]:.4f}",
                f"{own['score'][OURS]:.4f}",
                _apart(own["difference"], own["error"]),
                f"{own['equal']} of {own['pairs']}",
            ]
        )
    head = ["table", "rows x inputs", "score", THEIRS, OURS, "difference", "same score"]
    return table(head, rows)


def _times(results: Sequence[dict[str, Any]], what: str, scale: float) -> str:
    """Both contenders at every number of threads; the ratio is of the better ones."""
    rows = []
    for result in results:
        times = result["summary"]["times"]
        cells = [number(scale * t[name][what]) for name in (THEIRS, OURS) for t in times]
        row = [result["name"], *cells, f"**{number(best_ratio(result, what))}**"]
        if what == "fit":
            row.append(number(times[0][THEIRS]["cpu"] / times[0][OURS]["cpu"]))
            row += [f"{times[0][name]['epochs']:.0f}" for name in (THEIRS, OURS)]
        rows.append(row)
    counts = [t["threads"] for t in results[0]["summary"]["times"]]
    head = [f"{name}, threads: {c or 'default'}" for name in (THEIRS, OURS) for c in counts]
    more = ["CPU ratio", *(f"epochs {name}" for name in (THEIRS, OURS))] if what == "fit" else []
    return table(["table", *head, "ratio", *more], rows)


def best_ratio(result: dict[str, Any], what: str) -> float:
    """scikit-learn's seconds over ours, each at the number of threads that suits it better."""
    times = result["summary"]["times"]
    theirs, ours = (min(t[name][what] for t in times) for name in (THEIRS, OURS))
    return float(theirs / ours)


def markdown(results: dict[str, Any]) -> str:
    """The report: scores, then seconds of fits and of predictions."""
    found, facts = results["tables"], results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    parts = [
        "# Estimators against scikit-learn's",
        f"{facts['processor']}, {facts['threads']} threads, {facts['system']}; {versions}.",
        f"Default parameters, {results['dtype']}, {FOLDS} folds, the same folds and "
        "`random_state` for both, inputs standardized (categories one-hot) inside each fold.",
    ]
    if found:
        mean = number(geometric_mean([best_ratio(r, "fit") for r in found]))
        parts += [
            "## Scores",
            "Means over folds and random states; `difference`: mean of the paired differences and "
            "its standard error; `same score`: pairs that differ by rounding at most.",
            _scores(found),
            "## Seconds to fit",
            f"All {FOLDS} folds, median over the random states; `epochs`: mean; `ratio`: "
            "scikit-learn's seconds over ours, each at the better number of threads; `CPU ratio`: "
            "of the processors' seconds, at the first number of threads.",
            _times(found, "fit", 1.0),
            f"Geometric mean of the ratios: **{mean}**",
            "## Milliseconds to predict",
            "The test rows of a fold, median over all folds.",
            _times(found, "predict", 1e3),
        ]
    if results["left_out"]:
        parts.append(f"Left out, for want of their files: {', '.join(results['left_out'])}")
    return "\n\n".join(parts) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--tables", help=f"which (default: {','.join(tables.NAMES)})")
    parser.add_argument("--data", type=Path, default=tables.default_folder(), metavar="FOLDER",
                        help=f"of the CSV files (default: ${tables.FOLDER_VARIABLE})")  # fmt: skip
    parser.add_argument("--states", type=int, help="random states (default: 5; large tables 2)")
    parser.add_argument("--threads", default="1,default", help="counts (default: 1,default)")
    parser.add_argument("--dtype", default="float64", choices=["float64", "float32"], help="of X")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write every fit here")
    parser.add_argument("--markdown", type=Path, metavar="OUT", help="write the report here")
    return parser


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the report to stdout, and write the files."""
    parser = _parser()
    options = parser.parse_args(arguments)
    names = options.tables.split(",") if options.tables else list(tables.NAMES)
    if unknown := set(names) - set(tables.NAMES):
        parser.error(f"unknown tables {sorted(unknown)}; known: {', '.join(tables.NAMES)}")
    try:
        counts = [None if c == "default" else int(c) for c in options.threads.split(",")]
    except ValueError:
        parser.error(f"--threads takes whole numbers and 'default', got {options.threads!r}")
    results: dict[str, Any] = {
        "machine": machine.facts(peak=False),
        "threads": counts,
        "dtype": options.dtype,
        "tables": [],
        "left_out": [],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 epochs are the default of both
        for name in names:
            one = tables.load(name, options.data)
            if one is None:
                _log(f"{name}: no {name}.csv; name its folder by --data")
                results["left_out"].append(name)
                continue
            states = options.states or (2 if len(one.y) >= LARGE else 5)
            results["tables"].append(measure(one, states, counts, options.dtype, _log))
    text = markdown(results)
    print(text, end="")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
