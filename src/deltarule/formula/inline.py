"""Plain formulas set for a page: the same signs on the same line, as HTML and as LaTeX.

A page has thousands of them, each with numbers put in, where MathML would be too much; a table's
cell has no room for a fraction.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from deltarule.formula.expression import Index
from deltarule.formula.latex import escaped
from deltarule.formula.plain import Plain

MINUS = "\N{MINUS SIGN}"
_PRIME = "\N{PRIME}"
_HTML = {
    "delta": "\N{GREEK SMALL LETTER DELTA}",
    "alpha": "\N{GREEK SMALL LETTER ALPHA}",
    "sigma": "\N{GREEK SMALL LETTER SIGMA}",
    "Phi": "\N{GREEK CAPITAL LETTER PHI}",
    "phi": "\N{GREEK SMALL LETTER PHI}",
    "sum": "\N{GREEK CAPITAL LETTER SIGMA}",
}
_LATEX = {name: f"\\{name}" for name in _HTML}
_ARROW = "\N{LEFTWARDS ARROW}"
_DOT = "\N{MIDDLE DOT}"
_D = "\N{PARTIAL DIFFERENTIAL}"


class Html(Plain):
    """Letters in italics, indices, powers and signs."""

    space = dot = _DOT
    minus, negative = f" {MINUS} ", MINUS
    odot = " \N{CIRCLED DOT OPERATOR} "

    def ident(
        self,
        letter: str,
        sub: Sequence[Index] = (),
        sup: str = "",
        at: Sequence[Index] = (),
        prime: bool = False,
    ) -> str:
        """<i>w</i><sub>21</sub>."""
        text = _HTML.get(letter) or html.escape(letter, quote=False)
        if len(letter) == 1 or letter == "net":
            text = f"<i>{text}</i>"
        text += _PRIME * prime
        if sub:
            text += f"<sub>{(',' if self.set_apart else '').join(map(str, sub))}</sub>"
        if sup:
            text += f"<sup>{sup}</sup>"
        if at:
            text += f"[{','.join(map(_index, at))}]"
        return text

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

    def relation(self, sign: str) -> str:
        """An arrow for <-."""
        return f" {_ARROW if sign == '<-' else html.escape(sign)} "


class InlineLatex(Plain):
    """For math mode, without dollar signs."""

    space, dot = r" \, ", r" \cdot "
    odot = r" \odot "

    def ident(
        self,
        letter: str,
        sub: Sequence[Index] = (),
        sup: str = "",
        at: Sequence[Index] = (),
        prime: bool = False,
    ) -> str:
        """w_{21}."""
        text = _LATEX.get(letter) or (letter if len(letter) == 1 else rf"\mathrm{{{letter}}}")
        text += "'" * prime
        if sub:
            text += f"_{{{(',' if self.set_apart else '').join(map(str, sub))}}}"
        if sup:
            text += f"^{{{sup}}}"
        return text + (f"[{','.join(map(str, at))}]" if at else "")

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

    def relation(self, sign: str) -> str:
        """An arrow for <-."""
        return r" \leftarrow " if sign == "<-" else f" {sign} "


def _index(index: Index) -> str:
    text = str(index)
    return text if text.isdigit() else f"<i>{text}</i>"
