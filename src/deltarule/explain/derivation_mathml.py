"""Expressions in MathML Core: browsers show it by themselves, without scripts or fonts."""

from __future__ import annotations

import html
from collections.abc import Sequence

from deltarule.explain.derivation_write import Writer
from deltarule.explain.expression import Expression, Index

_LETTERS = {"delta": "&delta;", "sigma": "&sigma;"}


class MathML(Writer):
    """MathML for a formula; every piece of text is a row of elements."""

    space = '<mspace width="0.17em"/>'
    plus, minus, odot = "<mo>+</mo>", "<mo>&minus;</mo>", "<mo>⊙</mo>"
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
        """They grow with what is inside."""
        return f"<mrow><mo>{kind[0]}</mo>{text}<mo>{kind[1]}</mo></mrow>"

    def sum_over(self, index: str, body: str) -> str:
        """The letter below the sign."""
        return f"<munder><mo>∑</mo>{_index(index)}</munder>{body}"

    def fraction(self, top: str, bottom: str, half: bool = False) -> str:
        """One above the other."""
        return f"<mfrac><mrow>{top}</mrow><mrow>{bottom}</mrow></mfrac>"

    def derivative(self, body: str, by: str) -> str:
        """One above the other."""
        return self.fraction(f"<mo>∂</mo>{body}", f"<mo>∂</mo>{by}")

    def power(self, base: str, exponent: str) -> str:
        """x², xᵀ."""
        above = "<mi>T</mi>" if exponent == "T" else f"<mn>{exponent}</mn>"
        return f"<msup><mrow>{base}</mrow>{above}</msup>"

    def relation(self, sign: str) -> str:
        """A sign between two indices."""
        return f"<mo>{'&sim;' if sign == '~' else sign}</mo>"

    def formula(self, content: str, display: bool = True) -> str:
        """A whole formula."""
        shown = ' display="block"' if display else ""
        return f"<math{shown}><mrow>{content}</mrow></math>"

    def sentence(self, reason: Sequence[str | Expression]) -> str:
        """A reason with its symbols as formulas."""
        return "".join(
            html.escape(one, quote=False)
            if isinstance(one, str)
            else self.formula(self.write(one), display=False)
            for one in reason
        )


def _index(index: Index) -> str:
    text = str(index)
    if text.isdigit():
        return f"<mn>{text}</mn>"
    if text[1:]:
        return f"<msub><mi>{text[0]}</mi><mn>{text[1:]}</mn></msub>"
    return f"<mi>{text}</mi>"
