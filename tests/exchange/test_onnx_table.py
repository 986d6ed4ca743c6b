"""Models of tables as ONNX: the answers of TableModel from raw columns, whatever they hold."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import deltarule as dr
from deltarule.cli.main import app
from deltarule.exchange.onnx.model import signature, table_inputs, to_onnx
from deltarule.tabular import NumberColumn, TableEncoder, TargetColumn, read_table
from deltarule.tabular.model import TableModel
from deltarule.tabular.training import train_table
from deltarule.tabular.values import MISSING
from support.onnx_oracle import assert_close, evaluate, run

N = 600
KINDS = {
    "text": ['Smith, "Jo"', "söhne 😀", "two\nlines"],
    "whole": [-3, 0, 2_000_000_000_000],
    "real": [0.5, 1.5, 2.5],
    "flag": [False, True],
    "word": ["no", "yes"],
    "small": [7, 9],
}


@pytest.fixture(scope="module")
def mixed() -> pl.DataFrame:
    """A column of every kind and encoding, and a target of every kind."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    start = dt.datetime(2020, 1, 1)

    def some_missing(values: list[Any]) -> list[Any]:
        return [None if gone else v for gone, v in zip(rng.random(N) < 0.1, values, strict=True)]

    color = np.array(["red", "green", "blue"])[rng.integers(0, 3, N)]
    columns: dict[str, Any] = {
        "x": x,
        "label": some_missing(rng.normal(5, 2, N).tolist()),  # as an output is called
        "year": 2000 + np.arange(N) % 20,
        "always 3": np.full(N, 3.0),
        "income": np.where(rng.random(N) < 0.02, 1e6 * rng.random(N), rng.random(N)),
        "loss": some_missing(np.where(np.arange(N) % 150 == 1, -1e9, 0.0).tolist()),
        "amount": pl.Series((1e9 + rng.random(N)).round(2)),
        "color": color,
        "color or none": some_missing(color.tolist()),
        "town": [f"town {i}" if i < 6 else f"hamlet {i}" for i in rng.geometric(0.2, N)],
        "town or none": some_missing([f"t{i}" for i in rng.geometric(0.3, N)]),
        "yes": rng.random(N) < 0.5,
        "yes or none": some_missing((rng.random(N) < 0.7).tolist()),
        "day": pl.Series(np.arange(N) % 50).cast(pl.Date),
        "moment": [start + dt.timedelta(hours=float(h)) for h in rng.uniform(0, 1e4, N)],
        "lasted": [dt.timedelta(seconds=float(s)) for s in rng.uniform(0, 1e6, N)],
        "at": some_missing([dt.time(int(h), 30) for h in rng.integers(0, 24, N)]),
        "W_1": rng.normal(size=N),  # as a weight is called
    }
    score = x + (color == "red")
    for name, classes in KINDS.items():
        at = np.digitize(score, [-0.3, 0.8] if len(classes) == 3 else [0.3])
        columns[f"{name} class"] = [classes[i] for i in at]
    columns["quantity"] = 1e7 + 50 * x
    return pl.DataFrame(columns)


TARGETS = [*(f"{name} class" for name in KINDS), "quantity"]


@pytest.fixture(scope="module")
def trained(mixed: pl.DataFrame) -> Callable[[str, str], TableModel]:
    made: dict[tuple[str, str], TableModel] = {}

    def give(target: str, dtype: str = "float32") -> TableModel:
        if (target, dtype) not in made:
            table = mixed.drop([name for name in TARGETS if name != target])
            task: Any = "regress" if target == "quantity" else "classify"
            done = train_table(table, target, task=task, epochs=4, hidden=[8], dtype=dtype)
            made[target, dtype] = done.model
        return made[target, dtype]

    return give


