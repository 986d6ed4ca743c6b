"""Formulas that stand in a document, each of which writes itself in every format."""

from __future__ import annotations

import html
from dataclasses import dataclass

from deltarule.formula.expression import Expression
from deltarule.formula.inline import Html, InlineLatex
from deltarule.formula.notation import Notation
from deltarule.formula.plain import Plain


@dataclass(frozen=True)
class Tree:
    """A formula as a tree, in the letters of a notation, on one line."""

    tree: Expression
    notation: Notation

    def text(self) -> str:
        """In plain text, such as `z_1 = w_12*a_2`."""
        return Plain(self.notation).write(self.tree)

    def html(self) -> str:
        """With indices, powers and Greek letters."""
        return Html(self.notation).write(self.tree)

    def latex(self) -> str:
        """For math mode."""
        return InlineLatex(self.notation).write(self.tree)


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
