"""A document as LaTeX: a part of a document that needs no package, or a whole one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deltarule.document import blocks, text
from deltarule.document.blocks import Document, Phrase, Table, parts
from deltarule.formula.latex import escaped, unknown

#: Rows of a `tabular`, in which no page can break.
_PAGE = 40
#: Characters of a row for which a page has room, and for smaller letters.
_WIDE = 85
_SIZES = ((120, r"\tiny "), (96, r"\scriptsize "), (_WIDE, r"\footnotesize "))


def write(document: Document, standalone: bool = False) -> str:
    """The document, for a LaTeX document or as a whole one, with a line end at its end."""
    written = ("\n".join(_block(block)) for block in document.blocks)
    content = "\n\n".join(one for one in written if one) + "\n"
    return whole(content) if standalone else content


def whole(content: str) -> str:
    """A document of its own around LaTeX."""
    return (
        "\\documentclass[11pt,a4paper]{article}\n"
        "\\usepackage[margin=2cm]{geometry}\n"
        "\\renewcommand{\\arraystretch}{1.15}\n"
        "\\setlength{\\parindent}{0pt}\\setlength{\\parskip}{4pt}\\raggedright\\sloppy\n"
        + "".join(f"{line}\n" for line in unknown(content))
        + f"\\begin{{document}}\n{content}\\end{{document}}\n"
    )


def phrase(said: Phrase) -> str:
    """A phrase, escaped."""
    return "".join(map(_inline, parts(said)))


def table(of: Table) -> list[str]:
    """The rows that are shown, in one `tabular`."""
    return _tabular(of, of.shown, of.align)


def _tabular(of: Table, rows: Sequence[Sequence[Phrase]], align: str) -> list[str]:
    head = [_row(of.head) + r" \\ \hline"] if of.head else []
    return [
        rf"\begin{{tabular}}{{{align}}}",
        *head,
        *(_row(row) + r" \\" for row in rows),
        r"\end{tabular}",
    ]


def _row(cells: Sequence[Phrase]) -> str:
    return " & ".join(map(phrase, cells))


def _inline(part: blocks.Inline) -> str:
    match part:
        case str():
            return escaped(part)
        case blocks.Code(code):
            return rf"\texttt{{{escaped(code)}}}" if code else ""
        case blocks.Tag(name):
            return rf" (\texttt{{{escaped(name)}}})"
        case blocks.Marked(words, kind):
            return rf"\textbf{{{escaped(words)}}}" if kind == "bad" else escaped(words)
        case _:
            return f"${part.latex()}$" if part.latex() else ""


def _block(block: blocks.Block) -> Iterator[str]:
    match block:
        case blocks.Title(title):
            yield rf"\section*{{{escaped(title)}}}"
        case blocks.Heading(heading):
            yield rf"\subsection*{{{escaped(heading)}}}"
        case blocks.Lines(lines):
            yield from ("\n\n".join(map(phrase, lines)),)
        case blocks.Point(name, sentence):
            yield rf"\textbf{{{escaped(name)}.}} {phrase(sentence)}"
        case blocks.Names(lead, names):
            yield f"{escaped(lead)}: {escaped('; '.join(names))}."
        case blocks.Items() if block.items:
            kind = "enumerate" if block.marker == "1." else "itemize"
            items = map(_item, block.items)
            yield from (rf"\begin{{{kind}}}", *items, rf"\end{{{kind}}}")
        case blocks.Table() if block.rows:
            yield from _tables(block)
        case blocks.Listing(lines):
            yield from (r"\begin{verbatim}", *lines, r"\end{verbatim}")


def _item(item: blocks.Item) -> str:
    facts = "".join(
        rf" \\ {f'{escaped(one.label)}: ' if one.label else ''}{phrase(one.value)}"
        for one in item.facts
    )
    return rf"\item {phrase(item.sentence)}{facts}"


def _tables(of: Table) -> Iterator[str]:
    """A table in pieces between which a page may break, as wide as a page at most."""
    if of.caption:
        yield phrase(of.caption) + r"\par"
    long = max(map(len, text.table(of)))
    last = max(len(text.phrase(row[-1])) for row in of.shown)
    align, size = of.align, next((size for most, size in _SIZES if long > most), "")
    if size and align.endswith("l") and 2 * last > long:  # its lines break
        align = rf"{align[:-1]}p{{{0.96 - (long - last) / _WIDE:.2f}\linewidth}}"
        size = ""
    for start in range(0, len(of.shown), _PAGE):
        first, *lines = _tabular(of, of.shown[start : start + _PAGE], align)
        if size:
            first, lines[-1] = f"{{{size}{first}", lines[-1] + "}"
        yield from (first, *lines)
        if start + _PAGE < len(of.shown):
            yield r"\par"
    if of.more:
        yield rf"\par {escaped(of.more)}"
