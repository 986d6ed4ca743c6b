"""Models of tables: raw rows in, answers out, the same from the file as in memory (SPEC X6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors
import safetensors.numpy
from sklearn import metrics as sk

import deltarule as dr
from deltarule.tabular import read_table
from deltarule.tabular.model import TableModel
from deltarule.tabular.training import TableTraining, enough_epochs, train_table

CLASSES = ['Smith, "Jo"', "söhne 😀", "a;b"]


@pytest.fixture(scope="module")
def mixed() -> pl.DataFrame:
    """Numbers, text, booleans and dates with missing values; targets of every kind."""
    rng = np.random.default_rng(0)
    n = 240
    x, m = rng.normal(size=n), rng.normal(5, 2, size=n)
    group = rng.choice(["red", "green", "blue"], n).tolist()
    score = x + np.array([g == "red" for g in group])
    return pl.DataFrame(
        {
            "x": x,
            "m": [None if gone else v for gone, v in zip(rng.random(n) < 0.1, m, strict=True)],
            "group": [
                None if gone else g for gone, g in zip(rng.random(n) < 0.1, group, strict=True)
            ],
            "yes": rng.random(n) < 0.5,
            "day": pl.Series(np.arange(n) % 50).cast(pl.Date),
            "text class": [CLASSES[i] for i in np.digitize(score, [-0.3, 0.8])],
            "whole class": np.digitize(score, [-0.3, 0.8]) * 10 - 10,
            "flag": score > 0.3,
            "quantity": 1000 * x + 50 * m,
        }
    )


TARGETS = ("text class", "whole class", "flag", "quantity")


def fitted(frame: pl.DataFrame, target: str) -> TableTraining:
    table = frame.drop([name for name in TARGETS if name != target])
    return train_table(table, target, epochs=8, hidden=[8])


@pytest.fixture(scope="module")
def trained(mixed: pl.DataFrame) -> Callable[[str], TableTraining]:
    done = {target: fitted(mixed, target) for target in TARGETS}
    return done.__getitem__


@pytest.mark.parametrize("target", TARGETS)
def test_the_saved_model_answers_like_the_one_in_memory(
    trained: Any, mixed: pl.DataFrame, tmp_path: Path, target: str
) -> None:
    model = trained(target).model
    model.save(tmp_path / "m.safetensors")
    loaded = TableModel.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.outputs(mixed), model.outputs(mixed))
    said = model.predict(mixed)
    assert loaded.predict(mixed).equals(said, check_names=True)
    assert (said.name, said.dtype) == (
        target,
        pl.Float64 if target == "quantity" else mixed[target].dtype,
    )
    assert said.len() == mixed.height
    assert loaded.evaluate(mixed) == model.evaluate(mixed)
    assert repr(loaded) == repr(model)
    assert repr(model).startswith(f"TableModel(TargetColumn('{target}', ")


@pytest.mark.parametrize("target", TARGETS)
def test_row_order_is_kept_and_the_target_is_not_looked_at(
    trained: Any, mixed: pl.DataFrame, target: str
) -> None:
    model = trained(target).model
    order = np.random.default_rng(1).permutation(mixed.height)
    outputs = model.outputs(mixed)
    np.testing.assert_allclose(model.outputs(mixed[order]), outputs[order], rtol=1e-5, atol=1e-6)
    without = mixed.drop(TARGETS)
    np.testing.assert_array_equal(model.outputs(without), outputs)
    assert model.notes == []
    odd = without.with_columns(pl.Series(target, [[1]] * mixed.height))
    np.testing.assert_array_equal(model.outputs(odd), outputs)
    assert model.notes == []


@pytest.mark.parametrize("kind", ["csv", "parquet", "pandas", "lazy"])
@pytest.mark.parametrize("target", TARGETS)
def test_every_kind_of_table_gives_the_same_answers(
    trained: Any, mixed: pl.DataFrame, tmp_path: Path, target: str, kind: str
) -> None:
    if kind == "pandas":
        pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
    model = trained(target).model
    if kind == "csv":
        data: Any = tmp_path / "t.csv"
        mixed.write_csv(data)
    elif kind == "parquet":
        data = tmp_path / "t.parquet"
        mixed.write_parquet(data)
    else:
        data = mixed.to_pandas() if kind == "pandas" else mixed.lazy()
    np.testing.assert_array_equal(model.outputs(data), model.outputs(mixed))
    assert model.predict(data).to_list() == model.predict(mixed).to_list()
    assert model.evaluate(data) == model.evaluate(mixed)


@pytest.mark.parametrize("target", ["text class", "whole class", "flag"])
def test_scores_of_classes_as_scikit_learn_has_them(
    trained: Any, mixed: pl.DataFrame, target: str
) -> None:
    done = trained(target)
    model, rows = done.model, done.split.test
    part = mixed[rows]
    p = model.predict_proba(part)
    # as the CSV file has them: a boolean is true, not True
    assert p.columns == [f"P({c})" for c in mixed[target].unique().sort().cast(pl.String)]
    np.testing.assert_allclose(p.sum_horizontal(), 1, rtol=1e-15)
    said, true = model.predict(part), part[target]
    classes = model.target.classes
    assert [classes[i] for i in p.to_numpy().argmax(axis=1)] == said.to_list()
    scores = done.scores["test"]
    assert scores["accuracy"] == sk.accuracy_score(true.to_list(), said.to_list())
    expected = sk.log_loss(true.to_list(), p.to_numpy(), labels=classes)
    assert scores["loss"] == pytest.approx(expected, rel=1e-5)
    table = sk.confusion_matrix(true.to_list(), said.to_list(), labels=classes)
    wrong = {(t, s): int(rows) for t, s, rows in done.confusions}
    expected_wrong = {
        (classes[i], classes[j]): int(table[i, j])
        for i in range(len(classes))
        for j in range(len(classes))
        if i != j and table[i, j]
    }
    assert wrong == expected_wrong
    counts = [rows for _, _, rows in done.confusions]
    assert counts == sorted(counts, reverse=True)


def test_scores_of_quantities_as_scikit_learn_has_them(trained: Any, mixed: pl.DataFrame) -> None:
    done = trained("quantity")
    for name, rows in done.split._asdict().items():
        part = mixed[rows]
        said, true = done.model.predict(part).to_numpy(), part["quantity"].to_numpy()
        scores = done.scores[name]
        assert scores["r2"] == pytest.approx(sk.r2_score(true, said), abs=1e-5)
        assert scores["rmse"] == pytest.approx(sk.root_mean_squared_error(true, said), rel=1e-5)
    assert done.confusions == []
    with pytest.raises(dr.SpecError, match="predicts a quantity: it has no probabilities"):
        done.model.predict_proba(mixed)
    with pytest.raises(dr.SpecError, match="confuses no classes"):
        done.model.confusions(mixed)


def test_only_training_rows_are_measured(trained: Any, mixed: pl.DataFrame) -> None:
    done = trained("quantity")
    split = done.split
    rows = np.concatenate(split)
    assert sorted(rows.tolist()) == list(range(mixed.height))
    assert [len(part) for part in split] == [168, 24, 48]
    train = mixed[split.train]
    x = next(c for c in done.model.encoder.columns if c.name == "x")
    assert x.mean == pytest.approx(train["x"].mean(), abs=1e-12)
    assert done.model.target.mean == pytest.approx(train["quantity"].mean())
    assert done.model.target.scale == pytest.approx(train["quantity"].std(ddof=0))


def test_the_same_seed_gives_the_same_model(mixed: pl.DataFrame, tmp_path: Path) -> None:
    table = mixed.drop("text class", "flag", "quantity")
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        done = train_table(table, "whole class", epochs=3, hidden=[8], dropout=0.1, seed=seed)
        done.model.save(tmp_path / name)
    for _ in range(20):  # the order of the file's header must not vary either
        done.model.save(tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == (tmp_path / "c").read_bytes()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_small_tables_get_more_epochs() -> None:
    given = [
        enough_epochs(rows, size) for rows, size in ((1, 32), (720, 32), (9999, 32), (5, "full"))
    ]
    assert given == [1000, 435, 200, 1000]


def test_unusual_tables_are_noted(trained: Any, mixed: pl.DataFrame) -> None:
    model = trained("flag").model
    odd = mixed.with_columns(
        group=pl.lit("never seen"), x=pl.Series([None, *mixed["x"][1:]]), more=pl.lit(1)
    )
    assert model.predict(odd).null_count() == 0
    assert len(model.notes) == 3
    assert "do not know" not in model.notes[0]
    assert "does not know" in model.notes[0]
    assert "'x': 1 missing" in model.notes[1]
    assert "'group': 240 values not seen" in model.notes[2]
    assert np.isfinite(model.outputs(odd)).all()
    with pytest.raises(dr.DataError, match=r"was trained on: 'm', 'day'.* It has: 'x', 'group'"):
        model.predict(mixed.drop("m", "day"))
    with pytest.raises(dr.DataError, match=r"lacks the target column: 'flag'"):
        model.evaluate(mixed.drop("flag"))
    strange = (
        mixed["text class"]
        .to_frame()
        .with_columns(mixed.drop(TARGETS))
        .with_columns(pl.Series("text class", [*mixed["text class"][:-1], "new"]))
    )
    with pytest.raises(dr.DataError, match=r"'new'"):
        trained("text class").model.evaluate(strange)


def test_codes_are_read_as_in_training(tmp_path: Path) -> None:
    codes = ["7", "A7", "12"] * 40
    train = pl.DataFrame({"code": codes, "y": [c == "7" for c in codes]})
    train.write_csv(tmp_path / "train.csv")
    model = train_table(tmp_path / "train.csv", "y", epochs=60, learning_rate=0.01).model
    (tmp_path / "new.csv").write_text("code\n7\n12\n")  # alone, these would be numbers
    assert model.predict(tmp_path / "new.csv").to_list() == [True, False]
    zeros = pl.DataFrame({"x": [-1.0, 1.0] * 40, "y": ["007", "12"] * 40})
    zeros.write_csv(tmp_path / "zeros.csv")
    model = train_table(tmp_path / "zeros.csv", "y", epochs=60, learning_rate=0.01).model
    assert model.predict(zeros).to_list() == zeros["y"].to_list()
    (tmp_path / "some.csv").write_text("x,y\n1,12\n1,12\n")
    assert model.evaluate(tmp_path / "some.csv")["accuracy"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
        ({"seed": 1.5}, r"seed must be a whole number >= 0, got 1.5"),
        ({"task": "clasify"}, "unknown task 'clasify'"),
        ({"test": 0.5, "validation": 0.5}, "both together less than 1"),
        ({"test": float("nan")}, "shares of the rows"),
        ({"hidden": [0]}, "layer 1 must have a whole number of units >= 1"),
        ({"patience": 0}, "patience must be a whole number >= 1"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(dr.SpecError, match=message):
        train_table("iris", "target", **options)


def test_parts_may_be_left_out() -> None:
    iris = read_table("iris")
    done = train_table(iris, "target", test=0, validation=0, epochs=2)
    assert list(done.scores) == ["train"]
    assert len(done.split.train) == 150
    assert (len(done.history), done.history.best_epoch) == (2, None)
    assert sum(rows for *_, rows in done.confusions) == 150 - round(
        150 * done.scores["train"]["accuracy"]
    )
    done = train_table(iris, "target", test=0, validation=0.2, epochs=2, hidden=[])
    assert list(done.scores) == ["train", "validation"]
    assert done.model.network.sizes == (4, 3)
    with pytest.raises(dr.DataError, match="no column besides the target 'target'"):
        train_table(iris.select("target"), "target")


def forged(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """The model at `path`, its sections as they were but for one change."""
    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
    table = json.loads(metadata["table"])
    change(table)
    path.write_bytes(safetensors.numpy.save(tensors, metadata | {"table": json.dumps(table)}))


def put(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(table: Any) -> None:
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("encoder", value=None), "table encoding: an object is needed"),
        (put("encoder", "columns", value=[]), "at least one is needed"),
        (put("encoder", "columns", 0, "scale", value="1"), "scale: a number is needed"),
        (put("encoder", "columns", 0, "scale", value=-1), "scale: a finite number of at least"),
        (put("encoder", "columns", 0, "mean", value=10**400), "mean: a finite number"),
        (put("encoder", "columns", 0, "flagged", value=True), "does not fit its network"),
        (put("encoder", "version", value=99), "written by a newer deltarule"),
        (put("target", value=[]), "target: an object is needed"),
        (put("target", "classes", value=["a", "a", "b"]), "distinct String values"),
        (put("target", "classes", value=["a", "b"]), "does not fit its network"),
        (put("target", "classes", value=[1, 2, 3]), "not all are String values"),
    ],
)
def test_forged_encodings_are_refused(
    trained: Any, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = tmp_path / "m.safetensors"
    trained("text class").model.save(path)
    forged(path, lambda table: None)
    TableModel.load(path)
    forged(path, change)
    with pytest.raises(dr.ModelFileError, match=message):
        TableModel.load(path)


def test_a_network_that_does_not_suit_the_target_is_refused(trained: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    trained("flag").model.save(path)
    forged(path, put("target", value=trained("quantity").model.target.to_dict()))
    with pytest.raises(dr.ModelFileError, match="a log_loss network cannot regress"):
        TableModel.load(path)
    trained("flag").model.network.save(path)
    with pytest.raises(dr.ModelFileError, match=r"a bare network.*use dr.load"):
        TableModel.load(path)
