"""A document as HTML: a page that needs nothing else, or a fragment for a notebook.

Both carry one style sheet, `page.css`, whose rules hold inside `.deltarule` only: so a fragment
meets no other styles, and pages look alike. Nothing is fetched from anywhere.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from deltarule.document import blocks
from deltarule.document.blocks import Document, Phrase, Table, parts

_PAPER = "@page { margin: 14mm; }\n"  # not in a fragment: a notebook's pages are its own
_RIGHT = ' class="r"'
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write(document: Document) -> str:
    """The document as a page."""
    return page(document.title, body(document))


def fragment(document: Document) -> str:
    """The document as a part of a page that has other styles, such as a notebook."""
    return styled(body(document))


def page(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """A page in the look that all results share.

    Parameters
    ----------
    title : str
        Plain text, for the window.
    body : str
        HTML.
    style : str, optional
        CSS beside `page.css`.
    script : str, optional
        JavaScript that runs when all stands there; without it none may.
    """
    policy = _POLICY + ("; script-src 'unsafe-inline'" if script else "")
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{css()}{_PAPER}{style}</style></head>\n"
        f'<body class="deltarule page">\n{body}\n'
        + (f"<script>{script}</script>\n" if script else "")
        + "</body>\n</html>\n"
    )


def styled(body: str, *, style: str = "") -> str:
    """HTML with the style sheet that it needs, for a notebook."""
    return f'<div class="deltarule">\n<style>\n{css()}{style}</style>\n{body}\n</div>'


@cache
def css() -> str:
    """The style sheet of all pages and fragments."""
    return Path(__file__).with_name("page.css").read_text("utf-8")


def body(document: Document) -> str:
    """The blocks alone, without a style sheet."""
    return "\n".join(part for block in document.blocks for part in _block(block))


def phrase(said: Phrase) -> str:
    """A phrase as HTML, escaped."""
    return "".join(map(_inline, parts(said)))


def table(of: Table) -> str:
    """All rows, in a box of its own in which a wide table scrolls."""
    caption = f"<caption>{phrase(of.caption)}</caption>" if of.caption else ""
    head = f"<thead>{_row(of.head, of.align, 'th')}</thead>" if of.head else ""
    rows = "\n".join(_row(row, of.align, "td") for row in of.rows)
    return scrolling(f"<table>{caption}{head}<tbody>\n{rows}\n</tbody></table>")


def scrolling(content: str) -> str:
    """Content in a box that scrolls sideways and shows at its edges that it does."""
    return f'<div class="scroll">{content}</div>'


def _row(cells: Sequence[Phrase], align: str, tag: str) -> str:
    return (
        "<tr>"
        + "".join(
            f"<{tag}{_RIGHT * (side == 'r')}>{phrase(cell)}</{tag}>"
            for cell, side in zip(cells, align, strict=True)
        )
        + "</tr>"
    )


def _inline(part: blocks.Inline) -> str:
    match part:
        case str():
            return html.escape(part)
        case blocks.Code(code):
            return f"<code>{html.escape(code)}</code>" if code else ""
        case blocks.Tag(name):
            return f' <code class="tag">{html.escape(name)}</code>'
        case blocks.Marked(words, kind):
            return f'<span class="{kind}">{html.escape(words)}</span>'
        case _:
            return part.html()


def _block(block: blocks.Block) -> Iterator[str]:
    match block:
        case blocks.Title(title):
            yield f"<h1>{html.escape(title)}</h1>"
        case blocks.Heading(heading):
            yield f"<h2>{html.escape(heading)}</h2>"
        case blocks.Lines(lines):
            yield from (f"<p>{phrase(line)}</p>" for line in lines)
        case blocks.Point(name, sentence):
            yield f"<h2>{html.escape(name)}</h2>\n<p>{phrase(sentence)}</p>"
        case blocks.Names(lead, names):
            yield f"<p>{html.escape(lead)}: {html.escape('; '.join(names))}.</p>"
        case blocks.Items() if block.items:
            tag = "ol" if block.marker == "1." else "ul"
            plain = ' class="plain"' * (not block.marker)
            items = "\n".join(map(_item, block.items))
            yield f"<{tag}{plain}>\n{items}\n</{tag}>"
        case blocks.Table() if block.rows:
            yield table(block)
        case blocks.Listing(lines):
            yield scrolling(f"<pre>{html.escape(chr(10).join(lines))}</pre>")


def _item(item: blocks.Item) -> str:
    facts = "".join(
        (f'<div class="{one.kind}">' if one.kind else "<div>")
        + (f'<span class="label">{html.escape(one.label)}:</span> ' if one.label else "")
        + f"{phrase(one.value)}</div>"
        for one in item.facts
    )
    return f"<li>{phrase(item.sentence)}{facts}</li>"
