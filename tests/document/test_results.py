"""Every result is written in every format: whole pages, balanced LaTeX, JSON without NaN."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import deltarule as dr
from deltarule.callbacks import Diagnose
from deltarule.document import Formats
from deltarule.tabular.training import train_table

_X = np.random.default_rng(1).normal(size=(20, 3))
_Y = np.random.default_rng(2).normal(size=(20, 2))


def _net() -> dr.Network:
    return dr.Network([3, 5, 2], "relu", rng=0)


def _wrong_objective() -> Formats:
    def wrong(theta: np.ndarray) -> np.ndarray:
        return np.asarray(3 * theta)

    return dr.check_objective(lambda theta: float((theta**2).sum()), wrong, np.arange(1.0, 4.0))


def _watched() -> Formats:
    watching = Diagnose(every=2)
    dr.train(_net(), _X, _Y, epochs=5, callbacks=[watching])
    return watching


#: How an example of each result is made; one of them has something to complain of.
RESULTS: dict[str, Callable[[], Formats]] = {
    "Report": lambda: dr.check_worksheet("yehoshua"),
    "GradientCheck": lambda: dr.check_gradients(_net()),
    "GradientCheck, wrong": _wrong_objective,
    "DescentCheck": lambda: dr.descent_check(_net(), _X, _Y),
    "DescentCheck, not finite": lambda: dr.descent_check(_net(), _X, _Y, [0.1, 1e200]),
    "ProductCounts": lambda: dr.count_products(5, 10),
    "ProductCounts, by layer": lambda: dr.count_products([3, 4, 2]),
    "NotationTable": lambda: dr.notation_table(),
    "Diagnosis": lambda: dr.diagnose(dr.Network([3, *[4] * 20, 2], "sigmoid", rng=0), _X, _Y),
    "Diagnose": _watched,
    "Trace": lambda: dr.trace("yehoshua", steps=2),
    "Derivation": lambda: dr.derive(3, weight=(1, 2, 1), cached=True),
    "Derivation, numbers": lambda: dr.derive(net=_net(), weight=(1, 2, 1), x=_X[0], y=_Y[0]),
    "Beside": lambda: dr.derive(2, weight=(1, 2, 1)).beside("row"),
    "History": lambda: dr.train(_net(), _X, _Y, epochs=30),
    "TableTraining": lambda: train_table("iris", "target", epochs=3, hidden=(4,)),
    "Tuning": lambda: dr.tune("iris", "target", epochs=2, trials=2, folds=2),
    "LearningCurve": lambda: dr.learning_curve("iris", "target", epochs=2, folds=2, sizes=[20, 60]),
}


@pytest.fixture(scope="module", params=RESULTS)
def result(request: pytest.FixtureRequest) -> Formats:
    return RESULTS[request.param]()


class _Page(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {name for name, _ in attrs} & {"src", "href", "srcset"}
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += "" if self.open[-1:] == ["style"] else f" {data}"


def test_text_is_what_print_shows(result: Formats) -> None:
    assert str(result) == result.to_text()
    assert not [line for line in result.to_text().splitlines() if line != line.rstrip()]


def test_pages_and_fragments_are_whole_and_fetch_nothing(result: Formats) -> None:
    page, fragment = result.to_html(), result._repr_html_()
    assert page.startswith("<!doctype html>")
    assert page.count("deltarule page") == 1
    assert fragment.startswith(('<div class="deltarule">', "<iframe srcdoc"))
    for written in (page, fragment):
        assert _Page(written).open == []
        assert "://" not in written
        assert "url(" not in written


def test_markdown_and_pages_say_what_the_text_says(result: Formats) -> None:
    numbers = set(re.findall(r"\d+\.\d+(?:e[-+]\d+)?", result.to_text()))
    page = _Page(result.to_html()).text
    assert numbers <= set(re.findall(r"\d+\.\d+(?:e[-+]\d+)?", page))
    assert numbers <= set(re.findall(r"\d+\.\d+(?:e[-+]\d+)?", result.to_markdown()))


def test_rows_of_a_markdown_table_have_as_many_cells_as_its_head(result: Formats) -> None:
    cells = 0
    for line in result.to_markdown().splitlines():
        found = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not cells or not found or found == cells
        cells = found


def test_latex_is_balanced(result: Formats) -> None:
    for standalone in (False, True):
        written = result.to_latex(standalone=standalone)
        begun, ended = (re.findall(rf"\\{what}{{(\w+)}}", written) for what in ("begin", "end"))
        assert sorted(begun) == sorted(ended)
        assert ("document" in begun) == standalone
        bare = re.sub(r"\\[{}]", "", written)
        assert bare.count("{") == bare.count("}")


def typeset(latex: str, folder: Path) -> bytes:
    """What pdfLaTeX says of a whole document; it must not end with an error."""
    (folder / "result.tex").write_text(latex, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "result.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    return done.stdout


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_is_typeset_within_its_margins(result: Formats, tmp_path: Path) -> None:
    assert b"Overfull" not in typeset(result.to_latex(standalone=True), tmp_path)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_names_in_any_letters_are_typeset(tmp_path: Path) -> None:
    name = "\U0001f389 \u6570 \u03b1 \x00 \u202e $x_1$ \\end{document} \xe9"
    mine = dr.Activation(name, np.tanh, lambda z: 1 - np.tanh(z) ** 2)
    net = dr.Network([2, 2, 1], mine, rng=0)
    for one in (dr.diagnose(net, [[1, 2]], [[1]]), dr.derive(net=net, weight=(1, 1, 1))):
        typeset(one.to_latex(standalone=True), tmp_path)


def test_json_is_read_back(result: Formats) -> None:
    told = json.loads(result.to_json(), parse_constant=pytest.fail)
    assert told.keys() == result.to_dict().keys()
    assert json.loads(result.to_json(None)) == told
