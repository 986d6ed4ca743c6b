"""Blocks and their writers: each format says all, escapes all, and stands in one frame."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from deltarule.document import (
    Code,
    Document,
    Fact,
    Heading,
    Item,
    Items,
    Lines,
    Listing,
    Marked,
    Names,
    Point,
    Shown,
    Table,
    Tag,
    Title,
    html,
    latex,
    markdown,
    text,
)
from deltarule.document import json as for_programs
from deltarule.document.formulas import Tree
from deltarule.formula.expression import Symbol
from deltarule.formula.function import Variable
from deltarule.formula.inline import Inline
from deltarule.formula.notation import get_notation

FORMULA = Tree(Symbol("z", 1, (2,)), Inline(get_notation("index")))
ALL = Document(
    [
        Title("What was found"),
        Lines([Marked("1 of 3 is wrong.", "bad")], tight=True),
        Point("First wrong number", "z_1: 2 is claimed"),
        Heading("What was done"),
        Items(
            [
                Item(
                    ("the sign is missing", Tag("no_sign")),
                    [Fact("done", Code("a + b"), "bad"), Fact("right", Code("a - b"), "ok")],
                ),
                Item("nothing else", [Fact("as well", "so")]),
            ],
            "1.",
        ),
        Names("Nothing explains", ["this", "that"]),
        Table(
            ("", "value", "verdict"),
            [
                ("one", "1.5", "right"),
                (
                    FORMULA,
                    "-10",
                    Marked("wrong", "bad"),
                ),
                (Code("b"), "", ""),
            ],
            "lrl",
            most=2,
        ),
        Items([Item("a sentence that is long enough to be wrapped")], "-", width=24),
        Listing(["dr.train(net)"], tight=True),
        Lines(["a note", "and another"]),
    ]
)


def test_text_has_columns_indents_and_blank_lines() -> None:
    assert text.write(ALL) == (
        """\
What was found
1 of 3 is wrong.

First wrong number
  z_1: 2 is claimed

What was done
  1. the sign is missing  [no_sign]
     done:   a + b
     right:  a - b
  2. nothing else
     as well: so

Nothing explains
  this
  that

      value  verdict
one     1.5  right
x_12    -10  wrong
... and 1 more; JSON and HTML have all of them

- a sentence that is
  long enough to be
  wrapped
    dr.train(net)

a note
and another"""
    )


def test_markdown_is_what_pages_of_others_take() -> None:
    assert markdown.write(ALL) == (
        """\
## What was found

1 of 3 is wrong.

**First wrong number:** z_1: 2 is claimed

**What was done:**

1. the sign is missing (`no_sign`)
   - done: `a + b`
   - right: `a - b`

2. nothing else
   - as well: so

Nothing explains: this; that.

|  | value | verdict |
|---|--:|---|
| one | 1.5 | right |
| `x_12` | -10 | wrong |

... and 1 more; JSON and HTML have all of them

- a sentence that is long enough to be wrapped

```
dr.train(net)
```

