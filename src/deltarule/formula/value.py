"""The value of a tree at numbers: of a function as its record states it, or of numbers alone.

`FUNCTIONS` says what the named functions are for NumPy's arrays. With others in their place a tree
is evaluated in any other arithmetic.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from deltarule.formula import expression as ex
from deltarule.formula import function as fn
from deltarule.formula.expression import Expression


def _normal_distribution(x: Any) -> Any:
    from scipy.special import ndtr  # slow to import, and gelu alone needs it

    return ndtr(x)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": np.abs,
    "clip": np.clip,
    "cosh": np.cosh,
    "exp": np.exp,
    "log": np.log,
    "max": np.maximum,
    "Phi": _normal_distribution,
    "phi": lambda x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    "sign": np.sign,
    "sum": functools.partial(np.sum, axis=-1),
    "tanh": np.tanh,
    "where": np.where,
}
_SIGNS: Mapping[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    "<": operator.lt,
    "<=": operator.le,
}


def evaluated(
    node: Expression,
    at: Mapping[Any, Any],
    functions: Mapping[str, Callable[..., Any]] = FUNCTIONS,
) -> Any:
    """The value of a tree.

    Parameters
    ----------
    node : Expression
        Letters, numbers and functions of them.
    at : mapping Expression -> number or array
        Of letters. A sum over units is taken along the last axis of its body.
    functions : mapping str -> callable
        What the named functions are.

    Raises TypeError for a node that has no value by itself, KeyError for an unknown letter.
    """
    if isinstance(node, fn.Variable | ex.Symbol | ex.Same):
        return at[node]

    def of(one: Expression) -> Any:
        return evaluated(one, at, functions)

    if isinstance(node, fn.With):
        known = dict(at)
        for letter, meaning in node.definitions.items():
            known[letter] = evaluated(meaning, known, functions)
        return evaluated(node.body, known, functions)
    if isinstance(node, ex.Number):
        return node.value
    if isinstance(node, ex.Negative):
        return -of(node.body)
    if isinstance(node, ex.Plus):
        return functools.reduce(operator.add, map(of, node.terms))
    if isinstance(node, ex.Product):
        return functools.reduce(operator.mul, map(of, node.factors))
    if isinstance(node, ex.Quotient):
        return of(node.top) / of(node.bottom)
    if isinstance(node, ex.Power):
        return of(node.base) ** node.exponent
    return _by_name(node, of, functions)


def _by_name(node: Expression, of: Callable[[Expression], Any], functions: Any) -> Any:
    if isinstance(node, fn.Function):
        return functions[node.name](of(node.argument))
    if isinstance(node, ex.Log):
        return functions["log"](of(node.argument))
    if isinstance(node, fn.Magnitude):
        return functions["abs"](of(node.body))
    if isinstance(node, fn.Largest):
        return functions["max"](of(node.first), of(node.second))
    if isinstance(node, fn.Clipped):
        return functions["clip"](of(node.body), node.low, node.high)
    if isinstance(node, fn.Cases):
        return functions["where"](of(node.condition), of(node.holds), of(node.otherwise))
    if isinstance(node, fn.Comparison):
        return _SIGNS[node.sign](of(node.left), of(node.right))
    if isinstance(node, fn.Equation):
        return of(node.right)
    if isinstance(node, ex.Sum):
        return functions["sum"](of(node.body))
    raise TypeError(f"{type(node).__name__} has no value by itself")