def assert_same_answers(model: TableModel, made: onnx.ModelProto, data: Any) -> None:
    """predict and predict_proba of raw rows, against the outputs of the exported model."""
    feed = table_inputs(model, data)
    outputs = run(made, feed)
    dtype = model.network.dtype
    said = model.predict(data)
    if model.target.task == "regress":
        target = model.target
        (variable,) = outputs
        assert (variable.dtype, variable.shape) == (np.float64, (len(said), 1))
        unscaled = (variable[:, 0] - target.mean) / target.scale
        expected = (said.to_numpy() - target.mean) / target.scale
        # in units of 1e7 even float64 keeps only 1e-9 of the scaled value
        assert_close(unscaled, expected, "float32")
        return
    label, p = outputs
    P = model.predict_proba(data).to_numpy()
    assert p.dtype == dtype
    assert_close(p, P, dtype)
    best = np.sort(P, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-5
    assert clear.any()
    assert label[clear].tolist() == said.filter(pl.Series(clear)).to_list()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", TARGETS)
def test_every_kind_of_column_and_target(
    mixed: pl.DataFrame, trained: Callable[[str, str], TableModel], target: str, dtype: str
) -> None:
    model = trained(target, dtype)
    columns = {c.name: c for c in model.encoder.columns}
    bends = {name for name, c in columns.items() if isinstance(c, NumberColumn) and c.unit}
    assert bends == {"income", "loss"}
    assert isinstance(columns["always 3"], NumberColumn)
    assert columns["always 3"].scale == 0
    assert columns["town"].features[-1] == "town=(other)"
    assert columns["town or none"].features[-2:] == (
        "town or none=(other)",
        "town or none=(missing)",
    )
    made = model.to_onnx()
    assert_same_answers(model, made, mixed)
    few = table_inputs(model, mixed.head(5))
    assert_close(evaluate(made, few)[-1], run(made, few)[-1], "float32")


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("text class", "string"),
        ("whole class", "int64"),
        ("real class", "double"),
        ("flag class", "bool"),
        ("word class", "string"),
        ("small class", "int64"),
    ],
)
def test_labels_have_the_type_of_the_classes(
    trained: Callable[[str], TableModel], target: str, kind: str
) -> None:
    model = trained(target)
    _, (label, p) = signature(model.to_onnx())
    # the table has a column "label"
    assert label == {"name": "label_2", "type": kind, "shape": [None]}
    classes = len(model.target.classes)
    assert p == {"name": "probabilities", "type": "float", "shape": [None, classes]}


def test_a_tie_falls_as_in_predict(mixed: pl.DataFrame) -> None:
    for target in ("word class", "text class"):
        frame = mixed.select("x", target)
        model = train_table(frame, target, epochs=1, hidden=[2]).model
        model.network.theta = np.zeros(model.network.theta.size)
        label, p = run(model.to_onnx(), table_inputs(model, frame))
        assert np.ptp(p) == 0
        assert label.tolist() == model.predict(frame).to_list()


def test_one_input_per_column(trained: Callable[[str], TableModel]) -> None:
    model = trained("text class")
    made = model.to_onnx()
    inputs, _ = signature(made)
    text = model.encoder.text_columns
    assert sorted(one["name"] for one in inputs) == sorted(c.name for c in model.encoder.columns)
    for one in inputs:
        assert one["type"] == ("string" if one["name"] in text else "double")
        assert one["shape"] == [None, 1]
    said = {one.name: one.doc_string for one in made.graph.input}
    assert said["day"] == "days since 1970-01-01; NaN where missing"
    assert said["at"] == "days since midnight; NaN where missing"
    assert said["yes"] == "1 for true, 0 for false; NaN where missing"
    props = {prop.key: prop.value for prop in made.metadata_props}
    assert json.loads(props["feature_names"]) == model.encoder.feature_names
    assert props["target"] == "text class"


def encoded(encoder: TableEncoder, feed: Mapping[str, Any]) -> Any:
    """What the network inside the file gets, by asking for it as an output too."""
    target = TargetColumn().fit(pl.DataFrame({"y": [0.0, 1.0]}), "y", "regress")
    net = dr.Network([encoder.width, 1], rng=0)
    made = to_onnx(TableModel(net, encoder, target))
    shape = ["n", encoder.width]
    made.graph.output.append(
        onnx.helper.make_tensor_value_info("encoded", onnx.TensorProto.DOUBLE, shape)
    )
    return run(made, feed)[1]


