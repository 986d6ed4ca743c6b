"""from_sklearn and to_sklearn: the same predictions, and training that goes on with its numbers."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier as SklearnClassifier

from deltarule.estimators import MLPClassifier, MLPRegressor
from deltarule.exchange.sklearn import from_sklearn, to_sklearn
from support.sklearn_models import KINDS, data, ours_fitted, quietly, sklearn_fitted

CLOSE = {"rtol": 1e-9, "atol": 1e-11}
SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.02},
    "plain sgd": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.02},
    "heavy ball": {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "tol": 1.0,
        "n_iter_no_change": 2,
    },
}
FITTED = (
    "n_features_in_",
    "n_iter_",
    "t_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "loss_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
    "_no_improvement_count",
)


def assert_same_answers(a: Any, b: Any, X: Any, y: Any, **close: float) -> None:
    close = close or CLOSE
    if hasattr(a, "classes_"):
        np.testing.assert_array_equal(a.classes_, b.classes_)
        assert a.classes_.dtype == b.classes_.dtype
        np.testing.assert_array_equal(a.predict(X), b.predict(X))
        np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), **close)
        np.testing.assert_allclose(a.predict_log_proba(X), b.predict_log_proba(X), **close)
    else:
        assert a.predict(X).shape == b.predict(X).shape
        np.testing.assert_allclose(a.predict(X), b.predict(X), **close)
    assert a.score(X, y) == pytest.approx(b.score(X, y), rel=1e-5)


def assert_same_state(a: Any, b: Any, factor: float = 1.0) -> None:
    """That a and b have the same numbers, `factor` being between their losses."""
    for one, other in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, **CLOSE)
    for name in FITTED:
        mine, theirs = getattr(a, name, "absent"), getattr(b, name, "absent")
        if isinstance(mine, float | list) and name != "best_validation_score_":
            mine = (
                np.multiply(mine, factor)
                if name in ("loss_", "loss_curve_", "best_loss_")
                else mine
            )
            np.testing.assert_allclose(mine, theirs, **CLOSE)
        else:
            assert mine == theirs, name


# -- from scikit-learn ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_scikit_learns(kind: str, activation: str, dtype: str) -> None:
    est, X, y = sklearn_fitted(kind, dtype, activation=activation)
    made = from_sklearn(est)
    assert made.network_.dtype == dtype
    assert isinstance(made, MLPRegressor if kind[0] == "q" or kind == "counts" else MLPClassifier)
    close = {"rtol": 3e-5, "atol": 3e-6} if dtype == "float32" else CLOSE
    assert_same_answers(made, est, X, y, **close)
    assert_same_answers(to_sklearn(made), est, X, y, **close)


@pytest.mark.parametrize("kind", ["binary", "quantity"])
def test_every_parameter_and_attribute_comes_along(kind: str) -> None:
    params = {
        "hidden_layer_sizes": [7], "activation": "tanh", "solver": "sgd", "alpha": 0.3,
        "batch_size": 13, "learning_rate": "adaptive", "learning_rate_init": 0.07, "power_t": 0.2,
        "max_iter": 9, "shuffle": False, "random_state": 5, "tol": 1e-3, "verbose": False,
        "warm_start": True, "momentum": 0.4, "nesterovs_momentum": False, "early_stopping": True,
        "validation_fraction": 0.2, "beta_1": 0.7, "beta_2": 0.98, "epsilon": 1e-7,
        "n_iter_no_change": 4, "max_fun": 77,
    }  # fmt: skip
    est, _, _ = sklearn_fitted(kind, **params)
    assert set(params) >= set(est.get_params()) - {"loss"}
    made = from_sklearn(est)
    assert est.get_params().items() <= made.get_params().items()
    assert_same_state(made, est)
    assert len(made.history_.loss) == 0
    back = to_sklearn(made)
    assert back.get_params() == est.get_params()
    assert_same_state(back, est)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit_goes_on_with_the_same_numbers(kind: str, solver: str) -> None:
    est, X, y = sklearn_fitted(kind, batch_size=16, **SOLVERS[solver])
    factor = 3.0 if kind == "quantities" else 1.0
    made = from_sklearn(est)
    # of k outputs the penalty is scaled too, on the way, so patience may differ
    for _ in range(6):
        est.partial_fit(X, y)
        made.partial_fit(X, y)
        for ours, theirs in zip(made.coefs_, est.coefs_, strict=True):
            np.testing.assert_allclose(ours, theirs, **CLOSE)
        penalty = (factor - 1) * 1e-3
        assert made.loss_ == pytest.approx(factor * est.loss_, rel=1e-9, abs=penalty)
    if kind != "quantities":
        assert_same_state(made, est)
    assert_same_answers(made, est, X, y)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_and_there_again(kind: str, solver: str) -> None:
    ours, X, y = ours_fitted(kind, batch_size=16, **SOLVERS[solver])
    est = to_sklearn(ours)
    assert_same_answers(est, ours, X, y)
    for _ in range(3):
        ours.partial_fit(X, y)
        est.partial_fit(X, y)
    for mine, theirs in zip(ours.coefs_, est.coefs_, strict=True):
        np.testing.assert_allclose(mine, theirs, **CLOSE)
    again = from_sklearn(est)
    again.partial_fit(X, y)
    ours.partial_fit(X, y)
    assert_same_answers(again, ours, X, y)
    if kind != "quantities":
        assert_same_state(again, ours)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", ["binary", "counts", "quantity"])
def test_a_warm_start_goes_on_with_the_same_numbers(kind: str, early_stopping: bool) -> None:
    if kind not in KINDS:
        pytest.skip("this scikit-learn has no Poisson loss")
    est, X, y = sklearn_fitted(kind, warm_start=True, early_stopping=early_stopping)
    made = from_sklearn(est)
    # after early stopping est's coefs_ are its _best_coefs, so it would train the best ones along
    est.coefs_ = [W.copy() for W in est.coefs_]
    est.intercepts_ = [b.copy() for b in est.intercepts_]
    quietly(est, X, y)
    quietly(made, X, y)
    assert_same_state(made, est)
    assert len(made.loss_curve_) > 8
    if early_stopping:
        assert made.best_validation_score_ == pytest.approx(est.best_validation_score_)


def test_lbfgs_has_no_state_and_goes_on_with_any_solver() -> None:
    est, X, y = sklearn_fitted("classes", solver="lbfgs", max_iter=200)
    made = from_sklearn(est)
    assert made.loss_ == est.loss_
    assert not hasattr(made, "loss_curve_")
    assert_same_answers(made, est, X, y)
    assert_same_answers(to_sklearn(made), est, X, y)
    assert not hasattr(made, "partial_fit")


def test_losses_of_several_outputs_are_sums_here_and_means_there() -> None:
    est, _, _ = sklearn_fitted("quantities")
    made = from_sklearn(est)
    assert_same_state(est, made, factor=3.0)
    assert_same_state(to_sklearn(made), est)


def test_nothing_is_shared_with_the_original() -> None:
    est, X, y = sklearn_fitted("labels", random_state=np.random.RandomState(3))
    before = copy.deepcopy(vars(est))
    made = from_sklearn(est)
    made.partial_fit(X, y)
    made.coefs_[0][:] = 0
    made.loss_curve_.append(7)
    for a, b in zip(est.coefs_, before["coefs_"], strict=True):
        np.testing.assert_array_equal(a, b)
    assert est.loss_curve_ == before["loss_curve_"]
    assert est._optimizer.t == before["_optimizer"].t
    # a RandomState is copied as it stands, so that both shuffle alike from here on
    made, back = from_sklearn(est), to_sklearn(from_sklearn(est))
    for one in (est, made, back):
        one.partial_fit(X, y)
    assert_same_state(made, est)
    assert_same_state(back, est)


def test_column_names_sparse_rows_and_copies() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = data("classes")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    est = quietly(SklearnClassifier((5,), max_iter=3, random_state=0), frame, y)
    made = from_sklearn(est)
    np.testing.assert_array_equal(made.feature_names_in_, list("abcd"))
    np.testing.assert_array_equal(made.predict(frame), est.predict(frame))
    with pytest.warns(UserWarning, match="valid feature names"):
        made.predict(X)
    back = to_sklearn(made)
    np.testing.assert_array_equal(back.feature_names_in_, list("abcd"))
    del made.feature_names_in_, est.feature_names_in_
    assert_same_answers(made, est, sp.csr_array(X), y)
    for one in (made, back):
        twin = pickle.loads(pickle.dumps(one))
        np.testing.assert_array_equal(twin.coefs_[0], est.coefs_[0])
        assert not hasattr(clone(one), "coefs_")


def test_coefs_set_by_hand_are_those_that_count() -> None:
    est, X, y = sklearn_fitted("quantity")
    est.coefs_ = [np.ones_like(W) for W in est.coefs_]
    made = from_sklearn(est)
    assert_same_answers(made, est, X, y)
    made.coefs_[0] = np.full((4, 6), 2.0)
    np.testing.assert_array_equal(to_sklearn(made).coefs_[0], np.full((4, 6), 2.0))


def test_moments_of_another_network_are_left_behind() -> None:
    est, X, y = sklearn_fitted("quantity")
    est.set_params(hidden_layer_sizes=(3,), n_iter_no_change=2)
    est.coefs_, est.intercepts_ = [np.ones((4, 3)), np.ones((3, 1))], [np.zeros(3), np.ones(1)]
    est.n_layers_ = 3
    made = from_sklearn(est)
    assert_same_answers(made, est, X, y)
    assert made._fitted.descent is None
    del est._optimizer
    made.partial_fit(X, y)
    assert_same_answers(made, est.partial_fit(X, y), X, y)


def test_a_single_class_and_no_hidden_layer() -> None:
    X, _ = data("binary")
    est = quietly(SklearnClassifier((), max_iter=2, random_state=0), X, np.zeros(60))
    assert_same_answers(from_sklearn(est), est, X, np.zeros(60))
    est, X, y = sklearn_fitted("classes", hidden_layer_sizes=())
    assert_same_answers(from_sklearn(est), est, X, y)
    assert_same_answers(to_sklearn(from_sklearn(est)), est, X, y)


def test_classes_that_only_partial_fit_was_told_of() -> None:
    X, y = data("classes")
    est = SklearnClassifier((5,), random_state=0)
    est.partial_fit(X, y, classes=["ash", "elm", "fir", "oak"])
    made = from_sklearn(est)
    for one in (est, made):
        one.partial_fit(X, y)
    assert_same_answers(made, est, X, y)
