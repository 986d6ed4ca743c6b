"""L-BFGS against scikit-learn's, step for step, and its options."""

from __future__ import annotations

import inspect
import itertools
import signal
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

import deltarule as dr
from deltarule.engines import Run, get_engine
from deltarule.engines.reference import ReferenceEngine
from deltarule.equations.schedules import Schedule
from deltarule.network.data import check_targets
from deltarule.training.callbacks import as_callbacks
from deltarule.training.lbfgs import minimize_lbfgs
from deltarule.training.loop import Loop


def scikit_learns_start(sizes: list[int], seed: int, activation: str) -> list[np.ndarray]:
    """The initial weights and biases of its MLP, drawn as it draws them."""
    rng, parts = np.random.RandomState(seed), []  # as theirs
    for n_in, n_out in itertools.pairwise(sizes):
        bound = np.sqrt((2 if activation == "logistic" else 6) / (n_in + n_out))
        W, b = rng.uniform(-bound, bound, (n_in, n_out)), rng.uniform(-bound, bound, n_out)
        parts += [b, W.ravel()]
    return parts


def loop_of(net: dr.Network, X: Any, y: Any, rule: dr.LBFGS, epochs: int, **options: Any) -> Loop:
    """A loop of L-BFGS over all rows, whose run keeps its objective."""
    Y = check_targets(net.loss, y, len(X), net.sizes[-1], net.dtype)
    weight = options.pop("sample_weight", None)
    run = Run(
        net.spec, net.theta, X, Y, weight, len(X), rule, {}, objective=np.full(1, np.nan), **options
    )
    return Loop(
        net=net, run=run, engine=get_engine("auto", net.spec), epochs=epochs, schedule=Schedule(),
        held=None, best=None, callbacks=[], order=lambda epoch: np.arange(len(X)), show=False,
        descend=minimize_lbfgs,
    )  # fmt: skip


CASES = {
    "diabetes": (load_diabetes, MLPRegressor, "squared_error", 1),
    "cancer": (load_breast_cancer, MLPClassifier, "log_loss", 1),
    "iris": (load_iris, MLPClassifier, "cross_entropy", 3),
}


