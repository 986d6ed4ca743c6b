"""`deltarule tune` and `deltarule learning-curve`: what they print where, and how they refuse."""

from __future__ import annotations

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

import deltarule.tuning.result
from deltarule.tabular.model import TableModel
from deltarule.tabular.training import train_table
from deltarule.tuning import Importance
from support.commands import IN_A_TERMINAL_OF_80, as_json, command_line, fails, ok, run

TUNE = ["tune", "t.csv", "--target", "y", "--epochs", 3]
CURVE = ["learning-curve", "t.csv", "--target", "y", "--epochs", 3, "--folds", 3]


@pytest.fixture(autouse=True)
def folder(folder: Path) -> Path:
    """A folder with a table, where each test runs."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    frame = pl.DataFrame(
        {
            "x": x,
            "z": rng.normal(size=120),
            "y": [["no", "yes"][int(v > 0)] for v in x],
            "q": 5 + x,
        }
    )
    frame.write_csv("t.csv")
    return folder


# -- tune ---------------------------------------------------------------------------------------


def test_one_trial_is_no_trials() -> None:
    assert "\n1 trial (random search, " in ok(*TUNE, "--trials", 1).stdout


def test_the_report_and_the_model() -> None:
    result = ok(*TUNE, "--trials", 7, "--study", "s.jsonl", "--plot", "p.svg", "-o", "m.st")
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert lines[0] == "predicts 'y' (classify: one of 2 classes)"
    assert lines[1].startswith("7 trials (random search, accuracy on 5 folds, stopped: trials) in ")
    assert lines[3].split() == ["trial", "accuracy", "epochs", "seconds", "parameters"]
    ranks = [line.split() for line in lines[4 : lines.index("on 24 test rows")]]
    scores = [float(row[1]) for row in ranks if len(row) > 5 and row[0].isdigit()]
    assert 5 <= len(scores) <= 6
    assert scores == sorted(scores, reverse=True)
    assert any(row[:1] == ["1"] and "64-64" in row for row in ranks)
    at = lines.index("on 24 test rows")
    assert lines[at + 1].split() == ["accuracy", "loss"]
    assert [line.split()[0] for line in lines[at + 2 : at + 4]] == ["best", "defaults"]
    assert lines[-3:] == ["model  m.st", "study  s.jsonl", "plot   p.svg"]
    assert max(map(len, lines)) <= 80
    told = result.stderr.splitlines()
    assert [line.split()[:2] for line in told] == [["trial", str(n)] for n in range(1, 8)]
    assert "\x1b" not in result.stdout + result.stderr
    assert Path("p.svg").read_text().startswith("<?xml")
    best = TableModel.load("m.st").evaluate(pl.read_csv("t.csv"))
    assert ok("evaluate", "m.st", "t.csv").stdout.split()[-2] == f"{best['accuracy']:.4f}"
    assert len(Path("s.jsonl").read_text().splitlines()) == 8


def test_quiet_is_quiet_and_the_same_again_is_the_same() -> None:
    first = ok(*TUNE, "--trials", 3, "-q", "--study", "s.jsonl", "-o", "a.st")
    assert first.stderr == ""
    again = ok(*TUNE, "--trials", 3, "--study", "s.jsonl", "-o", "b.st")
    assert again.stderr == "going on after 3 finished trainings of s.jsonl\n"
    assert Path("a.st").read_bytes() == Path("b.st").read_bytes()


def test_what_is_reported_as_json() -> None:
    done = as_json(*TUNE, "--trials", 4, "--search", "halving", "--folds", 1, "--seed", 2)
    assert (done["model"], done["study"], done["plot"]) == ("model.safetensors", None, None)
    assert (done["task"], done["search"], done["folds"]) == ("classify", "halving", 1)
    assert (done["scoring"], done["stopped"], done["resumed"]) == ("accuracy", "trials", 0)
    assert done["trials"][0]["number"] == 1
    assert done["best"] in done["trials"]
    assert done["best"]["score"] == max(trial["score"] for trial in done["trials"])
    assert set(done["test"]) == set(done["defaults"]["test"]) == {"accuracy", "loss"}
    assert (done["importance"], done["importance_r2"], done["notes"]) == (None, None, [])
    plain = train_table("t.csv", "y", epochs=3, seed=2)
    assert done["defaults"] == plain.scores


def test_json_has_the_keys_that_the_page_lists() -> None:
    page = (Path(__file__).parents[2] / "docs" / "guide" / "tuning.md").read_text(encoding="utf-8")
    rows = [re.findall(r"`([^`]+)`", line) for line in page.splitlines() if line[:3] == "| `"]
    listed = {row[0]: set(row[1:]) for row in rows}
    done = as_json(*TUNE, "--trials", 1)
    assert listed["tune"] == set(done)
    assert listed["a trial"] == set(done["best"])
    assert listed["learning-curve"] == set(as_json(*CURVE))


def test_options_reach_the_search() -> None:
    arguments = ["tune", "t.csv", "--target", "q", "--trials", 2, "--test", 0.4]
    arguments += ["--validation", 0.3, "--scoring", "neg_mean_absolute_error", "--epochs", 2]
    done = as_json(*arguments, "--task", "regress", "--study", "s.jsonl")
    header = json.loads(Path("s.jsonl").read_text().splitlines()[0])
    assert header["scoring"] == done["scoring"] == "neg_mean_absolute_error"
    assert (header["test"], header["validation"], header["epochs"]) == (0.4, 0.3, 2)
    assert header["task"] == done["task"] == "regress"
    assert set(done["test"]) == {"r2", "rmse", "neg_mean_absolute_error"}


@pytest.mark.usefixtures("slow_clock")
def test_the_time_budget_reaches_the_search() -> None:
    done = as_json(*TUNE, "--time-budget", 60)
    assert done["stopped"] == "time budget"
    assert 55 < done["seconds"] < 65


def test_a_model_that_is_not_better_says_so() -> None:
    shown = ok("tune", "t.csv", "--target", "y", "--trials", 1, "--epochs", 2, "-q").stdout
    assert "no trial was better than the defaults (trial 1)" in shown


def test_what_mattered_is_said_if_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "what mattered" not in ok(*TUNE, "--trials", 2, "-q").stdout
    shares = {"learning_rate": 0.704, "width": 0.256, "l2": 0.04}
    found = Importance(r2=0.425, trials=59, shares=shares)
    monkeypatch.setattr(deltarule.tuning.result, "measure", lambda trials: found)
    assert (
        "what mattered: learning_rate 70%, width 26% (of what a forest explains over 59 trials; "
        "its R^2 on unseen trials is 0.42)\n"
    ) in ok(*TUNE, "--trials", 2, "-q").stdout
    done = as_json(*TUNE, "--trials", 2)
    assert (done["importance"], done["importance_r2"]) == (shares, 0.425)


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to send there")
def test_ctrl_c_writes_the_best_so_far_and_the_study_goes_on(spawn: Any) -> None:
    arguments = ["tune", "t.csv", "--target", "y", "--folds", 1, "--study", "s.jsonl"]
    process = spawn(command_line(*arguments, "--trials", 100_000, "--epochs", 3))
    for line in process.stderr:
        if line.startswith("trial   4"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "stopped: interrupted" in out
    assert "note: interrupted: model.safetensors holds the best model so far" in err
    ended = len(Path("s.jsonl").read_text().splitlines()) - 1
    assert ended >= 4
    model = Path("model.safetensors").read_bytes()
    done = as_json(*arguments, "--trials", ended, "--epochs", 3)
    assert done["resumed"] == ended
    assert Path("model.safetensors").read_bytes() == model


TELLS_OF_THE_FIRST_EPOCH = """
import sys
from deltarule.cli import app
from deltarule.tuning.progress import TuningProgress
def tell(self, progress):
    if progress.epoch == 1:
        print("under way", file=sys.stderr, flush=True)
