"""The slope of an activation from its value, as it is done by hand: a (1 - a) of the sigmoid."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from deltarule.equations.activations import Activation
from deltarule.equations.params import Array
from deltarule.formula import alphabet as m
from deltarule.formula.expression import Expression
from deltarule.formula.function import replaced
from deltarule.formula.value import evaluated


@functools.cache
def _in_terms_of_value(value: Expression, slope: Expression) -> Expression | None:
    """A slope as it follows from the value alone: None where z is needed."""
    of_a = replaced(slope, {value: m.a})
    if value == m.larger(0, m.z):  # it is positive where z is
        of_a = replaced(of_a, {m.z: m.a})
    return None if m.z in of_a.walk() else of_a


def slope_from_value(f: Activation) -> Callable[[Array], Array] | None:
    """f' as a function of a = f(z), where its record states one, as sigmoid's does."""
    tree = f.tree and f.slope_tree and _in_terms_of_value(f.tree, f.slope_tree)
    if tree is None:
        return None
    return lambda a: np.broadcast_to(evaluated(tree, {m.a: a}), a.shape)
