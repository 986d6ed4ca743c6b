"""The page of a trace (SPEC X5): self-contained, right numbers everywhere; its script runs."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.explain.trace.report import Trace
from support.printed import Printed, holds, lines

VOID = {"meta", "line", "circle", "br"}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


class Page(HTMLParser):
    """Checks that tags are closed in order; collects attributes, ids and cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += {"sup": "^", "sub": "_"}.get(self.open[-1], "") + data


def data_of(page: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(text)


def plain(typeset: str) -> str:
    """A calculation as it was before it was set as HTML."""
    text = re.sub(r"(\d)·10<sup>(.*?)</sup>", r"\1e\2", typeset)
    text = re.sub(r"<sup>2</sup>", "^2", re.sub(r"</?[ib]>", "", text))
    for sign, ascii_sign in (("\N{MINUS SIGN}", "-"), ("·", "*"), ("Φ", "Phi"), ("φ", "phi")):
        text = text.replace(sign, ascii_sign)
    return html.unescape(text)


def calculations(pairs: list[list[str]]) -> list[Printed]:
    """The lines of a unit or an edge that have a calculation."""
    found = []
    for _, line in pairs:
        parts = re.split(r" [=←] ", line)
        if len(parts) == 3:
            found.append(Printed(parts[0], "=", plain(parts[1]), plain(parts[2])))
    return found


def several() -> Trace:
    rng = np.random.default_rng(4)
    net = dr.Network([3, 4, 2], ["gelu", "softmax"], "cross_entropy", rng=4)
    return dr.trace(net, rng.normal(size=(3, 3)), [0, 1, 1], 0.5, 2)


@pytest.mark.parametrize("notation", ["canonical", "index", "delta", "row", "column"])
def test_the_page_is_whole_and_needs_nothing_else(notation: str) -> None:
    for done in (dr.trace("yehoshua"), several()):
        page = done.to_html(notation=notation)
        parsed = Page(page)
        assert page.startswith("<!doctype html>")
        for tag, name, value in parsed.attributes:
            assert name not in ("src", "href", "action", "srcset"), (tag, name)
            assert "url(" not in value
        assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttp", page)
        assert ("meta", "content", "width=device-width, initial-scale=1") in parsed.attributes
        policy = [value for tag, name, value in parsed.attributes if "default-src" in value]
        assert policy[0].startswith("default-src 'none'")
        for media in ("color-scheme: light dark", "@media print", "max-width"):
            assert media in page


@pytest.mark.parametrize("notation", ["canonical", "index", "delta", "row", "column"])
def test_tables_hold_the_lines_of_the_text(notation: str) -> None:
    done = several()
    text = lines(done.to_text(notation=notation, max_lines=None))
    cells = Page(done.to_html(notation=notation, max_lines=None)).cells[6:]  # after the results
    assert len(cells) == 2 * len(text)
    for symbol, rest, line in zip(cells[::2], cells[1::2], text, strict=True):
        assert len(symbol) >= 1
        value = rest.rpartition("= ")[2].replace("\N{MINUS SIGN}", "-").replace("·10^", "e")
        assert value == line.value
        assert rest.startswith("←" if line.arrow == "<-" else "=")


def test_every_view_has_the_numbers_of_its_step_and_sample() -> None:
    done = several()
    views = data_of(done.to_html(digits=10))["views"]
    assert [view["label"] for view in views] == ["Step 1", "Step 2", "After the update"]
    passes = [done.steps[0].before, done.steps[1].before, done.steps[1].after]
    counted = 0
    for k, (view, passed) in enumerate(zip(views, passes, strict=True)):
        assert view["after"] == (k == 2)
        assert len(view["samples"]) == 3
        for s, sample in enumerate(view["samples"]):
            assert set(sample["units"]) == {
                *(f"0-{j}" for j in range(3)),
                *(f"1-{j}" for j in range(4)),
                *(f"2-{j}" for j in range(2)),
            }
            for name, unit in sample["units"].items():
                l, j = map(int, name.split("-"))
                assert number(unit["a"]) == pytest.approx(passed.a[l][s, j], rel=0.06, abs=1e-9)
                if k < 2:
                    step = done.steps[k]
                    delta = step.input_gradients if l == 0 else step.delta[l - 1]
                    assert number(unit["d"]) == pytest.approx(delta[s, j], rel=0.06, abs=1e-9)
                    assert np.sign(unit["ds"]) == np.sign(delta[s, j])
                for line in calculations([*unit["f"], *unit.get("b", [])]):
                    assert holds(line, 10), line
                    counted += 1
        for name, wire in view["wires"].items():
            l, i, j = map(int, name.split("-"))
            assert number(wire["w"]) == pytest.approx(passed.weights[l - 1][i, j], rel=0.06)
            for line in calculations(wire.get("b", [])):
                assert holds(line, 10), line
                counted += 1
    assert counted > 300


def number(shown: str) -> float:
    return float(shown.replace("\N{MINUS SIGN}", "-"))


def test_absent_edges_are_not_drawn() -> None:
    page = dr.trace("yehoshua").to_html()
    (view, _) = data_of(page)["views"]
    assert "1-0-2" not in view["wires"]
    assert "2-2-0" not in view["wires"]
    assert len(view["wires"]) == page.count('class="wire"') == 12


def test_large_networks_are_drawn_collapsed_and_the_page_stays_small() -> None:
    rng = np.random.default_rng(0)
    net = dr.Network([300, *[20] * 30, 12], "relu", "cross_entropy", rng=0)
    page = dr.trace(net, rng.normal(size=(200, 300)), np.arange(200) % 12, steps=30).to_html()
    Page(page)
    assert len(page) < 5e6
    assert page.count('class="unit"') == 10 * 6
    for text in (
        "294 more",
        "14 more",
        "6 more",
        ">22 layers<",
        "Not drawn: units of large layers",
    ):
        assert text in page, text
    assert "Left out: " in page


def test_a_name_cannot_become_markup() -> None:
    name = "</script><img src=x onerror=alert(1)>"
    evil = dr.Activation(name, np.tanh, lambda z: 1 - np.tanh(z) ** 2, formula="<b>&amp;</b>")
    page = dr.trace(dr.Network([1, 2, 1], [evil, "identity"], rng=0), [1.0], [0.0]).to_html()
    Page(page)
    assert "<img" not in page
    assert page.count("</script>") == 2


def test_a_notebook_shows_the_page_apart_from_its_own() -> None:
    done = dr.trace("mazur")
    frame = done._repr_html_()
    (inner,) = re.findall(r'srcdoc="(.*?)"', frame, flags=re.DOTALL)
    assert html.unescape(inner).startswith("<!doctype html>")
    assert 'sandbox="allow-scripts"' in frame


def test_numbers_that_overflow_do_not_break_the_page() -> None:
    net = dr.Network([1, 1, 1], ["exp", "identity"], rng=0)
    net.theta = [0.0, 5.0, 0.0, 1e200]
    page = dr.trace(net, [100.0], [0.0]).to_html()
    units = data_of(page)["views"][0]["samples"][0]["units"]
    assert [unit["a"] for unit in units.values()] == ["100", "1.4e217", "inf"]


@pytest.mark.skipif(CHROMIUM is None, reason="runs the page's script in a browser")
def test_the_script_runs_in_a_browser(tmp_path: Path) -> None:
    page = dr.trace("yehoshua", steps=2).to_html()
    act = (
        "<script>const press=(id)=>document.getElementById(id).click();"
        "press('backward');press('next');"
        "document.querySelector('.unit[data-id=\"1-1\"]')"
        ".dispatchEvent(new MouseEvent('click',{bubbles:true}));"
        "document.title='done';</script></body>"
    )
    (tmp_path / "page.html").write_text(page.replace("</body>", act))
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "page.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    assert "<title>done</title>" in dom
    step = dr.trace("yehoshua", steps=2).steps[1]
    values = re.findall(r'<text class="value" dy=".35em">(.*?)</text>', dom)
    shown = np.concatenate([step.input_gradients[0], *(delta[0] for delta in step.delta)])
    assert [number(one) for one in values] == pytest.approx(list(shown), rel=0.06, abs=1e-9)
    assert '<button type="button" id="backward" aria-pressed="true">' in dom
    panel = dom[dom.index('id="panel"') :]
    assert "<h3>hidden layer 1, unit 2: delta" in panel
    assert 'class="calculation"' in panel
    assert "chosen" in dom
