"""`deltarule derive`: what it prints and writes, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import deltarule as dr
from support.commands import run


def test_text_is_what_python_gives() -> None:
    done = run("derive", "--layers", 5, "--weight", "1,7,3", "--cached", "--width", 90)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == dr.derive(5, weight=(1, 7, 3), cached=True).to_text(90)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (["--input", 2], {"input": 2}),
        (["--bias", "1,2"], {"bias": (1, 2)}),
        (["--activation", "1,2", "--biases"], {"activation": (1, 2), "biases": True}),
        (["--weight", "1,2,3", "--loss", "log_loss"], {"weight": (1, 2, 3), "loss": "log_loss"}),
        (["--input", 2, "--notation", "row"], {"input": 2, "notation": "row"}),
    ],
)
def test_every_option_arrives(options: list[object], asked: dict[str, object]) -> None:
    done = run("derive", "--layers", 3, *options, "--width", 90)
    assert done.stdout == dr.derive(3, **asked).to_text(90)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "start"),
    [("d.tex", r"\documentclass"), ("d.html", "<!doctype html>"), ("d.md", "**$"), ("d.txt", "∂E")],
)
def test_the_name_of_the_file_says_the_format(name: str, start: str, folder: Path) -> None:
    done = run("derive", "--layers", 2, "--input", 1, "-o", name)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert (folder / name).read_text(encoding="utf-8").startswith(start)
    assert name in done.stderr


def test_two_notations_stand_side_by_side() -> None:
    done = run("derive", "--layers", 2, "--input", 1, "--notation", "index,delta", "--width", 120)
    one = dr.derive(2, input=1)
    assert done.stdout == one.beside("delta").to_text(120)


def test_a_network_file_gives_its_numbers(folder: Path) -> None:
    (folder / "net.json").write_text(
        json.dumps(
            {
                "network": {
                    "sizes": [2, 1],
                    "activations": ["sigmoid"],
                    "loss": "log_loss",
                    "bias": False,
                },
                "weights": [[[0.1], [0.2]]],
            }
        )
    )
    done = run("derive", "--numbers", "net.json", "--weight", "1,1,2", "--x", "1,3", "--y", "1")
    assert done.exit_code == 0, done.stderr
    assert "= -0.995" in done.stdout  # (sigmoid(0.7) - 1) 3
    published = run("derive", "--numbers", "yehoshua", "--weight", "1,1,1", "--verify")
    assert published.exit_code == 0, published.stderr
    assert "steps hold on 20 random networks" in published.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", 5], "give one of weight, bias, input and activation"),
        (["--layers", 5, "--weight", "1,a,3"], "whole numbers separated by commas"),
        (["--layers", 5, "--input", 1, "--notation", "indx"], "Did you mean 'index'"),
        (["--layers", 5, "--input", 1, "--notation", "index,row,delta"], "one name, or two"),
        (["--layers", 5, "--input", 1, "--x", "1"], "give --numbers too"),
        (
            ["--input", 1],
            "or --numbers, a network; got neither",
        ),
        (
            ["--layers", 3, "--numbers", "yehoshua", "--input", 1],
            "or --numbers, a network; got both",
        ),
        (
            ["--numbers", "yehoshua", "--weight", "1,3,1"],
            "no edge from input 1 to unit 3",
        ),
        (["--numbers", "yehoshua", "--input", 1, "--x", "one", "--y", "1"], "numbers separated"),
        (["--numbers", "mazur", "--input", 1, "--loss", "huber"], "--loss and --biases go with"),
        (["--numbers", "mazur", "--input", 1, "--biases"], "--loss and --biases go with --layers"),
        (["--numbers", "missing.json", "--input", 1], "missing.json"),
        (["--layers", 5, "--input", 1, "-o", "no/such/d.tex"], "no/such"),
        (["--layers", 5, "--input", 1, "--width", 5], "width must be at least 30"),
    ],
)
def test_refusals_are_one_line_on_stderr(arguments: list[object], message: str) -> None:
    done = run("derive", *arguments)
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
