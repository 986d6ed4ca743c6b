"""The command line: what it prints where, what it writes, and how it refuses."""

from __future__ import annotations

import builtins
import csv
import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.numpy

import deltarule as dr
import deltarule.files
import deltarule.tabular.model
import deltarule.tabular.training
from support.commands import as_json, fails, ok, program, run

CLASSES = ['Smith, "Jo" & sons', "söhne :smile: [bold]", "two\nlines\x1b[31m" + "x" * 100]


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("iris") / "iris.safetensors"
    ok("train", "iris", "--target", "target", "--epochs", 60, "-q", "-o", path)
    return path


def write_mixed(path: Path, n: int = 200) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    frame = pl.DataFrame(
        {
            "x": x,
            "m": [None if i % 9 == 0 else float(v) for i, v in enumerate(rng.normal(size=n))],
            "group": [["a", "b", "c", None][i] for i in rng.integers(0, 4, n)],
            "text": [CLASSES[i] for i in np.digitize(x, [-0.4, 0.6])],
            "whole": np.digitize(x, [-0.4, 0.6]) + 3,
            "flag": x > 0,
            "y": 10 * x + 3,
        }
    )
    (frame.write_parquet if path.suffix == ".parquet" else frame.write_csv)(path)
    return frame


# -- the way through ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "metric", "least"),
    [
        ("digits", "accuracy", 0.97),
        ("iris", "accuracy", 0.8),
        ("breast_cancer", "accuracy", 0.93),
        ("diabetes", "r2", 0.35),
    ],
)
def test_train_evaluate_predict_info_on_known_data(name: str, metric: str, least: float) -> None:
    done = as_json("train", name, "--target", "target")
    assert done["test"][metric] >= least
    other = "loss" if metric == "accuracy" else "rmse"
    for part in ("train", "validation", "test"):
        assert set(done[part]) == {metric, other}
    found = as_json("evaluate", "model.safetensors", name)
    assert set(found) == {"rows", "task", metric, other}
    assert found["rows"] == done["rows"]
    ok("predict", "model.safetensors", name, "-o", "out.csv")
    said, true = pl.read_csv("out.csv")["prediction"], dr.tabular.read_table(name)["target"]
    assert said.len() == done["rows"]
    if metric == "accuracy":
        assert (said.cast(pl.String) == true.cast(pl.String)).mean() == pytest.approx(found[metric])
    else:
        assert ((said - true) ** 2).mean() ** 0.5 == pytest.approx(found["rmse"], rel=1e-5)
    about = as_json("info", "model.safetensors")
    assert about["sizes"][0] == len(about["features"]) == done["features"]
    assert about["target"]["task"] == done["task"] == found["task"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("target", ["text", "whole", "flag", "y"])
def test_mixed_tables(target: str, suffix: str) -> None:
    frame = write_mixed(Path(f"t{suffix}"))
    done = as_json("train", f"t{suffix}", "--target", target, "--epochs", 30, "-o", "m.st")
    assert done["task"] == ("regress" if target == "y" else "classify")
    score = as_json("evaluate", "m.st", f"t{suffix}")
    assert score["r2" if target == "y" else "accuracy"] > 0.9
    arguments = ["m.st", f"t{suffix}", *["--proba"] * (target != "y")]
    text = ok("predict", *arguments).stdout
    table = pl.read_csv(text.encode(), schema_overrides={"prediction": frame[target].dtype})
    assert table.height == frame.height
    if target == "y":
        assert np.abs(table["prediction"] - frame["y"]).mean() < 3
    else:
        assert (table["prediction"] == frame[target]).mean() > 0.9
        names = frame[target].unique().sort().cast(pl.String)
        header = next(csv.reader(io.StringIO(text)))  # Polars leaves quotes in names doubled
        assert header == ["prediction", *(f"P({name})" for name in names)]
    listed = as_json("predict", *arguments)
    assert set(listed) == {"output", "rows", "predictions"}
    assert (listed["output"], listed["rows"]) == (None, frame.height)
    assert [row["prediction"] for row in listed["predictions"]] == table["prediction"].to_list()
    ok("predict", *arguments, "-o", "out.csv")
    assert Path("out.csv").read_bytes().decode() == text


def test_predictions_of_unseen_and_missing_cells_come_with_notes() -> None:
    write_mixed(Path("t.csv"))
    ok("train", "t.csv", "--target", "flag", "--epochs", 5, "-o", "m.st")
    Path("new.csv").write_text(
        'whole,group,text,x,m,y,extra,flag\n3,"new, one",?,0.5,,1,7,maybe\n4,a,,,1,2,8,\n'
    )
    result = ok("predict", "m.st", "new.csv")
    assert result.stdout.splitlines()[0] == "prediction"
    assert set(result.stdout.splitlines()[1:]) <= {"true", "false"}
    assert result.stdout.count("\n") == 3
    notes = result.stderr.splitlines()
    assert all(line.startswith("note: ") for line in notes)
    assert "columns that the model does not know: 'extra': ignored" in notes[0]
    assert "'x': 1 missing values" in notes[1]
    message = fails("predict", "m.st", "iris")
    assert "lacks columns that the model was trained on: 'x', 'm', 'group'" in message
    assert "It has: 'sepal length (cm)'" in message
    assert "target 'flag' is missing in 1 of 2 rows: row 2" in fails("evaluate", "m.st", "new.csv")


def test_what_train_reports_as_json() -> None:
    done = as_json("train", "iris", "--target", "target", "--epochs", 3, "--plot", "a.svg", "-q")
    assert list(done) == [
        *("model", "task", "rows", "features", "network", "train", "validation", "test"),
        *("epochs", "best_epoch", "stopped", "seconds", "plot", "notes"),
    ]
    assert done["model"] == "model.safetensors"
    assert (done["task"], done["rows"], done["features"], done["epochs"]) == ("classify", 150, 4, 3)
    assert (done["stopped"], done["plot"], done["notes"]) == ("epochs", "a.svg", [])
    assert done["network"].startswith("Network(4-64-64-3, relu, relu, softmax, cross_entropy")
    assert Path("a.svg").read_text().startswith("<?xml")
    no_test = as_json("train", "iris", "--target", "target", "--epochs", 2, "--test", 0)
    assert "test" not in no_test


def test_json_has_the_keys_that_the_page_lists(iris: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "guide" / "tables.md").read_text(encoding="utf-8")
    listed = {row[1]: set(row[2:]) for row in map(_names, page.splitlines()) if row[:1] == ["|"]}
    scores = {"accuracy", "loss"}
    found = {
        "train": set(as_json("train", "iris", "--target", "target", "--epochs", 1)),
        "predict": set(as_json("predict", iris, "iris")) | {"prediction", "--proba", "P(class)"},
        "evaluate": set(as_json("evaluate", iris, "iris")) - scores,
        "info": set(as_json("info", iris)),
    }
    for command, keys in found.items():
        assert listed[command] == keys


def _names(line: str) -> list[str]:
    """What a line of a page shows as code, after a bar if it is a row of a table."""
    return ["|"] * line.startswith("| `") + re.findall(r"`([^`]+)`", line)


def test_json_knows_no_nan(monkeypatch: pytest.MonkeyPatch, iris: Path) -> None:
    monkeypatch.setattr(deltarule.tabular.model, "metrics", lambda *_: {"accuracy": float("nan")})
    assert as_json("evaluate", iris, "iris")["accuracy"] is None


def test_a_bare_network_is_shown_and_not_asked(iris: Path) -> None:
    dr.Network([2, 3, 1], rng=0).save("net.st")
    result = ok("info", "net.st")
    assert "2 -> 3" in result.stdout
    assert result.stdout.endswith("a bare network: no table encoding\n")
    about = as_json("info", "net.st")
    assert (about["sizes"], about["target"], about["features"]) == ([2, 3, 1], None, None)
    assert "holds a bare network" in fails("predict", "net.st", "iris")
    assert "holds a bare network" in fails("evaluate", "net.st", "iris")


def test_the_same_command_prints_the_same_predictions() -> None:
    for name in ("a.st", "b.st"):
        ok("train", "wine", "--target", "target", "--epochs", 5, "--seed", 7, "-q", "-o", name)
    said = [ok("predict", name, "wine", "--proba").stdout for name in ("a.st", "b.st")]
    assert said[0] == said[1]


# -- what it looks like -------------------------------------------------------------------------


def test_the_report_of_a_training() -> None:
    shown = ok("train", "iris", "--target", "target", "--epochs", 1, "-q").stdout
    lines = [line.rstrip() for line in shown.splitlines()]
    assert lines[0] == "predicts 'target' (classify: one of 3 classes)"
    assert lines[1].startswith("Network(4-64-64-3")
    assert lines[2].startswith("1 epoch, best 1 (epochs) in ")
    assert lines[4].split() == ["rows", "accuracy", "loss"]
    assert [line.split()[:2] for line in lines[5:8]] == [
        ["training", "105"],
        ["validation", "15"],
        ["test", "30"],
    ]
    assert "confusions: " in lines[9]
    assert lines[9].endswith(" of 30 test rows")
    assert lines[-1] == "model            model.safetensors"
    layers = lines.index("gradient norm per layer (first batch of an epoch)")
    assert lines[layers + 1].split() == ["layer", "epoch", "1"]
    assert [line.split()[0] for line in lines[layers + 2 : layers + 5]] == ["1", "2", "3"]


def test_long_and_odd_class_names_keep_the_layout() -> None:
    write_mixed(Path("t.csv"))
    for arguments in (
        ["train", "t.csv", "--target", "text", "--epochs", 1, "-q"],
        ["info", "model.safetensors"],
    ):
        shown = ok(*arguments).stdout
        assert max(map(len, shown.splitlines())) <= 84
        assert "\x1b" not in shown
        assert "two\\nlines\\x1b" in shown
        assert ":smile: [bold]" in shown
        assert "\N{HORIZONTAL ELLIPSIS}" in shown


def test_many_classes_and_columns_are_cut_short() -> None:
    rng = np.random.default_rng(0)
    letters = [f"letter {i % 40:02}" for i in range(400)]
    pl.DataFrame({"a": rng.normal(size=400), "b": letters, "c": letters}).write_csv("t.csv")
    shown = ok("train", "t.csv", "--target", "c", "--epochs", 1, "-q").stdout
    assert " more pairs (" in shown
    shown = ok("info", "model.safetensors").stdout
    assert max(map(len, shown.splitlines())) <= 80
    words = " ".join(shown.split())
    assert words.count("letter 19 and 20 more") == 2
    assert "letter 20" not in words


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "info"])
def test_help_fits_and_its_examples_are_commands(command: str) -> None:
    shown = ok(command, "--help").stdout
    assert max(map(len, shown.splitlines())) <= 80
    examples = [line.split() for line in shown.splitlines() if line.startswith(" deltarule ")]
    examples += [
        line.split()[1:] for line in shown.splitlines() if line.startswith(" Example: deltarule ")
    ]
    assert examples
    for words in examples:
        assert words[:2] == ["deltarule", command]
        options = {word for word in words if word.startswith("--")}
        assert all(option in shown for option in options)


