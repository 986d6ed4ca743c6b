"""A trace as one page that needs nothing else: the network drawn, and the tables of all lines.

The picture has two layers, forward values and backward deltas, for each step and sample; a unit or
an edge shows its formula with numbers. On paper the tables and the first picture remain.
"""

from __future__ import annotations

import html
import json
from pathlib import Path

from deltarule.document import Document
from deltarule.document import html as pages
from deltarule.explain.trace.layout import document
from deltarule.explain.trace.lines import Lines
from deltarule.explain.trace.picture import Picture
from deltarule.explain.trace.selection import Wanted
from deltarule.explain.trace.steps import Traced


def page(trace: Traced, wanted: Wanted) -> str:
    """What `Trace.to_html` gives."""
    shown = document(trace, wanted)
    picture = Picture(trace, Lines(trace, wanted.notation, wanted.digits, wanted.max_terms))
    data = {"views": picture.views(), "delta": picture.lines.notation.delta_name}
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    head, tables = (pages.body(Document(part)) for part in (shown.blocks[:2], shown.blocks[2:]))
    body = [
        f"<header>{head}</header>",
        f"<main>{_picture(picture)}",
        f"{tables}</main>",
        f'<script type="application/json" id="data">{written}</script>',
    ]
    title = f"Trace of {trace.net!r}"
    return pages.page(title, "\n".join(body), style=_asset("trace.css"), script=_asset("trace.js"))


def frame(page: str) -> str:
    """A page for a notebook, where its styles and script must not meet others."""
    whole = html.escape(page)
    return (
        f'<iframe srcdoc="{whole}" sandbox="allow-scripts" title="Trace of back-propagation" '
        'style="width:100%;height:44rem;border:0"></iframe>'
    )


def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


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
        f"{pages.scrolling(picture.svg())}"
        '<p class="legend"><span id="meaning"></span>'
        '<span><i class="key"></i> positive</span> <span><i class="key neg"></i> negative</span>'
        "<span>the larger, the stronger</span></p>"
        f"{missing}"
        '<div id="panel" aria-live="polite"><p class="note">Point at a unit or an edge, tap it, or '
        "use Tab and the arrow keys: its formula with the numbers stands here.</p></div>"
        "</section>"
    )
