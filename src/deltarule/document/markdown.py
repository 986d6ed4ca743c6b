"""A document as Markdown, to be pasted into a page that has a title of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from deltarule.document import blocks
from deltarule.document.blocks import Document, Phrase, Table, parts

_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def write(document: Document) -> str:
    """The document, with a line end at its end."""
    written = ("\n".join(_block(block)) for block in document.blocks)
    return "\n\n".join(one for one in written if one).rstrip() + "\n"


def phrase(said: Phrase) -> str:
    """A phrase; nothing in it becomes an HTML tag."""
    return "".join(map(_inline, parts(said)))


def table(of: Table) -> list[str]:
    """The rows that are shown; without caption and what is left out."""
    head = of.head or [""] * len(of.align)
    rule = "|".join("---" if side == "l" else "--:" for side in of.align)
    return [_row(head), f"|{rule}|", *map(_row, of.shown)]


def code(text: str) -> str:
    """A code span, whatever backticks are in it."""
    if "`" not in text:
        return f"`{text}`"
    fence = "`" * (1 + max(map(len, re.findall("`+", text))))
    return f"{fence} {text} {fence}"


def escaped(text: str) -> str:
    """Plain text in which no HTML tag begins."""
    return _TAG.sub(r"\\<", text)


def _row(cells: Sequence[Phrase]) -> str:
    return "| " + " | ".join(phrase(cell).replace("|", r"\|") for cell in cells) + " |"


def _inline(part: blocks.Inline) -> str:
    match part:
        case str():
            return escaped(part)
        case blocks.Code(text):
            return code(text) if text else ""
        case blocks.Tag(name):
            return f" ({code(name)})"
        case blocks.Marked(words):
            return escaped(words)
        case _:
            return code(part.text()) if part.text() else ""


def _block(block: blocks.Block) -> Iterator[str]:
    match block:
        case blocks.Title(title):
            yield f"## {escaped(title)}"
        case blocks.Heading(heading):
            yield f"**{escaped(heading)}:**"
        case blocks.Lines(lines):
            yield from map(phrase, lines)
        case blocks.Point(name, sentence):
            yield f"**{escaped(name)}:** {phrase(sentence)}"
        case blocks.Names(lead, names):
            yield f"{escaped(lead)}: {escaped('; '.join(names))}."
        case blocks.Items():
            for number, item in enumerate(block.items, start=1):
                numbered = block.marker == "1."
                if numbered and number > 1:
                    yield ""
                yield from _item(item, f"{number}. " if numbered else "- ")
        case blocks.Table() if block.rows:
            if block.caption:
                yield from (phrase(block.caption), "")
            yield from table(block)
            if block.more:
                yield from ("", block.more)
        case blocks.Listing(lines):
            yield from ("```", *lines, "```")


def _item(item: blocks.Item, marker: str) -> Iterator[str]:
    yield marker + phrase(item.sentence)
    for fact in item.facts:
        label = f"{escaped(fact.label)}: " if fact.label else ""
        yield f"{' ' * len(marker)}- {label}{phrase(fact.value)}"