def test_version_and_no_arguments() -> None:
    assert ok("--version").stdout == f"{dr.__version__}\n"
    result = run()
    assert result.exit_code == 2
    assert "Usage: deltarule" in result.output
    assert "Did you mean 'evaluate'?" in run("evaluat").output
    assert run("train", "iris").exit_code == 2


# -- bad tables ---------------------------------------------------------------------------------

ROWS = "".join(f"{i * 7 % 10}.5,{'ab'[i % 2]},{i % 2}\n" for i in range(30))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,g,y\n" + ROWS + "inf,a,1\n", r"column 'x', row 31 \(line 32 .*: inf is not a finite"),
        (
            "x,g,y\n" + ROWS + "1,a,nan\n",
            r"'y' is missing in 1 of 31 rows: row 31 \(line 32",
        ),
        ("x,g,y\n" + ROWS + "1,a,\n", r"'y' is missing in 1 of 31 rows: row 31 \(line 32"),
        ("x,g,y\n" + ROWS + "1,a,-inf\n", r"column 'y', row 31 \(line 32 .*: -inf is not a finite"),
        ("", "t.csv: the file is empty"),
        ("\n\n", "t.csv: the file is empty"),
        ("x,g,y\n", "t.csv: a header but no rows"),
        ("x,g,y\n1,a,0\n", "the table has 1 row: at least 2 are needed"),
        ("x,g,y\n1,a,0\n2,a,0.5\n", "a table of 2 rows is too small to split"),
        (
            "x,g,z,y\n" + ROWS.replace(",a,", ",a,,").replace(",b,", ",b,,"),
            "'z' holds no value: all",
        ),
        ("x,g,y\n" + ROWS + "1,a,2\n", r"class 2 has a single sample, row 31 \(line 32"),
        ("x,g,y\n" + ROWS.replace(",1\n", ",0\n"), "target 'y' has one class only, 0"),
        ("x,g,why\n" + ROWS, r"lacks the target column: 'y'\. .*It has: 'x', 'g', 'why'"),
        (
            "x,g,Y\n" + ROWS,
            r"column: 'y'\. Did you mean 'Y'\? It has: 'x', 'g', 'Y'",
        ),
        ("x,g,y\n" + ROWS + "1,a\n", "t.csv, line 32: 2 fields, but the header has 3"),
        ("x,g,y\n" + ROWS + '1,"a,1\n', "t.csv, line 32: .*is a quote left open"),
        ("x,x,y\n" + ROWS, "t.csv, line 1: duplicated column names: 'x'"),
        ("y\n" + "1\n0\n" * 9, "no column besides the target 'y'"),
        (b"x,g,y\n1,\xe4,0\n", r"t.csv, line 2: not UTF-8 text \(byte 0xe4 at position 8\)"),
        ("x,g,y\n1,a,0\n".encode("utf-16"), "not UTF-8 text .*UTF-16"),
        (b"PK\x03\x04zip", "a zip or Excel file, not CSV"),
    ],
)
def test_bad_tables_are_refused(content: str | bytes, message: str) -> None:
    Path("t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(fails("train", "t.csv", "--target", "y"))


def test_odd_tables_that_are_fine() -> None:
    Path("t.csv").write_text("x,same,y\n" + ROWS.replace(",a,", ",k,").replace(",b,", ",k,"))
    result = ok("train", "t.csv", "--target", "y", "--epochs", 2, "-q")
    assert result.stderr == ""
    Path("n.csv").write_text("x,g,y\n" + ROWS + "nan,a,1\n" * 5)
    ok("train", "n.csv", "--target", "y", "--epochs", 2, "-q")
    assert "x missing" in as_json("info", "model.safetensors")["features"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("irs", "irs: no such file. Did you mean 'iris'?"),
        ("t.xlsx", "t.xlsx: unknown kind of file '.xlsx'"),
        (".", ".: a folder; name one CSV or Parquet file in it"),
        ("no.parquet", "no.parquet: not a readable Parquet file"),
    ],
)
def test_what_is_no_table(data: str, message: str) -> None:
    Path("t.xlsx").touch()
    Path("no.parquet").write_text("no")
    assert fails("train", data, "--target", "y").startswith(message)


