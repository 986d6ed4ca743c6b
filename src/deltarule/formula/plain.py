"""Expressions in plain text without any special character: `z_1[j] = sum_i a_0[i]*W_1[i,j]`.

So records state their formulas, and traces their equations and their calculations with numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Self

from deltarule.formula import expression as ex
from deltarule.formula.expression import Expression, Index, Number, Symbol
from deltarule.formula.function import with_constants_computed
from deltarule.formula.notation import Notation, get_notation
from deltarule.formula.writer import Writer


class Figures:
    """Numbers as text, to so many significant digits (None: all of them)."""

    def __init__(self, digits: int | None) -> None:
        self.digits = digits

    def __call__(self, x: Any) -> str:
        """The number without an empty fraction, plus signs or padding: 0.5, -2, 1.2e-5."""
        value = float(x)
        if value == 0:
            return "0"
        text = repr(value) if self.digits is None else f"{value:.{self.digits}g}"
        mantissa, e, exponent = text.partition("e")
        return mantissa.removesuffix(".0") + (f"e{int(exponent)}" if e else "")


def six_digits(value: float) -> str:
    """Six significant digits."""
    return f"{value:.6g}"


class Plain(Writer):
    """Plain text on one line.

    Parameters
    ----------
    notation : Notation, default ours
        Of the symbols; records have none.
    set_apart : bool
        Commas between indices.
    figures : callable float -> str
        How numbers are written.
    """

    fractions_are_atoms = False
    turns_signs = False
    wide = False  # room around signs, a space for a product
    space = dot = "*"
    beside = " "
    over = "/"
    odot = " .* "

    def __init__(
        self,
        notation: Notation | None = None,
        set_apart: bool = False,
        figures: Callable[[float], str] = six_digits,
    ) -> None:
        super().__init__(notation or get_notation("canonical"), set_apart)
        self.figures = figures

    @functools.cached_property
    def _wide(self) -> Self:
        """The same with room around signs."""
        wide = type(self)(self.notation, self.set_apart)
        wide.wide, wide.space, wide.dot, wide.over = True, " ", " ", " / "
        return wide

    def quoted(self, body: Expression) -> str:
        """As records state it, with six digits."""
        return self._wide.write(with_constants_computed(body))

    def factor(self, node: Expression) -> str:
        """An expression as a factor of a product: sums and negative numbers in brackets."""
        return self.write(ex.Product((node,)))

    # -- what a format says ---------------------------------------------------------------------

    def ident(
        self,
        letter: str,
        sub: Sequence[Index] = (),
        sup: str = "",
        at: Sequence[Index] = (),
        prime: bool = False,
    ) -> str:
        """z_1[j]', w_21^1."""
        text = letter
        if sub:
            text += "_" + ("," if self.set_apart else "").join(map(str, sub))
        if sup:
            text += f"^{sup}"
        if at:
            text += f"[{','.join(map(str, at))}]"
        return text + "'" * prime

    def number(self, value: float) -> str:
        """As `figures` has it."""
        return self.figures(value)

    def brackets(self, text: str, kind: str = "()") -> str:
        """A magnitude is |x| in a formula and abs(x) in a calculation."""
        if kind == "||" and not self.wide:
            return f"abs({text})"
        return f"{kind[0]}{text}{kind[1]}"

    def sum_over(self, index: str, body: str) -> str:
        """sum_i and its body."""
        return f"{self.ident('sum', (index,))} {body}"

    def fraction(self, top: str, bottom: str, half: bool = False) -> str:
        """a/b."""
        return "1/2" if half else f"{top}{self.over}{bottom}"

    def derivative(self, body: str, by: str) -> str:
        """dy/dw."""
        return f"d{body}/d{by}"

    def power(self, base: str, exponent: str) -> str:
        """x^2."""
        return f"{base}^{exponent}"

    def words(self, text: str) -> str:
        """As it is."""
        return text

    def transposed(self, body: Expression) -> str:
        """w', as document B has it."""
        assert isinstance(body, Symbol), body
        return self.symbol(body, prime=True)

    # -- brackets -------------------------------------------------------------------------------

    def _product(self, factors: tuple[Expression, ...], space: str) -> str:
        first = factors[0]
        if self.wide and isinstance(first, Number) and first.value < 0:
            return self.negative + super()._product((Number(-first.value), *factors[1:]), space)
        return super()._product(factors, space)

    def _level(self, node: Expression) -> int:
        if self.wide and isinstance(node, ex.Sum):  # as it would be of a function
            return self._level(Number(1))
        return super()._level(node)
