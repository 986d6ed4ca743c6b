"""A step against the gradient (SPEC B3): predicted and measured change of C.

The oracle is a network without hidden layers: its C is a quadratic function of theta, so the change
of C, the ratio, the curvature and the rate at which C stops falling are known in closed form.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import deltarule as dr
from deltarule.explain.descent import DescentCheck
from deltarule.explain.descent_steps import DescentStep, order
from support import oracles


def problem(sizes: Any, activation: str = "tanh", n: int = 15, **more: Any) -> tuple[Any, Any, Any]:
    net = dr.Network(sizes, activation, rng=3, **more)
    rng = np.random.default_rng(4)
    return net, rng.normal(size=(n, sizes[0])), oracles.targets(net.loss, rng, n, sizes[-1])


def quadratic() -> tuple[Any, Any, Any, Any, Any]:
    """A network with C = 1/2n |X theta - Y|^2, its gradient and its curvature along it."""
    net, X, Y = problem([4, 1], bias=False)
    hessian = X.T @ X / len(X)
    g = X.T @ (X @ net.weights[0] - Y) / len(X)
    curvature = float((g.T @ hessian @ g / (g.T @ g)).item())
    return net, X, Y, g, curvature


def test_a_quadratic_error_is_known_in_closed_form() -> None:  # B3
    net, X, Y, g, curvature = quadratic()
    rates = [1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0]
    found = dr.descent_check(net, X, Y, rates)
    squared = float((g * g).sum())
    assert found.squared_gradient == pytest.approx(squared, rel=1e-12)
    assert [one.learning_rate for one in found.steps] == rates
    for one in found.steps:
        assert one.predicted == pytest.approx(-one.learning_rate * squared, rel=1e-12)
        assert one.ratio == pytest.approx(1 - one.learning_rate * curvature / 2, rel=1e-9)
    assert found.curvature == pytest.approx(curvature, rel=1e-6)
    assert found.order == pytest.approx(1, abs=1e-4)
    assert found.falls_up_to == pytest.approx(2 / curvature, rel=0.01)
    tried = [rate for rate in rates if rate < 2 / curvature]
    best = min(tried, key=lambda rate: abs(rate - 1 / curvature))
    assert found.best is not None
    assert found.best.learning_rate == best
    assert found.ok


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus", "gelu", "relu", "elu"])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "cross_entropy", "poisson", "huber"])
def test_the_ratio_tends_to_one_with_order_one(activation: str, loss: str) -> None:  # B3
    net, X, Y = problem([3, 5, 4, 3], activation, loss=loss)
    found = dr.descent_check(net, X, Y)
    assert found.ok
    assert found.loss == pytest.approx(dr.backward(net, X, Y).loss, rel=1e-12)
    gradient = dr.backward(net, X, Y).theta
    assert found.squared_gradient == pytest.approx(gradient @ gradient, rel=1e-12)
    assert found.order == pytest.approx(1, abs=0.1)
    small = [one for one in found.steps if one.learning_rate <= 1e-4]
    assert all(one.falls and one.ratio == pytest.approx(1, abs=0.01) for one in small)


def test_measured_changes_are_those_of_the_network_after_the_step() -> None:  # B3
    net, X, Y = problem([3, 4, 2], loss="log_loss")
    before = net.theta.copy()
    g = dr.backward(net, X, Y)
    for one in dr.descent_check(net, X, Y, [0.3, 3.0, 0.03]).steps:
        moved = net.copy()
        moved.theta = net.theta - one.learning_rate * g.theta
        assert one.measured == pytest.approx(dr.backward(moved, X, Y).loss - g.loss, rel=1e-9)
    assert (net.theta == before).all()


def test_small_changes_are_measured_beyond_the_digits_of_the_error() -> None:
    """Samples are subtracted before they are summed: one that no step changes costs no digits."""
    net, X, Y = problem([3, 4, 2], bias=False)
    X[0], Y[0] = 0, 1e6  # its output is 0 whatever the weights, its loss 1e12
    (one,) = dr.descent_check(net, X, Y, [1e-4]).steps
    assert one.measured == pytest.approx(one.predicted, rel=0.01)
    (tiny,) = dr.descent_check(*problem([3, 4, 2], n=200), [1e-12]).steps
    assert tiny.measured == pytest.approx(tiny.predicted, rel=0.02)
    assert tiny.rounding < 1e-14
    assert not tiny.trusted


def test_rounding_is_told_from_a_rise() -> None:
    net, X, Y = problem([3, 4, 2])
    found = dr.descent_check(net, X, Y, [1e-18, 1e-3, 1e3])
    assert found.steps[0].only_rounding
    assert "rounding only" in found.to_text()
    assert 1e-3 < found.falls_up_to < 1e3
    assert found.ok


def test_the_limit_is_where_the_error_stops_falling() -> None:
    net, X, Y = problem([3, 6, 2], "relu")
    limit = dr.descent_check(net, X, Y).falls_up_to
    below, above = dr.descent_check(net, X, Y, [limit, limit * 1.011]).steps
    assert below.falls
    assert not above.falls
    assert dr.descent_check(net, X, Y, [1e-3, 1e-2]).falls_up_to == math.inf
    assert dr.descent_check(net, X, Y, [1e3]).falls_up_to == 0
    assert "at no rate tried" in dr.descent_check(net, X, Y, [1e3]).verdict
    assert "at every rate tried" in dr.descent_check(net, X, Y, [1e-3]).verdict


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weights_and_reduction_are_those_of_backward(reduction: str) -> None:  # A2 C4
    net, X, Y = problem([3, 4, 2])
    weight = np.random.default_rng(0).uniform(size=len(X))
    found = dr.descent_check(net, X, Y, sample_weight=weight, reduction=reduction)
    right = dr.backward(net, X, Y, weight, reduction)
    assert found.loss == pytest.approx(right.loss, rel=1e-12)
    assert found.squared_gradient == pytest.approx(right.theta @ right.theta, rel=1e-12)
    assert found.ok


def test_float32_and_sparse_are_computed_in_float64() -> None:
    net, X, Y = problem([3, 4, 2], dtype="float32")
    found = dr.descent_check(net, X, Y)
    assert found.order == pytest.approx(1, abs=0.02)
    sparse = dr.descent_check(net, scipy.sparse.csr_array(X), Y)
    assert sparse.squared_gradient == pytest.approx(found.squared_gradient, rel=1e-12)


# -- what is not smooth -----------------------------------------------------------------------


def test_kinks_that_a_step_crosses_are_counted_and_not_trusted() -> None:
    """One relu unit at z = 0.5, pushed down: it dies beyond a known learning rate."""
    net = dr.Network([1, 1, 1], "relu", bias=False)
    net.weights = [[[0.5]], [[1.0]]]
    found = dr.descent_check(net, [[1.0]], [[-1.0]], [0.1, 0.2, 0.4, 2.0])
    g = dr.backward(net, [[1.0]], [[-1.0]]).weights[0].item()
    assert g == 1.5
    assert [one.kinks for one in found.steps] == [0, 0, 1, 1]  # 0.5 - 1.5 alpha < 0
    assert not found.steps[2].trusted
    assert "crosses 1 kink" in found.to_text()
    assert found.on_kinks == 0


def test_kinks_of_the_loss_are_counted() -> None:
    net = dr.Network([1, 1], loss="absolute_error", bias=False)
    net.weights = [[[1.0]]]
    found = dr.descent_check(net, [[1.0]], [[0.5]], [0.25, 0.75])
    assert [one.kinks for one in found.steps] == [0, 1]
    assert [one.measured for one in found.steps] == pytest.approx([-0.25, -0.25])


def test_a_start_on_a_kink_is_told() -> None:
    """z = 0 exactly: the slope taken there is one-sided, and C need not fall as predicted."""
    net = dr.Network([1, 1, 1], ["leaky_relu", "identity"], bias=False)
    net.weights = [[[0.0]], [[1.0]]]
    found = dr.descent_check(net, [[1.0]], [[1.0]], [1e-3, 1e-2])
    assert found.on_kinks == 1
    assert "on a kink" in found.verdict
    # C = 1/2 (f(w) - 1)^2 rises by f'(0+) = 1, but the slope at 0 is taken as 0.01
    assert found.steps[0].ratio == pytest.approx(100, rel=0.01)
    assert not found.ok
    assert "not within 1 %" in found.verdict


def test_a_gradient_of_zero_predicts_nothing() -> None:
    net, X, _ = problem([3, 4, 2])
    found = dr.descent_check(net, X, net.predict(X, engine="reference"))
    assert found.squared_gradient == 0
    assert all(math.isnan(one.ratio) for one in found.steps)
    assert math.isnan(found.order)
    assert "The gradient is 0" in found.verdict
    assert found.best is None
    assert found.falls_up_to == 0
    assert found.ok
    pytest.importorskip("matplotlib")
    assert found.plot() is not None


def test_steps_that_are_not_finite_are_told() -> None:
    net, X, Y = problem([3, 4, 2])
    found = dr.descent_check(net, X, Y, [1e-3, 1e300])
    last = found.steps[-1]
    assert not math.isfinite(last.measured)
    assert not last.falls
    assert "C is not finite" in found.to_text()
    assert math.isfinite(found.falls_up_to)


def test_a_start_that_is_not_finite_is_refused() -> None:
    net, X, Y = problem([3, 1], bias=False)
    net.weights = [np.full((3, 1), 1e200)]
    with pytest.raises(dr.SpecError, match="C is inf before any step"):
        dr.descent_check(net, X, Y)
    net.weights = [np.full((3, 1), np.nan)]
    with pytest.raises(dr.SpecError, match="C is nan before any step"):
        dr.descent_check(net, X, Y)


def test_a_wrong_gradient_is_seen() -> None:
    """A slope that is twice too large: the first order does not hold."""
    doubled = dr.Activation("doubled", np.tanh, lambda z: 2 * (1 - np.tanh(z) ** 2))
    net = dr.Network([3, 4, 2], [doubled, "identity"], check_derivatives=False, rng=3)
    _, X, Y = problem([3, 4, 2])
    found = dr.descent_check(net, X, Y)
    assert not found.ok
    assert "not within 1 % of 1" in found.verdict


# -- how it is told ---------------------------------------------------------------------------


def test_text_and_dict_hold_the_numbers() -> None:
    net, X, Y = problem([3, 4, 2])
    found = dr.descent_check(net, X, Y, [0.01, 0.1, 100.0])
    text = found.to_text()
    assert str(found) == text
    for one in found.steps:
        assert f"{one.ratio:.7g}" in text
        assert f"{one.measured:.6g}" in text
    assert "C rises" in text
    assert max(map(len, text.splitlines())) <= 80
    stored = json.loads(json.dumps(found.to_dict()))
    assert stored["verdict"] == found.verdict
    assert [one["ratio"] for one in stored["steps"]] == [one.ratio for one in found.steps]
    assert stored["best"] == found.best.learning_rate  # type: ignore[union-attr]
    assert stored["ok"] is True


def test_the_order_is_not_told_where_it_cannot_be() -> None:
    def check(*ratios: float) -> DescentCheck:
        steps = [
            DescentStep(10.0**k, -(10.0**k), -r * 10.0**k, 0.0, 0) for k, r in enumerate(ratios)
        ]
        return DescentCheck(1.0, 1.0, steps, *order(steps), 1.0, 0)

    assert check(0.999, 0.99).order == pytest.approx(1)
    assert check(0.9999, 0.99).order == pytest.approx(2)
    assert math.isnan(check(0.9, 0.1).order)
    assert math.isnan(check(0.999).order)
    assert "the order cannot be measured" in check(0.999).verdict
    assert "cannot be told" in check(0.9).verdict


def test_plot_shows_what_was_predicted_and_measured(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    net, X, Y = problem([3, 4, 2], "relu")
    found = dr.descent_check(net, X, Y)
    path = tmp_path / "descent.svg"
    figure = found.plot(path)
    assert b"<svg" in path.read_bytes()
    left, right = figure.axes
    predicted = left.lines[0]
    assert predicted.get_ydata() == pytest.approx([-one.predicted for one in found.steps])
    assert right.get_yscale() == "log"
    with pytest.raises(dr.OutputError):
        found.plot(tmp_path / "none" / "descent.png")


@pytest.mark.parametrize("rates", [[], [0.0], [-1], [math.nan], [math.inf], ["x"], 0.1, [[1.0]]])
def test_learning_rates_that_are_none(rates: Any) -> None:
    net, X, Y = problem([3, 4, 2])
    with pytest.raises(dr.SpecError, match=re.escape("finite numbers > 0")):
        dr.descent_check(net, X, Y, rates)


def test_data_is_checked_as_by_backward() -> None:
    net, X, Y = problem([3, 4, 2])
    with pytest.raises(dr.DataError, match="X has 2 columns"):
        dr.descent_check(net, X[:, :2], Y)
    with pytest.raises(dr.DataError, match="Y"):
        dr.descent_check(net, X, Y[:3])
    with pytest.raises(dr.SpecError, match="reduction"):
        dr.descent_check(net, X, Y, reduction="median")