# -- bad options --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--activation", "rellu"], "unknown activation 'rellu'. Did you mean 'relu'?"),
        (["--optimizer", "adm"], "unknown optimizer 'adm'. Did you mean 'adam'?"),
        (["--schedule", "cosin"], "unknown schedule 'cosin'. Did you mean 'cosine'?"),
        (["--target", "targt"], "target column: 'targt'. Did you mean 'target'?"),
        (["--epochs", 0], "epochs must be a whole number >= 1, got 0"),
        (["--patience", 0], "patience must be a whole number >= 1, got 0"),
        (["--test", 1.5], "test=1.5 and validation=0.1 are shares of the rows"),
        (["--test", -0.1], "test=-0.1 and validation=0.1 are shares of the rows"),
        (["--test", 0.5, "--validation", 0.5], "both together less than 1"),
        (["--hidden", 0], "layer 1 must have a whole number of units >= 1, got 0"),
        (["--hidden", "64,-1"], "layer 2 must have a whole number of units >= 1, got -1"),
        (["--hidden", "64,x"], "--hidden '64,x': whole numbers separated by commas"),
        (["--hidden", "64,,8"], "--hidden '64,,8': whole numbers separated by commas"),
        (["--hidden", "9000000,9000000"], "not enough memory ("),
        (["--l2", -1], "l2 must be a finite number >= 0, got -1.0"),
        (["--batch-size", 0], "batch_size must be a whole number >= 1, got 0"),
        (["--batch-size", "abc"], "--batch-size 'abc': a whole number or 'full' is needed"),
        (["--learning-rate", 0], "learning_rate must be a finite number > 0, got 0.0"),
        (["--learning-rate", -1], "learning_rate must be a finite number > 0, got -1.0"),
        (["--learning-rate", "nan"], "learning_rate must be a finite number > 0, got nan"),
        (["--dropout", 1], "dropout must be a number in [0, 1), got 1.0"),
        (["--seed", -1], "seed must be a whole number >= 0, got -1"),
        (["--task", "regress"], "target to regress on: column 'target', row 1"),
        (["--optimizer", "lbfgs", "--dropout", 0.5], "no dropout with it"),
    ],
)
def test_bad_options_are_refused(options: list[object], message: str) -> None:
    assert message in fails("train", "iris", "--target", "target", "-q", *options)


