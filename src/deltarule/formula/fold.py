r"""Long LaTeX formulas in lines: by how wide they are about, and where they may break.

TeX breaks a formula in a paragraph by itself, at `\allowbreak`. Displays, MathJax and KaTeX do not:
for them a formula is folded into the rows of an `aligned`, which all of them know.
"""

from __future__ import annotations

import re

BREAK = r"\allowbreak "
#: In em, of a row that fits an article's column with its left side, and a notebook's.
COLUMN = 26.5

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\S")
_WIDE = {
    **dict.fromkeys(("=", r"\sim"), 1.4),
    **dict.fromkeys(("+", "-", r"\odot"), 1.25),
    **dict(
        zip((r"\cdot", r"\log", r"\sum", r"\,", ","), (0.75, 1.5, 1.6, 0.17, 0.45), strict=True)
    ),
    **dict.fromkeys(("(", ")", "[", "]"), 0.4),
    **dict.fromkeys((r"\left", r"\right"), 0.2),
    **dict.fromkeys((r"\allowbreak", r"\mathrm", r"\mathsf", r"\displaystyle"), 0.0),
}
_LETTER, _SCRIPT = 0.53, 0.72


def width(formula: str) -> float:
    """About how wide a formula is set, in em."""
    return _row(_TOKEN.findall(formula)[::-1])


def _row(tokens: list[str]) -> float:
    """The width of what comes up to a closing brace; the next token is the last of the list."""
    total = script = 0.0
    while tokens and (one := tokens.pop()) != "}":
        if one in "_^":  # one above the other
            wide = _SCRIPT * _argument(tokens)
            total += max(0.0, wide - script)
            script = max(script, wide)
            continue
        script = _WIDE[one] if one == r"\sum" else 0.0  # an index below the sign takes no room
        total += _atom(one, tokens)
    return total


def _argument(tokens: list[str]) -> float:
    return _atom(tokens.pop(), tokens) if tokens else 0.0


def _atom(one: str, tokens: list[str]) -> float:
    if one == "{":
        return _row(tokens)
    if one == r"\frac":
        return max(_argument(tokens), _argument(tokens)) + 0.25
    return _WIDE.get(one, _LETTER)


def unbroken(formula: str) -> str:
    """A formula on one line."""
    return formula.replace(BREAK, "")


def folded(formula: str, column: float = COLUMN) -> list[str]:
    """A formula in rows that are about as wide as a column at most."""
    rows: list[str] = []
    room = 0.0
    for piece in _pieces(formula):
        wide = width(piece)
        if not rows or wide > room:
            rows.append(piece)
            room = column - wide
        else:
            rows[-1] += piece
            room -= wide
    return [row.removesuffix(r"\, ") for row in rows]


def _pieces(formula: str) -> list[str]:
    r"""The parts between the breaks that stand in no braces and in no \left ... \right."""
    pieces, depth = [""], 0
    for part in re.split(r"(\\allowbreak |\\left|\\right|\\[{}]|[{}])", formula):
        if part == BREAK:
            pieces += [""] * (depth == 0 and bool(pieces[-1]))
            continue
        depth += (part in ("{", r"\left")) - (part in ("}", r"\right"))
        pieces[-1] += part
    return pieces


def aligned(rows: list[list[str]]) -> str:
    r"""An `aligned` of formulas; the first row of each says where its `&` stands."""
    lines = [
        first if place == 0 else rf"& \quad {first}"
        for formula in rows
        for place, first in enumerate(formula)
    ]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"
