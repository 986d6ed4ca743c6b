"""Arithmetic with radii: no possible value may lie outside, and radius 0 is plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltarule.equations.activations import get_activation
from deltarule.explain.check.approx import Approx, where

OPERATIONS: dict[str, Callable[[Approx, Approx], Approx]] = {
    "sum": lambda x, y: x + y,
    "difference": lambda x, y: x - y,
    "product": lambda x, y: x * y,
    "matrix product": lambda x, y: x @ y.T,
    "of a number": lambda x, y: 3.0 * x - 2.0,
    "with an array on the left": lambda x, y: np.ones((4, 2)) @ x,
    "negative": lambda x, y: -x,
    "sum over rows": lambda x, y: x.sum(axis=0),
    "one column": lambda x, y: x[:, 1:2] * y,
    "where": lambda x, y: where(np.arange(3) == 1, x, y),
}


@pytest.mark.parametrize("name", OPERATIONS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_values_within_the_radii_stay_within(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    operation = OPERATIONS[name]
    x, y = (Approx(rng.normal(size=(2, 3)), rng.uniform(0, 0.1, (2, 3))) for _ in range(2))
    result = operation(x, y)
    for _ in range(20):
        moved = [
            Approx(one.v + one.r * rng.choice([-1, 1, rng.uniform(-1, 1)], one.v.shape))
            for one in (x, y)
        ]
        found = operation(*moved)
        assert (np.abs(found.v - result.v) <= result.r + 1e-12).all()


@pytest.mark.parametrize("name", OPERATIONS)
def test_without_radii_it_is_plain_arithmetic(name: str) -> None:
    rng = np.random.default_rng(0)
    x, y = (Approx(rng.normal(size=(2, 3))) for _ in range(2))
    assert not OPERATIONS[name](x, y).r.any()


@pytest.mark.parametrize("f", ["sigmoid", "tanh", "relu", "softplus", "exp"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_monotone_functions_stay_within(f: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = Approx(rng.normal(size=(2, 3)), rng.uniform(0, 0.5, (2, 3)))
    result = x.apply(get_activation(f).f)
    moved = get_activation(f).f(x.v + x.r * rng.uniform(-1, 1, x.shape))
    assert (np.abs(moved - result.v) <= result.r + 1e-12).all()


def test_rows_that_mix_take_every_element_into_account() -> None:
    softmax = get_activation("softmax").f
    x = Approx([[1.0, 2.0, -1.0]], [[0.0, 1e-3, 0.0]])
    result = x.apply_rows(softmax)
    ends = [np.abs(softmax(np.array([[1.0, y, -1.0]])) - softmax(x.v)) for y in (1.999, 2.001)]
    np.testing.assert_allclose(result.r, np.maximum(*ends), rtol=1e-12)


def test_rows_look_to_both_sides_and_where_f_ends_to_one() -> None:
    log = Approx([[0.001]], [[0.0009]]).apply_rows(np.log)
    assert log.r.item() == pytest.approx(np.log(0.001 / 0.0001))
    with np.errstate(invalid="ignore"):
        root = Approx([[0.001]], [[0.002]]).apply_rows(np.sqrt)
    assert root.r.item() == pytest.approx(np.sqrt(0.003) - np.sqrt(0.001))
