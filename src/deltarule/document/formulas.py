"""Formulas that stand in a document, each of which writes itself in every format."""

from __future__ import annotations

import html
from dataclasses import dataclass

from deltarule.formula import typeset


@dataclass(frozen=True)
class Plain:
    """A formula in plain text, such as `z_1 = w_12*a_2`, set where a format can set it."""

    plain: str

    def text(self) -> str:
        """As it is."""
        return self.plain

    def html(self) -> str:
        """With indices, powers and Greek letters."""
        return typeset.html(self.plain)

    def latex(self) -> str:
        """For math mode."""
        return typeset.latex(self.plain)


@dataclass(frozen=True)
class Given:
    """A formula that is written by hand, as plain text and as LaTeX."""

    plain: str
    tex: str

    def text(self) -> str:
        """The plain one."""
        return self.plain

    def html(self) -> str:
        """The plain one too."""
        return f"<code>{html.escape(self.plain)}</code>"

    def latex(self) -> str:
        """For math mode."""
        return self.tex
