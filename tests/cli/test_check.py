"""`deltarule check`: worksheets by default, gradients by name; exit codes, JSON, help."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.engines import get_engine
from support import commands
from support.oracles import example

NETWORK = {
    "network": {"sizes": [2, 2, 1], "activations": "tanh", "loss": "squared_error"},
    "weights": [[[0.1, 0.2], [0.3, None]], [[0.5], [0.6]]],
    "biases": [[0.1, 0.2], [0.3]],
}
SAMPLES = {"inputs": [[1, 0], [0, 2]], "targets": [[1], [0]]}
run = partial(commands.run, "check")


def written(name: str, content: dict[str, Any]) -> str:
    Path(name).write_text(json.dumps(content))
    return name


# -- worksheets ------------------------------------------------------------------------------------


def test_a_file_is_a_worksheet() -> None:
    right = written("right.json", example("gashler"))
    wrong = written("wrong.json", example("yehoshua"))
    for arguments in ([right], ["worksheets", right]):
        done = run(*arguments)
        assert done.exit_code == 0
        assert "numbers are right" in done.stdout
        assert done.stderr == ""
    done = run(wrong)
    assert done.exit_code == 1
    assert done.stdout == f"{dr.check_worksheet(wrong)}\n"


def test_several_files_and_json() -> None:
    right = written("right.json", example("gashler"))
    wrong = written("wrong.json", example("mazur"))
    done = run(right, wrong)
    assert done.exit_code == 1
    assert done.stdout.count("numbers") >= 2
    for arguments in (["--json", right, wrong], [right, wrong, "--json"]):
        done = run(*arguments)
        found = json.loads(done.stdout)
        assert done.exit_code == 1
        assert found["ok"] is False
        assert [(one["file"], one["ok"]) for one in found["files"]] == [
            (right, True),
            (wrong, False),
        ]
    assert json.loads(run(right, "--json").stdout)["ok"] is True


def test_a_file_that_is_none_is_an_error_on_stderr() -> None:
    for name in ("missing.json", written("bad.json", {"network": 3})):
        done = run(name)
        assert done.exit_code == 1
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert name in done.stderr


def test_one_that_cannot_be_read_does_not_stop_the_others() -> None:
    right = written("right.json", example("gashler"))
    bad = written("bad.json", {"network": 3})
    done = run(bad, right, "missing.json")
    assert done.exit_code == 1
    assert done.stdout.startswith(f"{right}\n")  # of several each is named
    assert "numbers are right" in done.stdout
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "error"]
    files = json.loads(run(bad, right, "--json").stdout)["files"]
    assert [(one["file"], one["ok"]) for one in files] == [(bad, False), (right, True)]
    assert files[0]["error"].startswith("bad.json: network: ")


def test_a_page_of_one_worksheet() -> None:
    wrong = written("wrong.json", example("mazur"))
    done = run(wrong, "--html", "report.html")
    assert done.exit_code == 1
    assert done.stdout == f"{dr.check_worksheet(wrong)}\n"
    assert "page in report.html" in done.stderr
    assert Path("report.html").read_text() == dr.check_worksheet(wrong).to_html()
    assert "of one file" in run(wrong, wrong, "--html", "report.html").stderr
    assert "overwritten" in run(wrong, "--html", wrong).stderr


def test_a_file_may_be_called_as_a_command() -> None:
    Path("gradients").write_text("{}")
    done = run("./gradients")
    assert "error: gradients" in done.stderr.replace("./", "")
    assert "by the name's end" in done.stderr


# -- gradients -------------------------------------------------------------------------------------


def test_gradients_of_a_network_file() -> None:
    name = written("net.json", NETWORK | SAMPLES)
    done = run("gradients", name)
    assert done.exit_code == 0
    assert done.stdout.startswith("Gradient check of Network(2-2-1, tanh, identity, squared_error")
    assert "All 12 numbers are right, by dr.backward and the compiled engine." in done.stdout
    assert "3 of 4" in done.stdout  # an edge is not there
    assert "drawn at random" not in done.stdout
    assert done.stderr == ""


def test_gradients_of_a_model_and_of_a_published_example() -> None:
    dr.save(dr.Network([5, 4, 3], "relu", "cross_entropy", dtype="float32", rng=0), "m.safetensors")
    done = run("gradients", "m.safetensors", "--samples", 3)
    assert done.exit_code == 0
    assert "3 samples" in done.stdout
    assert "Inputs and targets were drawn at random." in done.stdout
    assert run("gradients", "mazur").exit_code == 0


def test_json_seed_engine_and_samples() -> None:
    name = written("net.json", NETWORK)

    def found(*arguments: object) -> dict[str, Any]:
        done = run("gradients", name, "--json", *arguments)
        assert done.exit_code == 0
        return json.loads(done.stdout)

    one = found()
    assert one["ok"] is True
    assert one["checked"] == 24
    assert one == found("--seed", 0, "--samples", 8)
    assert one["worst"] != found("--seed", 1)["worst"]
    assert {term["source"] for term in one["terms"]} == {"reference", "native"}
    native = found("--engine", "native", "--samples", 2)
    assert {term["source"] for term in native["terms"]} == {"native"}
    assert native["checked"] == 8


def test_a_large_model_is_checked_along_directions_unless_told() -> None:
    dr.save(dr.Network([40, 120, 120, 120, 3], "tanh", rng=0), "m.safetensors")
    done = json.loads(run("gradients", "m.safetensors", "--samples", 20, "--json").stdout)
    assert done["ok"] is True
    assert done["terms"] == []
    done = json.loads(run("gradients", "m.safetensors", "--samples", 1, "--full", "--json").stdout)
    assert done["checked"] == 40 + 34_323


def test_a_wrong_gradient_ends_with_1_and_a_page_may_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = written("net.json", NETWORK | SAMPLES)
    engine = type(get_engine("native", dr.Network([1, 1]).spec))
    right = engine.gradients

    def wrong(self: Any, *arguments: Any) -> Any:
        C, gradient = right(self, *arguments)
        return C, gradient * np.where(np.arange(len(gradient)) == 4, 2, 1)

    monkeypatch.setattr(engine, "gradients", wrong)
    done = run("gradients", name, "--html", "page.html")
    assert done.exit_code == 1
    assert "1 of 12 numbers are wrong" in done.stdout
    assert "the fault is in the compiled engine" in done.stdout
    assert "page in page.html" in done.stderr
    assert "1 of 12 numbers are wrong" in Path("page.html").read_text()
    assert json.loads(run("gradients", name, "--json").stdout)["wrong"] == 1


def test_what_is_wrong_with_the_arguments_is_said() -> None:
    name = written("net.json", NETWORK)
    assert "there is no file" in run("gradients", "none.json").stderr
    assert "--html net.json is the network" in run("gradients", name, "--html", name).stderr
    assert "samples must be" in run("gradients", name, "--samples", 0).stderr
    bad = run("gradients", name, "--engine", "gpu")
    assert bad.exit_code == 2
    partial = written("targets.json", NETWORK | {"targets": [[1]]})
    assert "Y is given without X" in run("gradients", partial).stderr


# -- help ------------------------------------------------------------------------------------------


def test_help_says_how_files_and_commands_are_told_apart() -> None:
    for arguments in ([], ["--help"]):
        shown = run(*arguments).output
        assert "Usage: deltarule check [OPTIONS] FILE... | gradients NETWORK" in shown
        assert "./gradients" in shown
        assert "worksheets" in shown
        assert max(map(len, shown.splitlines())) <= 80
    assert run().exit_code == 2
    assert run("--help").exit_code == 0
    shown = run("gradients", "--help").stdout
    for option in ("--samples", "--seed", "--engine", "--full", "--html", "--json"):
        assert option in shown
    assert "FILE" in run("worksheets", "--help").stdout
