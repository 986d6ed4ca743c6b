"""Training against hand computation, scikit-learn and itself; what it refuses."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

import deltarule as dr

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = np.stack([np.tanh(X @ [1, -1, 0.5, 0]), X[:, 0] * X[:, 1]], axis=1)
PLAIN: dict[str, Any] = {"validation": None, "shuffle": False}


def network(**options: Any) -> dr.Network:
    return dr.Network([4, 5, 2], "tanh", rng=0, **options)


# -- batch, stochastic and mini-batch descent: one choice ---------------------------------------


@pytest.mark.parametrize("batch_size", ["full", 60, 1000])
def test_a_full_batch_step_is_the_hand_computation(batch_size: Any) -> None:
    net = network()
    W, b = [w.copy() for w in net.weights], [v.copy() for v in net.biases]
    z1 = X @ W[0] + b[0]
    a1 = np.tanh(z1)
    delta2 = a1 @ W[1] + b[1] - Y
    delta1 = (delta2 @ W[1].T) * (1 - np.tanh(z1) ** 2)
    history = dr.train(net, X, Y, epochs=1, batch_size=batch_size, optimizer=dr.SGD(0.5), **PLAIN)
    for l, (a, delta) in enumerate([(X, delta1), (a1, delta2)]):
        np.testing.assert_allclose(net.weights[l], W[l] - 0.5 * a.T @ delta / 60, rtol=1e-12)
        np.testing.assert_allclose(net.biases[l], b[l] - 0.5 * delta.mean(0), rtol=1e-12)
    assert history.loss == [pytest.approx(0.5 * (delta2**2).sum() / 60, rel=1e-12)]
    norms = [math.hypot(np.linalg.norm(a.T @ d), np.linalg.norm(d.sum(0))) / 60
             for a, d in ((X, delta1), (a1, delta2))]  # fmt: skip
    np.testing.assert_allclose(history.gradient_norms[0], norms, rtol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 7, 20, 60])
def test_an_epoch_is_one_step_after_the_other(batch_size: int) -> None:  # C1, C11, D6
    net, by_hand = network(), network()
    losses = []
    for start in range(0, 60, batch_size):
        rows = slice(start, start + batch_size)
        gradients = dr.backward(by_hand, X[rows], Y[rows])
        losses.append(gradients.loss * len(X[rows]))
        by_hand.theta = by_hand.theta - 0.1 * gradients.theta
    history = dr.train(net, X, Y, epochs=1, batch_size=batch_size, optimizer=dr.SGD(0.1), **PLAIN)
    np.testing.assert_allclose(net.theta, by_hand.theta, rtol=1e-13)
    assert history.loss[0] == pytest.approx(sum(losses) / 60, rel=1e-13)


def test_the_update_goes_against_the_gradient() -> None:  # B3
    """To first order the loss falls by the rate times the squared gradient."""
    net, rate = network(), 1e-5
    before = dr.backward(net, X, Y)
    dr.train(net, X, Y, epochs=1, batch_size="full", optimizer=dr.SGD(rate), **PLAIN)
    fall = before.loss - dr.backward(net, X, Y).loss
    assert fall == pytest.approx(rate * (before.theta**2).sum(), rel=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adam"])
def test_mini_batches_follow_scikit_learn(optimizer: str) -> None:
    """Its MLP with shuffle=False takes the same steps from the same start."""
    rate, alpha, batch, epochs = 0.01, 0.1, 20, 4
    extra = {} if optimizer == "adam" else {
        "momentum": 0.0 if optimizer == "sgd" else 0.9,
        "nesterovs_momentum": optimizer == "nesterov",
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs = MLPRegressor(
            hidden_layer_sizes=(5,), activation="tanh", alpha=alpha, batch_size=batch,
            solver="adam" if optimizer == "adam" else "sgd", learning_rate_init=rate,
            shuffle=False, tol=0, random_state=0, **extra,
        )  # fmt: skip
        theirs.partial_fit(X, Y)  # makes weights and a solver, both replaced here
        net = network()
        parts = zip(net.weights, net.biases, strict=True)
        theirs.coefs_, theirs.intercepts_ = map(
            list, zip(*[(W.copy(), b.copy()) for W, b in parts], strict=True)
        )
        del theirs._optimizer
        for _ in range(epochs):
            theirs.partial_fit(X, Y)
    ours: Any = "adam" if optimizer == "adam" else dr.SGD(
        rate, momentum=extra["momentum"], nesterov=bool(extra["nesterovs_momentum"])
    )  # fmt: skip
    # 60 rows are 3 equal batches, and its penalty is alpha / (2 rows of the batch)
    options: dict[str, Any] = {"optimizer": ours, "learning_rate": rate, "l2": alpha / batch}
    dr.train(net, X, Y, epochs=epochs, batch_size=batch, **options, **PLAIN)
    for l in range(2):
        np.testing.assert_allclose(net.weights[l], theirs.coefs_[l], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(net.biases[l], theirs.intercepts_[l], rtol=1e-6, atol=1e-9)


# -- it learns --------------------------------------------------------------------------------

SETS = {
    "diabetes": (load_diabetes, "squared_error", 1),
    "cancer": (load_breast_cancer, "log_loss", 1),
    "digits": (load_digits, "cross_entropy", 10),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    "optimizer",
    [
        dr.SGD(0.1),
        dr.SGD(0.02, momentum=0.9),
        dr.SGD(0.02, momentum=0.9, nesterov=True),
        "adagrad",
        "rmsprop",
        "adam",
        "adamw",
        "lbfgs",
    ],
    ids=["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "lbfgs"],
)
def test_every_optimizer_learns_real_data(name: str, optimizer: Any) -> None:
    load, loss, outputs = SETS[name]
    A, b = load(return_X_y=True)
    A = (A - A.mean(0)) / (A.std(0) + 1e-9)
    b = (b - b.mean()) / b.std() if name == "diabetes" else b
    net = dr.Network([A.shape[1], 20, outputs], "relu", loss, rng=0)
    before = dr.backward(net, A, b).loss
    rate = None if optimizer not in ("adam", "adamw", "rmsprop") else 0.003
    dr.train(net, A, b, epochs=15, optimizer=optimizer, learning_rate=rate, validation=None)
    after = dr.backward(net, A, b).loss
    assert after < before * (0.75 if name == "diabetes" else 0.3)


def test_digits_are_told_apart() -> None:
    A, b = load_digits(return_X_y=True)
    net = dr.Network([64, 64, 10], "relu", "cross_entropy", rng=0)
    history = dr.train(net, A / 16, b, epochs=30, validation=0.2, early_stopping=5)
    assert history.best_epoch is not None
    assert history.metrics["accuracy"][history.best_epoch - 1] > 0.96


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_xor_is_learned(seed: int, dtype: str) -> None:
    """What one layer cannot do."""
    A, b = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    net = dr.Network([2, 8, 1], "tanh", "log_loss", rng=seed, dtype=dtype)
    dr.train(net, A, b, epochs=400, batch_size=1, learning_rate=0.02, validation=None)
    np.testing.assert_array_equal(net.predict(A)[:, 0] > 0.5, b)
    assert net.theta.dtype == dtype


def test_momentum_leaves_a_poor_minimum() -> None:  # C15
    """Along a valley with a dent, momentum carries over where plain descent stays."""
    dent = dr.Loss(
        "dented",
        lambda o, y: (0.05 * (o - y) ** 2 - 0.2 * np.exp(-8 * (o + 2) ** 2)).sum(-1),
        lambda o, y: 0.1 * (o - y) + 3.2 * (o + 2) * np.exp(-8 * (o + 2) ** 2),
    )
    ends = []
    for momentum in (0.0, 0.95):
        net = dr.Network([1, 1], loss=dent, bias=False, rng=0)
        net.theta = [-4.0]
        rule = dr.SGD(0.05, momentum=momentum)
        dr.train(net, [[1.0]], [[0.0]], epochs=1500, batch_size=1, optimizer=rule, **PLAIN)
        ends.append(float(net.theta[0]))
    assert ends[0] == pytest.approx(-1.95, abs=0.1)
    assert ends[1] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_hundred_layers_train(dtype: str) -> None:  # A6
    """And the history says what happens to the gradient on the way."""
    net = dr.Network([4, *[10] * 99, 2], "tanh", dtype=dtype, rng=0)
    history = dr.train(net, X, Y, epochs=1)
    assert len(history.gradient_norms[0]) == 100
    assert np.isfinite(net.theta).all()
    assert all(math.isfinite(norm) for norm in history.gradient_norms[0])


def test_float32_follows_float64() -> None:
    losses = [
        dr.train(network(dtype=dtype), X, Y, epochs=5).loss for dtype in ("float32", "float64")
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


# -- schedules and rates ----------------------------------------------------------------------


def test_the_rate_is_the_optimizers_times_the_schedules_factor() -> None:
    history = dr.train(
        network(), X, Y, epochs=4, learning_rate=0.2, schedule=lambda epoch: 0.5**epoch
    )
    assert history.learning_rate == [0.2, 0.1, 0.05, 0.025]


def test_every_step_has_its_own_rate() -> None:
    net, by_hand, schedule = network(), network(), dr.InvScaling(power=0.7)
    for step, start in enumerate(range(0, 60, 20)):
        rows = slice(start, start + 20)
        rate = 0.3 / (step + 1) ** 0.7
        by_hand.theta = by_hand.theta - rate * dr.backward(by_hand, X[rows], Y[rows]).theta
    options: dict[str, Any] = {"optimizer": dr.SGD(0.3), "batch_size": 20, "schedule": schedule}
    history = dr.train(net, X, Y, epochs=1, **options, **PLAIN)
    np.testing.assert_allclose(net.theta, by_hand.theta, rtol=1e-13)
    assert history.learning_rate[0] == pytest.approx(0.3 / 3**0.7, rel=1e-14)


def test_adaptive_follows_the_training_loss() -> None:
    schedule = dr.Adaptive(factor=0.5, patience=1, tol=1e9)  # nothing is an improvement of 1e9
    history = dr.train(network(), X, Y, epochs=4, learning_rate=0.1, schedule=schedule)
    assert history.learning_rate == [0.1, 0.1, 0.05, 0.025]


def with_one(A: np.ndarray, row: int, column: int, value: float) -> np.ndarray:
    A = A.copy()
    A[row, column] = value
    return A


# -- options that are refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number >= 1, got 0"),
        ({"epochs": 2.0}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"batch_size": "half"}, 'or "full", got .half'),
        ({"batch_size": None}, "batch_size"),
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
        ({"optimizer": 3}, "optimizer must be"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"schedule": "cosin"}, "Did you mean 'cosine'"),
        ({"l2": -1}, "l2 must be a finite number >= 0, got -1"),
        ({"l2": math.nan}, "l2"),
        ({"l2": None}, "l2"),
        ({"l1": math.inf}, "l1"),
        ({"l1": "much"}, "l1"),
        ({"dropout": 1}, "dropout must be"),
        ({"dropout": -0.1}, "dropout must be"),
        ({"dropout": None}, "dropout must be"),
        ({"dropout": "0.5"}, "dropout"),
        ({"dropout": [0.1]}, "1 rates, but 2 layers have inputs"),
        ({"dropout": [0.1, 1.0]}, "dropout of a_1 must be"),
        ({"clip_norm": 0}, "clip_norm"),
        ({"clip_norm": "x"}, "clip_norm"),
        ({"clip_norm": math.inf}, "clip_norm"),
        ({"engine": "referense"}, "Did you mean 'reference'"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    net = network()
    before = net.theta.copy()
    with pytest.raises(dr.SpecError, match=message):
        dr.train(net, X, Y, **({"epochs": 1} | options))
    np.testing.assert_array_equal(net.theta, before)


@pytest.mark.parametrize(
    ("A", "b", "message"),
    [
        (X[:, :3], Y, "X has 3 columns, but the network has 4 inputs"),
        (X[0], Y, "one-dimensional"),
        (X, Y[:, :1], r"Y has shape \(60, 1\)"),
        (X, Y[:5], r"Y has shape \(5, 2\), but there are 60 samples"),
        (X[:0], Y[:0], "no rows"),
        (with_one(X, 3, 2, np.nan), Y, "X holds NaN at row 3, column 2"),
        (X, with_one(Y, 9, 1, np.inf), "Y holds infinity at row 9, column 1"),
        ([["a"] * 4] * 60, Y, "holds 'a'"),
    ],
)
def test_bad_data(A: Any, b: Any, message: str) -> None:
    with pytest.raises(dr.DataError, match=message):
        dr.train(network(), A, b, epochs=1)


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (np.zeros(60), "0 for every sample"),
        (-np.ones(60), "negative"),
        (np.ones(59), "shape"),
        (np.full(60, np.nan), "NaN"),
    ],
)
def test_bad_sample_weight(w: Any, message: str) -> None:
    with pytest.raises(dr.DataError, match=message):
        dr.train(network(), X, Y, epochs=1, sample_weight=w)


def test_a_constant_column_is_fine() -> None:
    A = np.concatenate([X[:, :3], np.ones((60, 1))], axis=1)
    assert len(dr.train(network(), A, Y, epochs=2)) == 2
