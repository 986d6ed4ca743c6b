"""Learning curves: which rows are trained on, what is scored, and what is said about it."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.model_selection import KFold, StratifiedKFold

import deltarule as dr
import deltarule.tuning.curve as curve
from deltarule.tabular.training import train_table
from deltarule.tuning import LearningCurve, learning_curve

QUICK: dict[str, Any] = {"epochs": 5, "folds": 3, "hidden": [6]}


def table(n: int = 180) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=n), rng.normal(5, 2, size=n)
    return pl.DataFrame(
        {
            "x": x,
            "z": z,
            "group": rng.choice(["red", "green", "blue"], n).tolist(),
            "class": [["low", "middle", "high"][i] for i in np.digitize(x, [-0.4, 1.0])],
            "amount": 100 + 30 * x + z,
        }
    )


def of(target: str) -> pl.DataFrame:
    return table().select("x", "z", "group", target)


def made(validation: Any, **options: Any) -> LearningCurve:
    scores = np.array(validation, dtype=np.float64)
    given: dict[str, Any] = {"sizes": [50, 100, 200][-len(scores) :], "scoring": "accuracy"}
    given |= {"held": 20, "stopped": "sizes", "notes": []}
    return LearningCurve(
        train_scores=scores + 0.01,
        validation_scores=scores,
        seconds=np.ones_like(scores),
        **given | options,
    )


# -- rows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["class", "amount"])
def test_a_point_is_what_train_table_reaches_on_these_rows(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, Any]] = []
    point = curve._Setting.point

    def watched(self: Any, rows: Any, held: Any) -> Any:
        seen.append((rows, held))
        return point(self, rows, held)

    monkeypatch.setattr(curve._Setting, "point", watched)
    frame = of(target)
    done = learning_curve(frame, target, sizes=[40, 0.75, 1.0], **QUICK)
    assert done.sizes == [40, 90, 120]
    assert done.train_scores.shape == done.validation_scores.shape == done.seconds.shape == (3, 3)
    assert [len(rows) for rows, _ in seen] == [40] * 3 + [90] * 3 + [120] * 3
    labels = frame[target].to_physical().to_numpy() if target == "amount" else None
    kind = KFold if labels is not None else StratifiedKFold
    splitter = kind(3, shuffle=True, random_state=0)
    expected = list(splitter.split(np.arange(180), frame[target].to_numpy()))
    name = "r2" if target == "amount" else "accuracy"
    for place, (rows, held) in enumerate(seen):
        size, fold = divmod(place, 3)
        assert held.tolist() == expected[fold][1].tolist()
        assert set(rows) <= set(expected[fold][0])
        assert rows.tolist() == seen[6 + fold][0][: len(rows)].tolist()  # each holds the smaller
        plain = train_table(frame[rows], target, test=0, validation=0.1, epochs=5, hidden=[6])
        scores = plain.model.evaluate(frame[held])
        assert done.validation_scores[size, fold] == pytest.approx(scores[name], rel=1e-6)
        assert done.train_scores[size, fold] == pytest.approx(plain.scores["train"][name], rel=1e-6)


def test_each_beginning_has_the_classes_in_their_shares() -> None:
    labels = np.repeat([0, 1, 2], [500, 300, 10])
    rows = np.arange(0, 810, 2)
    order = curve._spread(rows, labels, np.random.default_rng(0))
    assert sorted(order) == rows.tolist()
    shares = np.bincount(labels[rows]) / rows.size
    for count in (10, 57, 200, 405):
        found = np.bincount(labels[order[:count]], minlength=3)
        assert (np.abs(found - count * shares) <= 1.5).all()
    plain = curve._spread(rows, None, np.random.default_rng(0))
    assert sorted(plain) == rows.tolist()
    assert plain.tolist() != rows.tolist()


def test_rows_held_out_take_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = of("amount")
    clean = learning_curve(frame, "amount", sizes=[30, 60], **QUICK)
    held = next(iter(KFold(3, shuffle=True, random_state=0).split(np.arange(180))))[1]
    there = pl.Series(np.isin(np.arange(180), held))
    spoiled = frame.with_columns(
        pl.when(there).then(1e6).otherwise(pl.col("x")).alias("x"),
        pl.when(there).then(-1e9).otherwise(pl.col("amount")).alias("amount"),
    )
    found = learning_curve(spoiled, "amount", sizes=[30, 60], **QUICK)
    np.testing.assert_array_equal(found.train_scores[:, 0], clean.train_scores[:, 0])
    assert (found.validation_scores[:, 0] != clean.validation_scores[:, 0]).all()


def test_default_sizes_and_seeds() -> None:
    done = learning_curve(of("class"), "class", **QUICK)
    assert done.sizes == [30, 60, 120]
    again = learning_curve(of("class"), "class", **QUICK)
    np.testing.assert_array_equal(done.validation_scores, again.validation_scores)
    other = learning_curve(of("class"), "class", seed=1, **QUICK)
    assert (done.validation_scores != other.validation_scores).any()
    assert curve._counts(None, 16_000) == [1000, 2000, 4000, 8000, 16_000]
    assert curve._counts(None, 12) == [12]


def test_parameters_and_scoring() -> None:
    done = learning_curve(
        of("class"), "class", sizes=[60], scoring="neg_log_loss", optimizer="sgd", **QUICK
    )
    assert done.scoring == "neg_log_loss"
    assert (done.validation_scores < 0).all()
    default = learning_curve(of("class"), "class", sizes=[60], scoring="neg_log_loss", **QUICK)
    assert (done.validation_scores != default.validation_scores).all()


# -- what it says -------------------------------------------------------------------------------


def test_the_gain_is_corrected_for_overlapping_rows() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0.8, 0.02, (3, 6)) + np.array([[0.0], [0.05], [0.08]])
    done = made(scores, sizes=[50, 100, 400], held=40)
    d = (scores[2] - scores[1]) / 2  # two doublings
    error = np.sqrt(d.var(ddof=1) * (1 / 6 + 40 / 400))
    expected = stats.t.interval(0.9, 5, loc=d.mean(), scale=error)
    assert done.gain() == pytest.approx((d.mean(), *expected))


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        ([0.85, 0.86, 0.84, 0.85], "More rows would probably help: per doubling, from 100 to 200"),
        ([0.80, 0.84, 0.76, 0.80], "More rows would hardly help: "),
        ([0.70, 0.74, 0.66, 0.70], "More rows would hardly help: "),
        ([0.95, 0.84, 0.66, 0.90], "Whether more rows would help cannot be told: per doubling"),
    ],
)
def test_the_verdict(last: list[float], sentence: str) -> None:
    done = made([[0.7] * 4, [0.80, 0.84, 0.76, 0.80], last])
    assert done.verdict.startswith(sentence)
    gain = done.gain()
    assert gain is not None
    assert (
        f"changed by {gain[0]:+.4f} (90% interval {gain[1]:+.4f} to {gain[2]:+.4f})" in done.verdict
    )


def test_a_verdict_needs_two_sizes_and_two_folds() -> None:
    nothing = "Whether more rows would help cannot be told from these scores."
    assert made([[0.8, 0.9, 0.8]]).verdict == nothing
    assert made([[0.8, math.nan], [0.9, 0.9]]).verdict == nothing
    assert made([[0.8, 0.8, math.nan], [0.9, 0.91, 0.9]]).gain() is not None


def test_what_it_holds(tmp_path: Path) -> None:
    done = made([[0.7, 0.8], [0.8, 0.9]])
    value = done.to_dict()
    assert value["validation_scores"] == [[0.7, 0.8], [0.8, 0.9]]
    assert (value["sizes"], value["verdict"], value["stopped"]) == (
        [100, 200],
        done.verdict,
        "sizes",
    )
    spread = pytest.approx(0.1 / math.sqrt(2))
    assert done.table()[0] == (
        100,
        (pytest.approx(0.76), spread),
        (pytest.approx(0.75), spread),
        1.0,
    )
    assert (
        repr(done) == "LearningCurve(200 rows: validation accuracy 0.85 +- 0.071, 2 sizes, 2 folds)"
    )
    pytest.importorskip("matplotlib")
    figure = done.plot(tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    (axis,) = figure.axes
    lines = {line.get_label(): list(line.get_ydata()) for line in axis.get_lines()}
    assert lines["validation"] == pytest.approx([0.75, 0.85])
    assert lines["training"] == pytest.approx([0.76, 0.86])


# -- how it ends --------------------------------------------------------------------------------


def test_a_training_that_diverges_is_left_out() -> None:
    done = learning_curve(
        of("amount"), "amount", sizes=[40, 80], optimizer="sgd", learning_rate=1e6, **QUICK
    )
    assert np.isnan(done.validation_scores).all()
    assert len(done.notes) == 6
    assert done.notes[0].startswith("40 rows: the loss is not finite in epoch ")
    assert done.verdict.startswith("Whether more rows would help cannot be told")
    assert "nan" in repr(done)


def press_at(training: int, monkeypatch: pytest.MonkeyPatch) -> None:
    train, count = dr.train, [0]

    def pressed(*args: Any, **options: Any) -> Any:
        count[0] += 1

        def press(progress: dr.Progress) -> None:
            if count[0] == training and progress.epoch == 1:
                signal.raise_signal(signal.SIGINT)

        options["callbacks"] = [press]
        return train(*args, **options)

    monkeypatch.setattr("deltarule.tuning.fitting.train", pressed)


def test_ctrl_c_keeps_the_sizes_that_were_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    press_at(5, monkeypatch)
    done = learning_curve(of("class"), "class", **QUICK)
    assert (done.sizes, done.stopped) == ([30], "interrupted")
    assert done.validation_scores.shape == (1, 3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_in_the_first_size(monkeypatch: pytest.MonkeyPatch) -> None:
    press_at(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        learning_curve(of("class"), "class", **QUICK)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": []}, "sizes is empty"),
        ({"sizes": [1]}, r"sizes must be numbers of rows from 2 to 120 \(what a fold leaves"),
        ({"sizes": [121]}, r"or shares of them up to 1\.0, got 121"),
        ({"sizes": [1.5]}, r"got 1\.5"),
        ({"sizes": [0.0]}, r"got 0\.0"),
        ({"sizes": [True]}, "got True"),
        ({"sizes": ["30"]}, "got '30'"),
        ({"sizes": [3]}, "size 3: a table of 3 rows is too small to split"),
        ({"folds": 1}, "folds must be from 2 to the 180 rows"),
        ({"folds": 181}, "folds must be from 2 to the 180 rows"),
        ({"epochs": 0}, "epochs must be a whole number >= 1"),
        ({"seed": -1}, "seed must be a whole number >= 0"),
        ({"scoring": "acc"}, "unknown scoring 'acc'"),
        ({"widht": 3}, "unknown hyperparameter 'widht'"),
        ({"activation": "rellu"}, "unknown activation 'rellu'"),
        ({"target": "clas"}, "lacks the target column: 'clas'"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises((dr.SpecError, dr.DataError), match=message):
        learning_curve(of("class"), **{"target": "class"} | QUICK | options)
