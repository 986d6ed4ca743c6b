"""Activations against decimal arithmetic, at extreme inputs, and as named records."""

from __future__ import annotations

import copy
import decimal
import pickle
from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.equations.activations import (
    ALIASES,
    Activation,
    activation_names,
    elu,
    get_activation,
    leaky_relu,
)
from deltarule.errors import SpecError
from support.oracles import hidden_names, own_sigmoid, slopes

DTYPES = [np.float32, np.float64]
CONTEXT = decimal.Context(prec=460, Emax=10**9, Emin=-(10**9))
PARAMETRIZED = ["leaky_relu(0.2)", "elu(0.3)", "leaky_relu(-0.5)"]
ELEMENTWISE = [*hidden_names(), *PARAMETRIZED]


# -- the definitions again, in 460 decimal digits, with no care for cancellation -------------------


def _sigmoid(z: D) -> D:
    return 1 / (1 + (-z).exp())


def _tanh(z: D) -> D:
    return 2 * _sigmoid(2 * z) - 1


def _softplus(z: D) -> D:
    return (1 + z.exp()).ln()


def _pi() -> D:
    """Machin: pi = 16 arctan(1/5) - 4 arctan(1/239)."""

    def arctan(n: int) -> D:
        return sum(
            (D((-1) ** k) / ((2 * k + 1) * D(n) ** (2 * k + 1)) for k in range(330)), start=D(0)
        )

    return 16 * arctan(5) - 4 * arctan(239)


def _erf(x: D) -> D:
    term = total = x
    for n in range(1, 3000):
        term *= -x * x / n
        total += term / (2 * n + 1)
        if abs(term) < D(10) ** -450:
            break
    return 2 * total / _pi().sqrt()


def _normal_cdf(z: D) -> D:
    return (1 + _erf(z / D(2).sqrt())) / 2


def _normal_density(z: D) -> D:
    return (-z * z / 2).exp() / (2 * _pi()).sqrt()


def _leaky(z: D, below: float) -> tuple[D, D]:
    return (z, D(1)) if z > 0 else (z * D(below), D(below))


def _elu(z: D, scale: float, alpha: float) -> tuple[D, D]:
    s, both = D(scale), D(scale) * D(alpha)
    return (s * z, s) if z > 0 else (both * (z.exp() - 1), both * z.exp())


def _with_sigmoid(z: D) -> tuple[D, D]:
    s = _sigmoid(z)
    return z * s, s + z * s * (1 - s)


def _mish(z: D) -> tuple[D, D]:
    t = _tanh(_softplus(z))
    return z * t, t + z * (1 - t * t) * _sigmoid(z)


