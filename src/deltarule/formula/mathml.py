"""Expressions in MathML Core: browsers show it by themselves, without scripts or fonts.

MathML Core has no line breaks. So a displayed formula is a row of pieces, each a formula of its
own, and lines break between them as between words: the end of a long formula stays in sight.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from deltarule.formula.expression import Expression, Index
from deltarule.formula.writer import Writer

#: Between two pieces of a formula; a browser may break a line at this character.
BREAK = "\N{ZERO WIDTH SPACE}"
#: Brackets around at most as many characters do not break.
_SHORT = 50
#: A derivative of more stands behind its fraction.
_ON_BAR = 28

_FIXED = ' stretchy="false"'

_LETTERS = {"Phi": "&Phi;"} | {one: f"&{one};" for one in ("alpha", "delta", "phi", "sigma")}
_SIGNS = {"~": "&sim;", "<-": "&leftarrow;", "<": "&lt;", ">": "&gt;", "<=": "&le;"}


class MathML(Writer):
    """MathML for a formula; every piece of text is a row of elements."""

    space = beside = f'<mspace width="0.17em"/>{BREAK}'
    plus, minus, odot = (f'{BREAK}<mo form="infix">{sign}</mo>' for sign in ("+", "&minus;", "⊙"))
    negative = '<mo form="prefix">&minus;</mo>'
    dot = "<mo>·</mo>"
    comma = "<mo separator='true'>,</mo>"

    def ident(
        self,
        letter: str,
        sub: Sequence[Index] = (),
        sup: str = "",
        at: Sequence[Index] = (),
        prime: bool = False,
    ) -> str:
        """A letter with scripts."""
        base = f"<mi>{_LETTERS.get(letter, letter)}</mi>"
        comma = self.comma if self.set_apart else ""
        below = f"<mrow>{comma.join(map(_index, sub))}</mrow>"
        above = (
            "<mrow>" + "<mo>&prime;</mo>" * prime + (f"<mn>{sup}</mn>" if sup else "") + "</mrow>"
        )
        if sub and (sup or prime):
            text = f"<msubsup>{base}{below}{above}</msubsup>"
        elif sub:
            text = f"<msub>{base}{below}</msub>"
        else:
            text = f"<msup>{base}{above}</msup>" if sup or prime else base
        if not at:
            return text
        inside = self.comma.join(map(_index, at))
        return text + f"<mo>[</mo>{inside}<mo>]</mo>"

    def number(self, value: float) -> str:
        """Six significant digits."""
        digits, _, power = f"{abs(value):.6g}".partition("e")
        sign = self.negative if value < 0 else ""
        ten = f"{self.dot}<msup><mn>10</mn><mn>{int(power)}</mn></msup>" if power else ""
        return f"{sign}<mn>{digits}</mn>{ten}".replace("<mn>-", "<mn>&minus;")

    def brackets(self, text: str, kind: str = "()") -> str:
        """They grow with what is inside, unless a line may break there."""
        if _length(text) <= _SHORT:
            text = _unbroken(text)
        if BREAK not in text:
            return f"<mrow><mo>{kind[0]}</mo>{text}<mo>{kind[1]}</mo></mrow>"
        left, right = (
            f'<mo form="{form}"{_FIXED}>{one}</mo>'
            for form, one in zip(("prefix", "postfix"), kind, strict=True)
        )
        return f"{left}{text}{right}"

    def sum_over(self, index: str, body: str) -> str:
        """The letter below the sign."""
        return f"<munder><mo>∑</mo>{_index(index)}</munder>{body}"

    def fraction(self, top: str, bottom: str, half: bool = False) -> str:
        """One above the other."""
        return f"<mfrac><mrow>{_unbroken(top)}</mrow><mrow>{_unbroken(bottom)}</mrow></mfrac>"

    def derivative(self, body: str, by: str) -> str:
        """One above the other; a long body stands behind them, where a line may break."""
        if _length(body) > _ON_BAR:
            return self.fraction("<mo>∂</mo>", f"<mo>∂</mo>{by}") + BREAK + body
        return self.fraction(f"<mo>∂</mo>{body}", f"<mo>∂</mo>{by}")

    def power(self, base: str, exponent: str) -> str:
        """x², xᵀ."""
        above = "<mi>T</mi>" if exponent == "T" else f"<mn>{exponent}</mn>"
        return f"<msup><mrow>{base}</mrow>{above}</msup>"

    def relation(self, sign: str) -> str:
        """A sign between two sides."""
        return f"<mo>{_SIGNS.get(sign, sign)}</mo>"

    def words(self, text: str) -> str:
        """Text that keeps its spaces."""
        return f"<mtext>{html.escape(text, quote=False)}</mtext>"

    def formula(self, content: str, display: bool = True) -> str:
        """A whole formula, in one piece or (displayed) in pieces between which lines break."""
        if not display:
            return f"<math><mrow>{_unbroken(content)}</mrow></math>"
        return BREAK.join(
            f'<math displaystyle="true"><mrow>{piece}</mrow></math>' for piece in _pieces(content)
        )

    def sentence(self, reason: Sequence[str | Expression]) -> str:
        """A reason with its symbols as formulas."""
        return "".join(
            html.escape(one, quote=False)
            if isinstance(one, str)
            else self.formula(self.write(one), display=False)
            for one in reason
        )


def _length(text: str) -> int:
    """How many characters are to be seen."""
    return len(html.unescape(re.sub(rf"<[^>]*>|{BREAK}", "", text)))


def _unbroken(text: str) -> str:
    """A row in which no line may break, so that its brackets may grow."""
    return text.replace(BREAK, "").replace(_FIXED, "")


def _pieces(content: str) -> list[str]:
    """The parts between breaks that stand in no element; each is a row of whole elements."""
    pieces, depth = [""], 0
    for part in re.split(rf"(<[^>]*>|{BREAK})", content):
        if part == BREAK:
            if depth == 0 and pieces[-1]:
                pieces.append("")
            continue
        if part.startswith("<") and not part.endswith("/>"):
            depth += -1 if part.startswith("</") else 1
        pieces[-1] += part
    return pieces


def _index(index: Index) -> str:
    text = str(index)
    if text.isdigit():
        return f"<mn>{text}</mn>"
    if text[1:]:
        return f"<msub><mi>{text[0]}</mi><mn>{text[1:]}</mn></msub>"
    return f"<mi>{text}</mi>"
