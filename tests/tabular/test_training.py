"""The target column, the split, and a file from reading to a trained network."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltarule.errors import DataError, SpecError
from deltarule.tabular import DATASETS, TableEncoder, TargetColumn, read_table, split_rows


@pytest.mark.parametrize(
    ("values", "task", "loss", "classes"),
    [
        (["no", "yes"] * 4, "classify", "log_loss", ["no", "yes"]),
        ([True, False] * 4, "classify", "log_loss", [False, True]),
        (["b", "a", "c"] * 3, "classify", "cross_entropy", ["a", "b", "c"]),
        ([0, 1] * 4, "classify", "log_loss", [0, 1]),
        ([1.0, -1.0] * 4, "classify", "log_loss", [-1.0, 1.0]),
        ([10, 9, 2] * 10, "classify", "cross_entropy", [2, 9, 10]),
        ([10, 9, 2] * 9, "regress", "squared_error", []),
        (list(range(21)) * 20, "regress", "squared_error", []),
        (list(range(20)) * 20, "classify", "cross_entropy", list(range(20))),
        ([0.5, 1.5] * 40, "regress", "squared_error", []),
    ],
)
def test_the_task_is_found(values: list[Any], task: str, loss: str, classes: list[Any]) -> None:
    target = TargetColumn().fit(pl.DataFrame({"y": values}), "y")
    assert (target.task, target.loss, target.classes) == (task, loss, classes)
    assert target.n_outputs == (len(classes) if len(classes) > 2 else 1)


@pytest.mark.parametrize("name", DATASETS)
def test_targets_of_the_data_sets(name: str) -> None:
    target = TargetColumn().fit(read_table(name), "target")
    expected = {"breast_cancer": "log_loss", "diabetes": "squared_error"}
    assert target.loss == expected.get(name, "cross_entropy")


TYPES = (pl.Int8, pl.Int64, pl.UInt16, pl.Float32, pl.Float64, pl.String, pl.Categorical)


@pytest.mark.parametrize(
    ("dtype", "k"), [*((dtype, k) for dtype in TYPES for k in (2, 3)), (pl.Boolean, 2)]
)
def test_classes_come_back_with_their_type(dtype: Any, k: int) -> None:
    text = dtype in (pl.String, pl.Categorical)
    values = pl.Series("y", [str(i) if text else i for i in [2, 0, 1] * 20 if i < k])
    frame = values.cast(dtype).to_frame()
    target = TargetColumn().fit(frame, "y", "classify")
    Y = target.transform(frame, dtype=np.float32)
    labels = target.labels(frame)
    assert labels is not None
    assert Y.shape == ((frame.height, 1) if k == 2 else (frame.height,))
    assert Y.dtype == (np.float32 if k == 2 else np.int64)
    np.testing.assert_array_equal(Y.reshape(-1), labels)
    back = TargetColumn.from_dict(json.loads(json.dumps(target.to_dict())))
    for t in (target, back):
        decoded = t.decode(labels)
        assert decoded.dtype == (pl.String if text else dtype)
        assert decoded.cast(dtype).equals(frame["y"])
        np.testing.assert_array_equal(t.labels(frame), labels)
    with pytest.raises(DataError, match=r"whole numbers from 0 to"):
        target.decode([0, k])
    with pytest.raises(DataError, match=r"whole numbers from 0 to"):
        target.decode([0.5])


def test_integers_that_are_equal_as_floats_are_two_classes() -> None:
    wide = pl.DataFrame({"y": [2**62, 2**62 + 1] * 2})
    target = TargetColumn().fit(wide, "y", "classify")
    np.testing.assert_array_equal(target.labels(wide), [0, 1, 0, 1])


def test_a_target_read_otherwise_gives_the_same_labels() -> None:
    text = TargetColumn().fit(pl.DataFrame({"y": ["1", "2", "x"] * 2}), "y")
    np.testing.assert_array_equal(text.labels(pl.DataFrame({"y": [2, 1]})), [1, 0])
    numbers = TargetColumn().fit(pl.DataFrame({"y": [1, 2, 5] * 2}), "y", "classify")
    np.testing.assert_array_equal(numbers.labels(pl.DataFrame({"y": ["5", "1"]})), [2, 0])
    np.testing.assert_array_equal(numbers.labels(pl.DataFrame({"y": [5.0, 2.0]})), [2, 1])
    truth = TargetColumn().fit(pl.DataFrame({"y": [True, False] * 2}), "y")
    np.testing.assert_array_equal(truth.labels(pl.DataFrame({"y": ["True", "false"]})), [1, 0])
    with pytest.raises(DataError, match=r"'y', row 2 .*class 'z' is not one .*: '1', '2', 'x'"):
        text.labels(pl.DataFrame({"y": ["1", "z"]}))
    with pytest.raises(DataError, match=r"class 1.5 is not one"):
        numbers.labels(pl.DataFrame({"y": [1.5]}))


@pytest.mark.parametrize("size", [1.0, 1e300, 1e-280])
def test_regression_targets_are_scaled_and_come_back(size: float) -> None:
    y = np.array([1.5, -2.0, 3.25, 8.0]) * size
    frame = pl.DataFrame({"y": y})
    target = TargetColumn().fit(frame, "y", rows=[0, 1, 2])
    Y = target.transform(frame)
    assert Y.shape == (4, 1)
    np.testing.assert_allclose([Y[:3].mean(), Y[:3].std()], [0, 1], atol=1e-14)
    np.testing.assert_allclose(target.decode(Y).to_numpy(), y, rtol=1e-13)
    back = TargetColumn.from_dict(json.loads(json.dumps(target.to_dict())))
    np.testing.assert_array_equal(back.transform(frame), Y)
    assert target.labels(frame) is None
    assert repr(target) == "TargetColumn('y', regress)"


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (["a", "b", "a", "c", "a"], "auto", r"class 'b' has a single sample, row 2 .*1 more such"),
        ([1, 2, 1], "classify", 'class 2 has a single sample, row 2 .*task "regress"'),
        (["a"] * 5, "auto", "one class only, 'a'"),
        ([2.5] * 5, "auto", "every value is 2.5"),
        (["a", None, "?", "b"], "auto", r"missing in 2 of 4 rows: row 2 .*, row 3 "),
        ([1.0, float("nan")], "auto", r"missing in 1 of 2 rows"),
        (["1", "2", "x"], "regress", r"column 'y', row 3 .*'x' is not a number"),
        ([1.5, float("inf")], "auto", r"row 2 .*inf is not a finite number"),
        ([1.0, float("inf")] * 2, "classify", r"row 2 .*inf is not a finite number"),
        ([dt.date(2024, 1, 1)] * 4, "auto", "holds date values"),
        ([[1], [2]], "auto", "holds List"),
        (["a"], "auto", "the table has 1 row: at least 2"),
        ([], "auto", "the table has 0 rows: at least 2"),
    ],
)
def test_targets_that_cannot_be_learned(values: list[Any], task: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        TargetColumn().fit(pl.DataFrame({"y": values}), "y", task)


def test_target_not_there_and_unknown_task() -> None:
    frame = pl.DataFrame({"income": [1, 2], "age": [3, 4]})
    with pytest.raises(
        DataError,
        match=r"lacks the target column: 'incom'. Did you mean 'income'. It has: 'income', 'age'",
    ):
        TargetColumn().fit(frame, "incom")
    task: Any = "cluster"
    with pytest.raises(SpecError, match=r"unknown task 'cluster'. Known: auto, classify, regress"):
        TargetColumn().fit(frame, "income", task)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=10, max_size=300),
    st.floats(0, 0.5),
    st.floats(0, 0.4),
    st.integers(0, 2**32 - 1),
)
def test_a_split_is_a_partition_in_proportion(
    labels: list[int], test: float, validation: float, seed: int
) -> None:
    n, y = len(labels), np.array(labels)
    try:
        split = split_rows(n, y, test=test, validation=validation, rng=seed)
    except DataError as error:
        message = str(error)
        assert "too small to split" in message
        return
    np.testing.assert_array_equal(np.sort(np.concatenate(split)), np.arange(n))
    assert split.test.size == max(round(n * test), test > 0)
    assert split.validation.size == max(round(n * validation), validation > 0)
    assert set(y[split.train]) == set(labels)
    again = split_rows(n, y, test=test, validation=validation, rng=seed)
    for part, same in zip(split, again, strict=True):
        np.testing.assert_array_equal(part, same)
    counts = np.bincount(y)
    if counts[counts > 0].min() >= 20:
        for part in (split.test, split.validation):
            got = np.bincount(y[part], minlength=counts.size)
            assert (np.abs(got - counts * part.size / n) <= 1).all()


def test_a_split_without_classes_and_by_seed() -> None:
    split = split_rows(100)
    assert [part.size for part in split] == [70, 10, 20]
    assert not np.array_equal(split.test, split_rows(100, rng=1).test)
    np.testing.assert_array_equal(split.test, split_rows(100, rng=np.random.default_rng(0)).test)
    assert not np.array_equal(split.test, np.arange(20))
    assert split_rows(1, test=0, validation=0).train.tolist() == [0]


def test_splits_that_cannot_be_made() -> None:
    with pytest.raises(DataError, match=r"table of 0 rows is too small .* make 3"):
        split_rows(0)
    with pytest.raises(DataError, match=r"table of 1 row is too small .* make 3"):
        split_rows(1)
    with pytest.raises(DataError, match=r"one training row for each of 3 classes, 1 .* make 5"):
        split_rows(4, ["a", "b", "c", "a"])
    with pytest.raises(SpecError, match=r"less than 1"):
        split_rows(10, test=0.6, validation=0.4)
    with pytest.raises(SpecError, match=r"at least 0"):
        split_rows(10, test=-0.1)
    with pytest.raises(SpecError, match=r"3 labels were given for 10 rows"):
        split_rows(10, [1, 2, 3])


def write(folder: Path, content: str) -> Path:
    path = folder / "table.csv"
    path.write_text(content)
    return path


def test_a_network_learns_from_an_encoded_file(tmp_path: Path) -> None:
    """Text, numbers with gaps and a heavy tail, through a file, to a scikit-learn network."""
    from sklearn.neural_network import MLPClassifier

    rng = np.random.default_rng(0)
    n = 1500
    colour = rng.choice(["red", "green", "blue"], n)
    x, gain = rng.normal(50, 10, n), rng.lognormal(0, 3, n)
    y = np.where((colour == "red") ^ (x > 50), np.where(gain > 1, "high", "mid"), "low")
    gaps = rng.random(n) < 0.05
    rows = [
        f"{c}, {'?' if gap else round(a, 3)},{g:.6g},{t}"
        for c, a, g, t, gap in zip(colour, x, gain, y, gaps, strict=True)
    ]
    frame = read_table(write(tmp_path, "colour,x,gain,class\n" + "\n".join(rows) + "\n"))
    target = TargetColumn().fit(frame, "class")
    split = split_rows(frame.height, target.labels(frame), validation=0)
    encoder = TableEncoder().fit(frame, ["colour", "x", "gain"], rows=split.train)
    X, Y = encoder.transform(frame), target.transform(frame)
    net = MLPClassifier((32,), learning_rate_init=0.01, early_stopping=True, random_state=0)
    net.fit(X[split.train], Y[split.train])
    assert net.score(X[split.test], Y[split.test]) > 0.9
    assert set(target.decode(net.predict(X[split.test]))) == {"high", "mid", "low"}
