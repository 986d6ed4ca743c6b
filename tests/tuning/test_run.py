"""Tuning: what is trained, what is seen, how it goes on, and how it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import loguniform
from sklearn import metrics as sk

import deltarule as dr
import deltarule.tuning
from deltarule.tabular.model import TableModel
from deltarule.tabular.training import train_table
from deltarule.tuning import tune
from deltarule.tuning.problem import Problem
from deltarule.tuning.space import DEFAULTS
from deltarule.tuning.study import Job
from support.tables_to_tune import QUICK, SMALL, bytes_of, of, same

# -- what is trained ----------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["class", "yes", "amount"])
def test_the_first_trial_is_the_training_of_train_table(target: str) -> None:
    done = tune(of(target), target, trials=1, folds=1, seed=3)
    plain = train_table(of(target), target, seed=3)
    assert bytes_of(done.model) == bytes_of(plain.model)
    assert done.scores == done.default_scores == plain.scores
    assert done.best is done.default
    assert done.best.best_epochs == [plain.history.best_epoch]
    score = plain.scores["validation"]["r2" if target == "amount" else "accuracy"]
    assert done.best.score == pytest.approx(score, rel=1e-6)  # theirs is computed in float32
    assert (done.best.number, done.best.parameters) == (1, DEFAULTS)


@pytest.mark.parametrize("folds", [1, 3])
@pytest.mark.parametrize("search", ["random", "halving"])
def test_the_saved_model_is_that_of_train_table_with_the_best_parameters(
    folds: int, search: Any, tmp_path: Path
) -> None:
    done = tune(of("amount"), "amount", folds=folds, search=search, **QUICK | {"trials": 12})
    assert done.best.number > 1
    again = train_table(of("amount"), "amount", **done.best.options)
    assert bytes_of(again.model) == bytes_of(done.model)
    assert again.scores == done.scores
    done.model.save(tmp_path / "m.st")
    loaded = TableModel.load(tmp_path / "m.st")
    assert loaded.evaluate(of("amount")[done.split.test]) == done.scores["test"]
    defaults = train_table(of("amount"), "amount", epochs=6)
    assert defaults.scores == done.default_scores


def test_public_names() -> None:
    assert dr.tune is tune
    assert dr.learning_curve is deltarule.tuning.learning_curve


def test_the_best_is_never_worse_than_the_defaults() -> None:
    bad = {"learning_rate": loguniform(1e-9, 1e-8), "hidden": [[1]]}
    done = tune(of("yes"), "yes", trials=4, epochs=8, space=bad)
    assert done.best is done.default
    good = tune(of("yes"), "yes", **QUICK)
    assert good.default is not None
    assert good.best.rank >= good.default.rank
    assert good.ranked[0] is good.best
    assert good.ranked == sorted(good.trials, key=lambda trial: trial.rank)[::-1]


def test_equal_scores_are_told_apart_by_the_loss() -> None:
    frame = pl.DataFrame({"x": np.r_[np.zeros(40), np.ones(40)], "y": ["a"] * 40 + ["b"] * 40})
    done = tune(frame, "y", trials=6, epochs=30, space={"learning_rate": loguniform(0.003, 0.1)})
    perfect = [trial for trial in done.trials if trial.score == 1.0]
    assert len(perfect) > 1
    assert done.best.loss == min(trial.loss for trial in perfect)


def test_halving_trains_for_shares_of_the_epochs() -> None:
    done = tune(of("yes"), "yes", search="halving", trials=14, epochs=20, space=SMALL)
    assert {trial.rung: trial.epochs for trial in done.trials} == {0: 3, 1: 7, 2: 20}
    assert done.trials[0].job == Job(1, 2)
    numbers = [trial.number for trial in done.ranked]
    assert len(numbers) == len(set(numbers)) == 14
    for trial in done.trials:
        assert max(trial.best_epochs) <= trial.epochs


def test_default_epochs_are_those_of_train_table() -> None:
    space = {"batch_size": [8], "hidden": [[2]]}
    done = tune(of("yes"), "yes", trials=2, folds=1, space=space)
    assert [trial.epochs for trial in done.trials] == [1000, 715]  # 10,000 steps of 105 rows


def test_folds_are_the_default_on_small_tables() -> None:
    assert tune(of("yes"), "yes", trials=1, epochs=2).folds == 5
    rng = np.random.default_rng(0)
    large = pl.DataFrame({"x": rng.normal(size=10_000), "y": rng.random(10_000)})
    done = tune(large, "y", trials=1, epochs=1)
    assert (done.folds, len(done.split.validation)) == (1, 1000)


# -- what is seen -------------------------------------------------------------------------------


def problem(frame: pl.DataFrame, target: str, **options: Any) -> Problem:
    given: dict[str, Any] = {"task": "auto", "test": 0.2, "validation": 0.1, "folds": 1}
    given |= {"scoring": None, "epochs": 4, "seed": 0}
    return Problem(frame, target, **given | options)


def spoil(frame: pl.DataFrame, rows: Any, target: str) -> pl.DataFrame:
    """The rows with absurd numbers, new categories and, if it is a quantity, an absurd target."""
    there = pl.Series(np.isin(np.arange(frame.height), rows))
    changed = [
        pl.when(there).then(pl.lit(1e6)).otherwise(pl.col("x")).alias("x"),
        pl.when(there).then(None).otherwise(pl.col("z")).alias("z"),
        pl.when(there).then(pl.lit("violet")).otherwise(pl.col("group")).alias("group"),
    ]
    if target == "amount":
        changed.append(pl.when(there).then(-1e9).otherwise(pl.col(target)).alias(target))
    return frame.with_columns(changed)


@pytest.mark.parametrize("target", ["amount", "class"])
@pytest.mark.parametrize("folds", [1, 3])
def test_encoders_see_training_rows_alone(target: str, folds: int) -> None:
    frame = of(target)
    clean = problem(frame, target, folds=folds)
    assert len(clean.folds) == folds
    all_rows = np.arange(frame.height)
    seen = []
    for number, fold in enumerate(clean.folds):
        if folds == 1:
            rows = clean.split.train
        else:  # the rows of a fold are found again by their values
            column = np.flatnonzero(np.array(fold.encoder.feature_names) == "x")[0]
            x = frame["x"].to_numpy()
            mean, scale = fold.encoder.columns[column].mean, fold.encoder.columns[column].scale
            encoded = ((x - mean) / scale).astype(np.float32)
            rows = np.flatnonzero(np.isin(encoded, fold.X[:, column]))
        assert rows.size == len(fold.X)
        seen.append(rows)
        others = np.setdiff1d(all_rows, rows)
        spoiled = problem(spoil(frame, others, target), target, folds=folds).folds[number]
        assert spoiled.encoder.to_dict() == fold.encoder.to_dict()
        assert spoiled.target.to_dict() == fold.target.to_dict()
        assert spoiled.X.tobytes() == fold.X.tobytes()
        assert spoiled.Y.tobytes() == fold.Y.tobytes()
        assert spoiled.held_X.tobytes() != fold.held_X.tobytes()
    assert not np.isin(clean.split.test, np.concatenate(seen)).any()


def test_a_column_made_from_the_held_out_target_changes_no_encoder() -> None:
    frame = of("amount")
    held = problem(frame, "amount").split.validation
    leak = np.zeros(frame.height)
    leak[held] = frame["amount"].to_numpy()[held]
    fold = problem(frame.with_columns(leak=pl.Series(leak)), "amount").folds[0]
    column = fold.encoder.feature_names.index("leak")
    assert (fold.X[:, column] == fold.X[0, column]).all()
    assert fold.target.to_dict() == problem(frame, "amount").folds[0].target.to_dict()


def test_folds_divide_all_rows_but_the_test_rows() -> None:
    one = problem(of("class"), "class", folds=4)
    sizes = [len(fold.held_X) for fold in one.folds]
    assert sum(sizes) == len(one.split.train) + len(one.split.validation)
    assert max(sizes) - min(sizes) <= 1
    for fold in one.folds:
        assert len(fold.X) + len(fold.held_X) == sum(sizes)
        shares = [np.bincount(part, minlength=3) / len(part) for part in (fold.Y, fold.held_Y)]
        np.testing.assert_allclose(*shares, atol=0.05)


@pytest.mark.parametrize("folds", [1, 3])
def test_test_rows_are_looked_at_once_at_the_end(folds: int) -> None:
    frame = of("amount")
    clean = tune(frame, "amount", folds=folds, **QUICK)
    spoiled = tune(spoil(frame, clean.split.test, "amount"), "amount", folds=folds, **QUICK)
    assert same(clean, spoiled)
    assert clean.scores["validation"] == spoiled.scores["validation"]
    assert clean.scores["test"] != spoiled.scores["test"]
    assert clean.default_scores["test"] != spoiled.default_scores["test"]


def test_no_test_rows() -> None:
    done = tune(of("yes"), "yes", test=0, **QUICK)
    assert set(done.scores) == {"train", "validation"}


# -- scores -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "scoring", "by_hand"),
    [
        ("class", "neg_log_loss", lambda y, p: -sk.log_loss(y, p)),
        ("class", "balanced_accuracy", lambda y, p: sk.balanced_accuracy_score(y, p.argmax(1))),
        ("class", "roc_auc_ovr", lambda y, p: sk.roc_auc_score(y, p, multi_class="ovr")),
        ("yes", "roc_auc", lambda y, p: sk.roc_auc_score(y, p[:, 1])),
        ("yes", "f1", lambda y, p: sk.f1_score(y, p[:, 1] >= 0.5)),
        ("amount", "neg_root_mean_squared_error", lambda y, p: -sk.root_mean_squared_error(y, p)),
        ("amount", "neg_mean_absolute_error", lambda y, p: -sk.mean_absolute_error(y, p)),
    ],
)
def test_scores_are_those_of_scikit_learn(
    target: str, scoring: str, by_hand: Callable[[Any, Any], float]
) -> None:
    frame = of(target)
    done = tune(frame, target, scoring=scoring, folds=1, **QUICK)
    held = frame[done.split.validation]
    if target == "amount":
        y, p = held[target].to_numpy(), done.model.predict(held).to_numpy()
    else:
        y = done.model.target.labels(held)
        p = done.model.predict_proba(held).to_numpy()
    expected = pytest.approx(by_hand(y, p), rel=1e-5)
    assert done.best.score == expected
    assert done.scores["validation"][scoring] == expected
    assert set(done.scores["test"]) == {
        *(("r2", "rmse") if target == "amount" else ("accuracy", "loss")),
        scoring,
    }
    assert done.best.score == max(trial.score for trial in done.trials)


def test_an_own_scorer() -> None:
    def cautious(estimator: Any, X: Any, y: Any) -> float:
        assert estimator.classes_.tolist() == [0, 1]
        return -float(np.mean((estimator.predict(X) == 1) & (y == 0)))

    done = tune(of("yes"), "yes", scoring=cautious, **QUICK)
    assert done.scoring.endswith("cautious")
    assert -1 <= done.best.score <= 0


def test_a_score_that_is_not_finite_fails_the_trial() -> None:
    def strange(estimator: Any, X: Any, y: Any) -> float:
        return math.nan if len(estimator.net.sizes) == 4 else 0.5

    done = tune(of("yes"), "yes", trials=4, epochs=2, scoring=strange, space={"hidden": [[3]]})
    assert [trial.failed is None for trial in done.trials] == [False, True]
    assert (done.stopped, done.best.number, done.default) == ("space exhausted", 2, None)
    assert done.default_scores == {}
    assert "strange" in str(done.trials[0].failed)


# -- bad options --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials must be a whole number >= 1, got 0"),
        ({"trials": 2.5}, "trials must be a whole number"),
        ({"time_budget": 0}, "time_budget must be a finite number > 0, got 0"),
        ({"time_budget": math.inf}, "time_budget must be a finite number"),
        ({"search": "grid"}, "unknown search 'grid'"),
        ({"folds": 0}, "folds must be a whole number >= 1, got 0"),
        ({"folds": 200}, "folds must be from 2 to the 120 rows to divide, got 200"),
        ({"seed": -1}, "seed must be a whole number >= 0"),
        ({"seed": True}, "seed must be a whole number >= 0"),
        ({"epochs": 0}, "epochs must be a whole number >= 1"),
        ({"validation": 0}, "validation must be a share of the rows between 0 and 1, got 0"),
        ({"test": 0.95}, "both together less than 1"),
        ({"scoring": "acuracy"}, "unknown scoring 'acuracy'. Did you mean 'accuracy'"),
        ({"scoring": 3}, "scoring must be a name that scikit-learn knows, or a function, got 3"),
        ({"scoring": "roc_auc"}, "scoring 'roc_auc' cannot score .* classification: multi_class"),
        ({"scoring": "f1"}, "scoring 'f1' cannot score the validation rows"),
        ({"space": {"depth": [1]}}, "unknown hyperparameter 'depth'"),
        ({"target": "clas"}, "lacks the target column: 'clas'. Did you mean 'class'"),
        ({"task": "regress"}, "target to regress on"),
    ],
)
def test_bad_options_are_refused_before_training(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr("deltarule.tuning.fitting.train", refuse)
    with pytest.raises((dr.SpecError, dr.DataError), match=message):
        tune(of("class"), **{"target": "class"} | options)


def test_a_regression_has_no_accuracy() -> None:
    with pytest.raises(dr.SpecError, match=r"'accuracy' cannot score .* of this regression"):
        tune(of("amount"), "amount", scoring="accuracy")
    with pytest.raises(dr.SpecError, match=r"'neg_log_loss' cannot score .* of this regression"):
        tune(of("amount"), "amount", scoring="neg_log_loss")


def test_a_class_rarer_than_the_folds() -> None:
    rare = pl.DataFrame({"x": np.arange(60.0) % 7, "y": ["a"] * 30 + ["b"] * 27 + ["c"] * 3})
    assert tune(rare, "y", trials=1, epochs=2, folds=5).folds == 5
    few = pl.DataFrame({"x": np.arange(8.0) % 3, "y": ["a", "b"] * 4})
    with pytest.raises(dr.DataError, match="6 folds are too many for this table"):
        tune(few, "y", trials=1, epochs=2, folds=6)


def test_only_a_target() -> None:
    with pytest.raises(dr.DataError, match="no column besides the target 'yes'"):
        tune(of("yes").select("yes"), "yes")


# -- what is shown ------------------------------------------------------------------------------


def test_the_result_shows_itself() -> None:
    done = tune(of("yes"), "yes", **QUICK)
    assert repr(done).startswith("Tuning(7 trainings, accuracy ")
    assert str(done.best) in repr(done)
    assert done.notes == []


def test_nothing_is_printed_unless_asked(capfd: pytest.CaptureFixture[str]) -> None:
    tune(of("yes"), "yes", **QUICK)
    assert capfd.readouterr() == ("", "")
    tune(of("yes"), "yes", progress=True, **QUICK)
    shown = capfd.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert [line.split()[:2] for line in lines] == [["trial", str(n)] for n in range(1, 8)]
    assert lines[0].split()[2:4] == ["*", "accuracy"]
    assert lines[0].endswith("64-64 relu, adam 0.001 constant, batch 32, l2 0.001")


def test_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    wild = {"optimizer": "sgd", "learning_rate": [1e6, 1e-3], "l2": loguniform(1e-6, 1e-3)}
    done = tune(of("amount"), "amount", trials=5, epochs=5, space=wild)
    figure = done.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    (axis,) = figure.axes
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["trial", "best so far", "defaults", "failed"]
    marks = sum(len(line.get_xdata()) for line in axis.get_lines() if line.get_marker() in "oxv")
    assert marks == 5
    best = next(line for line in axis.get_lines() if line.get_label() == "best so far")
    assert max(best.get_ydata()) == done.best.score
    assert (np.diff(best.get_ydata()) >= 0).all()
    halved = tune(of("yes"), "yes", search="halving", **QUICK).plot(tmp_path / "b.svg")
    assert "rung 1" in [text.get_text() for text in halved.axes[0].get_legend().get_texts()]
