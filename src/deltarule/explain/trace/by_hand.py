"""Activations and losses with the numbers put in, as one writes them on paper.

Each function gives a calculation as a tree, such as 1/(1 + exp(-0.8)), made of the tree that the
record states; its value is that of the record's code: a test evaluates what is written. Where a
number is so near to 1 that its printed digits no longer tell it apart, the calculation takes
another way, as a careful person would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from deltarule.equations.activations import Activation, get_activation
from deltarule.equations.losses import Loss, get_loss
from deltarule.equations.params import Array
from deltarule.formula import alphabet as m
from deltarule.formula import expression as ex
from deltarule.formula import function as fn
from deltarule.formula.expression import ONE, ZERO, Expression, Negative, Number, Plus, Product
from deltarule.formula.value import FUNCTIONS, evaluated

_NEAR_ONE = 0.999  # from here on, 1 - a is written as the number that it is
_LARGE = 30.0  # exp of more than that is unwieldy
_TINY = 1e-300  # below it a logarithm is written as the number that it is
_LEAST = float(np.finfo(np.float64).eps) / 4  # what losses.py holds 1 - o above
_SMALLEST = float(np.finfo(np.float64).smallest_normal)
_FUNCTIONS = {**FUNCTIONS, "tanh": math.tanh}  # exact to the last digit that may be shown


def difference(x: float, y: float) -> Expression:
    """x - y."""
    return ex.difference(Number(x), Number(y))


def total(terms: Sequence[Expression]) -> Expression:
    """Terms added; a number alone keeps the brackets of a negative term."""
    flat = [one for term in terms for one in (term.terms if isinstance(term, Plus) else (term,))]
    if not flat:
        return ZERO
    alone = len(flat) == 1 and not isinstance(flat[0], Number)
    return flat[0] if alone else Plus(tuple(flat))


def more(value: float, count: int) -> Expression:
    """What so many terms of a sum, left out, come to."""
    return fn.Words((Plus((Number(value),)), f" ({count} more)"))


def in_brackets(node: Expression) -> Expression:
    """A calculation in brackets, needed or not."""
    return fn.Words(("(", node, ")"))


def group_of(record: Activation | Loss, j: int, size: int) -> slice:
    """The units that output j shares a distribution with."""
    start = 0
    for k in record.groups or (size,):
        if j < start + k:
            return slice(start, start + k)
        start += k
    raise IndexError(j)


def _given(values: Array) -> list[str | Expression]:
    """Numbers as the argument of a function of many: (0.1, 0.2)."""
    parts: list[str | Expression] = [", "] * (2 * len(values) - 1)
    parts[::2] = map(Number, values)
    return ["(", *parts, ",)" if len(values) == 1 else ")"]


def _sigmoid(z: float) -> float:
    return float(get_activation("sigmoid").f(np.float64(z)))


# -- activations ----------------------------------------------------------------------------------


class _AtScore:
    """A formula of an activation with the numbers put in, at one net input."""

    def __init__(self, f: Activation, z: float) -> None:
        self.f, self.z = f, z
        self.unwieldy = False  # then the number itself is better
        self.meaning: dict[Expression, Expression | None] = {m.a: f.tree}
        self.numbers: dict[Expression, float] = {m.z: z}

    def put_in(self, node: Expression) -> Expression:
        """The tree with numbers for its letters."""
        if isinstance(node, fn.With):
            self.meaning |= node.definitions
            return self.put_in(node.body)
        if isinstance(node, fn.Variable):
            return Number(self._number(node))
        if isinstance(node, Negative) and isinstance(node.body, fn.Variable):
            return Number(-self._number(node.body))
        if isinstance(node, fn.Magnitude) and isinstance(node.body, fn.Variable):
            return Number(abs(self._number(node.body)))
        if isinstance(node, fn.Cases):
            holds = self._evaluated(node.condition)
            return self.put_in(node.holds if holds else node.otherwise)
        if isinstance(node, Plus):
            return self._sum(node)
        if isinstance(node, Product):
            return self._product(node)
        return node.rebuilt(self.put_in)

    def _number(self, letter: Expression) -> float:
        """What a letter stands for, by the code of the record that states it if there is one."""
        if letter not in self.numbers:
            meaning = self.meaning[letter]
            assert meaning is not None
            for known in map(get_activation, ("sigmoid", "softplus")):
                if meaning == known.tree:
                    self.numbers[letter] = float(known.f(np.float64(self.z)))
                    break
            else:
                self.numbers[letter] = self._evaluated(meaning)
        return self.numbers[letter]

    def _evaluated(self, node: Expression) -> float:
        letters = (one for one in node.walk() if isinstance(one, fn.Variable))
        at = {letter: self._number(letter) for letter in letters}
        return float(evaluated(node, at, _FUNCTIONS))

    def _product(self, node: Product) -> Expression:
        """Without a 1 before a function or brackets: the parameter of elu."""
        factors = [
            one
            for one, after in zip(node.factors, (*node.factors[1:], None), strict=True)
            if one != ONE or after is None or isinstance(after, fn.Variable)
        ]
        return Product(tuple(map(self.put_in, factors)))

    def _sum(self, node: Plus) -> Expression:
        if len(node.terms) == 2 and node.terms[0] == ONE and isinstance(node.terms[1], Negative):
            exact = self._complement(node.terms[1].body)
            if exact is not None:
                return exact
        return Plus(
            tuple(
                Negative(self.put_in(one.body)) if isinstance(one, Negative) else self.put_in(one)
                for one in node.terms
            )
        )

    def _complement(self, x: Expression) -> Expression | None:
        """1 - x where x is near 1, from what x is; else None."""
        if isinstance(x, fn.Variable):
            is_sigmoid = self.meaning.get(x) == get_activation("sigmoid").tree
            near = is_sigmoid and self._number(x) >= _NEAR_ONE
            return Number(_sigmoid(-self.z)) if near else None
        if not isinstance(x, ex.Power) or x.exponent != 2:
            return None
        if self.meaning.get(x.base) == get_activation("tanh").tree:
            near = abs(self._number(x.base)) >= _NEAR_ONE
            return Number(float(get_activation("tanh").df(np.float64(self.z)))) if near else None
        if isinstance(x.base, fn.Function) and x.base.name == "tanh":
            inside = self.put_in(x.base.argument)
            if math.tanh(evaluated(inside, {})) >= _NEAR_ONE:
                self.unwieldy = self.z > _LARGE
                return 1 / fn.Function("cosh", inside) ** 2
        return None


def value(f: Activation, l: int, z: Array, j: int, max_terms: int | None = None) -> Expression:
    """a_j of layer l from the net inputs z (n_l,) of its layer.

    The sum in a softmax is cut at `max_terms`, the rest put in as one number. A function that
    states no tree is called by its name.
    """
    if f.jacobian_product is not None:
        if f.registered:
            return _softmax(f, z, j, max_terms)
        return fn.Words((fn.FunctionName(l), "(", *_given(z), f")[{j}]"))
    at = float(z[j])
    if f.tree is None:
        return ex.Call(l, Number(at))
    if at > _LARGE and f.tree == get_activation("softplus").tree:
        return Number(at) + m.log(1 + m.exp(-at))
    return _AtScore(f, at).put_in(f.tree)


def _softmax(f: Activation, z: Array, j: int, max_terms: int | None) -> Expression:
    group = group_of(f, j, len(z))
    z, j = z[group], j - group.start
    top = float(z.max()) if np.abs(z).max() > _LARGE else 0.0
    powers: list[Expression] = [m.exp(float(v - top)) for v in z[:max_terms]]
    if len(powers) < len(z):
        powers.append(more(np.exp(z[max_terms:] - top).sum(), len(z) - len(powers)))
    return m.exp(float(z[j] - top)) / in_brackets(total(powers))


def slope(f: Activation, l: int, z: float) -> Expression:
    """f'(z) of layer l."""
    if f.slope_tree is None:
        return ex.Call(l, Number(z), slope=True)
    at = _AtScore(f, float(z))
    calculation = at.put_in(f.slope_tree)
    return Number(float(f.df(np.float64(z)))) if at.unwieldy else calculation


