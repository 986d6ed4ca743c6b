"""A fitted estimator from within: its network, and gradients held to finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import deltarule as dr
from support.estimator_cases import CLASSIFICATION, DATA, REGRESSION, WEIGHT, N, own, quiet, theta

TASKS = [*CLASSIFICATION, *REGRESSION]
SMOOTH: dict[str, Any] = {"hidden_layer_sizes": (6, 4), "activation": "tanh", "random_state": 0}
STEP = 1e-5


def fitted(task: str, **options: Any) -> Any:
    ours = own(task).set_params(**SMOOTH | {"max_iter": 5} | options)
    return quiet(ours.fit, *DATA[task])


def outputs(est: Any, X: Any) -> Any:
    """What the network says, (n, k): the positive class alone for two classes."""
    if not hasattr(est, "classes_"):
        return est.predict(X).reshape(len(X), -1)
    P = est.predict_proba(X)
    return P[:, 1:] if est.n_outputs_ == 1 else P


def differences(f: Any, X: Any) -> Any:
    """df/dx by central differences, (n, ..., features), for f that takes each row on its own."""
    slopes = []
    for j in range(X.shape[1]):
        move = np.zeros_like(X)
        move[:, j] = STEP
        slopes.append((f(X + move) - f(X - move)) / (2 * STEP))
    return np.stack(slopes, axis=-1)


# -- the network -----------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_the_network_is_the_estimator(task: str) -> None:
    X = DATA[task][0]
    ours = fitted(task)
    net = ours.network_
    assert isinstance(net, dr.Network)
    assert ours.network_ is net
    assert net.sizes == (5, 6, 4, ours.n_outputs_)
    for part, same in zip(
        [*ours.coefs_, *ours.intercepts_], [*net.weights, *net.biases], strict=True
    ):
        assert np.shares_memory(part, net.theta)
        np.testing.assert_array_equal(part, same)
    np.testing.assert_array_equal(outputs(ours, X), net.predict(X))
    assert dr.forward(net, X).output.shape == (N, ours.n_outputs_)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_parameters_may_be_changed_by_hand(task: str) -> None:
    X, y = DATA[task]
    ours = fitted(task)
    before = outputs(ours, X)
    ours.coefs_[1][2, 3] += 1.0  # in place
    changed = outputs(ours, X)
    assert not np.allclose(changed, before)
    np.testing.assert_array_equal(changed, ours.network_.predict(X))
    ours.coefs_[1] = np.zeros((6, 4))  # an element of the list
    assert not np.allclose(outputs(ours, X), changed)
    assert not ours.network_.weights[1].any()
    ours.intercepts_ = [np.full(6, 0.1), np.full(4, 0.2), np.full(ours.n_outputs_, 0.3)]
    ours.coefs_ = [np.zeros((5, 6)), np.zeros((6, 4)), np.zeros((4, ours.n_outputs_))]
    np.testing.assert_allclose(ours.network_.predict(X), ours.network_.predict(X)[:1].repeat(N, 0))
    np.testing.assert_array_equal(outputs(ours, X), ours.network_.predict(X))
    assert np.shares_memory(ours.coefs_[0], ours.network_.theta)
    ours.network_.theta = np.arange(ours.network_.theta.size) / 100  # and the other way round
    np.testing.assert_array_equal(ours.coefs_[0], ours.network_.weights[0])
    ours.coefs_[0] = np.zeros((5, 6))
    ours.partial_fit(X, y)  # trains what was put there
    assert np.abs(ours.coefs_[0]).max() < 0.1


def test_parameters_of_other_sizes_make_another_network() -> None:
    ours = fitted("regression")
    ours.coefs_ = [np.ones((5, 2)), np.ones((2, 3)), np.ones((3, 1))]
    ours.intercepts_ = [np.zeros(2), np.zeros(3), np.zeros(1)]
    assert ours.network_.sizes == (5, 2, 3, 1)
    X = DATA["regression"][0]
    by_hand = np.tanh(np.tanh(X @ ours.coefs_[0]) @ ours.coefs_[1]) @ ours.coefs_[2]
    np.testing.assert_allclose(ours.predict(X), by_hand.ravel())
    ours.intercepts_[0] = np.zeros(7)
    with pytest.raises(ValueError, match="layer 1 needs shape"):
        ours.predict(X)


def test_history() -> None:
    ours = fitted("regression", alpha=0.0, early_stopping=True)
    history = ours.history_
    assert isinstance(history, dr.History)
    np.testing.assert_allclose(history.loss, ours.loss_curve_, rtol=1e-12)
    assert len(history.learning_rate) == len(history.seconds) == len(history.gradient_norms) == 5
    assert np.shape(history.gradient_norms) == (5, 3)
    for _ in range(2):
        ours.partial_fit(*DATA["regression"], validation_data=DATA["regression"])
    assert len(ours.history_) == 7
    quiet(ours.fit, *DATA["regression"])
    assert len(ours.history_) == 5


# -- gradients with respect to inputs --------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("options", [{}, {"n_ensemble": 2}], ids=["", "ensemble"])
def test_input_gradients_of_each_output(task: str, options: dict[str, Any]) -> None:
    X = DATA[task][0].astype(float)
    ours = fitted(task, **options)
    slopes = differences(lambda x: outputs(ours, x), X)  # (n, k, features)
    for i in range(ours.n_outputs_):
        np.testing.assert_allclose(
            ours.input_gradients(X, output=i), slopes[:, i], rtol=1e-5, atol=1e-8
        )
    found = ours.input_gradients(X)
    if ours.n_outputs_ == 1:
        expected = slopes[:, 0]
    elif task in ("multiclass", "text labels"):
        expected = slopes[np.arange(N), outputs(ours, X).argmax(axis=1)]
    else:
        expected = slopes
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("task", TASKS)
def test_input_gradients_of_the_loss(task: str) -> None:
    X, y = DATA[task][0].astype(float), DATA[task][1]
    ours = fitted(task)

    def losses(x: Any) -> Any:
        O = outputs(ours, x)
        if task in ("multiclass", "text labels"):
            return -np.log(O[np.arange(N), np.searchsorted(ours.classes_, y)])
        Y = np.asarray(y, dtype=float).reshape(N, -1)
        if task in ("binary", "multilabel"):
            return -(Y * np.log(O) + (1 - Y) * np.log(1 - O)).sum(axis=1)
        if task == "counts":
            return (O - Y * np.log(O)).sum(axis=1)
        return 0.5 * ((O - Y) ** 2).sum(axis=1)

    np.testing.assert_allclose(
        ours.input_gradients(X, y), differences(losses, X), rtol=1e-5, atol=1e-7
    )


def test_input_gradients_of_several_targets() -> None:
    X, y = DATA["multiclass"]
    Y = np.c_[y, np.arange(N) % 3]
    ours = quiet(dr.MLPClassifier(**SMOOTH, max_iter=5).fit, X, Y)
    slopes = differences(lambda x: np.hstack(ours.predict_proba(x)), X)
    np.testing.assert_allclose(ours.input_gradients(X), slopes, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(ours.input_gradients(X, output=5), slopes[:, 5], atol=1e-8)

    def losses(x: Any) -> Any:
        P = ours.predict_proba(x)
        return -np.log(P[0][np.arange(N), Y[:, 0]]) - np.log(P[1][np.arange(N), Y[:, 1]])

    np.testing.assert_allclose(ours.input_gradients(X, Y), differences(losses, X), atol=1e-7)


# -- gradients with respect to parameters, row by row ----------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_per_sample_gradients(task: str) -> None:
    X, y = DATA[task]
    ours = fitted(task)
    each = ours.per_sample_gradients(X, y)
    Y = (
        np.asarray(ours.classes_ == y[:, None], float)
        if task in ("multiclass", "text labels")
        else y
    )
    whole = dr.backward(ours.network_, X, Y)
    weighted = dr.backward(ours.network_, X, Y, sample_weight=WEIGHT)
    for l in range(3):
        assert each.weights[l].shape == (N, *ours.coefs_[l].shape)
        assert each.biases[l].shape == (N, *ours.intercepts_[l].shape)
        np.testing.assert_allclose(each.weights[l].mean(axis=0), whole.weights[l], atol=1e-13)
        np.testing.assert_allclose(each.biases[l].mean(axis=0), whole.biases[l], atol=1e-13)
        np.testing.assert_allclose(
            np.average(each.weights[l], axis=0, weights=WEIGHT), weighted.weights[l], atol=1e-13
        )


@pytest.mark.parametrize("task", TASKS)
def test_the_gradient_of_training_is_that_of_the_loss(task: str) -> None:
    """In the place of scikit-learn's own test_gradient: one step of descent, by differences."""
    X, y = DATA[task]
    rate = 1e-3
    options: dict[str, Any] = {"alpha": 0.3, "batch_size": N, "max_iter": 1}
    before = fitted(task, solver=dr.SGD(1e-300), **options | {"alpha": 0.0})
    gradient = (theta(before) - theta(fitted(task, solver=dr.SGD(rate), **options))) / rate
    probe = fitted(task, solver=dr.SGD(1e-300), **options)  # its loss_ is C where it stands

    def C(parts: list[Any]) -> float:
        probe.coefs_, probe.intercepts_ = parts[:3], parts[3:]
        quiet(probe.set_params(warm_start=True).fit, X, y)
        return float(probe.loss_)

    start = [part.copy() for part in [*before.coefs_, *before.intercepts_]]
    rng = np.random.default_rng(0)
    at = 0
    for k, part in enumerate(start):
        for i in rng.choice(part.size, min(3, part.size), replace=False):
            ends = []
            for sign in (1, -1):
                moved = [one.copy() for one in start]
                moved[k].flat[i] += sign * STEP
                ends.append(C(moved))
            slope = (ends[0] - ends[1]) / (2 * STEP)
            assert gradient[at + i] == pytest.approx(slope, rel=1e-5, abs=1e-7)
        at += part.size
