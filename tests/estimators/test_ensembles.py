"""Several networks from several seeds, their outputs averaged: `n_ensemble`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import deltarule as dr
from support.estimator_cases import CLASSIFICATION, DATA, REGRESSION, N, own, quiet, theta

TASKS = [*CLASSIFICATION, *REGRESSION]
QUICK: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 6, "random_state": 0}


def fitted(task: str, **options: Any) -> Any:
    return quiet(own(task).set_params(**QUICK | options).fit, *DATA[task])


@pytest.mark.parametrize("task", TASKS)
def test_an_ensemble_is_the_mean_of_its_networks(task: str) -> None:
    X = DATA[task][0]
    ours, alone = fitted(task, n_ensemble=3), fitted(task)
    assert len(ours.networks_) == 3
    np.testing.assert_array_equal(theta(ours), theta(alone))  # the first is that of n_ensemble=1
    np.testing.assert_array_equal(ours.networks_[0].theta, alone.network_.theta)
    assert not np.allclose(ours.networks_[1].theta, ours.networks_[0].theta)
    assert not np.allclose(ours.networks_[1].theta, ours.networks_[2].theta)
    mean = np.mean([net.predict(X) for net in ours.networks_], axis=0)
    if task in REGRESSION:
        np.testing.assert_allclose(ours.predict(X), mean if mean.shape[1] > 1 else mean.ravel())
    else:
        P = ours.predict_proba(X)
        np.testing.assert_allclose(P if task == "multilabel" else P[:, -mean.shape[1] :], mean)
        np.testing.assert_allclose(ours.predict_log_proba(X), np.log(P))
        if task == "multilabel":
            np.testing.assert_array_equal(ours.predict(X), P > 0.5)
        else:
            np.testing.assert_array_equal(ours.predict(X), ours.classes_[P.argmax(axis=1)])
    assert ours.n_iter_ == alone.n_iter_
    assert ours.loss_curve_ == alone.loss_curve_


@pytest.mark.parametrize("task", ["multiclass", "regression"])
@pytest.mark.parametrize("options", [{}, {"early_stopping": True, "dropout": 0.2}])
def test_the_number_of_threads_changes_nothing(task: str, options: dict[str, Any]) -> None:
    X = DATA[task][0]
    found = [fitted(task, n_ensemble=4, n_jobs=jobs, **options) for jobs in (None, 1, 2, -1)]
    for one in found[1:]:
        np.testing.assert_array_equal(one.predict(X), found[0].predict(X))
    again = clone(found[0])
    np.testing.assert_array_equal(quiet(again.fit, *DATA[task]).predict(X), found[0].predict(X))


def test_an_ensemble_and_a_shared_stream() -> None:
    """A RandomState gives its first network what it gives a single one."""
    streams = [np.random.RandomState(4), np.random.RandomState(4)]
    ours = fitted("regression", n_ensemble=2, random_state=streams[0])
    np.testing.assert_array_equal(theta(ours), theta(fitted("regression", random_state=streams[1])))


@pytest.mark.parametrize("task", ["text labels", "regression", "multilabel"])
def test_an_ensemble_goes_on(task: str) -> None:
    X, y = DATA[task]
    known: dict[str, Any] = {}
    if task in CLASSIFICATION:
        known = {"classes": np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])}
    ours, alone = (own(task).set_params(**QUICK, n_ensemble=k) for k in (2, 1))
    for call in range(3):
        for one in (ours, alone):
            one.partial_fit(X, y, **known if call == 0 else {})
    np.testing.assert_array_equal(theta(ours), theta(alone))
    np.testing.assert_array_equal(ours.networks_[0].theta, alone.network_.theta)
    assert ours.t_ == 3 * N


def test_a_warm_ensemble_takes_new_parameters() -> None:
    ours, alone = (fitted("regression", warm_start=True, max_iter=2, n_ensemble=k) for k in (2, 1))
    for one in (ours, alone):
        quiet(one.set_params(max_iter=5, learning_rate_init=0.05).fit, *DATA["regression"])
    np.testing.assert_array_equal(theta(ours), theta(alone))
    assert ours.n_iter_ == alone.n_iter_ == 5
    assert len(ours.loss_curve_) == 7


def test_an_ensemble_that_is_fitted_anew_as_one_network() -> None:
    X, y = DATA["regression"]
    ours = fitted("regression", n_ensemble=3)
    quiet(ours.set_params(n_ensemble=1).fit, X, y)
    np.testing.assert_array_equal(ours.predict(X), fitted("regression").predict(X))
    assert len(ours.networks_) == 1


@pytest.mark.parametrize(("before", "after"), [(1, 2), (3, 2), (2, 1)])
def test_the_number_of_networks_stays_while_training_goes_on(before: int, after: int) -> None:
    ours = fitted("regression", n_ensemble=before).set_params(n_ensemble=after)
    with pytest.raises(ValueError, match=f"n_ensemble={after}, but the networks fitted are"):
        ours.partial_fit(*DATA["regression"])
    with pytest.raises(ValueError, match="stays in partial_fit and with warm_start=True"):
        ours.set_params(warm_start=True).fit(*DATA["regression"])
    quiet(ours.set_params(warm_start=False).fit, *DATA["regression"])
    assert len(ours.networks_) == after


def test_one_diverging_network_is_an_error_of_the_ensemble() -> None:
    X, y = DATA["regression"]
    est = dr.MLPRegressor(**QUICK | {"max_iter": 50}, solver="sgd", learning_rate_init=10.0)
    with pytest.raises(dr.DivergenceError, match="Solver produced non-finite"):
        est.set_params(n_ensemble=2).fit(X, 1e3 * y)


def test_warnings_of_an_ensemble_are_those_of_one() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dr.MLPRegressor(**QUICK, n_ensemble=2, n_jobs=1).fit(*DATA["regression"])
    assert {w.category for w in caught} == {ConvergenceWarning}


def test_a_network_that_fails_ends_the_others() -> None:
    """They would otherwise train to their end before the error is seen."""
    X, y = DATA["regression"]
    epochs: dict[int, int] = {}
    raised: list[int] = []

    def fail(progress: dr.Progress) -> None:
        epochs[id(progress.net)] = progress.epoch
        if progress.epoch >= 5 and len(epochs) == 2 and not raised:
            raised.append(id(progress.net))
            raise RuntimeError("enough")

    ours = dr.MLPRegressor(**QUICK | {"max_iter": 10**5}, n_ensemble=2, n_jobs=2, tol=0.0)
    ours.set_params(callbacks=fail, n_iter_no_change=np.inf)
    with pytest.raises(RuntimeError, match="enough"):
        ours.fit(X, y)
    assert max(epochs.values()) < 10**5


def test_nothing_is_left_of_an_earlier_fit() -> None:
    X, y = DATA["multiclass"]
    ours = dr.MLPClassifier(**QUICK, n_ensemble=2, early_stopping=True)
    quiet(ours.fit, pd.DataFrame(X, columns=list("vwxyz")), y)
    assert ours.feature_names_in_.tolist() == list("vwxyz")
    quiet(ours.set_params(early_stopping=False, solver="lbfgs").fit, X, y)
    fresh = fitted("multiclass", n_ensemble=2, solver="lbfgs")
    assert vars(ours).keys() == vars(fresh).keys()
    ours.predict(X)  # without a warning about names


def test_each_line_says_of_which_network_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    ours = fitted("multiclass", n_ensemble=3, verbose=True, early_stopping=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 * 2 * 6
    for k, one in enumerate(ours.estimators_, start=1):
        told = [line.removeprefix(f"network {k}: ") for line in lines if f"network {k}: " in line]
        assert told[::2] == [
            f"Iteration {i}, loss = {loss:.8f}" for i, loss in enumerate(one.loss_curve_, start=1)
        ]
        assert told[1::2] == [f"Validation score: {s:f}" for s in one.validation_scores_]


class Narrow(dr.MLPRegressor):
    """A user's subclass with parameters of its own and another signature of fit."""

    def __init__(self, width: int = 6) -> None:
        self.width = width
        super().__init__(hidden_layer_sizes=width, max_iter=6, n_ensemble=2, random_state=0)

    def fit(self, X: Any, y: Any) -> Any:
        return super().fit(X, y)


def test_subclasses() -> None:
    X, y = DATA["regression"]
    ours = quiet(clone(Narrow(6)).fit, X, y)
    np.testing.assert_array_equal(ours.predict(X), fitted("regression", n_ensemble=2).predict(X))
    assert ours.get_params() == {"width": 6}
