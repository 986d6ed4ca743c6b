"""Derivations as text, LaTeX, MathML and Markdown: well-formed, wrapped, self-contained."""

# ruff: noqa: RUF001  # the primes of f'

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import deltarule as dr
from deltarule.explain.derive.report import DERIVED, Derivation
from deltarule.formula import expression as ex
from deltarule.formula.fold import COLUMN, folded, width
from deltarule.formula.latex import Latex, escaped
from deltarule.formula.notation import get_notation
from deltarule.formula.text import Text


def numbered(notation: str) -> Derivation:
    """One with everything in it: names, sums written out, numbers of either sign."""
    net = dr.Network([2, 3, 2], "tanh", output_activation="softmax", rng=0)
    asked: dict[str, Any] = {"x": [1e-9, -4], "y": [1, 0], "cached": True}
    return dr.derive(net=net, input=2, notation=notation, **asked)


CASES = {
    **{
        f"weight-{name}": lambda n=name: dr.derive(5, weight=(1, 7, 3), notation=n, cached=True)
        for name in DERIVED
    },
    **{f"numbers-{name}": lambda n=name: numbered(n) for name in DERIVED},
    "own loss": lambda: dr.derive(
        net=dr.Network(
            [2, 2],
            loss=dr.Loss(
                "my_{loss}%<&>",
                lambda o, y: ((o - y) ** 2).sum(-1),
                lambda o, y: 2 * (o - y),
                formula="(o - y)^2 | <b> $ & # _ {x}",
            ),
            rng=0,
        ),
        weight=(1, 1, 1),
    ),
    "wide": lambda: dr.derive(3, weight=(1, 17, 30), cached=True),
    "groups": lambda: dr.derive(
        net=dr.Network([2, 5], output_activation="softmax(2,3)", rng=0), weight=(1, 1, 1)
    ),
    **{
        f"deep-{name}": lambda n=name: dr.derive(
            30 if n == "delta" else 12, weight=(1, 17, 3), notation=n, cached=True
        )
        for name in DERIVED
    },
    "deep": lambda: dr.derive(12, bias=(2, 3), cached=True, loss="cross_entropy"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("width", [40, 100])
def test_lines_are_no_longer_than_asked(case: str, width: int) -> None:
    for line in CASES[case]().to_text(width).splitlines():
        assert len(line) <= width


@pytest.mark.parametrize("case", CASES)
def test_brackets_match_in_text_and_latex(case: str) -> None:
    done = CASES[case]()
    for step in done.steps:
        for text in (step.text, re.sub(r"\\[{}]", "", step.latex)):
            for left, right in ("()", "[]", "{}"):
                depth = 0
                for one in text:
                    depth += (one == left) - (one == right)
                    assert depth >= 0, text
                assert depth == 0, text


@pytest.mark.parametrize("case", CASES)
def test_latex_knows_every_command(case: str) -> None:
    known = (
        r"begin end documentclass usepackage setlength textwidth oddsidemargin raggedright sloppy "
        r"lineskip lineskiplimit noindent item textbf displaystyle frac partial sum prime sigma "
        r"delta odot lVert rVert left right log cdot sim allowbreak mathsf mathrm textbackslash "
        r"textasciicircum textasciitilde par hfill medskip"  # and for folded formulas:
        r" phantom text quad"
    )
    done = CASES[case]()
    for source in (done.to_latex(standalone=True), done._repr_latex_(), done.to_markdown()):
        assert set(re.findall(r"\\([A-Za-z]+)", source)) <= set(known.split())


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
@pytest.mark.parametrize("case", CASES)
def test_latex_compiles_and_fits_the_page(case: str, tmp_path: Path) -> None:
    done = CASES[case]()
    (tmp_path / "d.tex").write_text(done.to_latex(standalone=True), encoding="utf-8")
    (tmp_path / "b.tex").write_text(done.beside("row").to_latex(standalone=True), encoding="utf-8")
    notebook = done._repr_latex_()
    displays = "\n\n".join(re.findall(r"\$\$.*?\$\$", done.to_markdown()))
    (tmp_path / "n.tex").write_text(  # in the columns of an article, which are narrow
        "\\documentclass{article}\\usepackage{amsmath}\\begin{document}\n"
        f"{notebook}\n\n{done.to_latex()}\n\n{displays}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    for name in ("d", "b", "n"):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300)
        printed = ran.stdout.decode(errors="replace")
        assert ran.returncode == 0, printed[-2000:]
        assert "Overfull \\vbox" not in printed  # something would be off the page
        for over in re.findall(r"Overfull \\hbox \(([\d.]+)pt", printed):
            assert name != "d"
            assert float(over) < 10


class Tags(HTMLParser):
    """Checks that tags are closed in order, and that nothing is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe")
        assert not {"src", "href"} & {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "mspace"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("case", CASES)
def test_pages_are_well_formed_and_load_nothing(case: str) -> None:
    done = CASES[case]()
    for page in (done.to_html(), done.beside("column").to_html(), done._repr_html_()):
        tags = Tags()
        tags.feed(page)
        tags.close()
        assert not tags.open
        assert not re.search(r"https?:|src=|@import|url\(", page)
        for formula in re.findall(r"<math.*?</math>", page):
            root = ElementTree.fromstring(re.sub(r"&(?!lt;|gt;|amp;)(\w+);", "x", formula))
            for node in root.iter():  # scripts and fractions have as many parts as they must
                parts = {"msub": 2, "msup": 2, "mfrac": 2, "munder": 2, "msubsup": 3}.get(node.tag)
                assert parts in (None, len(node)), formula


@pytest.mark.parametrize("notation", DERIVED)
def test_formulas_of_pages_break_between_their_factors(notation: str) -> None:
    """MathML Core has no line breaks: what stands in one piece must fit a phone."""
    done = dr.derive(12, weight=(1, 7, 3), notation=notation, cached=True)
    for formula in re.findall(r'<div class="scroll formula">(.*?)</div>', done.to_html()):
        pieces = formula.split("\u200b")
        assert all(one.startswith("<math") and one.endswith("</math>") for one in pieces)
        assert max(len(unescape(re.sub(r"<[^>]*>", "", one))) for one in pieces) <= 60
    assert len(pieces) == 2  # of -e y, the last
    for inline in re.findall(r'<span class="why">(.*?)</span>', done.to_html()):
        assert "\u200b" not in inline


def test_brackets_grow_where_no_line_breaks() -> None:
    page = dr.derive(2, weight=(1, 1, 1), loss="log_loss", biases=True).to_html()
    assert "stretchy" not in page
    given = re.findall(r'<div class="scroll formula">(.*?)</div>', page)[0]
    assert "<mfrac><mrow><mo>∂</mo></mrow>" in given  # what is long stands behind the fraction
    deep = dr.derive(9, weight=(1, 1, 1), notation="row").to_html()
    assert '<mo form="prefix" stretchy="false">(</mo>' in deep


def test_a_notebook_keeps_its_own_style() -> None:
    """What is shown there carries its style, which reaches no further than itself."""
    done = dr.derive(2, weight=(1, 1, 1))
    for shown in (done._repr_html_(), done.beside("row")._repr_html_()):
        style = re.findall(r"<style>(.*?)</style>", shown, re.DOTALL)
        assert len(style) == 1
        bare = re.sub(r"/\*.*?\*/", "", style[0], flags=re.DOTALL)
        rules = re.sub(r"@media[^{]*{|}\s*}", "}", bare).split("}")
        own = (".deltarule", "html:has(> .deltarule.page)", ".derivation ")
        assert all(rule.lstrip().startswith(own) for rule in rules if rule.strip())
        assert "<html" not in shown
        assert "<body" not in shown


def test_what_a_user_names_is_escaped() -> None:
    done = CASES["own loss"]()
    assert "<b>" not in done.to_html()
    assert r"my\_\{loss\}\%" in done.to_latex()
    assert escaped("a\\b~c^d") == r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d"


def test_markdown_has_every_step_and_formula() -> None:
    done = dr.derive(5, weight=(1, 7, 3), cached=True)
    text = done.to_markdown()
    assert len(re.findall(r"^\d+\. \*\*", text, re.MULTILINE)) == 24
    assert text.count("$$") == 2 * (24 + 5)
    assert "$$= -e_{17}\\, y_{03}$$" in text


def test_latex_of_a_step() -> None:
    steps = dr.derive(5, weight=(1, 7, 3)).steps
    assert steps[0].latex == (
        r"\frac{\partial \left( \frac{1}{2}\, \sum_{i} {(t_{i} - y_{5i})}^{2} \right)}"
        r"{\partial w_{173}}"
    )
    assert steps[4].latex == (
        r"-\sum_{i} (t_{i} - y_{5i})\, f_{5}^{\prime}(x_{5i})\, "
        r"\frac{\partial x_{5i}}{\partial w_{173}}"
    )
    column = dr.derive(2, weight=(1, 2, 1), notation="column").steps[1].latex
    assert r"{O^{(1)}}^{\mathsf{T}}" in column


def test_long_formulas_are_folded() -> None:
    """Between factors, in rows of about the same width; short ones stay as they are."""
    assert width(r"\frac{\partial y_{5i}}{\partial w_{173}}") == pytest.approx(2, abs=0.5)
    assert folded("a + b") == ["a + b"]
    formula = (
        r"= a\, \allowbreak \left( b\, \allowbreak c \right)\, \allowbreak {d\, \allowbreak e}"
    )
    rows = [r"= a", r"\left( b\, c \right)", r"{d\, e}"]
    assert folded(formula, 0.1) == rows
    done = dr.derive(20, weight=(1, 1, 1), cached=True)
    for step in done.steps:
        for row in folded(Latex(get_notation("index"), True, True).write(step.expression)):
            assert width(row) <= COLUMN
            assert row.count("{") == row.count("}")
    assert done._repr_latex_().count(r"\begin{aligned}") > 5
    assert all(page.count("\n") <= 16 for page in done._repr_latex_().split("\n\n"))


def test_a_notebook_shows_the_numbers_too() -> None:
    net = dr.Network([2, 2, 1], "tanh", rng=0)
    shown = dr.derive(net=net, weight=(1, 1, 1), x=[1, 2], y=[1])
    assert rf"&= {shown.value:.6g}" in shown._repr_latex_()
    assert "where" not in shown._repr_latex_()


def test_commas_stand_where_an_index_has_two_digits() -> None:
    steps = dr.derive(3, weight=(1, 17, 30)).steps
    assert steps[-1].text.endswith("f₁′(x₁,₁₇) y₀,₃₀")
    assert r"w_{1,17,30}" in steps[0].latex


def test_brackets_stand_where_they_are_needed_and_nowhere_else() -> None:
    a, b, c = (ex.Symbol("b", 1, (j,)) for j in (1, 2, 3))
    sums = ex.Sum("i", 1, a)
    cases = {
        "b₁₁ (b₁₂ + b₁₃)": ex.Product((a, ex.Plus((b, c)))),
        "b₁₁ (-b₁₂)": ex.Product((a, ex.Negative(b))),
        "-(b₁₁ + b₁₂)": ex.Negative(ex.Plus((a, b))),
        "b₁₁ - (b₁₂ - b₁₃)": a - (b - c),
        "(Σᵢ b₁₁) b₁₂": ex.Product((sums, b)),
        "b₁₂ Σᵢ b₁₁": ex.Product((b, sums)),
        "Σᵢ (b₁₁ + b₁₂)": ex.Sum("i", 1, ex.Plus((a, b))),
        "b₁₁/(b₁₂ b₁₃)": ex.Quotient(a, ex.Product((b, c))),
        "(b₁₁ b₁₂)/b₁₃": ex.Quotient(ex.Product((a, b)), c),
        "(b₁₁ b₁₂)²": ex.Power(ex.Product((a, b)), 2),
        "2·b₁₁": ex.Product((ex.Number(2), a)),
        "2·(-3)": ex.Product((ex.Number(2), ex.Number(-3))),
        "b₁₁ - 3": ex.Plus((a, ex.Number(-3))),
        "b₁₁ + 3": ex.Plus((a, ex.Negative(ex.Number(-3)))),
        "(b₁₁ ⊙ b₁₂) b₁₃": ex.MatrixProduct((ex.Hadamard((a, b)), c)),
        "b₁₁ b₁₂ ⊙ b₁₃": ex.Hadamard((ex.MatrixProduct((a, b)), c)),
        "(b₁₁ b₁₂)ᵀ": ex.Transpose(ex.MatrixProduct((a, b))),
    }
    writer = Text(get_notation("index"))
    assert {writer.plain(tree): tree for tree in cases.values()} == cases


def test_numbers_have_six_digits_and_powers_of_ten() -> None:
    latex = Latex(get_notation("index"))
    assert latex.write(ex.Number(1.23456789e-9)) == r"1.23457 \cdot 10^{-9}"
    assert latex.write(ex.Number(0.5)) == "0.5"


def test_side_by_side_steps_of_one_kind_stand_together() -> None:
    done = dr.derive(3, weight=(1, 2, 3), cached=True)
    text = done.beside("row").to_text(140)
    assert max(map(len, text.splitlines())) <= 140
    line = next(one for one in text.splitlines() if "e₂ⱼ = " in one)
    assert "δ₃ = " in line
    assert done.beside(done).to_markdown().count("\n| ") == len(done.steps)
    with pytest.raises(dr.SpecError, match="unknown notation"):
        done.beside("rows")
    for columns in (1, 59, 70.5, np.nan):
        with pytest.raises(dr.SpecError):
            done.beside("row").to_text(columns)  # type: ignore[arg-type]
