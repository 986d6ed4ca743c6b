"""What a result says, apart from how it looks: a document is a sequence of these blocks.

A writer of a format (`text.py`, `markdown.py`, `html.py`, `latex.py`) knows every block, and a
block knows no format; it has no more than hints for plain text, where there is nothing but
characters: `width`, at which lines are wrapped, and `tight`, no blank line above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

# -- what stands in a line -------------------------------------------------------------------------


class Formula(Protocol):
    """What writes itself, such as `formulas.Tree`."""

    def text(self) -> str:
        """In plain text, without line breaks."""

    def html(self) -> str:
        """As HTML, escaped."""

    def latex(self) -> str:
        """For math mode, without dollar signs."""


@dataclass(frozen=True)
class Code:
    """A piece of code, or a formula that stands as it was written."""

    code: str


@dataclass(frozen=True)
class Tag:
    """The name for programs of what was said before it, such as a mistake's code."""

    name: str


@dataclass(frozen=True)
class Marked:
    """Words that say whether something is right, in that colour where there are colours."""

    words: str
    kind: Literal["ok", "bad", "soft"]


Inline = str | Code | Tag | Marked | Formula
#: What a line, a cell or an item says: one part, or several without anything between them.
Phrase = Inline | tuple[Inline, ...]


def parts(phrase: Phrase) -> tuple[Inline, ...]:
    """The parts of a phrase."""
    return phrase if isinstance(phrase, tuple) else (phrase,)


# -- blocks ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Block:
    """What all blocks have.

    Attributes
    ----------
    tight : bool
        In plain text, no blank line stands above it (there is none beneath a Heading anyway).
    """

    tight: bool = False


@dataclass(frozen=True)
class Title(Block):
    """What the whole document is about."""

    title: str


@dataclass(frozen=True)
class Heading(Block):
    """What the blocks beneath it are about."""

    heading: str


@dataclass(frozen=True)
class Lines(Block):
    """Sentences below each other.

    Attributes
    ----------
    lines : sequence of Phrase
    width : int or None
        At which a line of plain text is wrapped; None: not at all.
    """

    lines: Sequence[Phrase]
    width: int | None = None


@dataclass(frozen=True)
class Notes(Lines):
    """What else a reader should know; the command line says it on stderr instead."""


@dataclass(frozen=True)
class Point(Block):
    """A sentence under a name of its own."""

    name: str
    sentence: Phrase


@dataclass(frozen=True)
class Names(Block):
    """Things that have something in common, which the lead says."""

    lead: str
    names: Sequence[str]


@dataclass(frozen=True)
class Fact:
    """What an item is in one respect; the label may be empty."""

    label: str
    value: Phrase
    kind: Literal["", "ok", "bad"] = ""


@dataclass(frozen=True)
class Item:
    """A sentence, and facts that belong to it."""

    sentence: Phrase
    facts: Sequence[Fact] = ()


@dataclass(frozen=True)
class Items(Block):
    """A list.

    Attributes
    ----------
    items : sequence of Item
    marker : "1." (numbered), "-" (dashes), "  " (in plain text only indented) or "" (not even that)
    width : int or None
        At which a line of plain text is wrapped; None: not at all.
    """

    items: Sequence[Item]
    marker: Literal["1.", "-", "  ", ""] = "-"
    width: int | None = None


@dataclass(frozen=True)
class Table(Block):
    """Cells in columns.

    Attributes
    ----------
    head : sequence of Phrase
        Empty for a table without one.
    rows : sequence of sequences of Phrase
    align : str
        A letter for each column, l or r.
    most : int or None
        So many rows are shown at most, but in pages, which show all.
    indent : int
        Of plain text.
    caption : Phrase
    """

    head: Sequence[Phrase]
    rows: Sequence[Sequence[Phrase]]
    align: str
    most: int | None = None
    indent: int = 0
    caption: Phrase = ""

    @property
    def shown(self) -> Sequence[Sequence[Phrase]]:
        """The rows that texts show."""
        return self.rows[: self.most]

    @property
    def more(self) -> str:
        """What of the rows texts leave out, in words; empty if nothing."""
        left = len(self.rows) - len(self.shown)
        return f"... and {left} more; JSON and HTML have all of them" if left else ""


@dataclass(frozen=True)
class Listing(Block):
    """Lines of code."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Document:
    """Blocks in their order; writers leave out those that are empty."""

    blocks: Sequence[Block]

    @property
    def title(self) -> str:
        """That of its first Title; empty without one."""
        return next((one.title for one in self.blocks if isinstance(one, Title)), "")