a note
and another
"""
    )


def test_latex_is_a_part_or_a_whole_document() -> None:
    part = latex.write(ALL)
    assert r"\section*{What was found}" in part
    assert r"\item the sign is missing (\texttt{no\_sign})" in part
    assert r"$x_{12}$ & -10 & \textbf{wrong} \\" in part
    assert part.count(r"\begin{tabular}{lrl}") == 1
    assert "documentclass" not in part
    whole = latex.write(ALL, standalone=True)
    assert part in whole
    assert whole.startswith(r"\documentclass")
    assert whole.endswith("\\end{document}\n")


def test_a_long_table_in_latex_is_in_pieces_with_their_heads() -> None:
    rows = [("x" * 90, f"{i}") for i in range(90)]
    written = latex.write(Document([Table(("name", "i"), rows, "lr")]))
    assert written.count(r"name & i \\ \hline") == written.count(r"\end{tabular}") == 3
    assert r"\footnotesize \begin{tabular}" in written


def test_a_last_column_that_is_too_long_for_a_page_is_broken_in_latex() -> None:
    long = Document([Table(("i", "calculation"), [("1", "0.5 + " * 40)], "rl")])
    assert r"\begin{tabular}{rp{0.94\linewidth}}" in latex.write(long)
    assert "p{" not in latex.write(Document([Table(("i",), [("0.5 + " * 40,)], "r")]))


def test_pages_show_all_rows_and_their_colours() -> None:
    page = html.write(ALL)
    assert "<td><code>b</code></td>" in page
    assert "... and" not in page
    assert '<td><span class="bad">wrong</span></td>' in page
    assert "<i>x</i><sub>12</sub>" in page
    assert '<div class="bad"><span class="label">done:</span> <code>a + b</code></div>' in page


class _Reader(HTMLParser):
    """Elements that are open at the end, and every attribute that could name a place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.places: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.places += [value for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    assert not reader.open
    return reader


def test_a_page_is_whole_and_fetches_nothing() -> None:
    page = html.write(ALL)
    reader = _read(page)
    assert reader.seen.count("table") == reader.seen.count("h1") == 1
    assert not reader.places
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page
    assert "script-src" not in page
    assert '<meta name="viewport"' in page
    assert "<title>What was found</title>" in page


def test_only_a_page_with_a_script_may_run_one() -> None:
    page = html.page("t", "<p>b</p>", style="p { margin: 0 }", script="go()")
    assert "script-src 'unsafe-inline'" in page
    assert "<script>go()</script>" in page
    assert "p { margin: 0 }" in page


def _selectors() -> list[str]:
    sheet = html.css()
    while "/*" in sheet:
        before, _, rest = sheet.partition("/*")
        sheet = before + rest.partition("*/")[2]
    rules = sheet.replace("@media", "\n@media")
    heads = [part.rpartition("{")[0] or part for part in rules.split("}")]
    found = [head.rpartition("{")[2].rpartition(";")[2].strip() for head in heads]
    return [one for one in found if one and not one.startswith("@")]


def test_a_fragment_brings_its_styles_and_they_meet_no_others() -> None:
    fragment = html.fragment(ALL)
    _read(fragment)
    assert fragment.startswith('<div class="deltarule">\n<style>')
    assert html.css() in fragment
    assert "<body" not in fragment
    assert "<title" not in fragment
    selectors = _selectors()
    assert len(selectors) > 20
    assert [one for one in selectors if ".deltarule" not in one] == []
    assert "@page" not in fragment
    assert "@page" in html.write(ALL)


def test_what_covers_a_shadow_hides_no_ink_on_a_ground_that_is_not_told() -> None:
    ground = html.css().split("--ground:")[1].split(";")[0]
    assert "from currentColor" in ground  # white under dark ink, black under light ink
    assert "Canvas" not in ground


def test_pages_are_light_and_dark_and_wide_tables_scroll() -> None:
    sheet = html.css()
    assert "color-scheme: light dark" in sheet
    assert "@media print" in sheet
    assert '<div class="scroll"><table>' in html.write(ALL)
    assert '"Latin Modern Math", "STIX Two Math", "Cambria Math", "DejaVu Math TeX Gyre"' in sheet


EVIL = '<b>|`&"$_%\\</script><!--'
EVIL_FORMULA = Tree(Variable(EVIL), Inline(get_notation("index")))


def _evil() -> Document:
    item = Item((EVIL, Tag(EVIL)), [Fact(EVIL, Code(EVIL)), Fact(EVIL, EVIL)])
    return Document(
        [
            Title(EVIL),
            Heading(EVIL),
            Lines(
                [
                    EVIL,
                    Marked(EVIL, "ok"),
                    Code(EVIL),
                    EVIL_FORMULA,
                ]
            ),
            Point(EVIL, EVIL),
            Names(EVIL, [EVIL]),
            Items([item], "1."),
            Items([item], ""),
            Table(
                (EVIL, Code(EVIL)),
                [(EVIL, EVIL_FORMULA)],
                "lr",
                caption=EVIL,
            ),
            Listing([EVIL]),
        ]
    )


def test_html_is_escaped_everywhere() -> None:
    for page in (html.write(_evil()), html.fragment(_evil())):
        assert "b" not in _read(page).seen
        assert "script" not in _read(page).seen
        assert "<!--" not in page


def test_markdown_has_no_tag_and_no_column_too_many() -> None:
    written = markdown.write(_evil())
    outside = [line for line in written.splitlines() if not line.startswith(("|", " ", "`"))]
    assert not any(line.replace(r"\<", "").count("<b>") for line in outside if "`" not in line)
    row = next(line for line in written.splitlines() if line.startswith("|"))
    assert row.replace(r"\|", "").count("|") == 3
    assert markdown.code("a `` b") == "``` a `` b ```"


def test_latex_is_escaped() -> None:
    assert latex.phrase("50 % of a_1 & b") == r"50 \% of a\_1 \& b"
    assert latex.phrase(Code("x^2 ~ {}")) == (
        r"\texttt{x\textasciicircum{}2 \textasciitilde{} \{\}}"
    )
    assert latex.phrase("a\x00b\x1b\ud800c") == "a?b??c"


def test_letters_that_pdflatex_may_not_have_are_provided_for() -> None:
    plain, odd = (latex.write(Document([Title(name)]), standalone=True) for name in ("x", "\u6570"))
    assert "undefined" not in plain
    assert odd.index(r"\UTFviii@undefined@err#1{?}") < odd.index(r"\begin{document}")


@pytest.mark.parametrize("write", [text.write, markdown.write, html.write, latex.write])
def test_empty_blocks_are_left_out(write: Any) -> None:
    empty = [Lines([]), Items([]), Table(("a",), [], "l")]
    assert write(Document([Title("t"), *empty, Heading("h"), *empty, Lines(["x"])])) == write(
        Document([Title("t"), Heading("h"), Lines(["x"])])
    )


def test_a_table_without_a_head_and_with_an_indent() -> None:
    table = Table((), [("a", "1"), ("long", "20")], "lr", indent=2)
    assert text.table(table) == ["  a      1", "  long  20"]
    assert markdown.table(table)[:2] == ["|  |  |", "|---|--:|"]
    assert "<thead>" not in html.table(table)


def test_json_has_null_for_what_it_does_not_know() -> None:
    value = {
        "nan": math.nan,
        "list": [1, (math.inf, -math.inf), True, None, "x"],
        "array": np.array([[1.0, np.nan], [2.5, np.inf]]),
        "whole": np.arange(3),
        "scalar": np.float32(0.5),
        3: np.float64("nan"),
    }
    assert json.loads(for_programs.write(value)) == {
        "nan": None,
        "list": [1, [None, None], True, None, "x"],
        "array": [[1.0, None], [2.5, None]],
        "whole": [0, 1, 2],
        "scalar": 0.5,
        "3": None,
    }


def test_json_numbers_read_back_as_the_same_floats() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert json.loads(for_programs.write(values)) == values.tolist()


@dataclass(frozen=True)
class _Result(Shown):
    value: float

    def document(self) -> Document:
        return Document([Title("Result"), Lines([f"{self.value:g}"], tight=True)])

    def to_dict(self) -> dict[str, Any]:
        return {"value": self.value}


def test_a_result_that_says_what_it_says_has_every_format() -> None:
    one = _Result(math.nan)
    assert str(one) == one.to_text() == "Result\nnan"
    assert one.to_markdown() == "## Result\n\nnan\n"
    assert "<h1>Result</h1>\n<p>nan</p>" in one.to_html()
    assert "<h1>Result</h1>\n<p>nan</p>" in one._repr_html_()
    assert one.to_latex() in one.to_latex(standalone=True)
    assert one.to_json() == '{\n  "value": null\n}'
    assert one.to_json(None) == '{"value": null}'
    assert repr(one) == "_Result(value=nan)"