@pytest.fixture(scope="module")
def encoder(mixed: pl.DataFrame) -> TableEncoder:
    return TableEncoder().fit(mixed.drop(TARGETS))


def test_the_encoding_is_that_of_the_table(mixed: pl.DataFrame, encoder: TableEncoder) -> None:
    frame = mixed.drop(TARGETS)
    model = TableModel(dr.Network([encoder.width, 1]), encoder, TargetColumn())
    found = encoded(encoder, table_inputs(model, frame))
    np.testing.assert_allclose(found, encoder.transform(frame), rtol=1e-12, atol=1e-15)


NUMBERS = st.one_of(
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-100, 100),
    st.integers(-(2**62), 2**62),
)
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(
        ["red", "green", "blue", "town 2", "t1", "t2", "(other)", "(missing)", *MISSING]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5),
)


@given(data=st.data(), n=st.integers(1, 8))
def test_any_cells(encoder: TableEncoder, data: st.DataObject, n: int) -> None:
    """Numbers as far out as float64 goes, text never seen, tokens of missing values."""
    columns: dict[str, pl.Series] = {}
    for column in encoder.columns:
        if not isinstance(column, NumberColumn):
            cells = data.draw(st.lists(TEXTS, min_size=n, max_size=n))
            columns[column.name] = pl.Series(cells, dtype=pl.String)
        elif column.kind in ("number", "boolean"):
            cells = data.draw(st.lists(NUMBERS, min_size=n, max_size=n))
            columns[column.name] = pl.Series(cells, dtype=pl.Float64, strict=False)
        else:
            days = data.draw(st.lists(st.integers(0, 80_000_000), min_size=n, max_size=n))
            unit = {"date": pl.Date, "time": pl.Time}.get(column.kind)
            dtype = unit or {"datetime": pl.Datetime, "duration": pl.Duration}[column.kind]("us")
            days = [d % 100_000 if column.kind == "date" else d for d in days]
            columns[column.name] = (
                pl.Series(days, dtype=pl.Int64)
                .cast(pl.Int32 if column.kind == "date" else pl.Int64)
                .cast(dtype)
            )
    frame = pl.DataFrame(columns)
    model = TableModel(dr.Network([encoder.width, 1]), encoder, TargetColumn())
    feed = table_inputs(model, frame)
    expected = encoder.transform(read_table(frame))
    np.testing.assert_allclose(encoded(encoder, feed), expected, rtol=1e-12, atol=1e-15)


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    """Small tables of random columns, each with at least one value."""
    n = draw(st.integers(4, 30))
    columns: dict[str, Any] = {}
    for j in range(draw(st.integers(1, 5))):
        whole, text = st.integers(-5, 5), st.sampled_from(["a", "b", "c", "d e", "7"])
        cells = draw(st.sampled_from([st.floats(-1e6, 1e6), whole, text, st.booleans()]))
        first = draw(cells)
        kind = {float: pl.Float64, int: pl.Int64, str: pl.String, bool: pl.Boolean}[type(first)]
        rest = draw(st.lists(cells | st.none(), min_size=n - 1, max_size=n - 1))
        name = draw(st.sampled_from(["", "X", "output", "Concat", "ä b", "a/b:0"]))
        columns[f"{name}{j}"] = pl.Series([first, *rest], dtype=kind)
    return pl.DataFrame(columns)


@given(frame=tables())
def test_any_table(frame: pl.DataFrame) -> None:
    """Any mixture of encodings is put together in the right order."""
    try:
        encoder = TableEncoder(min_count=1).fit(frame)
    except dr.DataError:
        return  # nothing in it to learn from
    model = TableModel(dr.Network([encoder.width, 1]), encoder, TargetColumn())
    found = encoded(encoder, table_inputs(model, frame))
    np.testing.assert_allclose(found, encoder.transform(frame), rtol=1e-12, atol=1e-15)


