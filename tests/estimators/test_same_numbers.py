"""The same data and random_state give the numbers of scikit-learn's MLP, one by one (SPEC X6).

scikit-learn is the oracle for everything here: initial weights, order of rows, updates, losses,
scores, stopping, what is printed, which warnings come, and the random numbers that are consumed.
Rounding grows from step to step as in any chaotic system (the order of sums differs), so most runs
are of few epochs; those that run until they stop compare looser.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge

from support.estimator_cases import (
    CLASSIFICATION,
    DATA,
    FEATURES,
    REGRESSION,
    RELEASE,
    WEIGHT,
    N,
    pair,
    quiet,
    theta,
)

pytestmark = pytest.mark.skipif(
    RELEASE < (1, 7), reason="scikit-learn 1.6 has no sample weights and no Poisson loss"
)
TIGHT: dict[str, float] = {"rtol": 1e-9, "atol": 1e-11}
TASKS = [*CLASSIFICATION, *REGRESSION]
OUTPUTS = {"regression of 3": 3}
if RELEASE < (1, 9):  # its early stopping fails for labels that are text
    TASKS.remove("text labels")
NEW_X = np.random.default_rng(9).normal(size=(11, FEATURES))


def same(ours: Any, theirs: Any, task: str, **tolerance: float) -> None:
    """Every fitted attribute that scikit-learn has, and every prediction, is equal."""
    close = tolerance or TIGHT
    for l, (W, W_theirs) in enumerate(zip(ours.coefs_, theirs.coefs_, strict=True)):
        np.testing.assert_allclose(W, W_theirs, **close, err_msg=f"coefs_[{l}]")
    for l, (b, b_theirs) in enumerate(zip(ours.intercepts_, theirs.intercepts_, strict=True)):
        np.testing.assert_allclose(b, b_theirs, **close, err_msg=f"intercepts_[{l}]")
    for name in ("n_iter_", "n_layers_", "n_outputs_", "n_features_in_", "out_activation_", "t_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    # of k outputs theirs is the mean, ours the sum, so that loss and gradient agree (alpha = 0)
    k = OUTPUTS.get(task, 1)
    assert ours.loss_ == pytest.approx(k * theirs.loss_, rel=close["rtol"])
    # attributes that theirs has only with solver="sgd" or "adam", each of them None at times
    for name, factor in (
        ("loss_curve_", k),
        ("best_loss_", k),
        ("validation_scores_", 1),
        ("best_validation_score_", 1),
    ):
        assert hasattr(ours, name) == hasattr(theirs, name), name
        expected = getattr(theirs, name, None)
        if expected is None:
            assert getattr(ours, name, None) is None
        else:
            value = np.asarray(expected, dtype=float) * factor
            np.testing.assert_allclose(getattr(ours, name), value, **close, err_msg=name)
    same_answers(ours, theirs, close)


def same_answers(ours: Any, theirs: Any, close: dict[str, float]) -> None:
    X = NEW_X.astype(theirs.coefs_[0].dtype)
    if not hasattr(theirs, "classes_"):
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), **close)
        return
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.classes_.dtype == theirs.classes_.dtype
    P = theirs.predict_proba(X)
    np.testing.assert_allclose(ours.predict_proba(X), P, **close)
    inside = np.where((P > 1e-6) & (P < 1 - 1e-6), P, 0.5)  # theirs is rounded beyond
    log_P = np.where(inside == P, ours.predict_log_proba(X), np.log(0.5))
    np.testing.assert_allclose(log_P, np.log(inside), **(close | {"atol": 1e-9}))
    answers = ours.predict(X)
    np.testing.assert_array_equal(answers, theirs.predict(X))
    assert answers.dtype == theirs.predict(X).dtype


def fit_both(task: str, *, weight: Any = None, data: Any = None, **parameters: Any) -> Any:
    X, y = DATA[task] if data is None else data
    ours, theirs = pair(task, **parameters)
    quiet(theirs.fit, X, y, sample_weight=weight)
    quiet(ours.fit, X, y, sample_weight=weight)
    return ours, theirs


# -- every combination, drawn ----------------------------------------------------------------------


@st.composite
def configurations(draw: Any) -> dict[str, Any]:
    task = draw(st.sampled_from(TASKS))
    solver = draw(st.sampled_from(["sgd", "adam"]))
    parameters: dict[str, Any] = {
        "hidden_layer_sizes": draw(st.sampled_from([(6,), 6, [7, 3], (4, 4, 4), ()])),
        "activation": draw(st.sampled_from(["identity", "logistic", "tanh", "relu"])),
        "solver": solver,
        # the penalty is not averaged over the outputs: see test_the_loss_of_several_outputs
        "alpha": 0.0 if task in OUTPUTS else draw(st.sampled_from([0.0, 1e-4, 0.3])),
        "batch_size": draw(st.sampled_from(["auto", 1, 8, 13, 66, N])),
        "learning_rate_init": draw(st.sampled_from([1e-3, 0.02])),
        "max_iter": draw(st.integers(1, 4)),
        "shuffle": draw(st.booleans()),
        "random_state": draw(st.integers(0, 5)),
        "tol": 0.0,
    }
    if solver == "sgd":
        parameters |= {
            "learning_rate": draw(st.sampled_from(["constant", "invscaling", "adaptive"])),
            "power_t": draw(st.sampled_from([0.5, 0.2])),
            "momentum": draw(st.sampled_from([0.0, 0.5, 0.9])),
            "nesterovs_momentum": draw(st.booleans()),
        }
    else:
        parameters |= {
            "beta_1": draw(st.sampled_from([0.9, 0.0, 0.5])),
            "beta_2": draw(st.sampled_from([0.999, 0.9])),
            "epsilon": draw(st.sampled_from([1e-8, 1e-3])),
        }
    if draw(st.booleans()):
        parameters |= {
            "early_stopping": True,
            "validation_fraction": draw(st.sampled_from([0.1, 0.3])),
        }
    return {
        "task": task,
        "weighted": draw(st.booleans()),
        "sparse": draw(st.sampled_from([None, sp.csr_array, sp.csc_matrix])),
        "parameters": parameters,
    }


@given(configurations())
@example({"task": "multiclass", "weighted": False, "sparse": None, "parameters": {"max_iter": 5}})
@example({"task": "regression", "weighted": False, "sparse": None, "parameters": {"max_iter": 5}})
def test_a_fit_of_any_configuration(drawn: dict[str, Any]) -> None:
    task, parameters = drawn["task"], drawn["parameters"]
    X, y = DATA[task]
    if drawn["sparse"]:
        X = drawn["sparse"](np.where(np.abs(X) > 0.7, X, 0.0))
    weight = WEIGHT if drawn["weighted"] else None
    parameters = {"random_state": 0} | parameters
    ours, theirs = fit_both(task, weight=weight, data=(X, y), **parameters)
    same(ours, theirs, task)


@given(configurations(), st.sampled_from(["warm_start", "partial_fit"]), st.booleans())
def test_going_on_from_call_to_call(drawn: dict[str, Any], how: str, own_stream: bool) -> None:
    """Moments, learning rates, counts and curves go on (or start anew) as theirs do."""
    task, parameters = drawn["task"], dict(drawn["parameters"])
    parameters.pop("early_stopping", None)  # with warm_start see the test after this one
    X, y = DATA[task]
    ours, theirs = pair(task, **parameters, warm_start=how == "warm_start")
    if own_stream:  # a RandomState goes on from call to call, a number starts anew
        for one in (ours, theirs):
            one.set_params(random_state=np.random.RandomState(parameters["random_state"]))
    for call in range(3):
        rows = np.arange(N) if how == "warm_start" else np.arange(call * 20, call * 20 + 24)
        for one in (theirs, ours):
            weight = WEIGHT[rows] if drawn["weighted"] else None
            if how == "warm_start":
                quiet(one.fit, X[rows], y[rows], sample_weight=weight)
            else:
                known = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
                classes = {"classes": known} if task in CLASSIFICATION and not call else {}
                quiet(one.partial_fit, X[rows], y[rows], sample_weight=weight, **classes)
        same(ours, theirs, task)


def test_a_warm_fit_keeps_the_best_parameters_where_theirs_loses_them() -> None:
    """Theirs goes on in the very arrays that hold the best; without a better score they are lost.

    The scores and the losses of both are equal all the same.
    """
    parameters: dict[str, Any] = {"solver": "sgd", "learning_rate_init": 0.01, "max_iter": 9}
    parameters |= {"early_stopping": True, "warm_start": True, "validation_fraction": 0.4}
    ours, theirs = fit_both("regression", random_state=3, **parameters)
    same(ours, theirs, "regression", rtol=1e-7, atol=1e-9)
    best, score = theta(ours), ours.best_validation_score_
    for one in (ours, theirs):
        one.set_params(alpha=500.0, learning_rate_init=0.01)  # nothing better can come of this
        quiet(one.fit, *DATA["regression"])
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)
    assert ours.best_validation_score_ == score
    assert theirs.best_validation_score_ == pytest.approx(score)
    np.testing.assert_array_equal(theta(ours), best)
    assert not np.allclose(theta(theirs), best), "theirs has been repaired: compare it above"


# -- what is drawn, kind by kind, so that a failure names it --------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_start_is_theirs(task: str, activation: str, shuffle: bool) -> None:
    """A vanishing learning rate shows the initial weights."""
    parameters: dict[str, Any] = {"activation": activation, "shuffle": shuffle, "random_state": 4}
    ours, theirs = fit_both(task, learning_rate_init=1e-300, max_iter=1, alpha=0, **parameters)
    for mine, other in zip(
        [*ours.coefs_, *ours.intercepts_], [*theirs.coefs_, *theirs.intercepts_], strict=True
    ):
        np.testing.assert_array_equal(mine, other)
    assert ours.loss_ == pytest.approx(OUTPUTS.get(task, 1) * theirs.loss_, rel=1e-12)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_same_random_numbers_are_consumed(
    task: str, early_stopping: bool, shuffle: bool
) -> None:
    """A RandomState that is shared with other estimators stands where theirs would leave it."""
    states = []
    for one in pair(task, max_iter=2, early_stopping=early_stopping, shuffle=shuffle):
        stream = np.random.RandomState(11)
        quiet(one.set_params(random_state=stream).fit, *DATA[task])
        states.append(stream.randint(2**31, size=4))
    np.testing.assert_array_equal(*states)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_the_loss_of_several_outputs(weight: Any) -> None:
    """Theirs is (mean over outputs) + penalty; ours the sum, whose gradient both of them follow."""
    alpha, common = 0.4, {"max_iter": 3, "random_state": 0, "learning_rate_init": 0.01}
    ours, theirs = fit_both("regression of 3", weight=weight, alpha=alpha, **common)
    for mine, other in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(mine, other, **TIGHT)
    start = pair("regression of 3", alpha=0, max_iter=1, learning_rate_init=1e-300, random_state=0)
    quiet(start[0].fit, *DATA["regression of 3"])
    total = N if weight is None else weight.sum()
    penalty = 0.5 * alpha * sum((W**2).sum() for W in start[0].coefs_) / total
    expected = 3 * (theirs.loss_curve_[0] - penalty) + penalty
    assert ours.loss_curve_[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.csc_array])
@pytest.mark.parametrize("task", ["multiclass", "regression"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_sparse_inputs(container: Any, task: str, shuffle: bool) -> None:
    X, y = DATA[task]
    X = container(np.where(np.abs(X) > 1, X, 0.0))
    parameters: dict[str, Any] = {"batch_size": 10, "max_iter": 4, "random_state": 1}
    ours, theirs = fit_both(task, data=(X, y), shuffle=shuffle, **parameters)
    same(ours, theirs, task)
    np.testing.assert_allclose(ours.score(X, y), theirs.score(X, y), rtol=1e-9)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_float32_stays_close(task: str, solver: str) -> None:
    """Both in float32; theirs rounds at other places, so 3 epochs agree to 3 to 4 digits."""
    X, y = DATA[task]
    parameters: dict[str, Any] = {"solver": solver, "max_iter": 3, "batch_size": 16, "alpha": 0}
    ours, theirs = fit_both(
        task, data=(X.astype(np.float32), y), weight=WEIGHT, random_state=0, **parameters
    )
    assert {W.dtype for W in [*ours.coefs_, *ours.intercepts_]} == {np.dtype(np.float32)}
    same(ours, theirs, task, rtol=1e-3, atol=2e-5)
    assert ours.predict(X.astype(np.float32)).dtype == theirs.predict(X.astype(np.float32)).dtype


# -- stopping --------------------------------------------------------------------------------------

STOPPING = {
    "loss": {"tol": 1e-2, "n_iter_no_change": 3},
    "loss, at once": {"tol": 10.0, "n_iter_no_change": 1},
    "adaptive": {"learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 1},
    "adaptive, scored": {
        "learning_rate": "adaptive", "tol": 1e-3, "n_iter_no_change": 1, "early_stopping": True,
    },
    "invscaling": {"learning_rate": "invscaling", "tol": 1e-3, "n_iter_no_change": 2},
    "scored": {"early_stopping": True, "tol": 1e-3, "n_iter_no_change": 4},
    "never": {"tol": 1e9, "n_iter_no_change": np.inf, "max_iter": 30},
}  # fmt: skip


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "regression", "counts"])
@pytest.mark.parametrize("rule", STOPPING)
def test_training_ends_when_theirs_does(
    task: str, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Up to 200 epochs: the numbers agree to 6 digits, what is printed word for word."""
    parameters = {"max_iter": 200, "solver": "sgd", "learning_rate_init": 0.01, "random_state": 0}
    parameters |= {"hidden_layer_sizes": (8,), "activation": "tanh", "verbose": True}
    X, y = DATA[task]
    printed, warned = [], []
    ours, theirs = pair(task, **(parameters | STOPPING[rule]))
    for one in (ours, theirs):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            one.fit(X, y)
        printed.append(capsys.readouterr().out)
        warned.append([(w.category, str(w.message)) for w in caught])
    same(ours, theirs, task, rtol=1e-6, atol=1e-9)
    assert printed[0] == printed[1]
    assert warned[0] == warned[1]
    assert (ours.n_iter_ < ours.max_iter) is (rule != "never")
    if rule != "never":
        assert ours.stopped_ == ("early stopping" if "scored" in rule else "converged")


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_best_parameters_are_restored_with_weights(task: str) -> None:
    """A rate that overshoots: the best score is not the last, and weights count in it."""
    parameters: dict[str, Any] = {"solver": "sgd", "learning_rate_init": 0.3, "activation": "tanh"}
    parameters |= {"early_stopping": True, "validation_fraction": 0.4, "n_iter_no_change": 5}
    ours, theirs = fit_both(task, weight=WEIGHT, random_state=3, max_iter=12, **parameters)
    assert theirs.best_validation_score_ > theirs.validation_scores_[-1]
    same(ours, theirs, task, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("batch_size", [N + 1, 1000])
def test_a_batch_larger_than_the_data_warns_as_theirs(batch_size: int) -> None:
    warned = []
    for one in pair("regression", batch_size=batch_size, max_iter=2, random_state=0):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            one.fit(*DATA["regression"])
        assert str(caught[0].message).startswith("Got `batch_size`")
        assert "clipped" in str(caught[0].message)
        warned.append([w.category for w in caught])
    assert warned[0] == warned[1] == [UserWarning, ConvergenceWarning]


# -- L-BFGS ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [one for one in TASKS if one not in OUTPUTS])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_lbfgs_iterations(task: str, weight: Any, activation: str) -> None:
    """The minimizer is SciPy's in both; only the order of sums differs, for 8 iterations."""
    parameters: dict[str, Any] = {"solver": "lbfgs", "max_iter": 8, "random_state": 2}
    parameters |= {"hidden_layer_sizes": (7,), "activation": activation, "alpha": 0.01}
    ours, theirs = fit_both(task, weight=weight, **parameters)
    same(ours, theirs, task, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("limit", [{"max_iter": 5}, {"max_fun": 5}, {"tol": 0.5}])
def test_lbfgs_ends_and_warns_where_theirs_does(limit: dict[str, Any]) -> None:
    categories = []
    estimators = pair("binary", solver="lbfgs", random_state=2, **limit)
    for one in estimators:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            one.fit(*DATA["binary"])
        categories.append([w.category for w in caught])
    assert estimators[0].n_iter_ == estimators[1].n_iter_
    assert categories[0] == categories[1]
    assert categories[0] == ([] if "tol" in limit else [ConvergenceWarning])


def test_lbfgs_goes_on_warm() -> None:
    ours, theirs = pair("multiclass", solver="lbfgs", max_iter=3, random_state=0, warm_start=True)
    for _ in range(3):
        quiet(ours.fit, *DATA["multiclass"])
        quiet(theirs.fit, *DATA["multiclass"])
    same(ours, theirs, "multiclass", rtol=1e-6, atol=1e-8)


def test_lbfgs_of_several_outputs_minimises_the_loss_it_reports() -> None:
    """Without hidden layers that is ridge regression, solved in closed form."""
    X, Y = DATA["regression of 3"]
    ours, _ = pair("regression of 3", hidden_layer_sizes=(), solver="lbfgs", tol=1e-9, alpha=2.0)
    ours.set_params(random_state=0, max_iter=2000).fit(X, Y)
    ridge = Ridge(alpha=2.0).fit(X, Y)
    np.testing.assert_allclose(ours.coefs_[0].T, ridge.coef_, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(ours.intercepts_[0], ridge.intercept_, rtol=1e-3, atol=1e-4)
    squares = ((ridge.predict(X) - Y) ** 2).sum() + 2.0 * (ridge.coef_**2).sum()
    assert ours.loss_ == pytest.approx(0.5 * squares / N, rel=1e-7)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_weights_of_0_and_below_are_taken_as_theirs(task: str) -> None:
    weight = np.where(np.arange(N) % 7 == 0, -0.5, np.where(np.arange(N) % 5 == 0, 0.0, WEIGHT))
    same(*fit_both(task, weight=weight, max_iter=3, random_state=0, batch_size=20), task)


def test_momentum_may_be_1_as_theirs() -> None:
    parameters: dict[str, Any] = {"solver": "sgd", "momentum": 1.0, "max_iter": 4}
    ours, theirs = fit_both("binary", random_state=0, learning_rate_init=1e-3, **parameters)
    same(ours, theirs, "binary")
