"""What a gradient check says: text, HTML and JSON of right, wrong, partial and empty outcomes."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.document import html
from deltarule.equations.activations import get_activation
from deltarule.explain.gradients.check import check_gradients, check_objective
from deltarule.explain.gradients.found import (
    KINK,
    LEFT_OUT,
    RIGHT,
    UNRESOLVED,
    WRONG,
    Coordinate,
    Direction,
    TermCheck,
    relative_errors,
)
from deltarule.explain.gradients.report import GradientCheck


def right() -> GradientCheck:
    return check_gradients(dr.Network([3, 4, 2], "tanh", rng=0))


def wrong() -> GradientCheck:
    tanh = get_activation("tanh")
    own = replace(tanh, name="<mine>", df=lambda z: 2 * tanh.df(z))
    return check_gradients(dr.Network([3, 4, 2], own, rng=0, check_derivatives=False))


def one_term(status: list[int], analytic: Any = None, source: str = "reference") -> TermCheck:
    n = len(status)
    g = np.arange(1.0, n + 1) if analytic is None else np.array(analytic, dtype=float)
    return TermCheck(
        "weights", 1, source, g, np.full(n, 2.0), np.full(n, 1e-9), np.array(status, np.int8), "x"
    )


def test_a_right_report() -> None:
    report = right()
    assert report.ok
    assert report.causes == []
    assert report.first_wrong is None
    assert report.checked == report.count(RIGHT) == 26 + 8 * 3
    text = report.to_text()
    assert str(report) == text
    lines = text.splitlines()
    assert lines[0] == (
        "Gradient check of Network(3-4-2, tanh, identity, squared_error, 26 parameters, float64), "
        "8 samples"
    )
    assert lines[1] == "All 50 numbers are right, by dr.backward and the compiled engine."
    assert "Worst" not in text
    assert len({line.index("complex step") for line in lines if "complex step" in line}) == 1
    assert max(map(len, lines)) <= 100


def test_a_wrong_report() -> None:
    report = wrong()
    text = report.to_text()
    assert "40 of 50 numbers are wrong, by dr.backward." in text
    assert report.worst is not None
    assert f"  {report.worst.where}: analytic {report.worst.analytic:.8g}" in text
    assert "What it looks like\n  The analytic gradient is 2 times" in text
    assert report.first_wrong is not None
    assert report.first_wrong.title == "weights of layer 1"
    row = next(line for line in text.splitlines() if line.startswith("weights of layer 1"))
    assert row.split()[4:] == ["12", "0", "12", "0", "0", "5.0e-01", "complex", "step"]
    assert "3 random directions over weights and biases: 3 wrong\n  analytic " in text
    assert max(map(len, text.splitlines()[1:])) <= 100


class Tags(HTMLParser):
    """That tags are closed, and what is between them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.wrong_counts = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag not in ("script", "link", "img")
        self.wrong_counts += tag == "span" and ("class", "bad") in attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("make", [right, wrong])
def test_the_page_says_what_the_text_says(make: Any) -> None:
    report = make()
    tags = Tags()
    tags.feed(report.to_html())
    assert tags.open == []
    for line in (report.title, report.verdict(), *report.causes, *report.notes):
        assert line in tags.text
    verdict = not report.ok
    wrong_terms = sum(one.count(WRONG) > 0 for one in report.terms)
    assert tags.wrong_counts == verdict + wrong_terms
    for page in (report.to_html(), report._repr_html_()):
        assert html.body(report.document()) in page
        assert "://" not in page


def test_the_dict_is_json_and_holds_the_numbers() -> None:
    report = wrong()
    found = json.loads(report.to_json())
    assert found == json.loads(json.dumps(report.to_dict()))
    assert found["ok"] is False
    assert found["checked"] == 50
    assert found["right"] + found["wrong"] == 50
    assert found["worst"]["relative_error"] == pytest.approx(0.5)
    assert {one["status"] for one in found["directions"]} == {"wrong"}
    assert [(one["term"], one["layer"]) for one in found["terms"]][:2] == [
        ("inputs", None),
        ("weights", 1),
    ]
    assert found["terms"][1]["shape"] == [3, 4]
    empty = json.loads(
        check_objective(lambda t: np.sum(t**2), lambda t: np.full(2, np.nan), np.ones(2)).to_json()
    )
    assert empty["worst"]["analytic"] is None
    assert empty["ok"] is False


