"""Plain formulas set for a page: the same signs on the same line, as HTML and as LaTeX.

A page has thousands of them, each with numbers put in, where MathML would be too much; a table's
cell has no room for a fraction.
"""

from __future__ import annotations

import html
from collections.abc import Callable

from deltarule.formula.expression import Index
from deltarule.formula.latex import escaped
from deltarule.formula.notation import Notation
from deltarule.formula.plain import Plain, six_digits
from deltarule.formula.text import GREEK, PRIME

MINUS = "\N{MINUS SIGN}"
_HTML = GREEK | {"sum": "\N{GREEK CAPITAL LETTER SIGMA}"}
_SIGNS = {"<-": "\N{LEFTWARDS ARROW}", "<": "&lt;", ">": "&gt;", "<=": "&lt;="}
_LATEX_SIGNS = {"<-": r"\leftarrow"}
_LATEX = {name: f"\\{name}" for name in _HTML}
_DOT = "\N{MIDDLE DOT}"
_D = "\N{PARTIAL DIFFERENTIAL}"


class Html(Plain):
    """Letters in italics, indices, powers and signs."""

    space = dot = _DOT
    minus, negative = f" {MINUS} ", MINUS
    signs = _SIGNS
    odot = " \N{CIRCLED DOT OPERATOR} "

    def scripts(self, letter: str, below: str, above: str, prime: bool) -> str:
        """<i>w</i><sub>21</sub>."""
        text = _HTML.get(letter) or html.escape(letter, quote=False)
        if len(letter) == 1 or letter == "net":
            text = f"<i>{text}</i>"
        text += PRIME * prime
        text += f"<sub>{below}</sub>" if below else ""
        return text + (f"<sup>{above}</sup>" if above else "")

    def behind(self, index: Index) -> str:
        """Letters in italics."""
        text = str(index)
        return text if text.isdigit() else f"<i>{text}</i>"

    def number(self, value: float) -> str:
        """A power of ten as one."""
        digits, _, exponent = super().number(value).replace("-", MINUS).partition("e")
        return digits + (f"{_DOT}10<sup>{exponent}</sup>" if exponent else "")

    def derivative(self, body: str, by: str) -> str:
        """With rounded d."""
        return f"{_D}{body}/{_D}{by}"

    def power(self, base: str, exponent: str) -> str:
        """Raised."""
        return f"{base}<sup>{exponent}</sup>"

    def words(self, text: str) -> str:
        """With its special characters escaped."""
        return html.escape(text, quote=False)


class InlineLatex(Plain):
    """For math mode, without dollar signs."""

    space, dot = r" \, ", r" \cdot "
    odot = r" \odot "
    signs = _LATEX_SIGNS

    def scripts(self, letter: str, below: str, above: str, prime: bool) -> str:
        """w_{21}."""
        text = _LATEX.get(letter) or (letter if len(letter) == 1 else rf"\mathrm{{{letter}}}")
        text += "'" * prime + (f"_{{{below}}}" if below else "")
        return text + (f"^{{{above}}}" if above else "")

    def number(self, value: float) -> str:
        """A power of ten as one."""
        digits, _, exponent = super().number(value).partition("e")
        return digits + (rf" \cdot 10^{{{exponent}}}" if exponent else "")

    def words(self, text: str) -> str:
        """Upright, its special characters escaped."""
        return rf"\textrm{{{escaped(text)}}}"

    def derivative(self, body: str, by: str) -> str:
        r"""\partial on one line."""
        return rf"\partial {body}/\partial {by}"

    def power(self, base: str, exponent: str) -> str:
        """Raised."""
        return f"{base}^{{{exponent}}}"


class Inline:
    """What writes formulas on one line, in one notation, for text, pages and LaTeX.

    Parameters as for `Plain`.
    """

    def __init__(
        self,
        notation: Notation | None = None,
        set_apart: bool = False,
        figures: Callable[[float], str] = six_digits,
    ) -> None:
        self.plain = Plain(notation, set_apart, figures)
        self.html = Html(notation, set_apart, figures)
        self.latex = InlineLatex(notation, set_apart, figures)