TuningProgress.on_epoch = tell
app(sys.argv[1:])
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to send there")
def test_ctrl_c_before_there_is_a_model(spawn: Any) -> None:
    arguments = ["tune", "t.csv", "--target", "y", "--epochs", "10000000", "--study", "s.jsonl"]
    process = spawn([sys.executable, "-W", "error", "-c", TELLS_OF_THE_FIRST_EPOCH, *arguments])
    assert process.stderr.readline() == "under way\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (1, "")
    assert err == (
        "error: interrupted before there was a best model: none was written; the trials that "
        "ended stand in s.jsonl\n"
    )
    assert not Path("model.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trials", 0], "trials must be a whole number >= 1, got 0"),
        (["--time-budget", -1], "time_budget must be a finite number > 0, got -1.0"),
        (["--time-budget", 0.001], "the time budget ended before the first trial, the defaults"),
        (["--folds", 0], "folds must be a whole number >= 1, got 0"),
        (["--scoring", "acuracy"], "unknown scoring 'acuracy'. Did you mean 'accuracy'"),
        (["--target", "yy"], "lacks the target column: 'yy'"),
        (["--study", "t.csv"], "--study t.csv is the table as well: it would be overwritten"),
        (["--study", "a", "-o", "a"], "--study a is --output as well"),
        (["--plot", "a.txt"], "--plot a.txt: the name must end in .png, .svg, .pdf"),
        (["-o", "no/m.st"], "cannot write no/m.st: the folder no does not exist"),
        (["--study", "no/s"], "cannot write no/s: the folder no does not exist"),
        (["--study", "other.txt"], "other.txt is not a study: give another name"),
        (["--seed", -1], "seed must be a whole number >= 0, got -1"),
    ],
)
def test_bad_options_of_tune(arguments: list[object], message: str) -> None:
    Path("other.txt").write_text("my notes\n")
    assert message in fails("tune", "t.csv", "--target", "y", "-q", *arguments)