@pytest.mark.parametrize("activation", ["tanh", "logistic"])
@pytest.mark.parametrize("case", CASES)
def test_the_same_path_as_scikit_learn(case: str, activation: str) -> None:
    load, model, loss, outputs = CASES[case]
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    y = (y - y.mean()) / y.std() if case == "diabetes" else y
    alpha, n, steps = 0.5, len(X), 8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = model(
            hidden_layer_sizes=(7,), activation=activation, solver="lbfgs", alpha=alpha,
            max_iter=steps, random_state=3, tol=0,
        ).fit(X, y)  # fmt: skip
    sizes = [X.shape[1], 7, outputs]
    net = dr.Network(sizes, activation, loss)
    net.theta = np.concatenate(scikit_learns_start(sizes, 3, activation))
    rule = dr.LBFGS(gradient_tolerance=0)
    history = dr.train(
        net, X, y, epochs=steps, optimizer=rule, batch_size="full", l2=alpha / n, validation=None
    )
    assert len(history) == steps
    for W, b, W_sk, b_sk in zip(
        net.weights, net.biases, theirs.coefs_, theirs.intercepts_, strict=True
    ):
        np.testing.assert_allclose(W, W_sk, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(b, b_sk, rtol=1e-6, atol=1e-8)
    penalty = 0.5 * alpha / n * sum(float((W**2).sum()) for W in net.weights)
    assert history.loss[-1] + penalty == pytest.approx(theirs.loss_, rel=1e-9)


def test_the_minimum_of_a_convex_loss_is_reached_and_said_so() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    net = dr.Network([30, 1], loss="log_loss", rng=0)
    history = dr.train(net, X, y, epochs=500, optimizer="lbfgs", l2=1e-2, validation=None)
    assert history.stopped == "converged"
    assert len(history) < 500
    gradient = dr.backward(net, X, y)
    total = gradient.weights[0] + 1e-2 * net.weights[0]
    assert np.abs(total).max() <= 1e-5
    assert np.abs(gradient.biases[0]).max() <= 1e-5


def test_one_epoch_is_one_iteration_and_is_recorded() -> None:
    X, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    net, seen = dr.Network([10, 5, 1], "tanh", rng=0), []

    def look(progress: dr.Progress) -> None:
        seen.append((progress.epoch, dr.backward(progress.net, X, y)))

    history = dr.train(net, X, y, epochs=6, optimizer="lbfgs", validation=(X, y), callbacks=[look])
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(history.loss, [g.loss for _, g in seen], rtol=1e-12)
    np.testing.assert_allclose(history.validation_loss, history.loss, rtol=1e-12)
    norms = [
        [np.hypot(np.linalg.norm(W), np.linalg.norm(b)) for W, b in zip(g.weights, g.biases)]  # noqa: B905
        for _, g in seen
    ]
    np.testing.assert_allclose(history.gradient_norms, norms, rtol=1e-9)
    assert (np.diff(history.loss) < 0).all()


def test_sparse_and_weights() -> None:
    X, y = load_iris(return_X_y=True)
    w = np.random.default_rng(0).integers(0, 4, len(X))
    results = []
    for A, b, weight in (
        (X, y, w),
        (sparse.csr_array(X), y, w),
        (np.repeat(X, w, axis=0), np.repeat(y, w), None),
    ):
        net = dr.Network([4, 5, 3], "tanh", "cross_entropy", rng=0)
        dr.train(
            net, A, b, epochs=5, optimizer="lbfgs", sample_weight=weight, validation=None, l1=1e-4
        )
        results.append(net.theta)
    for theta in results[1:]:
        np.testing.assert_allclose(theta, results[0], rtol=1e-7, atol=1e-9)


def test_early_stopping_callbacks_and_evaluations_end_it() -> None:
    X, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()

    def run(optimizer: Any = "lbfgs", **options: Any) -> dr.History:
        net = dr.Network([10, 50, 1], "tanh", rng=0)
        return dr.train(net, X, y, epochs=300, optimizer=optimizer, **options)

    stopped = run(validation=0.3, early_stopping=3)
    assert stopped.stopped == "early stopping"
    assert len(stopped) == stopped.best_epoch + 3
    assert run(callbacks=lambda p: p.stop("enough")).stopped == "enough"
    few = run(dr.LBFGS(max_evaluations=5))
    assert few.stopped == "max_evaluations"
    assert len(few) < 6


def test_a_standstill_is_not_called_convergence() -> None:
    """A slope of 1e-3 on a loss of 1e20: no step changes the loss, yet the gradient is large."""
    net = dr.Network([1, 1], loss="absolute_error", bias=False, initializer="zeros", rng=0)
    history = dr.train(
        net, [[1e-3]], [[1e20]], epochs=9, batch_size="full", optimizer="lbfgs", validation=None
    )
    assert history.stopped == "no further decrease"
    assert np.isfinite(net.theta).all()


def test_a_small_decrease_ends_it_where_scipy_would() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    lengths = []
    for tolerance in (0.0, 1e-9, 1e-6, 1e-3):
        net = dr.Network([30, 4, 1], "tanh", "log_loss", rng=0)
        rule = dr.LBFGS(gradient_tolerance=1e-12, loss_tolerance=tolerance)
        loop = loop_of(net, X, y, rule, 300, l2=1e-3)
        objectives: list[float] = []
        loop.callbacks = as_callbacks(
            lambda _, run=loop.run, kept=objectives: kept.append(float(run.objective[0]))
        )
        history = loop.run_all()
        lengths.append(len(history))
        if tolerance > 0:
            assert history.stopped == "converged"
            falls = -np.diff(objectives)
            assert falls[-1] <= tolerance < falls[:-1].min()  # all objectives are below 1
    assert len(set(lengths)) == 4
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("case", CASES)
def test_penalties_per_sample_are_scikit_learns(case: str) -> None:
    load, model, loss, outputs = CASES[case]
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    y = (y - y.mean()) / y.std() if case == "diabetes" else y
    w = np.random.default_rng(1).uniform(0, 2, len(X))
    if "sample_weight" not in inspect.signature(model.fit).parameters:  # before scikit-learn 1.7
        w = None
    given = {} if w is None else {"sample_weight": w}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = model(
            hidden_layer_sizes=(7,), activation="tanh", solver="lbfgs", alpha=0.5, max_iter=8,
            random_state=3, tol=0,
        ).fit(X, y, **given)  # fmt: skip
    sizes = [X.shape[1], 7, outputs]
    net = dr.Network(sizes, "tanh", loss)
    net.theta = np.concatenate(scikit_learns_start(sizes, 3, "tanh"))
    rule = dr.LBFGS(gradient_tolerance=0, loss_tolerance=2.2e-9)
    loop = loop_of(net, X, y, rule, 8, sample_weight=w, l2=0.5, penalties_per_sample=True)
    totals = []
    loop.callbacks = as_callbacks(lambda progress: totals.append(float(loop.run.objective[0])))
    loop.run_all()
    assert len(totals) == len(loop.history) == 8
    assert (np.diff(totals) < 0).all()
    assert totals[-1] == pytest.approx(theirs.loss_, rel=1e-9)
    for W, W_sk in zip(net.weights, theirs.coefs_, strict=True):
        np.testing.assert_allclose(W, W_sk, rtol=1e-6, atol=1e-8)


def test_the_objective_is_that_of_the_start_if_nothing_was_accepted() -> None:
    X, y = load_diabetes(return_X_y=True)
    net = dr.Network([10, 5, 1], "tanh", rng=0)
    rule = dr.LBFGS(gradient_tolerance=1e9)
    loop = loop_of(net, X, y, rule, 5, l2=0.5, penalties_per_sample=True)
    W = net.theta * net.layout.weight_mask()
    expected = dr.backward(net, X, y).loss + 0.25 * W @ W / len(X)
    assert len(loop.run_all()) == 0
    assert loop.run.objective[0] == pytest.approx(expected, rel=1e-14)


def test_float32_trains() -> None:
    X, y = load_iris(return_X_y=True)
    net = dr.Network([4, 8, 3], "tanh", "cross_entropy", dtype="float32", rng=0)
    history = dr.train(net, X, y, epochs=100, optimizer="lbfgs", validation=None, l2=1e-4)
    assert net.theta.dtype == np.float32
    assert history.loss[-1] < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": 0.1}, "no dropout"),
        ({"clip_norm": 1.0}, "no clip_norm"),
        ({"schedule": "cosine"}, "no schedule"),
        ({"checkpoint": "never-made"}, "no checkpoint"),
        ({"batch_size": 16}, "full batch: batch_size=16"),
        ({"learning_rate": 0.1}, "line search sets the step"),
    ],
)
def test_what_does_not_go_with_it(options: dict[str, Any], message: str) -> None:
    X, y = load_iris(return_X_y=True)
    net = dr.Network([4, 2, 3], loss="cross_entropy", rng=0)
    with pytest.raises(dr.SpecError, match=message):
        dr.train(net, X, y, epochs=2, optimizer="lbfgs", **options)


@pytest.mark.parametrize("evaluation", range(1, 16))
def test_ctrl_c_in_a_line_search_keeps_the_last_iterate(
    evaluation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the trial point at which it was pressed."""
    count, true_gradients = 0, ReferenceEngine.gradients

    def gradients(*args: Any) -> Any:
        nonlocal count
        count += 1
        if count == evaluation:
            signal.raise_signal(signal.SIGINT)
        return true_gradients(*args)

    monkeypatch.setattr(ReferenceEngine, "gradients", gradients)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3)) * [1, 10, 100]  # badly scaled: its searches take several trials
    net = dr.Network([3, 6, 1], "tanh", rng=0)
    iterates = [net.theta.copy()]
    history = dr.train(
        net, X, X.sum(1), epochs=50, optimizer="lbfgs", validation=None, engine="reference",
        callbacks=lambda progress: iterates.append(progress.net.theta.copy()),
    )  # fmt: skip
    assert history.stopped == "interrupted"
    assert len(history) == len(iterates) - 1
    assert net.theta.tobytes() == iterates[-1].tobytes()