EXACT: dict[str, Callable[[D], tuple[D, D]]] = {
    "identity": lambda z: (z, D(1)),
    "sigmoid": lambda z: (_sigmoid(z), _sigmoid(z) * (1 - _sigmoid(z))),
    "tanh": lambda z: (_tanh(z), 1 - _tanh(z) ** 2),
    "relu": lambda z: (max(z, D(0)), D(z > 0)),
    "leaky_relu": lambda z: _leaky(z, 0.01),
    "leaky_relu(0.2)": lambda z: _leaky(z, 0.2),
    "leaky_relu(-0.5)": lambda z: _leaky(z, -0.5),
    "elu": lambda z: _elu(z, 1.0, 1.0),
    "elu(0.3)": lambda z: _elu(z, 1.0, 0.3),
    "selu": lambda z: _elu(z, 1.0507009873554804934, 1.6732632423543772848),
    "gelu": lambda z: (z * _normal_cdf(z), _normal_cdf(z) + z * _normal_density(z)),
    "silu": _with_sigmoid,
    "softplus": lambda z: (_softplus(z), _sigmoid(z)),
    "softsign": lambda z: (z / (1 + abs(z)), 1 / (1 + abs(z)) ** 2),
    "mish": _mish,
    "exp": lambda z: (z.exp(), z.exp()),
}
POINTS = [0.0, 1e-6, 1e-3, 0.3, 1.0, 2.5, 7.0, 12.0, 18.0, 30.0, 50.0]
POINTS = [*(-p for p in reversed(POINTS[1:])), *POINTS]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_value_and_slope_to_the_last_bits(name: str, dtype: Any) -> None:  # B2, C9, D1
    f, eps, least = get_activation(name), np.finfo(dtype).eps, np.finfo(dtype).smallest_normal
    for point in POINTS:
        if name == "gelu" and abs(point) > 30:  # its tail, 1e-543, needs more digits than 460
            continue
        z = np.array([point], dtype=dtype)
        with decimal.localcontext(CONTEXT):
            value, slope = (D(0) + x for x in EXACT[name](D(float(z[0]))))
        for what, got, exact in (("f", f.f(z), value), ("df", f.df(z), slope)):
            if 0 < abs(exact) < D(float(least)) * 1000:  # here floats themselves lose digits
                assert abs(float(got[0])) < 2000 * least
                continue
            bound = eps * 8 * abs(float(exact))
            if name in ("gelu", "silu", "mish"):  # exp(-z^2 / 2) magnifies z's rounding; f' has a 0
                bound = eps * ((8 + 2 * point**2) * abs(float(exact)) + 2 * (abs(point) < 3))
            assert abs(D(float(got[0])) - exact) <= D(float(bound)), (what, point, got, exact)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_no_warning_nan_or_overflow_at_extremes(name: str, dtype: Any) -> None:
    f = get_activation(name)
    sizes = np.concatenate([[0.0, 1e-40, 1e-30], np.logspace(-8, 4, 400)])
    z = np.concatenate([-sizes[::-1], sizes]).astype(dtype)
    before = z.copy()
    for function in (f.f, f.df):
        out = function(z)
        assert np.isfinite(out).all()
        assert (out.dtype, out.shape) == (z.dtype, z.shape)
    assert np.array_equal(z, before)
    low, high = f.range
    a = f.f(z)
    assert ((a >= low) & (a <= high)).all()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nan_stays_nan(name: str) -> None:
    assert np.isnan(get_activation(name).f(np.array([np.nan]))).all()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_slope_is_the_derivative_away_from_kinks(name: str) -> None:
    f = get_activation(name)
    z = np.linspace(-6, 6, 400)
    np.testing.assert_allclose(f.df(z), slopes(f.f, z, 1e-3), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_kinks_are_where_the_slope_jumps(name: str) -> None:
    f = get_activation(name)
    near = np.array([-1e-9, 1e-9])
    assert (abs(np.diff(f.df(near))[0]) > 1e-3) == (f.kinks == (0.0,))


def test_slope_at_a_kink_is_the_one_from_below() -> None:
    zero = np.zeros(1)
    assert get_activation("relu").df(zero) == 0
    assert get_activation("leaky_relu(0.2)").df(zero) == 0.2


def test_tails_keep_their_relative_accuracy() -> None:
    sigmoid = get_activation("sigmoid")
    assert sigmoid.df(np.array([50.0]))[0] == pytest.approx(np.exp(-50), rel=1e-14)
    assert sigmoid.df(np.array([30], np.float32))[0] == pytest.approx(np.exp(-30), rel=1e-6)
    assert get_activation("tanh").df(np.array([-30.0]))[0] == pytest.approx(4 * np.exp(-60))


# -- softmax ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_product_is_that_of_the_whole_jacobian(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    f = get_activation("softmax")
    z, g = rng.normal(0, 3, (6, 5)).astype(dtype), rng.standard_normal((6, 5)).astype(dtype)
    a = np.exp(z.astype(float))
    a /= a.sum(axis=1, keepdims=True)
    jacobian = a[:, :, None] * (np.eye(5) - a[:, None, :])  # da_i/dz_j = a_i ([i = j] - a_j)
    tolerance = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(f.f(z), a, rtol=tolerance)
    expected = np.einsum("nij,ni->nj", jacobian, g)
    np.testing.assert_allclose(f.backward(z, g), expected, rtol=tolerance, atol=tolerance)
    assert f.backward(z, g).dtype == dtype


def test_softmax_by_groups_is_softmax_of_each() -> None:
    rng = np.random.default_rng(3)
    f, one = get_activation("softmax(3,1,4)"), get_activation("softmax")
    z, g = rng.normal(0, 3, (2, 6, 8)), rng.standard_normal((2, 6, 8))
    for first, last in ((0, 3), (3, 4), (4, 8)):
        part = ..., slice(first, last)
        assert np.array_equal(f.f(z)[part], one.f(z[part]))
        assert np.array_equal(f.backward(z, g)[part], one.backward(z[part], g[part]))
    with pytest.raises(SpecError, match=r"7 outputs are not groups of 3 \+ 1 \+ 4 = 8"):
        f.f(z[..., :7])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["softmax", "softmax(3)"])
