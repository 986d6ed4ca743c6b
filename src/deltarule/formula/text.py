"""Expressions in plain Unicode that wraps in a terminal between factors."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from deltarule.formula.expression import Expression, Index
from deltarule.formula.writer import TIED, Writer, unbroken

_SUB = str.maketrans("0123456789aehijklmnoprstuvx()=-", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ₍₎₌₋")
_SUP = str.maketrans("0123456789()-T", "⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾⁻ᵀ")
_GREEK = {
    "alpha": "\N{GREEK SMALL LETTER ALPHA}",
    "delta": "δ",
    "Phi": "Φ",
    "phi": "φ",
    "sigma": "\N{GREEK SMALL LETTER SIGMA}",
}
_SIGNS = {"<-": "←", "<=": "≤"}
_PRIME = "\N{PRIME}"


class Text(Writer):
    """Unicode for a terminal."""

    fractions_are_atoms = False

    def ident(
        self,
        letter: str,
        sub: Sequence[Index] = (),
        sup: str = "",
        at: Sequence[Index] = (),
        prime: bool = False,
    ) -> str:
        """y₅ᵢ; with commas y₁₂,ᵢ."""
        comma = "," if self.set_apart else ""
        below = comma.join(str(one).translate(_SUB) for one in sub)
        text = _GREEK.get(letter, letter) + below + sup.translate(_SUP) + _PRIME * prime
        return text + (f"[{','.join(map(str, at))}]" if at else "")

    def number(self, value: float) -> str:
        """Six significant digits."""
        return f"{value + 0.0:.6g}"  # no -0

    def brackets(self, text: str, kind: str = "()") -> str:
        """Short ones do not break."""
        inside = text if len(text) > 40 else unbroken(text)
        return f"{kind[0]}{inside}{kind[1]}"

    def sum_over(self, index: str, body: str) -> str:
        """Σᵢ and its body; no break between them."""
        return f"Σ{index.translate(_SUB)}{TIED}{body}"

    def fraction(self, top: str, bottom: str, half: bool = False) -> str:
        """On one line."""
        return "½" if half else f"{top}/{bottom}"

    def derivative(self, body: str, by: str) -> str:
        """∂y/∂w."""
        return f"∂{body}/∂{by}"

    def power(self, base: str, exponent: str) -> str:
        """x², xᵀ."""
        return base + exponent.translate(_SUP)

    def words(self, text: str) -> str:
        """As it is."""
        return text

    def relation(self, sign: str) -> str:
        """A sign between two sides."""
        return f" {_SIGNS.get(sign, sign)} "

    def plain(self, node: Expression) -> str:
        """An expression on one line."""
        return self.write(node).replace(TIED, " ")

    def sentence(self, reason: Sequence[str | Expression]) -> str:
        """A reason with its symbols; formulas do not break."""
        return "".join(one if isinstance(one, str) else unbroken(self.write(one)) for one in reason)

    def wrapped(
        self, node: Expression, width: int, first: str, then: str, end: str = ""
    ) -> list[str]:
        """An expression in lines of at most `width`, where its factors let it break."""
        lines = textwrap.wrap(
            self.write(node).replace(" ⊙ ", f"{TIED}⊙ ").replace(" + ", f"{TIED}+ ") + end,
            width,
            initial_indent=first,
            subsequent_indent=then,
            break_long_words=True,  # a hundred brackets in a row
            break_on_hyphens=False,
        )
        return [line.replace(TIED, " ") for line in lines]