def test_divergence_is_told() -> None:
    message = fails(
        *("train", "iris", "--target", "target", "-q", "--optimizer", "sgd"),
        *("--learning-rate", 1e30, "--l2", 0),
    )
    assert "epoch 1" in message
    assert "layer" in message


# -- files that cannot be written or read -------------------------------------------------------


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever trains here has not looked first."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("trained before the outputs were checked")

    monkeypatch.setattr(deltarule.tabular.training, "train_table", refuse)


def refuse_writing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def opens(path: Any, mode: str = "r", *rest: Any) -> Any:
        if "x" in mode or "w" in mode:
            raise OSError(number, os.strerror(number))
        return builtins.open(path, mode, *rest)

    monkeypatch.setattr(deltarule.files, "open", opens, raising=False)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("option", ["-o", "--plot"])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no/such/a.png", "cannot write no/such/a.png: the folder no/such does not exist; nothing"),
        ("folder.png", "cannot write folder.png: it is a folder"),
        ("/dev/null.png/a.png", "cannot write /dev/null.png/a.png: the folder"),
    ],
)
def test_outputs_are_checked_before_training(option: str, path: str, message: str) -> None:
    Path("folder.png").mkdir()
    assert fails("train", "iris", "--target", "target", option, path).startswith(message)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_read_only_folders(monkeypatch: pytest.MonkeyPatch, iris: Path, number: int) -> None:
    refuse_writing(monkeypatch, number)
    message = f"cannot write {{}}: {os.strerror(number)}; nothing was written"
    said = fails("train", "iris", "--target", "target")
    assert said == message.format("model.safetensors")
    assert fails("predict", iris, "iris", "-o", "o.csv") == message.format("o.csv")


