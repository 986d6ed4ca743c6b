"""The benchmark of the estimators: its tables, its arithmetic, and a short run from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deltarule as dr

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the benchmarks are not part of the installed package

from benchmarks import estimators, tables  # noqa: E402  # needs ROOT

CSV = """age,work,hours,classification
20,a,1.5,yes
30,?,2.5,no
40,b,0.5,yes
50,a,4.5,no
"""


def test_a_fold_is_scaled_and_encoded_by_its_training_rows_alone(tmp_path: Path) -> None:
    (tmp_path / "adult.csv").write_text(CSV, encoding="utf-8")
    table = tables.load("adult", tmp_path)
    assert table is not None
    assert table.classifies
    assert table.y.tolist() == ["yes", "no", "yes", "no"]
    train, test = table.fold(np.array([0, 1, 3]), np.array([2]))
    assert train.shape == (3, 2 + 2)  # age and hours; "?" and "a", for "b" is not seen
    np.testing.assert_allclose(train[:, :2].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(train[:, :2].std(axis=0), 1)
    np.testing.assert_allclose(train[:, 2:].sum(axis=1), 1)
    np.testing.assert_allclose(test[0, 0], (40 - 100 / 3) / np.std([20, 30, 50]))
    assert test[0, 2:].tolist() == [0, 0]  # an unknown category


def test_a_table_whose_file_is_not_there_is_left_out(tmp_path: Path) -> None:
    assert tables.load("letter", tmp_path) is None
    assert tables.load("kin8nm", None) is None


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_folds_hold_every_row_out_once(name: str) -> None:
    table = tables.load(name, None)
    assert table is not None
    data = estimators.folds(table, "float32")
    assert len(data) == estimators.FOLDS
    assert sum(len(fold[3]) for fold in data) == len(table.y)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([fold[3] for fold in data])), np.sort(table.y)
    )
    assert all(fold[0].dtype == fold[2].dtype == np.float32 for fold in data)


def _fit(name: str, state: int, fold: int, seconds: float, score: float) -> dict[str, Any]:
    times = {"fit": seconds, "cpu": seconds, "predict": seconds / 10}
    return {"name": name, "state": state, "fold": fold, "threads": 1} | times | {
        "score": score, "epochs": 7, "loss": 0.1,
    }  # fmt: skip


def test_the_summary_adds_folds_pairs_scores_and_takes_the_median_over_states() -> None:
    ours, theirs = estimators.OURS, estimators.THEIRS
    fits = []
    for state, factor in ((0, 1.0), (1, 2.0), (2, 9.0)):
        for fold in (0, 1):
            fits.append(_fit(theirs, state, fold, 4 * factor, 0.5))
            fits.append(_fit(ours, state, fold, factor, 0.5 + 0.3 * (state == 2 and fold == 1)))
    found = estimators.summary(fits)
    assert found["score"] == {ours: pytest.approx(0.55), theirs: pytest.approx(0.5)}
    assert found["difference"] == pytest.approx(0.05)
    assert found["error"] == pytest.approx(0.05)  # of five zeros and 0.3: 0.3 / 6
    assert (found["equal"], found["pairs"]) == (5, 6)
    (times,) = found["times"]
    assert times[theirs]["fit"] == pytest.approx(16)  # two folds of 8: the middle state
    assert times[ours]["fit"] == pytest.approx(4)
    assert estimators.best_ratio({"summary": found}, "fit") == pytest.approx(4)


def test_a_ratio_is_of_the_better_number_of_threads_of_each() -> None:
    times = [
        {"threads": 1, estimators.OURS: {"fit": 3.0}, estimators.THEIRS: {"fit": 10.0}},
        {"threads": None, estimators.OURS: {"fit": 2.0}, estimators.THEIRS: {"fit": 50.0}},
    ]
    assert estimators.best_ratio({"summary": {"times": times}}, "fit") == pytest.approx(5.0)


def test_threads_are_given_back() -> None:
    before = dr.get_num_threads()
    with estimators.threads(1):
        assert dr.get_num_threads() == 1
    assert dr.get_num_threads() == before


def test_a_short_run_writes_what_it_measured(tmp_path: Path) -> None:
    json_file, markdown_file = tmp_path / "results.json", tmp_path / "results.md"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.estimators", "--tables", "iris,letter", "--states", "1",
         "--threads", "1", "--data", str(tmp_path),
         "--json", str(json_file), "--markdown", str(markdown_file)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(json_file.read_text(encoding="utf-8"))
    assert results["left_out"] == ["letter"]
    (row,) = results["tables"]
    assert len(row["fits"]) == 2 * estimators.FOLDS
    assert row["summary"]["equal"] == row["summary"]["pairs"] == estimators.FOLDS
    assert all(fit["fit"] > 0 and fit["predict"] > 0 for fit in row["fits"])
    text = markdown_file.read_text(encoding="utf-8")
    assert text == done.stdout
    assert "| iris | 150 x 4 | accuracy |" in text
    assert "Left out, for want of their files: letter" in text
