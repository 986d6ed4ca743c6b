"""The symbols and equations of one network in one notation, as trees.

What its layers, units, weights and gradients are called, and how each equation is put.
"""

from __future__ import annotations

from collections.abc import Sequence

from deltarule.formula import expression as ex
from deltarule.formula.expression import (
    Derivative,
    Expression,
    Hadamard,
    Index,
    MatrixProduct,
    Product,
    Sum,
    Symbol,
    Transpose,
    difference,
)
from deltarule.formula.function import Equation, FunctionName, Quoted, Variable, With, replaced
from deltarule.formula.notation import get_notation

OUTPUT, TARGET, NET_INPUT = Variable("o"), Variable("y"), Variable("z")


class Symbols:
    """The symbols of one network: layers l = 1..L and units j counted from 1, or letters for any.

    Parameters
    ----------
    notation : str
    sizes : sequence of int
        Of the network. Where an index may have two digits, indices are `set_apart` by commas.
    """

    def __init__(self, notation: str, sizes: Sequence[int]) -> None:
        self.notation = n = get_notation(notation)
        self.L = len(sizes) - 1
        self.J, self.C = Variable(n.J), Variable(n.C)
        self.unit, self.source, self.next = n.unit, n.source, n.next
        self.set_apart = max(*sizes, self.L) > 9

    @property
    def any_unit(self) -> Index:
        """The letter of any unit; none where a formula is of a whole layer."""
        return "" if self.notation.matrix else self.unit

    def z(self, l: int, j: Index = "") -> Symbol:
        """The net input of unit j of layer l; of the whole layer without j (matrix notation)."""
        return _symbol("z", l, j)

    def a(self, l: int, j: Index = "") -> Symbol:
        """The activation of unit j of layer l; layer 0 holds the inputs."""
        return _symbol("a", l, j)

    def W(self, l: int, i: Index = "", j: Index = "") -> Symbol:
        """The weight from unit i of layer l - 1 to unit j of layer l."""
        return _symbol("w", l, j, i)

    def b(self, l: int, j: Index = "") -> Symbol:
        """The bias of unit j of layer l."""
        return _symbol("b", l, j)

    def delta(self, l: int, j: Index = "") -> Symbol:
        """The delta (or error term) of unit j of layer l."""
        return _symbol("delta", l, j)

    def y(self, j: Index = "") -> Symbol:
        """The target of output j."""
        return _symbol("y", self.L, j)

    def f(self, l: int, argument: Expression | None = None, slope: bool = False) -> Expression:
        """The activation function of layer l, or its slope, of the argument if one is given."""
        return FunctionName(l, slope) if argument is None else ex.Call(l, argument, slope)

    # -- the equations, of any unit of layer l ------------------------------------------------

    def net_input(self, l: int, bias: bool) -> Equation:
        """z_l = a_{l-1} W_l + b_l."""
        n, (j, i) = self.notation, (self.any_unit, self.source)
        total: Expression
        if n.matrix:
            total = MatrixProduct((self.a(l - 1), self.W(l)))
        else:
            total = Sum(i, l - 1, _product(self.a(l - 1, i), self.W(l, i, j), n.weight_first))
        return Equation(self.z(l, j), total + self.b(l, j) if bias else total)

    def activation(self, l: int, formula: Expression | None) -> Expression:
        """a_l = f_l(z_l), and what f_l is if that is given."""
        j = self.any_unit
        rule = Equation(self.a(l, j), self.f(l, self.z(l, j)))
        return rule if formula is None else With(rule, (self.stated(l, formula),))

    def stated(self, l: int, formula: Expression, slope: bool = False) -> Equation:
        """f_l(z), or its slope, and its formula."""
        return Equation(self.f(l, NET_INPUT, slope), Quoted(formula))

    def of_output(self, formula: Expression) -> Expression:
        """A formula in o and y, in the symbols of output and target of one output."""
        j = self.any_unit
        return replaced(formula, {OUTPUT: self.a(self.L, j), TARGET: self.y(j)})

    def output_error(self) -> Expression:
        """o - y, or y - o where error terms are negative deltas."""
        o, y = self.a(self.L, self.any_unit), self.y(self.any_unit)
        return difference(o, y) if self.notation.sign > 0 else difference(y, o)

    def activation_gradient(self, l: int) -> Equation:
        """dJ/da_l = delta_{l+1} W_{l+1}^T, for l < L."""
        n = self.notation
        if n.matrix:
            back = MatrixProduct((self.delta(l + 1), Transpose(self.W(l + 1))))
            return Equation(Derivative(self.J, self.a(l)), back)
        # a unit of layer l is where the weight comes from
        j, k = (self.unit, self.next) if n.two_steps else (self.source, self.unit)
        return Equation(Derivative(self.J, self.a(l, j)), self._signed(self._from_above(l, j, k)))

    def _from_above(self, l: int, j: Index, k: str) -> Sum:
        first = self.notation.weight_first_back
        return Sum(k, l + 1, _product(self.delta(l + 1, k), self.W(l + 1, j, k), first))

    def _signed(self, body: Expression) -> Expression:
        return ex.signed(self.notation.sign, body)

    def _times_slope(self, l: int, first: Expression) -> Expression:
        both = (first, self.f(l, self.z(l, self.any_unit), slope=True))
        return Hadamard(both) if self.notation.matrix else Product(both)

    def output_delta(self) -> Equation:
        """delta_L = (o - y) f_L'(z_L), of the squared error."""
        delta = self.delta(self.L, self.any_unit)
        return Equation(delta, self._times_slope(self.L, self.output_error()))

    def delta_from_gradient(self, l: int) -> Equation:
        """delta_l = dJ/da_l f_l'(z_l)."""
        j = self.any_unit
        rule = self._times_slope(l, Derivative(self.J, self.a(l, j)))
        return Equation(self.delta(l, j), self._signed(rule))

    def mixed_delta(self) -> With:
        """delta_L where the output activation mixes the units: the Jacobian product of softmax."""
        j, k = ("j", "k") if self.notation.matrix else (self.unit, self.next)
        a_j, a_k = self.a(self.L, j), self.a(self.L, k)
        g_j, g_k = Variable("g", (j,)), Variable("g", (k,))
        rule = Product((a_j, difference(g_j, Sum(k, self.L, Product((g_k, a_k))))))
        known = Equation(g_j, Derivative(self.J, a_j))
        return With(Equation(self.delta(self.L, j), self._signed(rule)), (known,))

    def delta_rule(self, l: int) -> Equation:
        """delta_l = (delta_{l+1} W_{l+1}^T) f_l'(z_l), for l < L."""
        n, j = self.notation, self.any_unit
        slope = self.f(l, self.z(l, j), slope=True)
        if n.matrix:
            back = MatrixProduct((self.delta(l + 1), Transpose(self.W(l + 1))))
            return Equation(self.delta(l), self._times_slope(l, back))
        arriving = self._from_above(l, j, self.next)
        if n.weight_first_back:
            return Equation(self.delta(l, j), Product((slope, arriving)))
        inside = arriving.body * slope
        return Equation(self.delta(l, j), Sum(self.next, l + 1, inside))

    def weight_gradient(self, l: int) -> Equation:
        """dC/dW_l = a_{l-1}^T delta_l, of one sample."""
        n, (j, i) = self.notation, (self.unit, self.source)
        if n.matrix:
            outer = MatrixProduct((Transpose(self.a(l - 1)), self.delta(l)))
            return Equation(Derivative(self.C, self.W(l)), outer)
        product = _product(self.a(l - 1, i), self.delta(l, j), n.weight_first)
        return Equation(Derivative(self.C, self.W(l, i, j)), self._signed(product))

    def bias_gradient(self, l: int) -> Equation:
        """dC/db_l = delta_l, of one sample."""
        j = self.any_unit
        return Equation(Derivative(self.C, self.b(l, j)), self._signed(self.delta(l, j)))

    def update(self, parameter: Symbol) -> Equation:
        """w <- w - alpha dC/dw."""
        step = Product((Variable("alpha"), Derivative(self.C, parameter)))
        return Equation(parameter, difference(parameter, step), "<-")


def _symbol(kind: str, l: int, *indices: Index) -> Symbol:
    return Symbol(kind, l, tuple(one for one in indices if one != ""))


def _product(x: Expression, w: Expression, weight_first: bool) -> Product:
    return Product((w, x) if weight_first else (x, w))
