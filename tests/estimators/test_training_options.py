"""Solvers, schedules, early stopping, callbacks and divergence of the estimators."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, make_scorer, mean_absolute_error, r2_score

import deltarule as dr
from support.estimator_cases import (
    CLASSIFICATION,
    DATA,
    FEATURES,
    REGRESSION,
    WEIGHT,
    N,
    own,
    quiet,
    theta,
)

TASKS = [*CLASSIFICATION, *REGRESSION]
QUICK: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 6, "random_state": 0}
HELD = {
    task: (X[:20] + 0.3 * np.random.default_rng(5).normal(size=(20, FEATURES)), y[:20])
    for task, (X, y) in DATA.items()
}
HELD["multilabel"] = HELD["multilabel"][0].round(), HELD["multilabel"][1]


def fitted(task: str, *, validation: Any = None, weight: Any = None, **options: Any) -> Any:
    ours = own(task).set_params(**QUICK | options)
    return quiet(ours.fit, *DATA[task], sample_weight=weight, validation_data=validation)


# -- solvers and schedules -------------------------------------------------------------------------

SOLVERS: dict[str, tuple[Any, dict[str, Any], dr.optimizers.Optimizer]] = {
    # what the estimator is given; the same for dr.train
    "adamw": ("adamw", {"beta_1": 0.8}, dr.AdamW(0.01, beta_1=0.8)),
    "rmsprop": ("rmsprop", {"epsilon": 1e-4}, dr.RMSprop(0.01, epsilon=1e-4)),
    "adagrad": ("adagrad", {"epsilon": 1e-4}, dr.Adagrad(0.01, epsilon=1e-4)),
    "sgd": ("sgd", {"momentum": 0.5}, dr.SGD(0.01, momentum=0.5, nesterov=True)),
    "a record": (dr.Adam(0.05, beta_2=0.99), {}, dr.Adam(0.05, beta_2=0.99)),
    "a record of AdamW": (dr.AdamW(0.02, weight_decay=0.3), {}, dr.AdamW(0.02, weight_decay=0.3)),
    "a record of L-BFGS": (dr.LBFGS(memory=3), {}, dr.LBFGS(memory=3)),
}
SCHEDULES: dict[str, tuple[Any, Any]] = {
    "constant": ("constant", None),
    "step": (dr.Step(every=2, gamma=0.5), dr.Step(every=2, gamma=0.5)),
    "cosine": ("cosine", "cosine"),
    "one_cycle": ("one_cycle", "one_cycle"),
    "warmup": ("warmup", "warmup"),
    "function": (lambda epoch: 1 / (1 + epoch), lambda epoch: 1 / (1 + epoch)),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_training_is_that_of_the_core(solver: str, schedule: str, task: str) -> None:
    """dr.train, from the same start, takes the same steps."""
    given, options, rule = SOLVERS[solver]
    if isinstance(rule, dr.LBFGS) and schedule != "constant":
        return  # refused: see test_errors.py
    X, y = DATA[task]
    common: dict[str, Any] = {"alpha": 0.0, "shuffle": False, "tol": 0.0}
    net = fitted(task, solver=dr.SGD(1e-300), max_iter=1, **common).network_.copy()
    ours = fitted(
        task, solver=given, learning_rate=SCHEDULES[schedule][0], learning_rate_init=0.01,
        batch_size="auto" if isinstance(rule, dr.LBFGS) else 20, **common | options,
    )  # fmt: skip
    history = dr.train(
        net, X, y, epochs=6, optimizer=rule, schedule=SCHEDULES[schedule][1], shuffle=False,
        batch_size="full" if isinstance(rule, dr.LBFGS) else 20, validation=None,
    )  # fmt: skip
    np.testing.assert_allclose(theta(ours), theta_of(net), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.history_.loss, history.loss, rtol=1e-8)
    np.testing.assert_allclose(ours.history_.learning_rate, history.learning_rate, rtol=1e-12)
    assert len(ours.history_.gradient_norms) == len(ours.history_.seconds) == 6


def theta_of(net: dr.Network) -> Any:
    return np.concatenate([part.ravel() for part in [*net.weights, *net.biases]])


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "warmup"])
def test_a_schedule_goes_on_through_calls_of_partial_fit(schedule: str) -> None:
    """max_iter calls are what it plans for."""
    whole = fitted("regression", learning_rate=schedule, shuffle=False, tol=0.0)
    parts = dr.MLPRegressor(**QUICK, learning_rate=schedule, shuffle=False)
    for _ in range(6):
        parts.partial_fit(*DATA["regression"])
    np.testing.assert_allclose(parts.history_.learning_rate, whole.history_.learning_rate)
    np.testing.assert_array_equal(theta(parts), theta(whole))


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_sgd_schedules_of_theirs_are_recorded(call: str) -> None:
    ours = dr.MLPRegressor(**QUICK, solver="sgd", learning_rate="invscaling", power_t=0.3)
    if call == "fit":
        quiet(ours.fit, *DATA["regression"])
    else:
        for _ in range(6):
            ours.partial_fit(*DATA["regression"])
    seen = N * np.arange(6)
    expected = np.where(seen == 0, 1.0, 1.0 / (seen + 1) ** 0.3) * 0.001
    np.testing.assert_allclose(ours.history_.learning_rate, expected)


# -- early stopping --------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_validation_data_takes_the_place_of_a_split(task: str) -> None:
    X_held, y_held = HELD[task]
    ours = fitted(task, validation=(X_held, y_held), weight=WEIGHT)
    plain = fitted(task, weight=WEIGHT)
    np.testing.assert_array_equal(ours.loss_curve_, plain.loss_curve_)  # trained on all rows
    scores = [fitted(task, weight=WEIGHT, max_iter=e + 1).score(X_held, y_held) for e in range(6)]
    np.testing.assert_allclose(ours.validation_scores_, scores, rtol=1e-12)
    assert ours.best_validation_score_ == max(ours.validation_scores_)
    assert ours.score(X_held, y_held) == pytest.approx(ours.best_validation_score_)
    best = fitted(task, weight=WEIGHT, max_iter=int(np.argmax(scores)) + 1)
    np.testing.assert_array_equal(theta(ours), theta(best))
    again = fitted(task, validation=(X_held, y_held), weight=WEIGHT, early_stopping=True)
    np.testing.assert_array_equal(theta(again), theta(ours))


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_validation_rows_may_have_weights(task: str) -> None:
    X_held, y_held = HELD[task]
    weight = np.r_[np.zeros(10), np.ones(10)]
    ours = fitted(task, validation=(X_held, y_held, weight))
    half = fitted(task, validation=(X_held[10:], y_held[10:]))
    np.testing.assert_allclose(ours.validation_scores_, half.validation_scores_)


def test_validation_data_may_be_frames() -> None:
    X, y = DATA["text labels"]
    names = list("vwxyz")
    held = pd.DataFrame(HELD["text labels"][0], columns=names), pd.Series(HELD["text labels"][1])
    ours = quiet(
        dr.MLPClassifier(**QUICK).fit, pd.DataFrame(X, columns=names), y, validation_data=held
    )
    plain = fitted("text labels", validation=HELD["text labels"])
    assert ours.validation_scores_ == plain.validation_scores_


def test_training_stops_when_the_given_rows_say_so() -> None:
    options: dict[str, Any] = {"max_iter": 400, "n_iter_no_change": 5, "learning_rate_init": 0.05}
    ours = fitted("regression", validation=HELD["regression"], **options)
    assert ours.n_iter_ < 400
    assert ours.stopped_ == "early stopping"
    best = int(np.argmax(ours.validation_scores_))
    assert best < ours.n_iter_ - 5
    assert ours.score(*HELD["regression"]) == pytest.approx(ours.best_validation_score_)


@pytest.mark.parametrize("task", ["text labels", "regression"])
def test_partial_fit_watches_given_rows(task: str) -> None:
    """Call by call it is the same as fit; when patience ends, the best parameters are back."""
    options: dict[str, Any] = {"n_iter_no_change": 3, "learning_rate_init": 0.05, "shuffle": False}
    whole = fitted(task, validation=HELD[task], max_iter=300, **options)
    parts = own(task).set_params(**QUICK | options)
    known = {"classes": np.unique(DATA[task][1])} if task in CLASSIFICATION else {}
    calls = 0
    while getattr(parts, "stopped_", None) is None and calls < 300:
        parts.partial_fit(*DATA[task], **known, validation_data=HELD[task])
        calls += 1
    assert whole.stopped_ == parts.stopped_ == "early stopping"
    assert calls == whole.n_iter_
    assert parts.validation_scores_ == whole.validation_scores_
    np.testing.assert_array_equal(theta(parts), theta(whole))
    parts.partial_fit(*DATA[task], validation_data=HELD[task])  # and it may go on
    assert len(parts.validation_scores_) == calls + 1
    assert parts.stopped_ is None


def own_scorer(est: Any, X: Any, y: Any) -> float:
    return -float(np.abs(est.predict(X) - y).max())


SCORINGS: dict[str, tuple[str, Any, Any]] = {
    "accuracy": ("multiclass", "accuracy", lambda est, X, y: accuracy_score(y, est.predict(X))),
    "neg_log_loss": (
        "text labels", "neg_log_loss", lambda est, X, y: -log_loss(y, est.predict_proba(X)),
    ),
    "r2": ("regression of 3", "r2", lambda est, X, y: r2_score(y, est.predict(X))),
    "scorer": (
        "counts", make_scorer(mean_absolute_error, greater_is_better=False),
        lambda est, X, y: -mean_absolute_error(y, est.predict(X)),
    ),
    "function": ("regression", own_scorer, own_scorer),
}  # fmt: skip


@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("how", ["split", "given"])
def test_any_scorer_may_decide(scoring: str, how: str) -> None:
    task, given, oracle = SCORINGS[scoring]
    held = HELD[task] if how == "given" else None
    ours = fitted(task, scoring=given, early_stopping=True, validation=held)
    assert len(ours.validation_scores_) == 6
    if held is not None:
        scores = [oracle(fitted(task, max_iter=e + 1), *held) for e in range(6)]
        np.testing.assert_allclose(ours.validation_scores_, scores, rtol=1e-12)
    else:
        other = fitted(task, early_stopping=True)
        np.testing.assert_array_equal(ours.loss_curve_, other.loss_curve_)  # the same split
    assert ours.best_validation_score_ == max(ours.validation_scores_)


def weighted_scorer(est: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    return -float(np.average(np.abs(est.predict(X) - y), weights=sample_weight))


@pytest.mark.parametrize(("scoring", "weighs"), [
    ("neg_mean_squared_error", True), (weighted_scorer, True),
    (lambda est, X, y, **options: weighted_scorer(est, X, y, **options), True),
    ("neg_max_error", False), (own_scorer, False),
])  # fmt: skip
def test_weights_go_to_the_scorers_that_take_them(scoring: Any, weighs: bool) -> None:
    """A function (estimator, X, y) has no place for them: the rows count alike."""
    X_held, y_held = HELD["regression"]
    first = slice(10) if weighs else slice(20)
    weight = np.r_[np.ones(10), np.zeros(10)]
    ours = fitted("regression", scoring=scoring, validation=(X_held, y_held, weight))
    some = fitted("regression", scoring=scoring, validation=(X_held[first], y_held[first]))
    np.testing.assert_allclose(ours.validation_scores_, some.validation_scores_, rtol=1e-12)


def test_class_weights_beside_a_scorer_of_ones_own() -> None:
    options: dict[str, Any] = {"early_stopping": True, "class_weight": "balanced"}
    ours = fitted("multiclass", scoring=lambda *_: 0.5, **options)
    assert ours.validation_scores_ == [0.5] * 6


@pytest.mark.parametrize(("task", "scoring", "name"), [
    ("multiclass", None, "accuracy"), ("regression", None, "r2"),
    ("multiclass", "neg_log_loss", "neg_log_loss"), ("regression", own_scorer, "score"),
])  # fmt: skip
def test_the_history_holds_the_scores_and_the_epoch_that_is_kept(
    task: str, scoring: Any, name: str
) -> None:
    seen: list[float] = []
    ours = fitted(
        task, scoring=scoring, validation=HELD[task], max_iter=60, learning_rate_init=0.05,
        callbacks=lambda progress: seen.append(progress.history.metrics[name][-1]),
    )  # fmt: skip
    assert ours.history_.metrics == {name: ours.validation_scores_}
    assert seen == ours.validation_scores_  # a callback sees the epoch's own
    assert ours.history_.best_epoch == np.argmax(ours.validation_scores_) + 1
    assert ours.history_.plot().axes[1].get_title() == name
    assert fitted(task).history_.metrics == {}


def test_partial_fit_with_and_without_rows_to_score() -> None:
    ours = dr.MLPRegressor(**QUICK)
    for given in (None, HELD["regression"], None):
        ours.partial_fit(*DATA["regression"], validation_data=given)
    assert np.isnan(ours.history_.metrics["r2"]).tolist() == [True, False, True]
    ours.history_.plot()


def test_validation_labels_may_be_sparse() -> None:
    X_held, y_held = HELD["multilabel"]
    ours = fitted("multilabel", validation=(X_held, sp.csr_array(y_held)))
    plain = fitted("multilabel", validation=HELD["multilabel"])
    assert ours.validation_scores_ == plain.validation_scores_


def test_a_scorer_sees_rows_without_complaints_about_names() -> None:
    X, y = DATA["multiclass"]
    frame = pd.DataFrame(X, columns=list("vwxyz"))
    options: dict[str, Any] = {"early_stopping": True, "scoring": "neg_log_loss"}
    ours = quiet(dr.MLPClassifier(**QUICK, **options).fit, frame, y)
    assert list(ours.feature_names_in_) == list("vwxyz")


def test_a_column_of_validation_targets_is_one_output() -> None:
    X_held, y_held = HELD["regression"]
    ours = fitted("regression", validation=(X_held, y_held[:, None]))
    assert (
        ours.validation_scores_
        == fitted("regression", validation=(X_held, y_held)).validation_scores_
    )


# -- callbacks of the package ----------------------------------------------------------------------


class Watcher(dr.Callback):
    def __init__(self) -> None:
        self.batches, self.epochs, self.calls = 0, [], []

    def on_start(self, progress: dr.Progress) -> None:
        self.calls.append("start")

    def on_batch(self, progress: dr.Progress) -> None:
        self.batches += 1

    def on_epoch(self, progress: dr.Progress) -> None:
        self.epochs.append((progress.epoch, progress.epochs, progress.net.theta.copy()))

    def on_end(self, progress: dr.Progress) -> None:
        self.calls.append("end")


def test_callbacks_of_the_package() -> None:
    watcher, seen = Watcher(), []
    ours = fitted("multiclass", callbacks=[watcher, lambda p: seen.append(p.history.loss[-1])],
                  batch_size=10)  # fmt: skip
    assert watcher.calls == ["start", "end"]
    assert watcher.batches == 6 * 7
    assert [epoch for epoch, _, _ in watcher.epochs] == list(range(1, 7))
    np.testing.assert_array_equal(watcher.epochs[-1][2], ours.network_.theta)
    assert seen == ours.history_.loss
    alone = Watcher()
    fitted("multiclass", callbacks=alone)  # one is as good as a list of one
    assert alone.calls == ["start", "end"]
    np.testing.assert_array_equal(theta(ours), theta(fitted("multiclass", batch_size=10)))


def test_a_callback_may_stop_training() -> None:
    def enough(progress: dr.Progress) -> None:
        if progress.epoch == 3:
            progress.stop("three are enough")

    ours = own("regression").set_params(**QUICK, callbacks=enough)
    ours.fit(*DATA["regression"])  # without a warning that max_iter is too low
    assert ours.n_iter_ == 3
    assert ours.stopped_ == "three are enough"


# -- divergence ------------------------------------------------------------------------------------


def test_divergence_says_where() -> None:
    X, y = DATA["regression"]
    huge = dr.MLPRegressor(**QUICK | {"max_iter": 50}, solver="sgd", learning_rate_init=10.0)
    with pytest.raises(
        ValueError, match=r"^Solver produced non-finite parameter weights"
    ) as caught:
        huge.fit(X, 1e3 * y)
    error = caught.value
    assert isinstance(error, dr.DivergenceError)
    assert 1 <= error.epoch <= 50
    assert error.batch == 1
    assert error.layer in (1, 2)
    assert len(error.history) == error.epoch - 1
    for part in (f"epoch {error.epoch}", f"layer {error.layer}", "smaller learning rate"):
        assert part in str(error)
    assert "need to be preprocessed. The loss is not finite in" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, ValueError)
    assert (again.epoch, again.layer) == (error.epoch, error.layer)


def test_divergence_leaves_the_last_good_network() -> None:
    X, y = DATA["regression"]
    huge = dr.MLPRegressor(**QUICK | {"max_iter": 50}, solver="sgd", learning_rate_init=10.0)
    with pytest.raises(dr.DivergenceError):
        huge.fit(X, 1e3 * y)
    assert np.isfinite(theta(huge)).all()
    assert np.isfinite(huge.predict(X)).all()


def test_divergence_after_a_good_epoch_of_early_stopping() -> None:
    """As in scikit-learn the best is kept; a warning says what happened."""
    X, y = DATA["regression"]
    est = dr.MLPRegressor(**QUICK | {"max_iter": 50}, solver="sgd", early_stopping=True)
    est.set_params(learning_rate_init=5.0, activation="identity", n_iter_no_change=100)
    with pytest.warns(ConvergenceWarning, match=r"diverged.* layer [12] ") as caught:
        est.fit(X, 100 * y)
    assert len(caught) == 1
    assert est.stopped_ == est.history_.stopped == "diverged"
    assert len(est.validation_scores_) == len(est.loss_curve_) == est.n_iter_ < 50
    assert np.isnan(est.validation_scores_[-1])
    assert np.isfinite(theta(est)).all()
    assert est.best_validation_score_ == np.nanmax(est.validation_scores_)


# -- Ctrl-C ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_ctrl_c_keeps_what_is_trained(solver: str) -> None:
    def press(progress: dr.Progress) -> None:
        if progress.epoch == 3:
            signal.raise_signal(signal.SIGINT)

    ours = own("regression").set_params(**QUICK | {"max_iter": 500}, solver=solver, callbacks=press)
    with pytest.warns(UserWarning, match="Training interrupted by user") as caught:
        ours.fit(*DATA["regression"])
    assert len(caught) == 1
    assert ours.stopped_ == "interrupted"
    short = fitted("regression", max_iter=3, solver=solver)
    assert ours.n_iter_ == 3
    np.testing.assert_array_equal(theta(ours), theta(short))


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to send there")
def test_ctrl_c_ends_every_network_of_an_ensemble() -> None:
    pressed = itertools.count()

    def press(progress: dr.Progress) -> None:
        if progress.epoch == 20 and next(pressed) == 0:  # a second one would end the program
            os.kill(os.getpid(), signal.SIGINT)  # to the main thread, as the terminal's

    ours = own("regression").set_params(**QUICK | {"max_iter": 10**5}, tol=0.0, callbacks=press)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        ours.set_params(n_ensemble=2, n_iter_no_change=10**6, n_jobs=2).fit(*DATA["regression"])
    assert ours.stopped_ == "interrupted"
    assert len(ours.networks_) == 2


# -- one call after another ------------------------------------------------------------------------


def test_solvers_may_change_from_call_to_call() -> None:
    X, y = DATA["regression"]
    ours = fitted("regression", solver="lbfgs", warm_start=True)
    assert not hasattr(ours, "loss_curve_")
    quiet(ours.set_params(solver="adam").fit, X, y)
    assert len(ours.loss_curve_) == 6
    ours.set_params(solver="sgd")
    before = theta(ours)
    gradient = dr.backward(ours.network_, X, y)
    ours.set_params(momentum=0.0, learning_rate_init=0.1, alpha=0.0, batch_size=N).partial_fit(X, y)
    by_hand = ours.network_.copy()
    by_hand.theta = 0.1 * gradient.theta
    np.testing.assert_allclose(before - theta(ours), theta_of(by_hand), rtol=1e-8, atol=1e-12)
    ours.set_params(learning_rate_init=1e9).partial_fit(X, y)  # the optimizer goes on with its rate
    assert ours.history_.learning_rate[-1] == 0.1
