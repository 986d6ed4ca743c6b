"""Anyone's function: its structure, its arithmetic, and what is wrong with its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad, minimize, rosen, rosen_der
from scipy.special import expit

import deltarule as dr
from deltarule.explain.gradients.check import check_objective
from deltarule.explain.gradients.found import KINK, RIGHT, UNRESOLVED, WRONG

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4))
Y = (X @ [1.0, -2, 0.5, 0] + RNG.normal(size=20) > 0).astype(float)
X0 = np.array([0.3, -1.2, 0.7, 2.0, 0.1])


def logistic(theta: Any) -> Any:
    """Log loss of a logistic regression: weights, then the bias."""
    z = X @ theta[:4] + theta[4]
    return np.mean(np.logaddexp(0, z) - Y * z)


def logistic_gradient(theta: Any) -> Any:
    d = (expit(X @ theta[:4] + theta[4]) - Y) / len(Y)
    return np.append(X.T @ d, d.sum())


def both(theta: Any) -> Any:
    return logistic(theta), logistic_gradient(theta)


# -- right ones pass -------------------------------------------------------------------------------


def test_right_gradients_pass() -> None:
    for report in (
        check_objective(rosen, rosen_der, X0),
        check_objective(logistic, logistic_gradient, X0),
        check_objective(both, True, X0),
        check_objective(lambda t: (t**2).sum(), lambda t: 2 * t, np.zeros(3)),
        check_objective(lambda t: t * t, lambda t: 2 * t, 3.0),
    ):
        assert report.ok, report
        assert report.count(RIGHT) == report.checked
    report = check_objective(rosen, rosen_der, X0)
    assert check_grad(rosen, rosen_der, X0) < 1e-4  # SciPy thinks so as well
    assert report.title == "Gradient check of rosen, 5 numbers"
    assert np.allclose(report.term("theta").numeric, rosen_der(X0), rtol=1e-10)


@given(
    st.lists(st.floats(-3, 3), min_size=1, max_size=5),
    st.floats(-8, 8),
    st.floats(-8, 8),
)
def test_any_units_of_parameters_and_values(x: list[float], unit: float, height: float) -> None:
    """A smooth function in units from 1e-8 to 1e8, of parameters and of values."""
    u, v, x0 = 10.0**unit, 10.0**height, np.array(x)

    def f(theta: Any) -> Any:
        t = theta / u
        return v * np.sum(np.log1p(t * t) + 0.1 * t)

    def df(theta: Any) -> Any:
        t = theta / u
        return v / u * (2 * t / (1 + t * t) + 0.1)

    report = check_objective(f, df, x0 * u, method="differences")
    assert not report.count(WRONG), report
    wrong = check_objective(f, lambda theta: df(theta) * (1 + 1e-4), x0 * u)
    assert wrong.count(WRONG) + wrong.count(UNRESOLVED) == len(x), wrong


def test_arguments_go_to_both_functions() -> None:
    def f(theta: Any, scale: float, shift: float) -> Any:
        return scale * np.sum((theta - shift) ** 2)

    def df(theta: Any, scale: float, shift: float) -> Any:
        return 2 * scale * (theta - shift)

    assert check_objective(f, df, X0, args=(3.0, 1.0)).ok
    assert minimize(f, X0, args=(3.0, 1.0), jac=df).success  # as SciPy takes them


def test_parameters_may_be_dicts_lists_and_arrays_of_any_shape() -> None:
    W, b = RNG.normal(size=(4, 1)), np.array([0.3])

    def loss(weights: Any, bias: Any) -> Any:
        z = (X @ weights + bias)[:, 0]
        return np.mean(np.logaddexp(0, z) - Y * z)

    def gradient(weights: Any, bias: Any) -> Any:
        d = (expit(X @ weights + bias) - Y[:, None]) / len(Y)
        return X.T @ d, d.sum(axis=0)

    named = check_objective(
        lambda p: loss(p["W"], p["b"]),
        lambda p: dict(zip("Wb", gradient(p["W"], p["b"]), strict=True)),
        {"W": W, "b": b},
    )
    listed = check_objective(lambda p: loss(*p), lambda p: gradient(*p), [W, b])
    tupled = check_objective(lambda p: loss(*p), lambda p: list(gradient(*p)), (W, b))
    assert named.ok
    assert listed.ok
    assert tupled.ok
    assert [one.name for one in named.terms] == ["W", "b"]
    assert [one.name for one in listed.terms] == ["theta0[0]", "theta0[1]"]
    assert named.term("W").numeric.shape == (4, 1)
    assert np.array_equal(named.term("W").numeric, listed.term("theta0[0]").numeric)
    square = check_objective(lambda t: np.sum(t**3), lambda t: 3 * t**2, RNG.normal(size=(2, 3)))
    assert square.ok
    assert square.term("theta").numeric.shape == (2, 3)


@pytest.mark.parametrize(
    "blocks",
    [
        {"weights": (2, 2), "bias": 1},
        {"weights": slice(0, 4), "bias": slice(4, 5)},
        {"bias": slice(4, None), "weights": slice(None, 4)},
    ],
)
def test_blocks_name_the_parts_of_one_vector(blocks: Any) -> None:
    def wrong(theta: Any) -> Any:
        return logistic_gradient(theta) * [1, 1, 1, 1, 20]

    report = check_objective(logistic, wrong, X0, blocks=blocks)
    assert report.term("weights").count(RIGHT) == 4
    assert report.term("bias").count(WRONG) == 1
    assert report.worst is not None
    assert (report.worst.term, report.worst.index) == ("bias", (0,))
    if blocks["weights"] == (2, 2):
        assert np.allclose(
            report.term("weights").numeric, logistic_gradient(X0)[:4].reshape(2, 2), rtol=1e-8
        )


# -- wrong ones are found --------------------------------------------------------------------------


@pytest.mark.parametrize("i", range(5))
@pytest.mark.parametrize("factor", [1.001, 0.0, -1.0, np.nan])
def test_a_wrong_number_is_named(i: int, factor: float) -> None:
    def wrong(theta: Any) -> Any:
        gradient = rosen_der(theta)
        gradient[i] *= factor
        return gradient

    report = check_objective(rosen, wrong, X0)
    assert not report.ok
    assert report.count(WRONG) == 1
    assert report.worst is not None
    assert report.worst.index == (i,)
    assert report.worst.numeric == pytest.approx(rosen_der(X0)[i])
    assert any(one.status == "wrong" for one in report.directions)


@pytest.mark.parametrize(
    ("gradient", "sentence"),
    [
        (lambda t: 3 * rosen_der(t), "is 3 times the numeric one in every coordinate."),
        (lambda t: rosen_der(t) / 5, "is 1/5 times the numeric one in every coordinate."),
        (lambda t: -rosen_der(t), "is the numeric one with the opposite sign in every coordinate."),
        (lambda t: 0 * t, "is 0 where the numeric one is not, in every coordinate."),
        (lambda t: 1.234 * rosen_der(t), "is 1.234 times the numeric one in every coordinate."),
        (
            lambda t: rosen_der(t) + 0.5 * t,
            "Analytic less numeric is 0.5 times the parameter itself (an L2 penalty 0.5/2 sum w^2 "
            "that the gradient has and the loss has not) in every coordinate.",
        ),
    ],
)
def test_what_wrong_numbers_have_in_common(gradient: Any, sentence: str) -> None:
    report = check_objective(rosen, gradient, X0)
    assert len(report.causes) == 1
    assert report.causes[0].endswith(sentence)


def test_numbers_that_are_wrong_in_no_simple_way_have_no_sentence() -> None:
    report = check_objective(rosen, lambda t: rosen_der(t) + np.arange(5.0) * 10, X0)
    assert not report.ok
    assert report.causes == []


def test_each_block_may_have_its_own_factor() -> None:
    def gradient(theta: Any) -> Any:
        return rosen_der(theta) * [2, 2, 2, -1, -1]

    report = check_objective(rosen, gradient, X0, blocks={"one": 3, "two": 2})
    assert report.causes == [
        "The analytic gradient is 2 times the numeric one in every coordinate of one.",
        "The analytic gradient is the numeric one with the opposite sign in every coordinate of "
        "two.",
    ]


# -- kinks and arithmetic --------------------------------------------------------------------------


def test_a_subgradient_at_a_kink_is_not_wrong() -> None:
    def hinge(theta: Any) -> Any:
        return np.sum(np.maximum(0, 1 - theta))

    theta0 = np.array([1.0, 0.3, 1.7])
    for slope in (0.0, -1.0, -0.3):
        gradient = np.array([slope, -1.0, 0.0])
        report = check_objective(hinge, lambda t, g=gradient: g, theta0)
        assert report.ok, report
        assert report.term("theta").status.tolist()[0] in (KINK, RIGHT)
    report = check_objective(hinge, lambda t: np.array([0.5, -1.0, 0.0]), theta0)
    assert not report.ok  # no slope of either side, nor between them
    assert report.worst is not None
    assert report.worst.index == (0,)


def test_complex_steps_are_taken_where_the_function_allows() -> None:
    plain = check_objective(rosen, rosen_der, X0, method="differences")
    assert plain.terms[0].method == "differences"
    exact = check_objective(lambda t: np.sum(np.exp(t)), np.exp, X0)
    assert exact.terms[0].method == "complex step"
    assert exact.terms[0].worst is not None
    assert exact.terms[0].worst.relative_error < 1e-14

    def real_part(theta: Any) -> Any:  # takes complex arrays and is not analytic
        return np.sum(np.abs(theta) ** 2)

    assert check_objective(real_part, lambda t: 2 * t, X0).terms[0].method == "differences"
    assert check_objective(logistic, logistic_gradient, X0).terms[0].method == "differences"
    with pytest.raises(dr.SpecError, match="no complex steps for theta"):
        check_objective(real_part, lambda t: 2 * t, X0, method="complex")


def test_a_function_that_is_analytic_in_some_coordinates_only() -> None:
    """An abs that the directional test of complex steps sees."""

    def f(theta: Any) -> Any:
        return np.sum(np.exp(theta[:4])) + np.abs(theta[4]) ** 3

    def df(theta: Any) -> Any:
        return np.append(np.exp(theta[:4]), 3 * theta[4] ** 2)

    report = check_objective(f, df, X0)
    assert report.ok
    assert report.terms[0].method == "differences"


def tanhs(kind: Any) -> Any:
    rng = np.random.default_rng(3)
    theta0, A = rng.normal(size=6).astype(kind), rng.normal(size=(6, 6)).astype(kind)

    def f(theta: Any) -> Any:
        assert theta.dtype == kind
        return np.sum(np.tanh(A @ theta))

    def df(theta: Any) -> Any:
        return A.T @ (1 - np.tanh(A @ theta) ** 2)

    return f, df, theta0


def test_a_function_in_float32() -> None:
    f, df, theta0 = tanhs(np.float32)
    report = check_objective(f, df, theta0)
    assert report.ok, report
    assert report.count(WRONG) == 0
    assert report.count(RIGHT) >= 5
    assert report.rtol == 1e-3
    assert check_objective(f, lambda t: df(t) * np.float32(1.01), theta0).count(WRONG) >= 5


def test_float16_has_too_few_digits_to_say_much_and_none_is_called_wrong() -> None:
    f, df, theta0 = tanhs(np.float16)
    report = check_objective(f, df, theta0)
    assert report.count(WRONG) == 0


def test_a_function_that_computes_in_float32_inside() -> None:
    def f(theta: Any) -> Any:
        return float(np.sum(np.tanh(theta.astype(np.float32))))

    def df(theta: Any) -> Any:
        t = np.tanh(theta.astype(np.float32))
        return (1 - t * t).astype(np.float64)

    report = check_objective(f, df, X0)
    assert report.ok, report
    assert report.rtol == 1e-3
    assert report.count(RIGHT) >= 4
    wrong = check_objective(f, lambda t: df(t) * 1.02, X0)
    assert wrong.count(WRONG) >= 4


@pytest.mark.parametrize("noise", [1e-12, 1e-9, 1e-6])
def test_a_function_with_noise(noise: float) -> None:
    """As of a solver that stops early: the same value each time, but not smooth."""

    def f(theta: Any) -> Any:
        return np.round(rosen(theta) / noise) * noise

    report = check_objective(f, rosen_der, X0)
    assert report.ok, report
    assert report.count(RIGHT) == 5
    assert not check_objective(f, lambda t: rosen_der(t) * 1.05, X0).ok


class Tensor:
    """What a tensor of a deep learning library looks like from outside."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array