def test_gradients_of_two_sources_that_differ_have_a_row_each() -> None:
    terms = [one_term([RIGHT, RIGHT], [2, 2]), one_term([RIGHT, WRONG], [2, 3], "native")]
    report = GradientCheck("title", [], terms)
    text = report.to_text()
    assert "weights of layer 1 (reference)" in text
    assert "weights of layer 1 (native)" in text
    assert "1 of 2 numbers are wrong, by dr.backward and the compiled engine." in text
    assert "weights of layer 1 [1] (the compiled engine): analytic 3" in text
    assert (report.count(RIGHT), report.count(WRONG), report.checked) == (1, 1, 2)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (
            [RIGHT, KINK, UNRESOLVED],
            "1 numbers are right, none is wrong (1 at a kink, 1 too small or",
        ),
        ([RIGHT, LEFT_OUT], "All 1 numbers are right, by dr.backward."),
        ([KINK, UNRESOLVED], "Nothing could be measured, by dr.backward: all is at a kink, too"),
        ([RIGHT, WRONG], "1 of 2 numbers are wrong, by dr.backward."),
    ],
)
def test_verdicts(status: list[int], verdict: str) -> None:
    report = GradientCheck("title", [], [one_term(status)])
    assert report.verdict().startswith(verdict)
    assert report.ok == (WRONG not in status and RIGHT in status)
    assert ("1 of 2" in report.to_text()) == (LEFT_OUT in status or WRONG in status)


def test_verdicts_of_directions_alone() -> None:
    good = Direction("all numbers", "", 1.0, 1.0, 1e-9, "right")
    bad = Direction("all numbers", "", 1.0, 2.0, 1e-9, "wrong")
    assert GradientCheck("t", [good], []).verdict() == "Right along 1 random direction."
    report = GradientCheck("t", [good, bad], [])
    assert report.verdict() == "The slope along 1 of 2 directions is wrong."
    assert not report.ok
    assert str(report).endswith(
        "2 random directions over all numbers: 1 right, 1 wrong\n"
        "  analytic 1, numeric 1: right\n"
        "  analytic 1, numeric 2: wrong"
    )


def test_the_worst_is_the_one_that_shows_most_among_equals() -> None:
    one = one_term([RIGHT, WRONG, WRONG], [2.0, 4.0, 4.0])
    worst = replace(one, numeric=np.array([2.0, 2.0, 2.0])).worst
    assert worst is not None
    assert worst.index == (1,)
    scaled = replace(one, analytic=np.array([2.0, 2e-3, 2.0]), numeric=np.array([2.0, 1e-3, 1.0]))
    assert scaled.worst is not None
    assert scaled.worst.index == (2,)
    assert one_term([UNRESOLVED, KINK]).worst is None
    nan = replace(one, analytic=np.array([2.0, 4.0, np.nan]))
    assert nan.worst is not None
    assert nan.worst.index == (2,)


def test_relative_errors() -> None:
    a, b = np.array([1.0, 0, 0, np.nan, 3, -1]), np.array([1.0, 0, 2, 1, 6, 1])
    assert relative_errors(a, b).tolist() == [0, 0, 1, np.inf, 0.5, 2]


def test_a_term_is_asked_for_by_name() -> None:
    report = right()
    assert report.term("weights", 2).source == "reference"
    assert report.term("weights", 2, "native").source == "native"
    with pytest.raises(KeyError, match="no term weights of layer 3; there are: inputs, weights of"):
        report.term("weights", 3)
    with pytest.raises(KeyError, match="none was measured"):
        GradientCheck("t", [], []).term("W")
    one = report.term("biases", 1).at((2,))
    assert isinstance(one, Coordinate)
    assert one.where == "biases of layer 1 [2]"
    assert one.status == "right"
