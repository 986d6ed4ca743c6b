"""Advice: each is tried, and what is said of it can be had again by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.explain.diagnose.advice import HELPS_BELOW, STEPS, Advice, Trial
from deltarule.explain.diagnose.report import Diagnosis, diagnose


def task(n: int = 200, columns: int = 8) -> tuple[Any, Any]:
    X = np.random.default_rng(0).normal(size=(n, columns))
    return X, (X[:, 0] > 0).astype(float)


def by_code(d: Diagnosis) -> dict[str, Advice]:
    return {one.code: one for one in d.advice}


def loss_after(net: dr.Network, X: Any, Y: Any, **options: Any) -> float:
    """C after the steps of a trial, by the public functions alone."""
    net = net.copy()
    dr.train(net, X, Y, epochs=STEPS, batch_size="full", validation=None, rng=0, **options)
    return dr.backward(net, X, Y, options.get("sample_weight")).loss


def delta_ratio(net: dr.Network, X: Any, Y: Any) -> float:
    delta = dr.backward(net, X, Y).delta
    return float(np.sqrt((delta[0] ** 2).mean()) / np.sqrt((delta[-1] ** 2).mean()))


def same(trial: Trial, net: dr.Network, X: Any, Y: Any, **options: Any) -> None:
    assert trial.delta_ratio == pytest.approx(delta_ratio(net, X, Y), rel=1e-9)
    assert trial.loss_start == pytest.approx(
        dr.backward(net, X, Y, options.get("sample_weight")).loss, rel=1e-9
    )
    assert trial.loss_end == pytest.approx(loss_after(net, X, Y, **options), rel=1e-9)


def test_nothing_is_tried_where_nothing_is_wrong_or_nobody_asks() -> None:
    X, Y = task()
    assert diagnose(dr.Network([8, 8, 1], "tanh", "log_loss", rng=0), X, Y).advice == []
    deep = dr.Network([8] * 20 + [1], "sigmoid", "log_loss", rng=0)
    d = diagnose(deep, X, Y, try_advice=False)
    assert d.findings
    assert d.advice == []
    assert len(d.trial_rows) == 0


def test_what_a_vanishing_gradient_is_told_can_be_done_again_by_hand() -> None:
    X, Y = task()
    net = dr.Network([8] * 20 + [1], "sigmoid", "log_loss", rng=5)
    theta = net.theta.copy()
    d = diagnose(net, X, Y, l2=1e-4)
    assert np.array_equal(net.theta, theta)
    found = by_code(d)
    assert set(found) == {
        "initializer=auto",
        "initializer=orthogonal",
        "activation=tanh",
        "activation=relu",
        "activation=selu",
    }
    for code, advice in found.items():
        what, _, name = code.partition("=")
        activation, initializer = ("sigmoid", name) if what == "initializer" else (name, "auto")
        again = dr.Network(net.sizes, activation, net.loss, rng=0, initializer=initializer)
        same(advice.before, net, X, Y, l2=1e-4)
        same(advice.after, again, X, Y, l2=1e-4)
        helped = advice.after.loss_end < HELPS_BELOW * advice.before.loss_end
        assert advice.helped == helped
    assert found["activation=tanh"].helped
    assert not found["initializer=auto"].helped  # it is the one that the network has
    ends = [one.after.loss_end for one in d.advice if one.helped]
    assert ends == sorted(ends)
    assert [one.helped for one in d.advice] == sorted((o.helped for o in d.advice), reverse=True)
    text = str(d)
    assert "tried, did not help" in text
    assert f"What helped most: {d.advice[0].sentence}" in text
    value = json.loads(d.to_json())["advice"][0]
    assert value["helped"] is True
    assert value["after"]["loss_end"] == d.advice[0].after.loss_end


def test_weights_too_small_are_helped_by_the_initializer() -> None:
    X, Y = task()
    net = dr.Network([8] * 8 + [1], "tanh", "log_loss", rng=1, initializer="uniform")
    found = by_code(diagnose(net, X, Y))
    assert found["initializer=auto"].helped
    after, before = found["initializer=auto"].after, found["initializer=auto"].before
    assert after.delta_ratio is not None
    assert before.delta_ratio is not None
    assert after.delta_ratio > 1e4 * before.delta_ratio
    assert "activation=tanh" not in found  # it is the one that the network has


def test_dead_relus_are_offered_a_leaky_one() -> None:
    X, Y = task()
    net = dr.Network([8, 8, 8, 1], "relu", "log_loss", rng=0)
    for b in net.biases[:2]:
        assert b is not None
        b[:] = -50
    found = by_code(diagnose(net, X, Y))
    assert "activation=relu" not in found
    assert found["activation=leaky_relu"].helped
    assert found["initializer=auto"].helped  # new weights have new biases too


def test_scaled_inputs_and_targets_by_hand() -> None:
    rng = np.random.default_rng(0)
    X = 1000 + 50 * rng.normal(size=(200, 4))
    Y = 3e3 + 4 * X[:, :1] - 2 * X[:, 1:2]
    net = dr.Network([4, 16, 1], "tanh", rng=7)
    d = diagnose(net, X, Y)
    found = by_code(d)
    sX, sY = (X - X.mean(0)) / X.std(0), (Y - Y.mean(0)) / Y.std(0)
    fresh = dr.Network([4, 16, 1], "tanh", rng=0)
    same(found["scale_inputs"].after, fresh, sX, Y)
    for code, inputs in (("scale_targets", X), ("scale_both", sX)):
        after = found[code].after
        assert after.delta_ratio == pytest.approx(delta_ratio(fresh, inputs, sY), rel=1e-9)
        # half the squared error of outputs scaled back is that of the scaled ones times the square
        square = float(Y.std()) ** 2
        start = dr.backward(fresh, inputs, sY).loss * square
        assert after.loss_start == pytest.approx(start, rel=1e-9)
        assert after.loss_end == pytest.approx(loss_after(fresh, inputs, sY) * square, rel=1e-9)
    assert found["scale_both"].helped
    assert d.advice[0].code == "scale_both"
    same(found["initializer=auto"].after, fresh, X, Y)  # new weights alone, to compare with


def test_targets_of_a_network_without_biases_are_scaled_all_the_same() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    Y = 500 + 100 * X
    net = dr.Network([2, 2], "identity", bias=False, rng=0)
    (scaled,) = (one for one in diagnose(net, X, Y).advice if one.code == "scale_targets")
    assert scaled.after.loss_start < scaled.before.loss_start  # the mean is right at once
    assert scaled.helped


def test_columns_that_do_not_vary_are_not_badly_scaled() -> None:
    X, Y = task()
    X[:, 0] = 7.0
    X[:, 1] = 0.0
    assert diagnose(dr.Network([8, 8, 1], "tanh", "log_loss", rng=0), X, Y).advice == []


def test_float64_is_tried_where_float32_underflows() -> None:
    X, Y = task()
    net = dr.Network([8] * 60 + [1], "sigmoid", "log_loss", dtype="float32", rng=0)
    net.theta = 0.3 * net.theta
    found = by_code(diagnose(net, X, Y))
    double = dr.Network(net.sizes, "sigmoid", "log_loss", rng=0)
    double.theta = net.theta
    trial = found["float64"]
    assert trial.before.delta_ratio == 0
    assert trial.after.delta_ratio == pytest.approx(
        delta_ratio(double, X.astype(np.float32), Y), rel=1e-6
    )
    assert trial.after.delta_ratio is not None
    assert 0 < trial.after.delta_ratio < 1e-45
    assert not trial.helped  # a gradient of 1e-60 moves nothing
    assert "float64" not in by_code(diagnose(double, X, Y))


def test_a_training_that_diverges_is_told_and_does_not_help() -> None:
    X, Y = task()
    net = dr.Network([8, 8, 1], "tanh", "log_loss", rng=0)
    net.weights[0][0, 0] = math.nan
    d = diagnose(net, X, Y)
    before = d.advice[0].before
    assert math.isnan(before.loss_end)
    assert d.advice[0].helped
    assert "diverged" in str(d)
    json.loads(d.to_json(), parse_constant=lambda name: pytest.fail(name))
    lost = Advice("", "", "", Trial(1.0, 1.0, 0.5), Trial(1.0, 1.0, math.nan))
    assert not lost.helped


def test_weights_of_samples_and_a_sample_of_the_rows() -> None:
    X, Y = task(600)
    weight = np.random.default_rng(1).random(600)
    net = dr.Network([8] * 12 + [1], "sigmoid", "log_loss", rng=5)
    d = diagnose(net, X, Y, sample_weight=weight)
    assert len(set(d.trial_rows)) == 256
    part = d.trial_rows
    again = dr.Network(net.sizes, "tanh", net.loss, rng=0)
    found = by_code(d)["activation=tanh"]
    same(found.after, again, X[part], Y[part], sample_weight=weight[part])


def test_own_activations_are_kept_and_tried_without_them() -> None:
    X, Y = task()
    flat = dr.Activation(
        "flat", lambda z: np.tanh(z) / 50, lambda z: (1 - np.tanh(z) ** 2) / 50, range=(-1, 1)
    )
    net = dr.Network([8] * 5 + [1], flat, "log_loss", rng=0)
    found = by_code(diagnose(net, X, Y))
    assert found["activation=tanh"].helped
    assert "initializer=orthogonal" in found