def test_results_may_be_tensors_or_lists() -> None:
    assert check_objective(
        lambda t: Tensor(rosen(t)), lambda t: Tensor(rosen_der(t)), X0, method="differences"
    ).ok
    assert check_objective(rosen, lambda t: rosen_der(t).tolist(), X0.tolist()).ok
    assert check_objective(lambda t: np.array([rosen(t)]), rosen_der, X0).ok


def test_functions_may_write_into_their_arguments_and_reuse_their_results() -> None:
    buffer = np.empty(5)

    def f(theta: Any) -> Any:
        value = rosen(theta)
        theta[:] = 0
        return value

    def df(theta: Any) -> Any:
        buffer[:] = rosen_der(theta)
        theta[:] = np.nan
        return buffer

    before = X0.copy()
    assert check_objective(f, df, X0).ok
    assert np.array_equal(X0, before)


# -- large ones ------------------------------------------------------------------------------------


def test_many_numbers_are_checked_along_directions() -> None:
    n, calls = 5000, []
    theta0 = np.random.default_rng(1).normal(size=n)

    def f(theta: Any) -> Any:
        calls.append(1)
        return np.sum(np.cos(theta))

    def df(theta: Any) -> Any:
        return -np.sin(theta)

    report = check_objective(f, df, theta0)
    assert report.ok
    assert report.terms == []
    assert len(calls) < 200
    assert "The 5,000 numbers were not checked one by one" in report.notes[0]

    def wrong(theta: Any) -> Any:
        gradient = df(theta)
        gradient[4000:] *= 1.01
        return gradient

    report = check_objective(f, wrong, theta0, blocks={"first": 4000, "second": 1000})
    assert not report.ok
    assert [one.name for one in report.terms] == ["second"]
    assert report.causes == [
        "The analytic gradient is 1.01 times the numeric one in every coordinate."
    ]
    one = np.ones(n)
    one[3217] = 1.001
    report = check_objective(f, lambda t: df(t) * one, theta0)  # halving leads to the one
    assert report.count(WRONG) == 1
    assert report.worst is not None
    assert report.worst.index == (3217,)
    small = check_objective(f, df, theta0[:7], full=False)
    assert small.ok
    assert small.terms == []


