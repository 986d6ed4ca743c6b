"""Slopes from values: right where a record states one, and none elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from deltarule.equations.activations import Activation, get_activation
from deltarule.explain.check.mistakes.slopes import WRONG_SLOPES
from deltarule.explain.check.slope import slope_from_value
from deltarule.formula import alphabet as m
from deltarule.formula.function import Variable
from deltarule.formula.value import evaluated
from support.oracles import hidden_names

FROM_VALUE = ["identity", "sigmoid", "tanh", "relu", "exp"]
Z = np.linspace(-4, 4, 33) + 0.01


@pytest.mark.parametrize("name", hidden_names())
def test_a_slope_follows_from_the_value_where_the_record_says_so(name: str) -> None:
    f = get_activation(name)
    of_a = slope_from_value(f)
    assert (of_a is not None) == (name in FROM_VALUE)
    if of_a is not None:
        np.testing.assert_allclose(of_a(f.f(Z)), f.df(Z), rtol=1e-11)


def test_an_own_record_has_one_if_it_states_a_tree() -> None:
    def logistic(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-z))

    told = Activation("sigmoid", logistic, logistic, "1 / (1 + exp(-z))", "a (1 - a)")
    assert slope_from_value(told) is None
    own = Activation("own", logistic, logistic, lambda m: m.exp(m.z), lambda m: 2 * m.exp(m.z))
    of_a = slope_from_value(own)
    assert of_a is not None
    np.testing.assert_array_equal(of_a(Z), 2 * Z)


@pytest.mark.parametrize("kind", WRONG_SLOPES)
def test_every_wrong_slope_is_wrong(kind: str) -> None:
    f = get_activation(kind)
    at = {m.z: Z, m.a: f.f(Z), Variable("c"): f.parameter}
    for text, tree in WRONG_SLOPES[kind].items():
        assert text
        wrong = evaluated(tree, at) + 0 * Z
        assert np.isfinite(wrong).all()
        assert np.abs(wrong - f.df(Z)).max() > 0.005, text
