"""What records write their trees with: letters, and functions of them, under the names of formulas.

A record's formula is a function of this module, called when the tree is first asked for:
`lambda m: 1 / (1 + m.exp(-m.z))`.
"""

from __future__ import annotations

from deltarule.formula.expression import (
    HALF,
    Derivative,
    Expression,
    Log,
    Number,
    Operand,
    Same,
    Sum,
    tree,
)
from deltarule.formula.function import (
    Cases,
    Clipped,
    Comparison,
    Equation,
    Function,
    Largest,
    Magnitude,
    Variable,
    With,
    told,
)

half = HALF
#: Net input z and activation a, output o and target y; p, r and s are for `given`.
a, o, p, r, s, y, z = map(Variable, "aoprsyz")
#: Of softmax: units i and j.
z_i, z_j, a_i, a_j = (Variable(letter, (unit,)) for letter in "za" for unit in "ij")
i_is_j = Same("i", "j")


def number(value: float) -> Number:
    """A number."""
    return Number(float(value))


def exp(x: Operand) -> Function:
    """The exponential function."""
    return Function("exp", tree(x))


def tanh(x: Operand) -> Function:
    """The hyperbolic tangent."""
    return Function("tanh", tree(x))


def Phi(x: Operand) -> Function:
    """The distribution function of the standard normal distribution."""
    return Function("Phi", tree(x))


def phi(x: Operand) -> Function:
    """Its density."""
    return Function("phi", tree(x))


def sign(x: Operand) -> Function:
    """-1, 0 or 1."""
    return Function("sign", tree(x))


def log(x: Operand) -> Log:
    """The natural logarithm."""
    return Log(tree(x))


def absolute(x: Operand) -> Magnitude:
    """The absolute value."""
    return Magnitude(tree(x))


def larger(x: Operand, y: Operand) -> Largest:
    """The larger of two."""
    return Largest(tree(x), tree(y))


def compared(left: Operand, sign: str, right: Operand) -> Comparison:
    """A condition."""
    return Comparison(tree(left), sign, tree(right))


def cases(condition: Comparison, holds: Operand, otherwise: Operand) -> Cases:
    """One of two."""
    return Cases(condition, tree(holds), tree(otherwise))


def if_positive(x: Operand, holds: Operand, otherwise: Operand) -> Cases:
    """One of two, by the sign of x."""
    return cases(compared(x, ">", 0), holds, otherwise)


def clipped(x: Expression, low: float, high: float) -> Clipped:
    """x, held between two numbers."""
    return Clipped(x, low, high)


def sum_over_units(unit: str, body: Expression) -> Sum:
    """The sum of a body over the units of a layer."""
    return Sum(unit, 0, body)


def derivative(body: Expression, by: Expression, is_: Expression) -> Equation:
    """What a derivative is."""
    return Equation(Derivative(body, by), is_)


def given(body: Operand, *words: str, **definitions: Expression) -> With:
    """The body, and what its letters stand for, or a remark in words."""
    known = [Equation(Variable(name), meaning) for name, meaning in definitions.items()]
    return With(tree(body), (*known, *(told(one, "ij") for one in words)))
