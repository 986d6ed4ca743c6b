"""What all commands that explain a network share: how it is named, tables, and the refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import Result

import deltarule as dr
from deltarule.explain.network_file import PUBLISHED
from deltarule.tabular.training import train_table
from support import commands

NET = {
    "network": {"sizes": [2, 2, 1], "activations": ["tanh", "identity"], "loss": "squared_error"},
    "weights": [[[0.1, 0.2], [0.3, -0.4]], [[0.5], [0.6]]],
    "biases": [[0.1, 0.2], [0.3]],
}
#: Each command up to its network.
COMMANDS = {
    "trace": ["trace"],
    "check gradients": ["check", "gradients"],
    "diagnose": ["diagnose"],
    "derive": ["derive", "--weight", "1,2,1", "--numbers"],
}
WITH_TABLES = ["trace", "check gradients", "diagnose"]


@pytest.fixture(autouse=True)
def folder(folder: Path) -> Path:
    """A folder with a network file, a table of numbers and one with text, where each test runs."""
    x = np.random.default_rng(0).normal(size=(40, 2))
    frame = pl.DataFrame({"x": x[:, 0], "z": x[:, 1], "q": 5 + x[:, 0]})
    frame.write_csv("numbers.csv")
    frame.with_columns(c=pl.Series(["u", "v"] * 20)).write_csv("t.csv")
    Path("net.json").write_text(json.dumps(NET))
    return folder


def run(command: str, *arguments: object) -> Result:
    """A command in this process; an error that is not a message fails the test."""
    return commands.run(*COMMANDS[command], *arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_a_network_in_the_same_words(command: str) -> None:
    text = " ".join(run(command, "x", "--help").stdout.replace("│", " ").split())
    assert "model file" in text
    assert "network file (.json," in text
    for name in PUBLISHED:
        assert name in text


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("none.json", "there is no file none.json"),
        ("none.safetensors", "there is no model file none.safetensors"),
        ("mazru", "is one of yehoshua, mazur, gashler; did you mean 'mazur'?"),
        ("numbers.csv", "a network is read from .json, .toml, .yaml or .safetensors"),
    ],
)
def test_one_refusal_for_all(command: str, network: str, message: str) -> None:
    done = run(command, network)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert message in done.stderr


@pytest.mark.parametrize("command", WITH_TABLES)
def test_a_model_of_a_table_takes_raw_rows(command: str) -> None:
    done = train_table("t.csv", "q", hidden=[3], epochs=1)
    done.model.save("m.safetensors")
    odd = pl.read_csv("t.csv").with_columns(more=pl.lit(1))
    odd.write_csv("odd.csv")
    result = run(command, "m.safetensors", "odd.csv", "--json")
    assert result.exit_code == 0, result.stderr
    assert "note: columns that the model does not know: 'more': ignored" in result.stderr
    right = {
        "trace": lambda: dr.trace(done.model, odd).to_dict(),
        "check gradients": lambda: dr.check_gradients(done.model, odd).to_dict(),
        "diagnose": lambda: dr.diagnose(done.model, odd).to_dict() | {"plot": None},
    }
    assert json.loads(result.stdout) == json.loads(json.dumps(right[command]()))


@pytest.mark.parametrize("command", WITH_TABLES)
def test_another_network_takes_columns_as_they_stand(command: str) -> None:
    result = run(command, "net.json", "numbers.csv", "--json")
    assert result.exit_code == 0, result.stderr
    table = pl.read_csv("numbers.csv").to_numpy()
    X, Y = table[:, :2], table[:, 2]
    right = {
        "trace": lambda: dr.trace(NET, X, Y).to_dict(),
        "check gradients": lambda: dr.check_gradients(NET, X, Y).to_dict(),
        "diagnose": lambda: dr.diagnose(NET, X, Y).to_dict() | {"plot": None},
    }
    assert json.loads(result.stdout) == json.loads(json.dumps(right[command]()))


@pytest.mark.parametrize("command", WITH_TABLES)
def test_tables_that_do_not_fit(command: str) -> None:
    pl.DataFrame({"a": [1.0]}).write_csv("short.csv")
    for table, message in (
        ("short.csv", "short.csv has 1 columns: 2 inputs, then targets: 3 in all"),
        ("none.csv", "none.csv: no such file"),
        ("t.csv", "has 4 columns"),
    ):
        assert message in run(command, "net.json", table).stderr


def test_a_table_is_not_overwritten_and_stands_alone() -> None:
    done = run("trace", "net.json", "numbers.csv", "--format", "text", "-o", "numbers.csv")
    assert "--output numbers.csv is the table as well" in done.stderr
    done = run("check gradients", "net.json", "numbers.csv", "--html", "numbers.csv")
    assert "--html numbers.csv is the table as well" in done.stderr
    done = run("trace", "net.json", "numbers.csv", "--x", "1,2")
    assert "--x and --y are samples in place of a table" in done.stderr


def test_what_a_file_says_holds_where_no_option_does() -> None:
    samples = {"inputs": [[1, 0], [0, 2]], "targets": [[1], [0]]}
    Path("net.json").write_text(json.dumps(NET | samples | {"reduction": "sum"}))
    told = json.loads(run("trace", "net.json", "--json").stdout)
    assert told["reduction"] == "sum"
    asked = json.loads(run("trace", "net.json", "--json", "--reduction", "mean").stdout)
    assert asked["reduction"] == "mean"
    done = run("derive", "net.json")
    assert "note: the first of the 2 samples of net.json is taken" in done.stderr
    assert done.stdout == dr.derive(net="net.json", weight=(1, 2, 1)).to_text()
    Path("net.json").write_text(json.dumps(NET | samples | {"l2": 0.5}))
    assert json.loads(run("diagnose", "net.json", "--json").stdout)["l2"] == 0.5
    assert json.loads(run("diagnose", "net.json", "--json", "--l2", 0).stdout)["l2"] == 0
    assert "net.json: l2: it has no part in this" in run("trace", "net.json").stderr