def test_softmax_at_extremes(name: str, dtype: Any) -> None:
    f = get_activation(name)
    z = np.array([[1e4, -1e4, 0], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4]], dtype=dtype)
    np.testing.assert_allclose(f.f(z).sum(axis=1), 1)
    assert f.f(z)[0, 0] == 1
    assert np.isfinite(f.backward(z, np.full_like(z, 1e4))).all()


def test_softmax_does_not_mind_a_shift_and_has_no_elementwise_slope() -> None:
    f = get_activation("softmax")
    z = np.array([[0.5, -1.0, 2.0]])
    np.testing.assert_allclose(f.f(z + 100), f.f(z), rtol=1e-13)
    with pytest.raises(SpecError, match="Jacobian product"):
        f.df(z)


# -- records and names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [*activation_names(), *PARAMETRIZED, "elu(0.123456789)", "softmax(3,2,4)", "softmax(3)"]
)
def test_a_record_is_found_again_by_its_name(name: str) -> None:
    f = get_activation(name)
    assert f.registered
    assert get_activation(f.name) is f
    assert get_activation(f) is f
    assert pickle.loads(pickle.dumps(f)) is f
    assert copy.deepcopy(f) is f
    assert copy.copy(f) is f
    assert f.formula
    assert f.df_formula
    assert repr(f) == f"Activation({f.name!r})"


@given(st.floats(-1e300, 1e300, allow_subnormal=False))
def test_parameters_survive_the_name_exactly(k: float) -> None:
    assert get_activation(leaky_relu(k).name).parameter == k
    assert get_activation(elu(abs(k)).name).parameter == abs(k)


def test_aliases_case_and_spaces() -> None:
    for alias, name in ALIASES.items():
        assert get_activation(alias) is get_activation(name)
    assert get_activation("ReLU") is get_activation("relu")
    assert get_activation(" Elu ( 0.50 ) ") is get_activation("elu(0.5)")
    assert get_activation("leaky_relu(0.01)") is get_activation("leaky_relu")
    assert get_activation("elu(1)") is get_activation("elu()") is get_activation("elu")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sigmod", "unknown activation 'sigmod'. Did you mean 'sigmoid'"),
        ("leaky_relu(0.2", "Did you mean 'leaky_relu'"),
        ("xyzzy", "unknown activation 'xyzzy'. Known: elu"),
        ("", "unknown activation ''"),
        ("relu(2)", "'relu' takes no parameter"),
        ("leaky_relu(x)", "'x' is not a number"),
        ("leaky_relu(1, 2)", "'leaky_relu' takes fewer parameters, got 'leaky_relu(1, 2)'"),
        ("softmax(3,)", "'' is not a number"),
        ("softmax(3,nan)", "must be finite"),
        ("softmax(3,2.5)", "the size of each group is a whole number >= 1, got 2.5"),
        ("softmax(0)", "whole number >= 1, got 0"),
        ("elu(inf)", "must be finite"),
        ("elu(-1)", "alpha must be >= 0, got -1.0"),
        (3, "must be a name or a deltarule.Activation, got 3"),
        (None, "got None"),
    ],
)
def test_bad_names(spec: Any, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        get_activation(spec)
    assert message in str(caught.value)


def test_an_own_record_stays_itself() -> None:
    mine = own_sigmoid("sigmoid")
    assert not mine.registered
    other = copy.deepcopy(mine)
    assert isinstance(other, Activation)
    assert not other.registered
    assert other.f is mine.f
    assert leaky_relu(0.2) is not get_activation("leaky_relu(0.2)")


@pytest.mark.parametrize("name", [*activation_names(), "softmax(3,1)"])
def test_the_same_code_under_jax(name: str) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    f = get_activation(name)
    z = np.linspace(-9, 9, 24).reshape(6, 4)
    g = np.cos(z)
    np.testing.assert_allclose(jax.jit(f.f)(z), f.f(z), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(jax.jit(f.backward)(z, g), f.backward(z, g), rtol=1e-12, atol=1e-15)
    by_jax = jax.vjp(f.f, jax.numpy.asarray(z))[1](jax.numpy.asarray(g))[0]
    np.testing.assert_allclose(by_jax, f.backward(z, g), rtol=1e-10, atol=1e-13)