# -- losses ---------------------------------------------------------------------------------------


class _AtOutput:
    """A formula of a loss with the numbers put in, for one output.

    Parameters
    ----------
    below : float
        1 - o, to full accuracy.
    log, log_below : float or None
        log(o) and log(1 - o), as far as they are known to full accuracy.
    """

    def __init__(
        self,
        loss: Loss,
        o: float,
        y: float,
        below: float,
        log: float | None = None,
        log_below: float | None = None,
    ) -> None:
        self.loss, self.below, self.log, self.log_below = loss, below, log, log_below
        self.o, self.divisor = o, _away_from_zero(o, y)
        self.numbers: dict[Expression, float] = {m.o: o, m.y: y}

    def value(self) -> Expression:
        """J, without what a target of 0 takes away, and without a label of 1 as a factor."""
        tree = self.loss.tree
        assert tree is not None
        kept = map(self._relieved, tree.terms if isinstance(tree, Plus) else (tree,))
        return total([self.put_in(term) for term in kept if term != ZERO])

    def _relieved(self, term: Expression) -> Expression:
        if isinstance(term, Negative):
            body = self._relieved(term.body)
            return body if body == ZERO else Negative(body)
        first, *rest = term.factors if isinstance(term, Product) else (term,)
        if first not in (m.y, 1 - m.y):
            return term
        target = evaluated(first, self.numbers)
        if target == 1 and rest and self.loss.classifies:
            return ex.product(*rest)
        return ZERO if target == 0 else term

    def put_in(self, node: Expression) -> Expression:
        """The tree with numbers for its letters."""
        if isinstance(node, fn.With):  # what a letter stands for is written out
            return self.put_in(fn.replaced(node.body, node.definitions))
        if isinstance(node, fn.Variable):
            return Number(self.numbers[node])
        if isinstance(node, fn.Cases):
            holds = evaluated(node.condition, self.numbers)
            return self.put_in(node.holds if holds else node.otherwise)
        if isinstance(node, ex.Log):
            return self._logarithm(node.argument)
        if isinstance(node, ex.Quotient) and node.bottom == m.o:
            return self.put_in(node.top) / self.divisor
        if node == 1 - m.o and self.o >= _NEAR_ONE:
            return Number(self.below)
        return node.rebuilt(self.put_in)

    def _logarithm(self, x: Expression) -> Expression:
        if x == m.o:
            if self.o < _TINY and self.log is not None:
                return Number(self.log)
            return m.log(self.o if self.o < _NEAR_ONE else ex.difference(ONE, Number(self.below)))
        if x == 1 - m.o and self.below < _TINY and self.log_below is not None:
            return Number(self.log_below)
        if x == m.y / m.o and self.o < _TINY and self.log is not None:
            return m.log(self.numbers[m.y]) - self.log
        return m.log(self.put_in(x))


