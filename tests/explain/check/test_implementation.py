"""Code of others: conventions found out, mistakes named (SPEC X3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.explain.check.implementation import check_implementation


def make(
    *,
    columns: bool = False,
    turned: bool = False,
    total: bool = False,
    apart: bool = False,
    error: Callable[[Any], Any] = lambda d: d,
    slope: Callable[[Any, int], Any] = lambda a, l: 1 - a * a,
    bias: Callable[[Any], Any] = lambda g: g,
    kind: Callable[[Any], Any] = np.asarray,
) -> Callable[..., Any]:
    """Back-propagation for tanh layers, a linear output and squared error, with variations."""

    def backprop(weights: Any, biases: Any, X: Any, Y: Any) -> Any:
        W = [np.asarray(one).T if columns or turned else np.asarray(one) for one in weights]
        b = [np.asarray(one).reshape(-1) for one in biases]
        X, Y = (np.asarray(one).T if columns else np.asarray(one) for one in (X, Y))
        a = [X]
        for l, (w, c) in enumerate(zip(W, b, strict=True), start=1):
            z = a[-1] @ w + c
            a.append(z if l == len(W) else np.tanh(z))
        delta = error(a[-1] - Y) / (1 if total or apart else len(X))
        gW: list[Any] = []
        gb: list[Any] = []
        for l in range(len(W), 0, -1):
            each = a[l - 1][:, :, None] * delta[:, None, :]
            g = each if apart else each.sum(axis=0)
            gW.insert(0, kind(np.swapaxes(g, -1, -2) if columns or turned else g))
            sums = delta if apart else delta.sum(axis=0)
            if columns:
                sums = sums.reshape(-1, 1)
            gb.insert(0, kind(bias(sums)))
            if l > 1:
                delta = (delta @ W[l - 1].T) * slope(a[l - 1], l - 1)
        return gW, gb

    return backprop


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ({}, "rows are samples, W_l is (n_(l-1), n_l)"),
        ({"columns": True}, "columns are samples"),
        ({"turned": True}, "rows are samples, W_l is (n_l, n_(l-1))"),
        ({"total": True}, "the sum over the samples"),
        ({"apart": True}, "the gradient of each sample apart"),
        ({"kind": lambda a: a.tolist()}, "rows are samples"),
        ({"kind": lambda a: np.asarray(a, dtype=np.float32)}, "mean over the samples"),
    ],
)
def test_conventions_are_no_mistakes(settings: dict[str, Any], note: str) -> None:
    report = check_implementation(make(**settings))
    assert report.ok, str(report)
    assert any(note in one for one in report.notes), report.notes


@pytest.mark.parametrize(
    ("settings", "code", "layer", "first"),
    [
        ({"error": lambda d: -d}, "output_error_sign", 3, ("weight_gradients", 3)),
        ({"error": lambda d: 2 * d}, "error_factor", 3, ("weight_gradients", 3)),
        ({"slope": lambda a, l: 1 - a}, "wrong_slope_formula", None, ("weight_gradients", 2)),
        (
            {"slope": lambda a, l: 1.0 if l == 1 else 1 - a * a},
            "slope_left_out",
            1,
            ("weight_gradients", 1),
        ),
        ({"bias": lambda g: 0 * g}, "bias_gradient_missing", None, ("bias_gradients", 3)),
    ],
)
@pytest.mark.parametrize("columns", [False, True])
def test_mistakes_are_named(
    settings: dict[str, Any], code: str, layer: int | None, first: tuple[str, int], columns: bool
) -> None:
    report = check_implementation(make(columns=columns, **settings))
    assert report.first_error is not None
    assert (report.first_error.quantity, report.first_error.layer) == first
    assert [(one.code, one.layer) for one in report.mistakes] == [(code, layer)]


def test_two_mistakes_at_once() -> None:
    both = make(slope=lambda a, l: 1 - a, bias=lambda g: 0 * g)
    codes = {one.code for one in check_implementation(both).mistakes}
    assert codes == {"wrong_slope_formula", "bias_gradient_missing"}


def test_a_meant_reduction_makes_the_other_a_mistake() -> None:
    report = check_implementation(make(total=True), reduction="mean")
    assert not report.ok
    assert report.mistakes[0].code == "average_missing"


def _step(sign: float) -> Callable[..., Any]:
    def step(weights: Any, biases: Any, X: Any, Y: Any, learning_rate: float) -> Any:
        gW, gb = make()(weights, biases, X, Y)
        new_W = [W - sign * learning_rate * g for W, g in zip(weights, gW, strict=True)]
        return new_W, [b - sign * learning_rate * g for b, g in zip(biases, gb, strict=True)]

    return step


def test_a_whole_step() -> None:
    assert check_implementation(_step(1.0)).ok
    report = check_implementation(_step(-1.0))
    found = report.mistakes[0]  # y - o gives the same step: told as its equal
    assert "gradient_added" in {found.code, *(one.code for one in found.alternatives)}


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "softplus"])
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy", "log_loss"])
def test_the_packages_own_gradients_are_right(activation: str, loss: str) -> None:
    sizes = (3, 4, 5, 2)

    def own(weights: Any, biases: Any, X: Any, Y: Any) -> Any:
        net = dr.Network(sizes, activation, loss)
        net.weights, net.biases = weights, biases
        g = dr.backward(net, X, Y)
        return g.weights, g.biases

    assert check_implementation(own, sizes, activation, loss).ok


def test_without_biases() -> None:
    def own(weights: Any, biases: Any, X: Any, Y: Any) -> Any:
        assert biases is None
        net = dr.Network([3, 4, 2], "tanh", bias=False)
        net.weights = weights
        return dr.backward(net, X, Y).weights, None

    assert check_implementation(own, (3, 4, 2), bias=False).ok


def test_nan_is_wrong_and_not_an_accident() -> None:
    report = check_implementation(make(error=lambda d: d * np.nan))
    assert not report.ok
    assert report.first_error is not None
    assert report.first_error.claimed == "nan"
    assert "Not everything that it returned is finite (nan or inf)." in report.notes


def test_zeros_are_said_to_be_zeros() -> None:
    report = check_implementation(make(error=lambda d: d * 0))
    assert "Everything that it returned is 0." in report.notes
    assert "0 is claimed, 0.00956 is right" in report.to_text()


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda W, b, X, Y: 1, "must return two lists"),
        (lambda W, b, X, Y: (W[:-1], b), "2 arrays of weights and 3 of biases for 3 layers"),
        (lambda W, b, X, Y: ([w[:1] for w in W], b), "weights of layer 1 have the shape"),
        (lambda W, b, X, Y: W.missing, "AttributeError: 'list' object has no attribute 'missing'"),
    ],
)
def test_what_cannot_be_judged_says_why(function: Any, says: str) -> None:
    with pytest.raises(dr.SpecError, match=says):
        check_implementation(function)


def test_a_matrix_that_should_be_transposed_is_found_with_equal_widths() -> None:
    def turned(weights: Any, biases: Any, X: Any, Y: Any) -> Any:
        a = [X]
        for W, b in zip(weights, biases, strict=True):
            a.append(np.tanh(a[-1] @ W + b) if len(a) < len(weights) else a[-1] @ W + b)
        delta, gW, gb = a[-1] - Y, [], []
        for l in range(len(weights) - 1, -1, -1):
            gW.insert(0, a[l].T @ delta)
            gb.insert(0, delta.sum(axis=0))
            if l:
                delta = (delta @ weights[l]) * (1 - a[l] ** 2)
        return gW, gb

    with pytest.raises(dr.SpecError) as raised:
        check_implementation(turned)
    line = turned.__code__.co_firstlineno + 9
    assert f"(line {line}). With 4 units in every layer it runs: " in str(raised.value)
    assert "the weights were not transposed in the backward pass" in str(raised.value)


def test_an_unknown_reduction() -> None:
    with pytest.raises(dr.SpecError, match="reduction"):
        check_implementation(make(), reduction="median")
