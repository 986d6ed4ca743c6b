"""Expressions written in a notation: what needs brackets is decided here once, for every format.

`Writer` walks a tree; a format (`Text`, `Latex`, `MathML` beside) says how a symbol, a fraction, a
sum look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deltarule.formula import expression as ex
from deltarule.formula import function as fn
from deltarule.formula.expression import Expression, Index, Number, Symbol
from deltarule.formula.notation import Notation, Pattern

#: A space at which a line may not break.
TIED = "\N{NO-BREAK SPACE}"

_ADDED, _OPEN, _MULTIPLIED, _DIVIDED, _ATOM = range(5)
#: What stands in a derivative without brackets.
_BARE = Symbol | ex.Call | ex.Total | ex.LossOf | ex.MixedUnit | fn.Variable


def unbroken(formula: str) -> str:
    """A formula that stays on one line of text."""
    return formula.replace(" ", TIED)


class Writer:
    """How an expression is written.

    Parameters
    ----------
    notation : Notation
    set_apart : bool
        Commas between indices.
    """

    fractions_are_atoms = True
    turns_signs = True  # a negative number is subtracted, not added in brackets
    space = beside = " "  # between numbers that are multiplied, and between matrices
    plus, minus, odot = " + ", " - ", " ⊙ "
    negative = "-"
    dot = "·"
    comma = ", "
    separator = ","  # of indices
    half = ""  # 1/2 by a sign of its own
    signs: Mapping[str, str] = {}  # of relations: those that are written otherwise
    #: Around indices that stand behind their letter.
    index_brackets = ("[", "]")

    def __init__(self, notation: Notation, set_apart: bool = False) -> None:
        self.notation, self.set_apart = notation, set_apart

    # -- what a format says ---------------------------------------------------------------------

    def scripts(self, letter: str, below: str, above: str, prime: bool) -> str:
        """A letter with what stands below and above it; both may be empty."""
        raise NotImplementedError

    def below(self, index: Index) -> str:
        """An index below a letter."""
        return str(index)

    def behind(self, index: Index) -> str:
        """An index in brackets behind a letter."""
        return str(index)

    def number(self, value: float) -> str:
        """A number."""
        raise NotImplementedError

    def brackets(self, text: str, kind: str = "()") -> str:
        """A text in brackets."""
        raise NotImplementedError

    def sum_over(self, index: str, body: str) -> str:
        """A sum."""
        raise NotImplementedError

    def fraction(self, top: str, bottom: str) -> str:
        """A quotient, its parts in brackets if they need them."""
        raise NotImplementedError

    def derivative(self, body: str, by: str) -> str:
        """A derivative, its body in brackets if it needs them."""
        raise NotImplementedError

    def power(self, base: str, exponent: str) -> str:
        """A power; "T" for a transpose."""
        raise NotImplementedError

    def words(self, text: str) -> str:
        """Plain text inside a formula."""
        return text

    def relation(self, sign: str) -> str:
        """A sign between two sides."""
        return f" {self.signs.get(sign, sign)} "

    def transposed(self, body: Expression) -> str:
        """A matrix with rows and columns exchanged."""
        return self.power(self._at_least(body, _ATOM), "T")

    def quoted(self, body: Expression) -> str:
        """A record's formula inside others."""
        return self.write(body)

    # -- the tree -------------------------------------------------------------------------------

    def write(self, node: Expression) -> str:
        """An expression."""
        if isinstance(node, Number):  # of calculations, by far the most
            return self.number(node.value)
        if isinstance(node, ex.Sum):
            return self.sum_over(node.index, self._at_least(node.body, _OPEN))
        if isinstance(node, ex.Product):
            return self._product(node.factors, self.space)
        if isinstance(node, ex.MatrixProduct):
            return self._product(node.factors, self.beside)
        if isinstance(node, ex.Negative):
            return self.negative + self._at_least(node.body, _OPEN)
        if isinstance(node, ex.Plus):
            return self._added(node)
        if isinstance(node, Symbol):
            return self.symbol(node)
        if isinstance(node, ex.Derivative):
            bare = isinstance(node.body, _BARE)
            body = self.write(node.body) if bare else self.brackets(self.write(node.body))
            return self.derivative(body, self.write(node.by))
        return self._rest(node)

    def _rest(self, node: Expression) -> str:
        if isinstance(node, ex.Call):
            return self._function(node.layer, self.write(node.argument), node.slope)
        if isinstance(node, ex.Log):
            return self.ident("log") + self.brackets(self.write(node.argument))
        if isinstance(node, ex.Quotient):
            if self.half and node == ex.HALF:
                return self.half
            if self.fractions_are_atoms:
                return self.fraction(self.write(node.top), self.write(node.bottom))
            top, bottom = self._at_least(node.top, _DIVIDED), self._at_least(node.bottom, _ATOM)
            return self.fraction(top, bottom)
        if isinstance(node, ex.Power):
            return self.power(self._at_least(node.base, _ATOM), str(node.exponent))
        if isinstance(node, ex.Transpose):
            return self.transposed(node.body)
        if isinstance(node, ex.SquaredNorm):
            return self.power(self.brackets(self.write(node.body), "‖‖"), "2")
        if isinstance(node, ex.Hadamard):
            return self.odot.join(map(self._of_hadamard, node.factors))
        if isinstance(node, ex.Same):
            sign = "~" if node.group else "="
            first, second = self.index(node.first), self.index(node.second)
            return self.brackets(f"{first}{self.relation(sign)}{second}", "[]")
        if isinstance(node, ex.MixedUnit):
            return self._function(
                node.layer, self.write(Symbol("z", node.layer)), False, node.index
            )
        if isinstance(node, ex.Total):
            return self.ident(self.notation.C)
        if isinstance(node, ex.LossOf | ex.LossSlope | ex.MixedSlope):
            return self._of_outputs(node)
        return self._stated(node)

    def _stated(self, node: Expression) -> str:
        """What records and equations are made of."""
        if isinstance(node, fn.Variable):
            return self.ident(node.letter, node.indices)
        if isinstance(node, fn.Function):
            return self.ident(node.name) + self.brackets(self.write(node.argument))
        if isinstance(node, fn.Equation | fn.Comparison):
            return self.write(node.left) + self.relation(node.sign) + self.write(node.right)
        if isinstance(node, fn.With):
            return self.comma.join(map(self.write, (node.body, *node.known)))
        if isinstance(node, fn.Quoted):
            return self.quoted(node.body)
        if isinstance(node, fn.FunctionName):
            return self._function_name(node.layer, node.slope)
        if isinstance(node, fn.Words):
            parts = node.parts
            return "".join(self.words(p) if isinstance(p, str) else self.write(p) for p in parts)
        if isinstance(node, fn.Magnitude):
            return self.brackets(self.write(node.body), "||")
        if isinstance(node, fn.Largest):
            both = self.comma.join(map(self.write, (node.first, node.second)))
            return self.ident("max") + self.brackets(both)
        if isinstance(node, fn.Cases):
            parts = (node.holds, " if ", node.condition, " else ", node.otherwise)
            return self.write(fn.Words(parts))
        assert isinstance(node, fn.Clipped), node
        ends = self.comma.join(map(self.number, (node.low, node.high)))
        return self.write(fn.Words((node.body, ", clipped to "))) + self.brackets(ends, "[]")

    def _of_outputs(self, node: ex.LossOf | ex.LossSlope | ex.MixedSlope) -> str:
        if isinstance(node, ex.MixedSlope):
            i = () if node.index is None else (node.index,)
            k = () if node.by is None else (node.by,)
            a, z = Symbol("a", node.layer, i), Symbol("z", node.layer, k)
            return self.derivative(self.write(a), self.write(z))
        slope = isinstance(node, ex.LossSlope)
        index = node.index if isinstance(node, ex.LossSlope) else None
        letter = self.ident("J", () if index is None else (index,), prime=slope)
        o, y = self.symbol(Symbol("a", node.layer)), self.symbol(Symbol("y", node.layer))
        return letter + self.brackets(self.comma.join((o, y)))

    def _function(self, l: int, argument: str, slope: bool, index: Index | None = None) -> str:
        return self._function_name(l, slope, index) + self.brackets(argument)

    def _function_name(self, l: int, slope: bool, index: Index | None = None) -> str:
        letter, sub, *_ = self.notation.f
        below: list[Index] = [l] if sub else []
        if index is not None:
            below.append(index)
        return self.ident(letter, below, prime=slope)

    def _added(self, node: ex.Plus) -> str:
        text = ""
        for place, term in enumerate(node.terms):
            body, sign = (term.body, True) if isinstance(term, ex.Negative) else (term, False)
            if self.turns_signs and isinstance(body, Number) and body.value < 0:
                body, sign = Number(-body.value), not sign
            if place == 0:
                text = self.negative * sign + self._at_least(body, _OPEN)
            else:
                text += (self.minus if sign else self.plus) + self._at_least(body, _OPEN)
        return text

    def _product(self, factors: tuple[Expression, ...], space: str) -> str:
        parts: list[str] = []
        for place, factor in enumerate(factors):
            last = place == len(factors) - 1
            needed = _OPEN if last or not isinstance(factor, ex.Sum) else _MULTIPLIED
            needed = max(needed, _DIVIDED) if isinstance(factor, ex.Hadamard) else needed
            text = self._at_least(factor, needed)
            if place and isinstance(factor, Number) and factor.value >= 0:
                text = self.dot + text
                parts[-1] += text
            elif place and isinstance(factors[place - 1], Number) and factor != ex.HALF:
                parts[-1] += self.dot + text
            else:
                parts.append(text)
        return space.join(parts)

    def _of_hadamard(self, factor: Expression) -> str:
        """A product of matrices binds closer than the elementwise one, as in document B."""
        closer = isinstance(factor, ex.MatrixProduct)
        return self.write(factor) if closer else self._at_least(factor, _DIVIDED)

    def _at_least(self, node: Expression, level: int) -> str:
        """An expression, in brackets if it binds less than is needed where it stands."""
        text = self.write(node)
        return text if self._level(node) >= level else self.brackets(text)

    def _level(self, node: Expression) -> int:
        if isinstance(node, Number):
            return _ADDED if node.value < 0 else _ATOM
        if isinstance(node, ex.Plus | ex.Negative | fn.Cases | fn.Clipped | fn.With):
            return _ADDED
        if isinstance(node, ex.Sum):
            return _OPEN
        if isinstance(node, ex.Product | ex.MatrixProduct | ex.Hadamard):
            return _MULTIPLIED
        if isinstance(node, ex.Quotient | ex.Derivative | ex.MixedSlope):
            return _DIVIDED
        return _ATOM

    # -- symbols --------------------------------------------------------------------------------

    def ident(
        self,
        letter: str,
        sub: Sequence[Index] = (),
        sup: str = "",
        at: Sequence[Index] = (),
        prime: bool = False,
    ) -> str:
        """A letter with indices below it, above it and in brackets."""
        below = (self.separator if self.set_apart else "").join(map(self.below, sub))
        text = self.scripts(letter, below, sup, prime)
        if not at:
            return text
        left, right = self.index_brackets
        return text + left + self.separator.join(map(self.behind, at)) + right

    def symbol(self, node: Symbol, prime: bool = False) -> str:
        """A symbol with its indices, as the notation has it."""
        pattern: Pattern = getattr(self.notation, "W" if node.kind == "w" else node.kind)
        letter, sub, sup, at = pattern
        if "/" in letter:  # the document has no letter for it: the derivative by the net input
            z = Symbol("z", node.layer, node.indices)
            return self.derivative(self.ident(self.notation.C), self.symbol(z))
        if node.kind == "w" and not node.indices and self.notation.name == "column":
            letter = letter.upper()  # document A's matrix
        values: dict[str, Index] = {"l": node.layer, "m": node.layer + 1}
        values |= dict(zip("ji", node.indices, strict=False))
        below = [values[one] for one in sub if one in values]
        above = "".join(str(values.get(one, one)) for one in sup)
        brackets = [values[one] for one in at if one in values]
        return self.ident(letter, below, above, brackets, prime)

    def index(self, index: Index) -> str:
        """An index by itself."""
        text = str(index)
        return self.number(float(text)) if text.isdigit() else self.ident(text[0], _digits(text))


def _digits(index: str) -> list[Index]:
    return [int(index[1:])] if index[1:] else []