@pytest.mark.usefixtures("no_training")
def test_plots_that_cannot_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.xyz", "a"):
        said = fails("train", "iris", "--target", "target", "--plot", name)
        assert said.startswith(f"--plot {name}: the name must end in .png, .svg, .pdf")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said = fails("train", "iris", "--target", "target", "--plot", "a.png")
    assert said == "--plot needs matplotlib: pip install 'deltarule[plot]'"


@pytest.mark.usefixtures("no_training")
def test_nothing_is_written_over_what_is_read(iris: Path) -> None:
    write_mixed(Path("t.csv"))
    Path("link.csv").symlink_to("t.csv")
    for name in ("t.csv", "link.csv", "./t.csv"):
        said = fails("train", "t.csv", "--target", "flag", "-o", name)
        assert "is the table as well: it would be overwritten" in said
    said = fails("train", "iris", "--target", "target", "-o", "a.png", "--plot", "a.png")
    assert "--plot a.png is --output as well" in said
    Path("m.st").write_bytes(iris.read_bytes())
    assert "is the model as well" in fails("predict", "m.st", "iris", "-o", "m.st")
    assert "is the table as well" in fails("predict", "m.st", "t.csv", "-o", "t.csv")


def test_a_full_disk_leaves_the_old_model(monkeypatch: pytest.MonkeyPatch, iris: Path) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Path("model.safetensors").write_bytes(b"the old one")
    monkeypatch.setattr(os, "fsync", full)
    said = fails("train", "iris", "--target", "target", "--epochs", 1, "-q")
    assert said == "cannot write model.safetensors: No space left on device; nothing was written"
    said = fails("predict", iris, "iris", "-o", "out.csv")
    assert said == "cannot write out.csv: No space left on device; nothing was written"