# -- what is refused -------------------------------------------------------------------------------


def changing() -> Any:
    state = np.random.default_rng(0)
    return lambda theta: float(np.sum(theta) + state.normal())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((changing(), rosen_der, X0), "for the same parameters: fix what is random"),
        ((lambda t: np.nan, rosen_der, X0), "the loss at theta0 is nan"),
        ((lambda t: t, rosen_der, X0), r"one number, got an array of shape \(5,\)"),
        ((lambda t: "low", rosen_der, X0), "the loss: real numbers are needed"),
        ((rosen, True, X0), r"must return \(loss, gradient\)"),
        ((rosen, None, X0), "grad_fn must be a function of the parameters, or True"),
        ((3.0, rosen_der, X0), "loss_fn must be a function"),
        ((rosen, lambda t: t[:3], X0), r"has shape \(3,\), its parameters have \(5,\)"),
        ((rosen, rosen_der, [np.nan, 1.0]), "theta0 holds NaN"),
        ((rosen, rosen_der, []), "theta0 holds no numbers"),
        ((rosen, rosen_der, {}), "theta0 holds no numbers"),
        ((rosen, rosen_der, ["a", "b"]), "theta0: real numbers are needed"),
        ((lambda p: 0.0, lambda p: {"a": 1}, {"b": X0}), "a dict with the keys"),
        ((lambda p: 0.0, lambda p: [X0], [X0, X0]), "has 1 arrays for 2"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: tuple[Any, Any, Any], message: str) -> None:
    with pytest.raises(dr.SpecError, match=message):
        check_objective(*arguments)


