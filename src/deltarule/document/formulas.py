"""Formulas that stand in a document, each of which writes itself in every format."""

from __future__ import annotations

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
