"""A document as plain text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from deltarule.document import blocks
from deltarule.document.blocks import Document, Phrase, Table, parts

#: By the marker of a list: what stands before an item, and before what else belongs to it.
_INDENTS = {"1.": ("  {}. ", "     "), "-": ("- ", "  "), "  ": ("  ", "    "), "": ("", "  ")}


def write(document: Document) -> str:
    """The document, without a line end at its end."""
    lines: list[str] = []
    for _, written, apart in laid_out(document):
        lines += [""] * apart + written
    return "\n".join(lines)


def laid_out(document: Document) -> Iterator[tuple[blocks.Block, list[str], bool]]:
    """Each block that says something, its lines, and whether a blank line stands above it."""
    headed = True
    for block in document.blocks:
        written = list(_block(block))
        if written:
            yield block, written, not (headed or block.tight)
            headed = isinstance(block, blocks.Heading)


def phrase(said: Phrase) -> str:
    """A phrase in characters."""
    return "".join(map(_inline, parts(said)))


def table(of: Table) -> list[str]:
    """The rows that are shown, columns below each other; without what is left out."""
    head = [of.head] if of.head else []
    cells = [[phrase(cell) for cell in row] for row in (*head, *of.shown)]
    return [" " * of.indent + line for line in aligned(cells, of.align)]


def aligned(rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Rows of cells as columns, two blanks between them; `align` has an l or r for each."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(row, widths, align, strict=True)
        ).rstrip()
        for row in rows
    ]


def _inline(part: blocks.Inline) -> str:
    match part:
        case str():
            return part
        case blocks.Code(code):
            return code
        case blocks.Tag(name):
            return f"  [{name}]"
        case blocks.Marked(words):
            return words
        case _:
            return part.text()


def _block(block: blocks.Block) -> Iterator[str]:
    match block:
        case blocks.Title(title):
            yield title
        case blocks.Heading(heading):
            yield heading
        case blocks.Lines(lines, width):
            for line in lines:
                yield from _wrapped(phrase(line), width)
        case blocks.Point(name, sentence):
            yield from (name, f"  {phrase(sentence)}")
        case blocks.Names(lead, names):
            yield from (lead, *(f"  {name}" for name in names))
        case blocks.Items():
            for number, item in enumerate(block.items, start=1):
                yield from _item(item, block, number)
        case blocks.Table() if block.rows:
            if block.caption:
                yield phrase(block.caption)
            yield from table(block)
            if block.more:
                yield block.more
        case blocks.Listing(lines):
            yield from (f"    {line}" for line in lines)


def _item(item: blocks.Item, of: blocks.Items, number: int) -> Iterator[str]:
    first, then = _INDENTS[of.marker]
    yield from _wrapped(phrase(item.sentence), of.width, first.format(number), then)
    # code stands below code, so that what differs can be seen
    label = max(
        (len(one.label) for one in item.facts if isinstance(one.value, blocks.Code)), default=0
    )
    for fact in item.facts:
        name = f"{fact.label}: " if fact.label else ""
        if isinstance(fact.value, blocks.Code):
            name = f"{fact.label + ':':{label + 1}}  "
        yield from _wrapped(name + phrase(fact.value), of.width, then, then + "  ")


def _wrapped(line: str, width: int | None, first: str = "", then: str = "") -> list[str]:
    if width is None:
        return [first + line]
    return textwrap.wrap(line, width, initial_indent=first, subsequent_indent=then)
