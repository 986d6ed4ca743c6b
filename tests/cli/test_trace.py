"""`deltarule trace`: what it prints and writes, and how it refuses."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import deltarule as dr
from support import commands

MAZUR = {
    "network": {"sizes": [2, 1], "activations": ["sigmoid"], "loss": "squared_error"},
    "weights": [[[0.5], [-0.25]]],
    "biases": [[0.1]],
}
run = partial(commands.run, "trace")
failed = partial(commands.fails, "trace")


def ok(*arguments: object) -> str:
    return commands.ok("trace", *arguments).stdout


def test_text_of_a_published_example() -> None:
    assert ok("yehoshua") == dr.trace("yehoshua").to_text() + "\n"
    shown = ok("yehoshua", "--digits", "4", "--notation", "delta", "--max-lines", "0")
    assert shown == dr.trace("yehoshua").to_text(digits=4, notation="delta", max_lines=None) + "\n"
    assert ok("yehoshua", "--digits", "all").count("0.6718458612293685") > 3


def test_x_y_and_the_learning_rate_come_from_the_options_before_the_file(folder: Path) -> None:
    (folder / "net.json").write_text(json.dumps(MAZUR))
    shown = ok("net.json", "--x", "-1,0.5;0,1", "--y", "1;0", "--learning-rate", 0.1, "--steps", 2)
    net = dr.Network([2, 1], ["sigmoid"], "squared_error")
    net.weights, net.biases = MAZUR["weights"], MAZUR["biases"]
    done = dr.trace(net, [[-1, 0.5], [0, 1]], [[1], [0]], 0.1, 2)
    assert shown == done.to_text() + "\n"
    shown = ok("net.json", "--x", "1,1", "--y", "1", "--reduction", "sum")
    assert shown == dr.trace(net, [1, 1], [1], reduction="sum").to_text() + "\n"


def test_one_neuron_of_a_model(folder: Path) -> None:
    net = dr.Network([3, 4, 2], rng=0)
    net.save(folder / "model.safetensors")
    arguments = ("model.safetensors", "--x", "1,2,3", "--y", "0,1", "--layer", 1, "--neuron", 3)
    shown = ok(*arguments, "--sample", 1, "--step", 1, "--max-terms", 2)
    whole = dr.trace(net, [1, 2, 3], [0, 1])
    assert shown == whole.to_text(layer=1, neuron=3, sample=1, step=1, max_terms=2) + "\n"
    assert "z_1[3] = " in shown
    assert "z_1[2] = " not in shown


def test_formats_and_what_a_name_ends_in(folder: Path) -> None:
    done = dr.trace("mazur")
    assert json.loads(ok("mazur", "--format", "json")) == done.to_dict()
    assert ok("mazur", "--json") == ok("mazur", "--format", "json")
    assert ok("mazur", "--format", "markdown") == done.to_markdown()
    assert ok("mazur", "--format", "html") == done.to_html()
    part = ok("mazur", "--format", "latex", "--layer", 1)
    assert part == done.to_latex(layer=1)
    assert "documentclass" not in part
    for name, text in (
        ("t.html", done.to_html()),
        ("t.md", done.to_markdown()),
        ("t.json", done.to_json() + "\n"),
        ("t.txt", done.to_text() + "\n"),
        ("t.tex", done.to_latex(standalone=True)),
        ("t", done.to_text() + "\n"),
    ):
        result = run("mazur", "-o", name)
        assert result.exit_code == 0
        assert result.stdout == ""
        assert f"in {name}" in result.stderr
        assert (folder / name).read_text() == text
    run("mazur", "-o", "odd.html", "--format", "text")
    assert (folder / "odd.html").read_text() == done.to_text() + "\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.json"], "there is no file none.json"),
        (["mazurr"], "a network is read from .json"),
        (["net.json"], "a trace needs inputs x"),
        (["net.json", "--x", "1,2", "--y", "a"], "--y 'a': numbers separated by commas"),
        (["net.json", "--x", "1,2;3", "--y", "1;2"], "x is not a rectangular array"),
        (["net.json", "--x", "1", "--y", "1"], "x has 1 columns, but the network has 2 inputs"),
        (["mazur", "--digits", "many"], "--digits 'many': a whole number from 1 to 17"),
        (["mazur", "--digits", "0"], "digits must be 1 to 17"),
        (["mazur", "--learning-rate", "-1"], "learning_rate must be a finite number > 0"),
        (["mazur", "--layer", "3"], "layer 3: the layers are 0 (the inputs) to 2"),
        (
            ["mazur", "--json", "--layer", "1"],
            "lines of text, markdown or latex; json holds all",
        ),
        (["mazur", "-o", "none/t.html"], "the folder none does not exist"),
        (["mazur", "-o", "t.pdf"], "t.pdf: the name must end in .json, .html, .htm, .md, .txt"),
        (["net.json", "--x", "1,2", "--y", "1", "-o", "net.json"], "would be overwritten"),
    ],
)
def test_what_is_refused(folder: Path, arguments: list[str], message: str) -> None:
    (folder / "net.json").write_text(json.dumps(MAZUR))
    assert message in " ".join(failed(*arguments).split())
    assert json.loads((folder / "net.json").read_text()) == MAZUR


def test_numbers_that_are_not_finite_are_null_in_json(folder: Path) -> None:
    (folder / "net.json").write_text(json.dumps(MAZUR | {"weights": [[[1e200], [1e200]]]}))
    shown = ok("net.json", "--x", "1e200,1", "--y", "1", "--json")
    step = json.loads(shown)["steps"][0]
    assert step["z"] == [[[None]]]
    assert np.isfinite(step["loss"])