def damage(name: str, good: bytes) -> bytes:
    tensors = {"W_1": np.zeros((1, 1))}
    huge = json.dumps({"W_1": {"dtype": "F64", "shape": [2**40], "data_offsets": [0, 2**43]}})
    return {
        "half": good[: len(good) // 2],
        "empty": b"",
        "text": b"x,y\n1,2\n" * 100,
        "zeros": bytes(5000),
        "long header": b"\xff" * 8 + good[8:],
        "huge tensor": len(huge).to_bytes(8, "little") + huge.encode(),
        "other": safetensors.numpy.save(tensors),
        "newer": safetensors.numpy.save(tensors, {"format": "deltarule", "format_version": "9"}),
    }[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("half", "is not a deltarule model, or is damaged"),
        ("empty", "is not a deltarule model, or is damaged"),
        ("text", "is not a deltarule model, or is damaged"),
        ("zeros", "is not a deltarule model, or is damaged"),
        ("long header", "is not a deltarule model, or is damaged"),
        ("huge tensor", "is not a deltarule model, or is damaged"),
        ("other", "is a safetensors file, but not a deltarule model"),
        ("newer", "has format version '9'"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "evaluate", "info"])
def test_files_that_are_no_models(iris: Path, command: str, name: str, message: str) -> None:
    Path("m.st").write_bytes(damage(name, iris.read_bytes()))
    said = fails(command, "m.st", *["iris"] * (command != "info"))
    assert said.startswith("m.st ")
    assert message in said


def test_models_that_are_not_there() -> None:
    assert fails("info", "m.st") == "there is no model file m.st"
    assert fails("predict", ".", "iris") == ". is a folder, not a model file"


# -- as a program -------------------------------------------------------------------------------


def test_stdout_carries_data_and_stderr_messages() -> None:
    write_mixed(Path("t.csv"))  # a file, since a data set's name costs an import of scikit-learn
    done = program("train", "t.csv", "--target", "flag", "--epochs", 5, "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["epochs"] == 5
    done = program("train", "t.csv", "--target", "flag", "--epochs", 5)
    assert b"epoch 5/5" in done.stderr
    assert b"epoch 5/5" not in done.stdout
    assert b"\x1b" not in done.stdout + done.stderr
    done = program("predict", "model.safetensors", "t.csv", "-o", "out.csv")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr == b"200 predictions in out.csv\n"
    done = program("predict", "model.safetensors", "t.csv")
    assert (done.returncode, done.stdout) == (0, Path("out.csv").read_bytes())
    done = program("predict", "model.safetensors", "no.csv")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"error: no.csv: no such file")
    assert b"Traceback" not in done.stderr


def test_color_only_where_it_is_wanted() -> None:
    forced = program("info", "no.st", env={"NO_COLOR": "", "FORCE_COLOR": "1"})
    assert b"\x1b[31m" in forced.stderr
    refused = program("info", "no.st", env={"NO_COLOR": "1", "FORCE_COLOR": "1"})
    assert b"\x1b[31m" not in refused.stderr


def test_a_terminal_that_cannot_show_a_name() -> None:
    write_mixed(Path("t.csv"))
    narrow = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = program("train", "t.csv", "--target", "text", "--epochs", 2, "-q", env=narrow)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"s\xf6hne" in program("info", "model.safetensors", env=narrow).stdout
    done = program("predict", "model.safetensors", "t.csv", env=narrow)
    assert "söhne" in done.stdout.decode()


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise there")
def test_a_reader_that_goes_away_is_no_error(iris: Path) -> None:
    dr.tabular.read_table("iris").write_csv("iris.csv")
    # the first prints less than a pipe holds, the second more
    for arguments in ("predict {0} iris.csv", "predict {0} iris.csv --proba --json", "info {0}"):
        command = f"{sys.executable} -m deltarule.cli {arguments.format(iris)} | true"
        done = subprocess.run(command, shell=True, capture_output=True, timeout=300, check=True)
        assert (done.stdout, done.stderr) == (b"", b"")
    many = pl.concat([dr.tabular.read_table("iris")] * 200)
    many.write_parquet("many.parquet")
    command = f"{sys.executable} -m deltarule.cli predict {iris} many.parquet --proba | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, timeout=300, check=True)
    assert done.stdout == b"prediction,P(setosa),P(versicolor),P(virginica)\n"
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    "command", ["predict {} iris.csv", "predict {} iris.csv --json", "info {}"]
)
def test_a_full_disk_behind_stdout(iris: Path, command: str) -> None:
    dr.tabular.read_table("iris").write_csv("iris.csv")
    words = command.format(iris).split()
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "deltarule.cli", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=300,
        )
    assert done.returncode == 1
    assert done.stderr == b"error: cannot write to stdout: No space left on device\n"


