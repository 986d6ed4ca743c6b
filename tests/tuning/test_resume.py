"""How a search goes on where it was cut, and how it ends: by trials, time, Ctrl-C or failure."""

from __future__ import annotations

import json
import math
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import loguniform

import deltarule as dr
import deltarule.tuning.run
from deltarule.tuning import Trial, tune
from deltarule.tuning.problem import Problem
from support.tables_to_tune import QUICK, SMALL, facts, of, same

# -- going on -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("search", "folds"), [("random", 1), ("random", 3), ("halving", 1)])
def test_a_cut_study_goes_on_to_the_same_end(search: Any, folds: int, tmp_path: Path) -> None:
    path = tmp_path / "whole.jsonl"
    options: dict[str, Any] = QUICK | {"search": search, "folds": folds, "trials": 11}
    whole = tune(of("class"), "class", study=path, **options)
    assert (whole.resumed, whole.stopped) == (0, "trials")
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    rng = np.random.default_rng(0)
    for cut in (*rng.choice(ends, 3, replace=False), *rng.integers(0, len(content), 3)):
        path.write_bytes(content[:cut])
        again = tune(of("class"), "class", study=path, **options)
        assert again.resumed == max(sum(end <= cut for end in ends) - 1, 0)
        assert same(whole, again)
        assert (again.best.number, again.scores) == (whole.best.number, whole.scores)
        assert again.default_scores == whole.default_scores
    again = tune(of("class"), "class", study=path, **options)
    assert again.resumed == len(whole.trials)
    assert same(whole, again)
    assert same(whole, tune(of("class"), "class", **options))


@pytest.mark.parametrize("search", ["random", "halving"])
def test_more_trials_later_are_those_of_one_run(search: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"search": search, "epochs": 6, "space": SMALL}
    for trials in (2, 5, 13):
        done = tune(of("yes"), "yes", trials=trials, study=tmp_path / "s.jsonl", **options)
    assert same(done, tune(of("yes"), "yes", trials=13, **options))
    fewer = tune(of("yes"), "yes", trials=3, study=tmp_path / "s.jsonl", **options)
    assert same(done, fewer)


def test_seeds() -> None:
    first, again, other = (tune(of("yes"), "yes", seed=seed, **QUICK) for seed in (1, 1, 2))
    assert same(first, again)
    assert facts(first.trials)[1:] != facts(other.trials)[1:]
    assert first.split.test.tolist() != other.split.test.tolist()


def test_studies_of_other_data_or_settings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    quick = QUICK | {"trials": 2}
    tune(of("class"), "class", study=path, **quick)
    content = path.read_bytes()
    changed = of("class").with_columns(pl.col("x") * (1 + 1e-12))
    for frame, options, message in (
        (changed, {}, "differs in data"),
        (of("class"), {"seed": 1}, r"differs in seed \(there 0, here 1\)"),
        (of("class"), {"search": "halving"}, r"search \(there \"random\", here \"halving\"\)"),
        (of("class"), {"folds": 4}, r"folds \(there 5, here 4\)"),
        (of("class"), {"epochs": 7, "test": 0.3}, r"test \(.*\), epochs \(there 6, here 7\)"),
        (of("class"), {"scoring": "neg_log_loss"}, "scoring"),
        (of("class"), {"space": None}, "differs in space"),
    ):
        with pytest.raises(dr.SpecError, match=message):
            tune(frame, "class", study=path, **quick | options)
    assert path.read_bytes() == content
    lines = content.splitlines()
    other = json.loads(lines[2])
    other["parameters"]["learning_rate"] = 0.5
    path.write_bytes(b"\n".join([*lines[:2], json.dumps(other).encode(), b""]))
    with pytest.raises(dr.SpecError, match="trial 2 has other parameters than are drawn here"):
        tune(of("class"), "class", study=path, **quick)


# -- how it ends --------------------------------------------------------------------------------