def _at_output(loss: Loss, o: Array, y: Array, z: Array | None, j: int) -> _AtOutput:
    """Output j with what its score tells; z is given where the output activation is the link."""
    pair = float(o[j]), float(y[j])
    if loss.targets == "unit":
        if z is None:
            return _AtOutput(loss, *pair, max(1 - pair[0], _LEAST), _log_of(o[j]))
        return _AtOutput(loss, *pair, _sigmoid(-z[j]), z[j], -z[j])
    if loss.targets == "distribution":
        group = group_of(loss, j, len(y))
        k = j - group.start
        if z is None:
            return _AtOutput(loss, *pair, 1 - pair[0], _log_of(o[j]))
        others = float(np.delete(o[group], k).sum())
        return _AtOutput(loss, *pair, others, _log_softmax(z[group], k))
    return _AtOutput(loss, *pair, 1 - pair[0], None if z is None else z[j])


def _log_of(o: float) -> float:
    return float(np.log(_away_from_zero(o, 1.0)))


def _log_softmax(z: Array, j: int) -> float:
    return float(z[j] - z.max() - np.log(np.exp(z - z.max()).sum()))


def _away_from_zero(o: float, y: float) -> float:
    """o as losses.py holds it above 0."""
    return max(float(o), max(y, 1.0) * _SMALLEST)


def outputs_that_count(loss: Loss, y: Array) -> Array:
    """Which outputs J of a sample with targets y (n_L,) is a sum over."""
    if not loss.registered:
        return np.arange(1)
    return np.flatnonzero(y) if loss.targets == "distribution" else np.arange(len(y))


def loss_terms(
    loss: Loss,
    o: Array,
    y: Array,
    z: Array | None,
    outputs: Array,
    target_first: bool = False,
) -> list[Expression]:
    """J of one sample as terms of a sum, one per output asked for.

    z (n_L,): the raw scores, where the output activation is the loss's canonical one, else None.
    `target_first` writes y - o in the squared error. An own loss is one term.
    """
    if not loss.registered:
        return [fn.Words((f"{loss.name}(", *_given(o), ", ", *_given(y), ")"))]
    if target_first and loss is get_loss("squared_error"):
        o, y = y, o
    return [_at_output(loss, o, y, z, j).value() for j in outputs]


def loss_of_outputs(loss: Loss, o: Array, y: Array, z: Array | None, outputs: Array) -> float:
    """The part of J that is the sum over these outputs; z as in `loss_terms`."""
    if z is None or loss.fused_J is None:
        return float(loss.J(o[None, outputs], y[None, outputs])[0])
    if loss.targets != "distribution":
        return float(loss.fused_J(z[None, outputs], y[None, outputs])[0])
    parts = ((j, group_of(loss, j, len(y))) for j in outputs)
    return -sum(float(y[j]) * _log_softmax(z[at], j - at.start) for j, at in parts)


def loss_slope(loss: Loss, o: float, y: float, exact: float) -> Expression:
    """dJ/do; `exact` is its value."""
    tree = loss.slope_tree
    nothing = loss.targets == "distribution" and exact == 0
    if not loss.registered or tree is None or o - y in loss.kinks or nothing:
        return Number(exact)
    at = _AtOutput(loss, o, y, max(1 - o, _LEAST))
    if isinstance(tree, fn.Clipped):
        return at.put_in(tree.body) if tree.low <= o - y <= tree.high else Number(exact)
    if isinstance(tree, fn.Function):  # the sign of o - y
        return Number(exact)
    if loss is get_loss("log_loss"):
        if not 0 < o < 1:
            return Number(exact)
        if y in (0, 1):  # of J only the logarithm of o, or that of 1 - o, is left
            return -(ONE / m.number(o)) if y == 1 else ONE / at.put_in(1 - m.o)
    return at.put_in(tree)
