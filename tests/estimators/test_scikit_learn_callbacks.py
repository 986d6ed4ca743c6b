"""scikit-learn's callbacks (from its version 1.9 on): each epoch is a subtask of the fit."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import deltarule as dr
from support.estimator_cases import DATA, WEIGHT, own, quiet, theta

callback = pytest.importorskip("sklearn.callback", reason="this scikit-learn has no callbacks")

QUICK: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}


class Recorder:
    """Writes down every call; stops after a number of epochs, or fails, if told to."""

    def __init__(self, stop_after: int | None = None, fail_at: str | None = None) -> None:
        self.stop_after, self.fail_at = stop_after, fail_at
        self.seen: list[tuple[str, Any, dict[str, Any]]] = []

    def note(self, hook: str, context: Any, **told: Any) -> None:
        self.seen.append((hook, context, told))
        if hook == self.fail_at:
            raise RuntimeError(f"the callback fails at {hook}")

    def names(self) -> list[str]:
        return [hook for hook, _, _ in self.seen]

    def setup(self, estimator: Any, context: Any) -> None:
        self.note("setup", context, estimator=estimator)

    def teardown(self, estimator: Any, context: Any) -> None:
        self.note("teardown", context)

    def on_fit_task_begin(self, estimator: Any, context: Any, *, X: Any = None) -> None:
        self.note("begin", context, X=X)

    def on_fit_task_end(
        self,
        estimator: Any,
        context: Any,
        *,
        X: Any = None,
        y: Any = None,
        metadata: Any = None,
        fitted_estimator: Any = None,
    ) -> bool:
        self.note("end", context, X=X, y=y, metadata=metadata, fitted=fitted_estimator)
        return self.stop_after is not None and context.task_id + 1 >= self.stop_after


class Spreading(Recorder):
    """A Recorder that meta-estimators hand on to what they fit."""

    max_propagation_depth = None


def epochs(recorder: Recorder, hook: str = "end") -> list[Any]:
    """What was told at each epoch."""
    leaves = [(context, told) for name, context, told in recorder.seen if name == hook]
    return [(context, told) for context, told in leaves if context.task_name.startswith("epoch")]


@pytest.mark.parametrize("task", ["multiclass", "regression"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_every_epoch_is_a_task(task: str, solver: str) -> None:
    recorder = Recorder()
    X, y = DATA[task]
    ours = own(task)
    ours.set_params(**QUICK, solver=solver).set_callbacks(recorder)
    quiet(ours.fit, X, y, sample_weight=WEIGHT)
    assert recorder.names() == ["setup", "begin", *["begin", "end"] * 5, "end", "teardown"]
    root = recorder.seen[1][1]
    assert (root.task_name, root.max_subtasks, root.parent) == ("fit", 5, None)
    assert root.estimator_name == type(ours).__name__
    assert [context.task_id for context, _ in epochs(recorder)] == list(range(5))
    assert all(context.parent is root for context, _ in epochs(recorder))
    for _, told in epochs(recorder):
        np.testing.assert_array_equal(told["X"], X)
        np.testing.assert_array_equal(told["y"], y)
        np.testing.assert_array_equal(told["metadata"]["sample_weight"], WEIGHT)
    assert not hasattr(ours, "_callback_fit_ctx")


@pytest.mark.parametrize("task", ["text labels", "regression of 3"])
def test_the_estimator_of_an_epoch_is_one_that_stopped_there(task: str) -> None:
    recorder = Recorder()
    X, y = DATA[task]
    ours = own(task)
    quiet(ours.set_params(**QUICK).set_callbacks(recorder).fit, X, y)
    for context, told in epochs(recorder):
        alone = clone(ours).set_params(max_iter=context.task_id + 1).set_callbacks()
        quiet(alone.fit, X, y)
        np.testing.assert_array_equal(theta(told["fitted"]), theta(alone))
        np.testing.assert_array_equal(told["fitted"].predict(X), alone.predict(X))
        told["fitted"].coefs_[0][:] = 0  # its own parameters: the fit goes on unharmed
    undisturbed = quiet(clone(ours).set_callbacks().fit, X, y)
    np.testing.assert_array_equal(theta(ours), theta(undisturbed))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_may_stop_training(solver: str) -> None:
    X, y = DATA["binary"]
    recorder = Recorder(stop_after=3)
    ours = dr.MLPClassifier(**QUICK, solver=solver).set_callbacks(recorder)
    ours.fit(X, y)  # and there is no warning that max_iter is too low
    assert ours.n_iter_ == len(epochs(recorder)) == 3
    assert ours.stopped_ == "callback"
    short = quiet(dr.MLPClassifier(**QUICK | {"max_iter": 3}, solver=solver).fit, X, y)
    np.testing.assert_array_equal(theta(ours), theta(short))


def test_ours_and_theirs_stop_alike() -> None:
    """Both kinds of callbacks, and early stopping, in one fit."""
    X, y = DATA["multiclass"]
    recorder, seen = Recorder(), []
    ours = dr.MLPClassifier(**QUICK, early_stopping=True, callbacks=lambda p: seen.append(p.epoch))
    ours.set_params(tol=10, n_iter_no_change=1, max_iter=50).set_callbacks(recorder).fit(X, y)
    assert seen == list(range(1, ours.n_iter_ + 1))
    assert len(epochs(recorder)) == ours.n_iter_ < 5
    assert recorder.names()[-2:] == ["end", "teardown"]


@pytest.mark.parametrize("hook", ["begin", "end"])
def test_a_callback_that_fails_is_torn_down(hook: str) -> None:
    recorder = Recorder(fail_at=hook)
    ours = dr.MLPRegressor(**QUICK).set_callbacks(recorder)
    with pytest.raises(RuntimeError, match=f"fails at {hook}"):
        ours.fit(*DATA["regression"])
    assert recorder.names().count("teardown") == 1
    recorder.fail_at = None
    quiet(ours.fit, *DATA["regression"])  # and the estimator is as good as new
    assert recorder.names().count("teardown") == 2


def test_a_score_of_every_epoch() -> None:
    X, y = DATA["multiclass"]
    monitor = callback.ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    quiet(dr.MLPClassifier(**QUICK).set_callbacks(monitor).fit, X, y)
    log = monitor.get_logs().data
    rows = [row for row in log if len(row["task_id_path"]) == 2]
    assert len(rows) == 5
    for row in rows:
        alone = quiet(dr.MLPClassifier(**QUICK | {"max_iter": row["task_id"] + 1}).fit, X, y)
        assert row["accuracy"] == alone.score(X, y)
        assert row["neg_log_loss"] == pytest.approx(-log_loss(y, alone.predict_proba(X)))
    whole = [row for row in log if len(row["task_id_path"]) == 1]
    assert [one["accuracy"] for one in whole] == [rows[-1]["accuracy"]]


def test_their_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = DATA["multiclass"]
    search = GridSearchCV(dr.MLPClassifier(**QUICK), {"alpha": [0.1, 1.0]}, cv=2)
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None))
    quiet(search.fit, X, y)
    shown = capsys.readouterr().out
    assert "GridSearchCV" in shown
    assert "MLPClassifier" in shown
    quiet(dr.MLPRegressor(**QUICK).set_callbacks(callback.ProgressBar()).fit, X, y)
    assert "MLPRegressor" in capsys.readouterr().out


def test_callbacks_are_handed_on_by_meta_estimators() -> None:
    X, y = DATA["multiclass"]
    recorder = Spreading()
    pipe = make_pipeline(StandardScaler(), dr.MLPClassifier(**QUICK))
    pipe[0].set_callbacks() if hasattr(pipe[0], "set_callbacks") else None
    search = GridSearchCV(dr.MLPClassifier(**QUICK), {"alpha": [0.1, 1.0]}, cv=2)
    search.set_callbacks(recorder)
    quiet(search.fit, X, y)
    inside = [
        context for context, told in epochs(recorder) if context.estimator_name == "MLPClassifier"
    ]
    assert len(inside) == (2 * 2 + 1) * 5  # each candidate on each fold, and the refit
    assert len({context.root_uuid for context in inside}) == 1
    assert recorder.names().count("setup") == recorder.names().count("teardown") == 1
    assert not hasattr(search.best_estimator_, "_parent_callback_ctx")


def test_partial_fit_is_a_fit_of_one_epoch() -> None:
    recorder = Recorder()
    ours = dr.MLPRegressor(**QUICK).set_callbacks(recorder)
    for _ in range(3):
        ours.partial_fit(*DATA["regression"])
    assert recorder.names() == ["setup", "begin", "begin", "end", "end", "teardown"] * 3


def test_each_network_of_an_ensemble_is_a_task() -> None:
    X, y = DATA["multiclass"]
    recorder, monitor = Recorder(), callback.ScoringMonitor(scoring="accuracy")
    ours = dr.MLPClassifier(**QUICK, n_ensemble=3).set_callbacks(recorder, monitor)
    quiet(ours.fit, X, y)
    assert recorder.names() == ["setup", "begin", *["begin", "end"] * 3, "end", "teardown"]
    assert [context.task_name for _, context, _ in recorder.seen[2:-2:2]] == [
        "network 1", "network 2", "network 3",
    ]  # fmt: skip
    log = monitor.get_logs().data
    assert [row["accuracy"] for row in log] == [ours.score(X, y)]
    silent = quiet(clone(ours).set_callbacks().fit, X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), silent.predict_proba(X))


def test_only_callbacks_can_be_set() -> None:
    with pytest.raises(TypeError, match="FitCallback"):
        dr.MLPRegressor().set_callbacks(print)
    assert "callbacks" not in inspect.signature(dr.MLPRegressor.fit).parameters


def test_theirs_in_the_parameter_callbacks_says_where_they_go() -> None:
    est = dr.MLPClassifier(**QUICK, callbacks=[callback.ProgressBar()])
    with pytest.raises(ValueError, match=r"ProgressBar is a callback of scikit-learn: .*set_callb"):
        est.fit(*DATA["multiclass"])