def test_columns_that_are_called_as_values_inside_are() -> None:
    inside = ["Equal", "LabelEncoder", "Cast", "Concat", "IsNaN", "Gemm", "z_1", "a_1", "encoded"]
    inside += ["W_1", "b_1", "levels", "constant", "label", "probabilities", "variable", "n", "X"]
    cells = np.arange(40) % 3
    frame = pl.DataFrame(
        {
            name: [f"c{i}" for i in np.roll(cells, j)] if j % 2 == 0 else np.roll(cells, j) / 7
            for j, name in enumerate(inside)
        }
        | {"y": cells.astype(str)}
    )
    model = train_table(frame, "y", epochs=2, hidden=[4]).model
    made = model.to_onnx()
    assert {one["name"] for one in signature(made)[0]} == set(inside)
    assert_same_answers(model, made, frame)


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer", "diabetes"])
def test_real_tables_with_missing_and_unknown_cells(name: str, tmp_path: Path) -> None:
    done = train_table(name, "target", epochs=5, hidden=[16])
    model = done.model
    made = model.to_onnx(tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx") == made
    frame = read_table(name)
    assert_same_answers(model, made, frame)
    rng = np.random.default_rng(0)
    holes = frame.with_columns(
        pl.when(pl.Series(rng.random(frame.height) > 0.2)).then(pl.col(column)).alias(column)
        for column in frame.columns
        if column != "target"
    )
    assert_same_answers(model, made, holes)


def test_a_model_read_back_from_its_file(
    mixed: pl.DataFrame, trained: Callable[[str], TableModel], tmp_path: Path
) -> None:
    model = trained("text class")
    model.save(tmp_path / "model.safetensors")
    read = TableModel.load(tmp_path / "model.safetensors")
    assert read.to_onnx() == model.to_onnx()


def test_another_precision_inside(
    mixed: pl.DataFrame, trained: Callable[[str], TableModel]
) -> None:
    model = trained("text class")
    _, p = run(model.to_onnx(dtype="float64"), table_inputs(model, mixed))
    assert p.dtype == np.float64
    assert_close(p, model.predict_proba(mixed).to_numpy(), "float32")


def test_inputs_of_a_table(trained: Callable[[str], TableModel], mixed: pl.DataFrame) -> None:
    model = trained("text class")
    one = mixed.drop(TARGETS).head(1)
    changes = {"x": None, "yes": True, "color": None, "day": dt.date(1970, 1, 3)}
    one = one.with_columns(
        pl.lit(value, dtype=one.schema[name]).alias(name) for name, value in changes.items()
    )
    feed = table_inputs(model, one)
    assert np.isnan(feed["x"]).all()
    assert {name: feed[name].tolist() for name in ("yes", "color", "day")} == {
        "yes": [[1.0]],
        "color": [[""]],
        "day": [[2.0]],
    }
    with pytest.raises(dr.DataError, match="lacks columns that the model was trained on: 'town'"):
        table_inputs(model, mixed.drop("town"))
    with pytest.raises(dr.DataError, match="column 'x', row 1"):
        table_inputs(model, one.with_columns(x=pl.lit("much")))


def test_exporting_by_command(tmp_path: Path, mixed: pl.DataFrame) -> None:
    done = train_table("iris", "target", epochs=3)
    done.model.save(tmp_path / "iris.safetensors")
    words = ["export", str(tmp_path / "iris.safetensors"), "-o", str(tmp_path / "iris.onnx")]
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(app, words, catch_exceptions=False)
    assert shown.exit_code == 0
    assert "input   petal width (cm)   double  (n, 1)" in shown.stdout
    assert "output  label              string  (n,)" in shown.stdout
    shown = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    found = json.loads(shown.stdout)
    assert [one["name"] for one in found["outputs"]] == ["label", "probabilities"]
    assert_same_answers(done.model, onnx.load(found["output"]), "iris")
