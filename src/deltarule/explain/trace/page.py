"""A trace as one page that needs nothing else: the network drawn, and the tables of all lines.

The picture has two layers, forward values and backward deltas, for each step and sample; a unit or
an edge shows its formula with numbers. On paper the tables and the first picture remain.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from importlib import resources

from deltarule.explain.trace.lines import Lines
from deltarule.explain.trace.picture import Picture, calculation
from deltarule.explain.trace.selection import (
    Selection,
    Shown,
    Wanted,
    check_shown,
    facts,
    heading,
    left_out,
    place,
    results,
)
from deltarule.explain.trace.steps import Traced
from deltarule.formula.inline import Html

# Nothing is fetched, whatever a name in the network may hold.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(
    trace: Traced,
    *,
    notation: str,
    digits: int | None,
    max_lines: int | None,
    max_terms: int | None,
) -> str:
    """What `Trace.to_html` gives."""
    check_shown(digits, max_terms)
    lines = Lines(trace, notation, digits, max_terms, Html)
    selection = Selection(trace, lines, Wanted(max_lines=max_lines))
    picture = Picture(trace, lines)
    data = {"views": picture.views(), "delta": lines.notation.delta_name}
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    known = facts(trace, digits)
    if notation != "canonical":
        known.append(f"notation: {lines.symbols.notation.document}")
    return "".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Trace of {html.escape(repr(trace.net))}</title>",
            f"<style>{_asset('trace.css')}</style></head>\n<body>",
            "<header><h1>Trace of back-propagation</h1><ul>",
            *(f"<li>{html.escape(fact)}</li>" for fact in known),
            "</ul></header>\n<main>",
            _picture(picture),
            *_results(trace, lines),
            *_tables(trace, lines, selection),
            "</main>\n",
            f'<script type="application/json" id="data">{written}',
            f"</script><script>{_asset('trace.js')}</script></body></html>\n",
        ]
    )


def frame(page: str) -> str:
    """A page for a notebook, where its styles and script must not meet others."""
    whole = html.escape(page)
    return (
        f'<iframe srcdoc="{whole}" sandbox="allow-scripts" title="Trace of back-propagation" '
        'style="width:100%;height:44rem;border:0"></iframe>'
    )


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8").strip()


def _picture(picture: Picture) -> str:
    """The drawing, its controls, and where a unit or an edge shows its lines."""
    delta = picture.lines.notation.delta_name
    samples = "".join(f"<option>{s}</option>" for s in picture.samples)
    choice = f'<label>sample <select id="sample">{samples}</select></label>'
    missing = f'<p class="note">Not drawn: {picture.left_out}.</p>' if picture.left_out else ""
    return (
        '<section class="picture" aria-label="Picture">'
        '<div class="controls">'
        '<span class="switch" role="group" aria-label="What is shown">'
        '<button type="button" id="forward">forward: values</button>'
        f'<button type="button" id="backward">backward: {delta}s</button></span>'
        '<span class="steps"><button type="button" id="previous" aria-label="previous step">'
        '&#8249;</button><select id="step" aria-label="step"></select>'
        '<button type="button" id="next" aria-label="next step">&#8250;</button></span>'
        f"{choice if len(picture.samples) > 1 else ''}"
        '<output id="loss"></output></div>'
        f'<div class="scroll">{picture.svg()}</div>'
        '<p class="legend"><span id="meaning"></span>'
        '<span><i class="key"></i> positive</span> <span><i class="key neg"></i> negative</span>'
        "<span>the larger, the stronger</span></p>"
        f"{missing}"
        '<div id="panel" aria-live="polite"><p class="note">Point at a unit or an edge, tap it, or '
        "use Tab and the arrow keys: its formula with the numbers stands here.</p></div>"
        "</section>\n"
    )


def _results(trace: Traced, lines: Lines) -> Iterator[str]:
    yield '<section><h2>Result</h2><table class="result">'
    for name, what in results(trace, lines):
        yield f"<tr><th>{name}</th><td>{what}</td></tr>"
    yield "</table></section>\n"


def _tables(trace: Traced, lines: Lines, selection: Selection) -> Iterator[str]:
    """All lines, a section per phase and a table per formula."""
    last = ""
    for shown in selection:
        head = heading(trace, shown)
        if head != last:
            yield ("</section>\n" if last else "") + f"<section><h2>{head}</h2>"
            last = head
        yield from _table(trace, lines, shown)
    yield "</section>\n"
    if selection.left_out:
        yield f'<p class="note">{html.escape(left_out(selection))}</p>'


def _table(trace: Traced, lines: Lines, shown: Shown) -> Iterator[str]:
    group = shown.group
    yield f"<table><caption><span>{place(trace, group)}</span> {group.formula}</caption>"
    for line in shown.lines:
        symbol, rest = calculation(lines, line)
        yield f'<tr><td class="symbol">{symbol}</td><td>{rest}</td></tr>'
    if shown.more:
        yield f'<tr><td></td><td class="note">{shown.more} more</td></tr>'
    yield "</table>"