@pytest.mark.usefixtures("slow_clock")
@pytest.mark.parametrize("folds", [1, 3])
def test_the_time_budget_cuts_a_trial(folds: int, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    budget = 100 * folds  # an epoch takes a second here
    options: dict[str, Any] = {"epochs": 40, "folds": folds, "space": SMALL}
    done = tune(of("yes"), "yes", time_budget=budget, study=path, **options)
    assert done.stopped == "time budget"
    numbers = [trial.number for trial in done.trials]  # the trial that was cut is not among them
    assert numbers == [1, 2]
    assert path.read_bytes().count(b"\n") == 1 + len(numbers)
    assert 0.8 * budget < done.seconds < budget + 5


@pytest.mark.usefixtures("slow_clock")
def test_the_time_budget_alone_ends_a_search_of_short_trials() -> None:
    done = tune(of("yes"), "yes", time_budget=60, epochs=1, folds=1)
    assert done.stopped == "time budget"
    assert len(done.trials) >= 10
    assert [trial.number for trial in done.trials] == list(range(1, len(done.trials) + 1))
    assert 55 < done.seconds < 65


@pytest.mark.usefixtures("slow_clock")
def test_whichever_comes_first() -> None:
    done = tune(of("yes"), "yes", time_budget=1000, **QUICK)
    assert (done.stopped, len(done.trials)) == ("trials", 7)
    assert len(tune(of("yes"), "yes", epochs=1, space=SMALL).trials) == 20


@pytest.mark.usefixtures("slow_clock")
def test_a_budget_too_small_for_the_defaults() -> None:
    with pytest.raises(dr.DeltaruleError, match="ended before the first trial, the defaults, did"):
        tune(of("yes"), "yes", time_budget=1)


@pytest.mark.usefixtures("slow_clock")
@pytest.mark.parametrize("folds", [1, 3])
def test_how_far_the_defaults_came_is_said(folds: int) -> None:
    patient = 1_000_000  # a tenth of them must pass without progress before a training ends
    with pytest.raises(dr.DeltaruleError, match="the defaults") as caught:
        tune(of("yes"), "yes", time_budget=50, epochs=patient, folds=folds)
    found = re.search(rf"after (\d+) of at most {patient} epochs", str(caught.value))
    assert found is not None
    assert 40 < int(found[1]) < 50
    assert (" epochs on fold 1 of 3)" in str(caught.value)) is (folds == 3)


def test_a_diverging_trial_is_no_end(tmp_path: Path) -> None:
    wild = {"optimizer": "sgd", "learning_rate": [1e6, 1e-3], "l2": loguniform(1e-6, 1e-3)}
    path = tmp_path / "s.jsonl"
    options: dict[str, Any] = {"trials": 8, "epochs": 5, "space": wild, "study": path}
    done = tune(of("amount"), "amount", **options)
    failed = [trial for trial in done.trials if trial.failed]
    assert 0 < len(failed) < 7
    for trial in failed:
        assert trial.parameters["learning_rate"] == 1e6
        assert "is not finite in epoch 1" in str(trial.failed)
        assert trial.score == -math.inf
        assert trial not in done.ranked
    assert done.best.failed is None
    again = tune(of("amount"), "amount", **options)
    assert same(done, again)
    assert again.resumed == 8


def test_all_trials_diverge(monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*_: Any, **__: Any) -> None:
        raise dr.DivergenceError("the loss is not finite", epoch=1)

    monkeypatch.setattr("deltarule.tuning.fitting.train", diverge)
    with pytest.raises(dr.DivergenceError, match="no trial could be trained; trial 1: the loss"):
        tune(of("yes"), "yes", **QUICK)


def test_the_next_best_is_taken_if_the_last_training_diverges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = tune(of("yes"), "yes", folds=3, **QUICK)
    final = Problem.final

    def diverge(self: Problem, trial: Trial) -> Any:
        if trial.number in (1, plain.best.number):
            raise dr.DivergenceError("the loss is not finite", epoch=1)
        return final(self, trial)

    monkeypatch.setattr(Problem, "final", diverge)
    done = tune(of("yes"), "yes", folds=3, **QUICK)
    assert done.best.number == next(t.number for t in plain.ranked[1:] if t.number != 1)
    assert done.notes[0].startswith(f"trial {plain.best.number} was the best, but diverged")
    assert (done.default_scores, plain.default_scores != {}) == ({}, True)


def press_in(trial: int, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> None:
    """Ctrl-C in the second epoch of a trial."""
    run = deltarule.tuning.run

    class Shown(run.TuningProgress):
        def begin(self, number: int) -> None:
            self.number = number

        def on_epoch(self, progress: dr.Progress) -> None:
            if (self.number, progress.epoch) == (trial, 2):
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(run, "TuningProgress", Shown)


@pytest.mark.parametrize(("times", "folds"), [(1, 1), (2, 1), (1, 3)])
def test_ctrl_c_ends_the_search_with_the_best_so_far(
    times: int, folds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = QUICK | {"folds": folds}
    whole = tune(of("yes"), "yes", **options)
    with monkeypatch.context() as patch:
        press_in(3, patch, times)
        done = tune(of("yes"), "yes", study=tmp_path / "s.jsonl", **options)
    assert (done.stopped, len(done.trials)) == ("interrupted", 2)
    assert facts(done.trials) == facts(whole.trials[:2])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    again = tune(of("yes"), "yes", study=tmp_path / "s.jsonl", **options)
    assert again.resumed == 2
    assert same(again, whole)


def test_ctrl_c_between_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    end = deltarule.tuning.run.TuningProgress.end

    def pressed(self: Any, trial: Trial, *, best: bool) -> None:
        end(self, trial, best=best)
        if trial.number == 4:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(deltarule.tuning.run.TuningProgress, "end", pressed)
    done = tune(of("yes"), "yes", folds=1, **QUICK)
    assert (done.stopped, len(done.trials)) == ("interrupted", 4)


def test_ctrl_c_in_the_first_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    press_in(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        tune(of("yes"), "yes", **QUICK)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_during_the_last_training(monkeypatch: pytest.MonkeyPatch) -> None:
    final = Problem.final

    def pressed(self: Problem, trial: Trial) -> Any:
        signal.raise_signal(signal.SIGINT)
        return final(self, trial)

    monkeypatch.setattr(Problem, "final", pressed)
    with pytest.raises(KeyboardInterrupt):
        tune(of("yes"), "yes", folds=3, **QUICK)
