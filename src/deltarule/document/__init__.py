"""What a result says, as blocks, and one writer per format. Knows no network.

A result inherits `Shown` and says in `document()` what it has to say, and in `to_dict()` all that
it knows; text, Markdown, HTML, LaTeX, JSON, `print` and the notebook follow:

    @dataclass(frozen=True)
    class Sizes(Shown):
        sizes: list[int]

        def document(self) -> Document:
            rows = [(f"{l}", f"{n}") for l, n in enumerate(self.sizes)]
            return Document([Title("Sizes"), Table(("layer", "units"), rows, "rr")])

        def to_dict(self) -> dict[str, Any]:
            return {"sizes": self.sizes}

- Blocks: Title, Heading, Lines, Notes, Point, Names, Items, Table, Listing (`blocks.py`). What they
  say is a phrase: a str, Code, Tag, Marked, a formula (`formulas.py`), or a tuple of these. Writers
  leave out empty blocks. A new block is a class there and a case in each of four writers.
- A result with options, such as how many layers are shown, overrides `to_text` and builds another
  document: `return text.write(self.document(max_layers))`.
- What cannot be blocks (the picture of a trace; a derivation, whose class inherits `Formats` alone)
  writes itself, but in the shared frame: `html.page(title, body, style=..., script=...)`,
  `html.styled(body)` for a notebook, `html.scrolling(content)` around what may be wide; and with
  the shared tables:
  `text.aligned(rows, "lrr")`, `table(Table(...))` of each writer.
- `json.plain(value)` is the one walker that turns NaN and infinity into null, arrays into lists.
"""

from deltarule.document.blocks import (
    Code,
    Document,
    Fact,
    Formula,
    Heading,
    Item,
    Items,
    Lines,
    Listing,
    Marked,
    Names,
    Notes,
    Phrase,
    Point,
    Table,
    Tag,
    Title,
)
from deltarule.document.shown import Formats, Shown

__all__ = [
    "Code",
    "Document",
    "Fact",
    "Formats",
    "Formula",
    "Heading",
    "Item",
    "Items",
    "Lines",
    "Listing",
    "Marked",
    "Names",
    "Notes",
    "Phrase",
    "Point",
    "Shown",
    "Table",
    "Tag",
    "Title",
]