def test_further_arguments_are_a_tuple() -> None:
    with pytest.raises(dr.SpecError, match="args must be a tuple of further arguments, got 3"):
        check_objective(rosen, rosen_der, X0, args=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({"a": 3}, "each of the 5 numbers of theta0 once; they hold 3, and none holds number 3"),
        ({"a": 3, "b": 3}, "they hold 6"),
        ({"a": slice(0, 3), "b": slice(2, 5)}, "they hold 6"),
        ({"a": slice(0, 5, 2)}, "a slice with step 1"),
        ({"a": slice(3, 3)}, "that is not empty"),
        ({"a": slice(3, 7), "b": 5}, "they hold 7"),
        ({"a": 10**30}, "they hold 10{30}"),
        ({"a": "ab"}, r"blocks\['a'\]: a shape of whole numbers or a slice is needed, got 'ab'"),
        ({"a": None}, "got None"),
        ({"a": (-1, -5)}, r"got \(-1, -5\)"),
        ({"a": slice("x", None)}, "a slice is needed"),
        (["a", "b"], r"blocks must be a dict of names and shapes or slices, got \['a', 'b'\]"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(blocks: Any, message: str) -> None:
    with pytest.raises(dr.SpecError, match=message):
        check_objective(rosen, rosen_der, X0, blocks=blocks)
    with pytest.raises(dr.SpecError, match="has its own names"):
        check_objective(lambda p: 0.0, lambda p: p, {"x": X0}, blocks={"a": 5})
