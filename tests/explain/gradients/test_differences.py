"""Measured derivatives against exact ones: the error that is told must hold, and be small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.equations.activations import activation_names, get_activation
from deltarule.explain.gradients.differences import (
    EPS,
    Measured,
    complex_step,
    measure,
    noise_of,
    takes_complex_steps,
)


def change_of(f: Callable[[Any], Any], x: Any, kink: float | None = None) -> Any:
    """Of f at points x, one coordinate each; crossing is told if there is a kink."""

    def change(at: Any, t: Any) -> Any:
        moved = x[at][:, None] + t
        crossed = np.zeros(t.shape, dtype=bool)
        if kink is not None:
            crossed = (moved > kink) != (x[at][:, None] > kink)
        return f(moved) - f(x[at])[:, None], crossed

    return change


def measured(f: Any, x: Any, scale: float = 1.0, kink: float | None = None) -> Measured:
    x = np.atleast_1d(np.asarray(x, dtype=float))
    noise = EPS * (np.abs(f(x)) + np.abs(x))
    with np.errstate(all="ignore"):
        return measure(change_of(f, x, kink), np.full(len(x), scale), noise, 1e-6)


SMOOTH = {
    "sin": (np.sin, np.cos),
    "exp": (np.exp, np.exp),
    "cubic": (lambda x: x**3 - 4 * x, lambda x: 3 * x**2 - 4),
    "bell": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "atan": (lambda x: np.arctan(5 * x), lambda x: 5 / (1 + 25 * x * x)),
    "large": (lambda x: 1e9 + np.sin(x), np.cos),
    "constant": (lambda x: 0 * x + 3.0, lambda x: 0 * x),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_the_told_error_holds_and_is_small(name: str) -> None:
    f, df = SMOOTH[name]
    x = np.linspace(-2.1, 2.3, 201)
    found = measured(f, x)
    off = np.abs(found.value - df(x))
    assert (off <= 4 * found.error).all()
    size = 1 if name != "large" else 1e9
    assert found.error.max() < 3e-6 * size**0.8 * max(1.0, np.abs(df(x)).max())
    assert np.median(off) < 1e-11 * size
    assert not found.crossed.any()
    assert not found.jump.any()


@given(
    st.sampled_from(["sin", "exp", "cubic", "atan"]),
    st.floats(-3, 3),
    st.floats(-6, 6),
    st.floats(-4, 4),
)
def test_any_guess_of_the_scale_will_do(name: str, x: float, units: float, guess: float) -> None:
    """The function of x / unit, with a first step that is off by up to 10^4 either way."""
    f, df = SMOOTH[name]
    unit = 10.0**units
    found = measured(lambda t: f(t / unit), x * unit, scale=unit * 10.0**guess)
    exact = df(x) / unit
    assert abs(found.value[0] - exact) <= 4 * found.error[0]
    assert found.error[0] * unit < 1e-4 * max(1.0, abs(df(x)), abs(f(x)))


def test_a_kink_is_not_stepped_over_where_there_is_room() -> None:
    x = np.array([-0.5, -1e-3, 1e-6, 0.2])
    found = measured(np.abs, x, kink=0.0)
    assert not found.crossed.any()
    assert np.allclose(found.value, np.sign(x), rtol=1e-6)


def test_a_step_that_always_crosses_is_told() -> None:
    found = measured(np.abs, [0.0, 1e-13], kink=0.0)
    assert found.crossed.all()


@pytest.mark.parametrize("jump", [2.0, 0.01])
def test_an_undeclared_kink_shows_as_a_jump_of_the_slope(jump: float) -> None:
    found = measured(lambda x: np.sin(x) + jump * np.maximum(x, 0), 0.0)
    assert found.jump[0] == pytest.approx(jump, rel=1e-3)
    assert found.value[0] == pytest.approx(1 + jump / 2, rel=1e-3)
    assert measured(np.sin, [0.0, 0.7]).jump.tolist() == [0, 0]


def test_a_jump_of_the_second_derivative_does_not_spoil_the_told_error() -> None:
    """As that of elu, all over the place: the points lie within the first steps."""
    rng = np.random.default_rng(0)
    at = rng.normal(scale=1e-4, size=(60, 1)) * 10.0 ** rng.uniform(-2, 2, (60, 1))

    def f(x: Any) -> Any:
        return np.sum([w * np.maximum(x - a, 0) ** 2 for w, a in zip(weights, at, strict=True)], 0)

    def df(x: Any) -> Any:
        return sum(2 * w * np.maximum(x - a, 0) for w, a in zip(weights, at, strict=True))

    weights = rng.normal(size=60)
    x = np.sort(rng.normal(scale=1e-3, size=300))
    found = measured(f, x)
    off = np.abs(found.value - df(x))
    assert (off <= 4 * found.error).mean() > 0.98
    assert (off <= 40 * found.error).all()


def test_steps_leave_a_domain_alone() -> None:
    """log at 1e-5 is not finite where the first step would lead."""
    found = measured(np.log, [1e-5, 3.0])
    assert np.allclose(found.value, [1e5, 1 / 3], rtol=1e-8)
    nothing = measured(lambda x: np.full_like(x, np.nan), 1.0)
    assert nothing.error[0] == np.inf


def test_a_second_measurement_raises_the_error_by_what_differs() -> None:
    found = measured(np.sin, [0.3, 0.4])
    again = Measured(found.value[1:] + 1e-3, np.zeros(1), np.ones(1, bool), np.ones(1))
    found.weigh(np.array([1]), again)
    assert found.error[1] == pytest.approx(1e-3)
    assert found.error[0] < 1e-9
    assert not found.jump.any()  # the first one saw none
    assert not found.crossed.any()


def test_a_kink_is_the_same_at_any_step_and_what_is_merely_steep_is_not() -> None:
    for f, jump in ((np.abs, 2.0), (lambda x: np.log1p(1e10 * x * x) + x, 0.0)):
        found, again = measured(f, 0.0), measured(f, 0.0, scale=0.1)
        assert found.jump[0] > 0
        found.weigh(np.arange(1), again)
        assert found.jump[0] == pytest.approx(jump)


@pytest.mark.parametrize("size", [1e-15, 1e-12, 1e-8, 1e-4])
def test_noise_is_measured(size: float) -> None:
    def f(x: Any) -> Any:
        return np.round(np.sin(3 * x) / size) * size

    x = np.linspace(0.1, 0.4, 7)
    found = noise_of(change_of(f, x), np.arange(7), np.ones(7))
    # rounding to a grid is uniform over it: standard deviation size / sqrt(12)
    assert 0.3 < np.median(found) / (size / np.sqrt(12)) < 4


def test_noise_of_a_function_without_any() -> None:
    x = np.array([0.25, 0.5])
    assert noise_of(change_of(lambda x: x, x), np.arange(2), np.ones(2)).max() < 1e-16
    assert np.isnan(noise_of(change_of(lambda x: 0 * x, x), np.arange(2), np.ones(2))).all()
    at_a_kink = noise_of(change_of(np.abs, np.zeros(1), kink=0.0), np.arange(1), np.ones(1))
    assert np.isnan(at_a_kink).all()


# -- complex steps ---------------------------------------------------------------------------------

ANALYTIC = {"identity", "tanh", "elu", "gelu", "exp", "softmax"}  # elu: on either side of 0
PLAIN = {
    "own_sigmoid": (lambda z: 1 / (1 + np.exp(-z)), True),
    "cube": (lambda z: z**3, True),
    "abs": (np.abs, False),
    "real": (lambda z: np.tanh(z.real), False),
    "floats": (lambda z: np.asarray(z, dtype=float) ** 2, False),
    "conjugate": (lambda z: z * np.conj(z), False),
    "raises": (lambda z: np.arctan2(z, 1), False),
    "a sum": (lambda z: (z * z).sum(axis=1), True),
    "another shape": (lambda z: z[:1] if np.iscomplexobj(z) else z, False),
    "one number": (lambda z: 3.0 if np.iscomplexobj(z) else z, False),
}


@pytest.mark.parametrize("name", activation_names())
def test_which_activations_take_complex_steps(name: str) -> None:
    f = get_activation(name)
    z = np.random.default_rng(0).normal(size=(20, 4)) * 2
    takes = not f.kinks and takes_complex_steps(f.f, z, np.random.default_rng(1))
    assert takes == (name in ANALYTIC)


@pytest.mark.parametrize("name", PLAIN)
def test_which_own_functions_take_complex_steps(name: str) -> None:
    f, expected = PLAIN[name]
    z = np.random.default_rng(0).normal(size=(20, 4))
    assert takes_complex_steps(f, z, np.random.default_rng(1)) is expected


def test_a_complex_step_has_the_digits_of_the_function() -> None:
    x = np.linspace(-2, 2, 9)

    def changes(at: Any, t: Any) -> Any:
        moved = np.exp(np.sin(x[at] + t))
        return moved, np.abs(moved.imag)

    value, size = complex_step(changes, np.arange(9), np.ones(9))
    exact = np.exp(np.sin(x)) * np.cos(x)
    assert np.allclose(value, exact, rtol=1e-14, atol=1e-16)
    assert np.allclose(size, np.abs(exact))
