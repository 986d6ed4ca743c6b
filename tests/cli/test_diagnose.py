"""`deltarule diagnose`: what it reads, prints and writes, its exit code, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import deltarule as dr
from deltarule.tabular.training import train_table
from support.commands import as_json, fails, ok, run

SMALL = {
    "network": {"sizes": [2, 2, 1], "activations": ["tanh", "identity"], "loss": "squared_error"},
    "weights": [[[0.1, 0.2], [0.3, -0.4]], [[0.5], [0.6]]],
}


@pytest.fixture(autouse=True)
def folder(folder: Path) -> Path:
    """A folder with a table and a network file, where each test runs."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    frame = pl.DataFrame({"x": x[:, 0], "z": x[:, 1], "q": 5 + x[:, 0]})
    frame.write_csv("numbers.csv")
    kind = pl.Series("y", [["no", "yes"][int(v > 0)] for v in x[:, 0]])
    frame.with_columns(kind).write_csv("t.csv")
    Path("net.json").write_text(json.dumps(SMALL))
    return folder


@pytest.mark.parametrize("target", ["y", "q"])
def test_a_trained_model_and_its_table(target: str) -> None:
    done = train_table("t.csv", target, hidden=(6,), epochs=2)
    done.model.save("m.safetensors")
    found = as_json("diagnose", "m.safetensors", "t.csv", "--l2", "0.01", "--no-advice")
    frame = pl.read_csv("t.csv")
    X = done.model.encoder.transform(frame.drop(target), dtype=np.float32)
    Y = done.model.target.transform(frame, dtype=np.float32)
    right = dr.diagnose(done.model.network, X, Y, l2=0.01, try_advice=False).to_dict()
    assert found == right | {"plot": None}
    text = ok("diagnose", "m.safetensors", "t.csv").stdout
    assert "rms delta" in text
    assert "120 rows" in text


def test_a_network_file_with_and_without_a_table() -> None:
    text = ok("diagnose", "yehoshua").stdout
    assert text == dr.diagnose("yehoshua").to_text()
    values = pl.read_csv("numbers.csv").to_numpy()
    found = as_json("diagnose", "net.json", "numbers.csv", "--rows", 50, "--seed", 3)
    right = dr.diagnose("net.json", values[:, :2], values[:, 2], rows=50, rng=3)
    assert found == right.to_dict() | {"plot": None}
    assert found["rows"] == 50
    assert as_json("diagnose", "net.json", "numbers.csv", "--rows", 0)["rows"] == 120


def test_a_bare_network_takes_columns_as_they_stand() -> None:
    net = dr.Network([2, 3, 2], "tanh", "cross_entropy", rng=0)
    net.save("bare.safetensors")
    labels = pl.DataFrame({"a": [0.5, 1.0], "b": [1.0, 2.0], "class": [0, 1]})
    labels.write_csv("labels.csv")
    found = as_json("diagnose", "bare.safetensors", "labels.csv")
    right = dr.diagnose(net, labels.to_numpy()[:, :2], [0, 1]).to_dict()
    assert found["layers"] == right["layers"]
    message = fails("diagnose", "bare.safetensors", "t.csv", "--no-advice", "--rows", 9)
    assert "Y holds 'no'" in message or "Y holds 'yes'" in message
    pl.DataFrame({"a": [1.0], "b": [2.0]}).write_csv("short.csv")
    assert "has 2 columns: 2 inputs, then targets: 3 or 4 in all" in fails(
        "diagnose", "bare.safetensors", "short.csv"
    )


def test_advice_is_tried_unless_it_is_not_wanted() -> None:
    net = dr.Network([2] + [4] * 20 + [1], "sigmoid", rng=0)
    net.save("deep.safetensors")
    tried = ok("diagnose", "deep.safetensors", "numbers.csv").stdout
    assert "tried on copies (120 rows" in tried
    assert "12 of 21 layers" in tried or "13 of 21 layers" in tried
    quick = ok("diagnose", "deep.safetensors", "numbers.csv", "--no-advice", "--all-layers").stdout
    assert "tried on copies" not in quick
    assert "of 21 layers:" not in quick
    assert "The gradient vanishes" in quick


def test_a_picture(folder: Path) -> None:
    result = ok("diagnose", "mazur", "--plot", "layers.svg")
    assert "picture in layers.svg" in result.stderr
    assert (folder / "layers.svg").stat().st_size > 1000
    assert as_json("diagnose", "mazur", "--plot", "b.png")["plot"] == "b.png"


def test_numbers_that_are_not_finite_are_exit_code_1() -> None:
    huge = SMALL | {"weights": [[[1e200, 0], [0, 1]], [[1e200], [1]]]}
    huge["network"] = huge["network"] | {"activations": ["identity", "identity"]}
    Path("huge.json").write_text(json.dumps(huge))
    result = run("diagnose", "huge.json", "numbers.csv", "--no-advice")
    assert result.exit_code == 1
    assert "The first number that is not finite is z[0, 0] of layer 2" in result.stdout
    value = json.loads(run("diagnose", "huge.json", "numbers.csv", "--json", "--no-advice").stdout)
    assert value["finite"] is False
    assert value["non_finite"][0]["quantity"] == "z"


def test_refusals() -> None:
    assert "has no inputs and targets: give a table" in fails("diagnose", "net.json")
    dr.Network([2, 1], rng=0).save("m.safetensors")
    assert "a table is needed" in fails("diagnose", "m.safetensors")
    assert "there is no file none.json" in fails("diagnose", "none.json")
    assert "none.csv" in fails("diagnose", "net.json", "none.csv")
    assert "l2 must be a finite number >= 0" in fails("diagnose", "mazur", "--l2", "-1")
    assert "must end in .png" in fails("diagnose", "mazur", "--plot", "a.txt")
    assert "overwritten" in fails("diagnose", "net.json", "numbers.csv", "--plot", "numbers.csv")


def test_what_is_unusual_in_the_table_is_noted() -> None:
    train_table("t.csv", "q", hidden=(6,), epochs=1).model.save("m.safetensors")
    frame = pl.read_csv("t.csv")
    frame.with_columns(pl.lit("perhaps").alias("y")).write_csv("other.csv")
    result = ok("diagnose", "m.safetensors", "other.csv", "--no-advice")
    assert "note: column 'y': 120 values not seen in training" in result.stderr