AT_AN_EPOCH = """
import os, signal, sys
from deltarule.cli import app
from deltarule.training.loop import Loop
kept = Loop.{method}
def act(self, *rest):
    if len(self.history) == {epochs}:
        {act}
    return kept(self, *rest)
Loop.{method} = act
app(sys.argv[1:])
"""


def interrupted(method: str, epochs: int, *more: str) -> subprocess.CompletedProcess[bytes]:
    """Train with a Ctrl-C when so many epochs are recorded."""
    press = "os.kill(os.getpid(), signal.SIGINT)"
    code = AT_AN_EPOCH.format(method=method, epochs=epochs, act=press)
    words = ["train", "iris", "--target", "target", "--epochs", "100000", *more]
    words += ["--patience", "100000"]
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *words], capture_output=True, timeout=300
    )


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to send there")
def test_ctrl_c_writes_the_best_so_far() -> None:
    done = interrupted("end_epoch", 20, "--json", "--plot", "a.png")
    assert done.returncode == 0
    assert done.stderr == b"note: interrupted: model.safetensors holds the best parameters so far\n"
    found = json.loads(done.stdout)
    assert (found["stopped"], found["epochs"]) == ("interrupted", 21)
    scores = as_json("evaluate", "model.safetensors", "iris")
    assert scores["accuracy"] > 0.5
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to send there")
def test_ctrl_c_before_anything_was_learned_writes_nothing() -> None:
    done = interrupted("steps", 0, "-q")
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr == b"error: interrupted before the first epoch ended: nothing was written\n"
    assert list(Path().iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to send there")
def test_ctrl_c_from_outside(spawn: Any) -> None:
    tell = "print('under way', file=sys.stderr, flush=True)"
    code = AT_AN_EPOCH.format(method="end_epoch", epochs=20, act=tell)
    words = ["train", "digits", "--target", "target", "-q"]
    words += ["--epochs", "1000000", "--patience", "1000000"]
    process = spawn([sys.executable, "-W", "error", "-c", code, *words])
    assert process.stderr.readline() == "under way\n"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert stderr == "note: interrupted: model.safetensors holds the best parameters so far\n"
    assert "(interrupted)" in stdout
    assert as_json("evaluate", "model.safetensors", "digits")["accuracy"] > 0.8


def test_the_installed_script() -> None:
    script = Path(sys.executable).with_name("deltarule")
    done = subprocess.run([script, "--version"], capture_output=True, timeout=300, check=True)
    assert done.stdout.decode().strip() == dr.__version__
