"""What every result can do: be read by people in four formats, and by programs.

A writer is loaded when its format is asked for: importing deltarule does not wait for any.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from deltarule.document.blocks import Document


class Formats(ABC):
    """A result in every format: what `Shown` makes of blocks, or what writes itself."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """All of it, for programs."""

    @abstractmethod
    def to_text(self) -> str:
        """As plain text."""

    @abstractmethod
    def to_markdown(self) -> str:
        """As Markdown."""

    @abstractmethod
    def to_html(self) -> str:
        """As one HTML page that needs nothing else and fetches nothing."""

    @abstractmethod
    def to_latex(self, *, standalone: bool = False) -> str:
        """For a LaTeX document; with `standalone` a whole one."""

    @abstractmethod
    def _repr_html_(self) -> str:
        """For a notebook."""

    def to_json(self, indent: int | None = 2) -> str:
        """`to_dict` as JSON; null stands for NaN and infinity."""
        from deltarule.document import json

        return json.write(self.to_dict(), indent)

    def __str__(self) -> str:
        return self.to_text()


class Shown(Formats):
    """A result that says what it has to say once, in `document`, and is written in every format."""

    @abstractmethod
    def document(self) -> Document:
        """What it says, as blocks."""

    def to_text(self) -> str:
        """As plain text."""
        from deltarule.document import text

        return text.write(self.document())

    def to_markdown(self) -> str:
        """As Markdown."""
        from deltarule.document import markdown

        return markdown.write(self.document())

    def to_html(self) -> str:
        """As one HTML page that needs nothing else and fetches nothing."""
        from deltarule.document import html

        return html.write(self.document())

    def to_latex(self, *, standalone: bool = False) -> str:
        """For a LaTeX document; with `standalone` a whole one."""
        from deltarule.document import latex

        return latex.write(self.document(), standalone)

    def _repr_html_(self) -> str:
        from deltarule.document import html

        return html.fragment(self.document())