def test_the_wrong_study_is_named() -> None:
    ok(*TUNE, "--trials", 1, "--study", "s.jsonl", "-q")
    message = fails(*TUNE, "--trials", 1, "--study", "s.jsonl", "--seed", 1)
    assert "it differs in seed (there 0, here 1). Give another file" in message


# -- learning-curve -----------------------------------------------------------------------------


def test_the_table_and_the_picture_of_a_curve() -> None:
    result = ok(*CURVE, "--sizes", "20,0.5,1.0", "-o", "c.png")
    assert result.stderr == ""
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert lines[0] == "accuracy, mean and standard deviation over 3 folds"
    assert lines[2].split() == ["rows", "training", "validation", "seconds"]
    assert [line.split()[0] for line in lines[3:6]] == ["20", "40", "80"]
    assert all(len(line.split()) == 6 for line in lines[3:6])
    assert re.match(r"(More rows would|Whether more rows would help)", lines[7])
    assert lines[-1] == "picture c.png"
    assert Path("c.png").read_bytes().startswith(b"\x89PNG")


def test_a_curve_as_json() -> None:
    done = as_json(*CURVE, "--scoring", "neg_log_loss", "--seed", 3, "--hidden", "8")
    assert (done["plot"], done["sizes"], done["scoring"]) == (None, [20, 40, 80], "neg_log_loss")
    assert np.shape(done["validation_scores"]) == np.shape(done["train_scores"]) == (3, 3)
    assert done["gain"][1] <= done["gain"][0] <= done["gain"][2]
    assert f"changed by {done['gain'][0]:+.4f}" in done["verdict"]
    assert done["stopped"] == "sizes"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "a"], "--sizes 'a': numbers separated by commas are needed"),
        (["--sizes", ""], "--sizes '': numbers separated by commas are needed"),
        (["--sizes", "500"], "sizes must be numbers of rows from 2 to 80"),
        (["--hidden", "8,x"], "--hidden '8,x': whole numbers separated by commas"),
        (["--folds", 1], "folds must be from 2 to the 120 rows to divide, got 1"),
        (["-o", "c.txt"], "--output c.txt: the name must end in .png, .svg, .pdf"),
        (["-o", "no/c.png"], "cannot write no/c.png: the folder no does not exist"),
        (["-o", "t.csv"], "--output t.csv is the table as well"),
    ],
)
def test_bad_options_of_a_curve(arguments: list[object], message: str) -> None:
    assert message in fails(*CURVE, *arguments)


# -- both ---------------------------------------------------------------------------------------


def test_pictures_need_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    needs = "needs matplotlib: pip install 'deltarule[plot]'"
    assert fails(*TUNE, "--plot", "a.png") == f"--plot {needs}"
    assert fails(*CURVE, "-o", "a.png") == f"--output {needs}"


@pytest.mark.parametrize("command", ["tune", "learning-curve"])
def test_help_fits_and_its_examples_are_commands(command: str) -> None:
    shown = ok(command, "--help").stdout
    assert max(map(len, shown.splitlines())) <= 80
    examples = re.findall(r"^ (?:Example: )?deltarule (.*?)\s*$", shown, re.MULTILINE)
    assert examples
    for words in map(str.split, examples):
        assert words[0] == command
        assert all(word in shown for word in words if word.startswith("--"))


def test_the_program_knows_the_commands() -> None:
    environment = os.environ | IN_A_TERMINAL_OF_80
    done = subprocess.run(
        command_line("--help"), capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.stderr == ""
    assert re.search(r"^│ tune +Search for", done.stdout, re.MULTILINE)
    assert re.search(r"^│ learning-curve +Score a network", done.stdout, re.MULTILINE)
    assert "Did you mean 'tune'?" in run("tun").output
