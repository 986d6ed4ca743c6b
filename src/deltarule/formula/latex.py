"""Expressions in LaTeX; they need no package but amsmath, and typeset under MathJax too."""

from __future__ import annotations

import re
from collections.abc import Sequence

from deltarule.formula.expression import Expression, Index
from deltarule.formula.fold import BREAK, unbroken, width
from deltarule.formula.notation import Notation
from deltarule.formula.writer import TIED, Writer

_LETTERS = {
    "delta": r"\delta",
    "sigma": r"\sigma",
    "net": r"\mathrm{net}",
    "sign": r"\operatorname{sign}",
    **{name: rf"\{name}" for name in ("alpha", "cosh", "exp", "log", "max", "tanh", "Phi", "phi")},
}
_SIGNS = {"~": r"\sim", "<-": r"\leftarrow", "<=": r"\le"}
_BRACKETS = {
    "()": ("(", ")"),
    "[]": ("[", "]"),
    "||": (r"\lvert ", r"\rvert "),
    "‖‖": (r"\lVert ", r"\rVert "),
}
#: In em: brackets around no more do not break, and such a body stands on the fraction bar.
_SHORT = 14.0

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    TIED: "~",
    "<": r"\(<\)",
    ">": r"\(>\)",
    "|": r"\(|\)",
    "·": r"\(\cdot\)",
}


class Latex(Writer):
    """LaTeX for a formula.

    Parameters
    ----------
    breaks : bool
        Whether lines may break between factors and terms (in a paragraph; a display ignores it).
    """

    space = beside = r"\, "
    plus, minus, odot = " + ", " - ", r" \odot "
    dot = r" \cdot "
    signs = _SIGNS

    def __init__(self, notation: Notation, set_apart: bool = False, breaks: bool = False) -> None:
        super().__init__(notation, set_apart)
        if breaks:
            self.space = self.beside = rf"\, {BREAK}"
            self.plus, self.minus, self.odot = (rf" {BREAK}{one} " for one in ("+", "-", r"\odot"))

    def scripts(self, letter: str, below: str, above: str, prime: bool) -> str:
        r"""y_{5i}."""
        text = _LETTERS.get(letter, letter) + (f"_{{{below}}}" if below else "")
        above = r"\prime" * prime + above
        return text + (f"^{{{above}}}" if above else "")

    def below(self, index: Index) -> str:
        """j_{12} of layer 12."""
        found = re.fullmatch(r"([a-z])(\d+)", str(index))
        return f"{found[1]}_{{{found[2]}}}" if found else str(index)

    behind = below

    def number(self, value: float) -> str:
        """Six significant digits; 10 to a power in full."""
        digits, _, power = f"{value + 0.0:.6g}".partition("e")
        return f"{digits} \\cdot 10^{{{int(power)}}}" if power else digits

    def brackets(self, text: str, kind: str = "()") -> str:
        r"""They grow with a fraction inside, unless a line may break there."""
        left, right = _BRACKETS[kind]
        if width(text) <= _SHORT:
            text = unbroken(text)
        if r"\frac" in text and BREAK not in text:
            return rf"\left{left} {text} \right{right}"
        return f"{left}{text}{right}"

    def sum_over(self, index: str, body: str) -> str:
        r"""\sum_{i}."""
        return rf"\sum_{{{self.below(index)}}} {body}"

    def fraction(self, top: str, bottom: str) -> str:
        r"""\frac."""
        return rf"\frac{{{unbroken(top)}}}{{{unbroken(bottom)}}}"

    def derivative(self, body: str, by: str) -> str:
        r"""\frac with \partial; a long body stands behind it."""
        if width(body) > _SHORT:
            return rf"\frac{{\partial}}{{\partial {by}}} {body}"
        return rf"\frac{{\partial {unbroken(body)}}}{{\partial {by}}}"

    def power(self, base: str, exponent: str) -> str:
        r"""x^{2}, x^{\mathsf{T}}."""
        above = r"\mathsf{T}" if exponent == "T" else exponent
        return f"{{{base}}}^{{{above}}}"

    def words(self, text: str) -> str:
        r"""\text."""
        return rf"\text{{{escaped(text)}}}"

    def sentence(self, reason: Sequence[str | Expression]) -> str:
        """A reason with its symbols as formulas."""
        return "".join(
            escaped(one) if isinstance(one, str) else f"${self.write(one)}$" for one in reason
        )


def escaped(text: str) -> str:
    """Plain text for LaTeX, which ends at a control character: a question mark stands for it."""
    return "".join(_SPECIAL.get(one, one) for one in _CONTROL.sub("?", text))


def unknown(content: str) -> list[str]:
    """What the preamble of that content needs, so that pdfLaTeX does not end at an odd letter.

    It prints "?" for what it has no glyph for; other engines look into their font.
    """
    line = r"\makeatletter\def\UTFviii@undefined@err#1{?}\makeatother"
    return [] if content.isascii() else [line]
