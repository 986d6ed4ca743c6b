"""What scikit-learn's MLP refuses: each further parameter does what it says, held to an oracle.

Most hold one step of plain gradient descent on the full batch to `dr.backward`, which the tests of
the core hold to finite differences, other packages and published examples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

import deltarule as dr
from deltarule.equations.activations import activation_names
from deltarule.equations.losses import loss_names
from support.estimator_cases import CLASSIFICATION, DATA, REGRESSION, WEIGHT, N, own, quiet, theta

TASKS = [*CLASSIFICATION, *REGRESSION]
HIDDEN = {"hidden_layer_sizes": (6,), "random_state": 0, "shuffle": False}
RATE = 0.1
CLOSE: dict[str, float] = {"rtol": 1e-9, "atol": 1e-12}


def fitted(task: str, *, weight: Any = None, X: Any = None, y: Any = None, **options: Any) -> Any:
    """Our estimator, trained on the rows of a task in their order."""
    data = DATA[task] if X is None else (X, y)
    ours = own(task).set_params(**HIDDEN | options)
    return quiet(ours.fit, *data, sample_weight=weight)


def start(task: str, **options: Any) -> dr.Network:
    """The network before its first step: a rate that small moves nothing."""
    still = {"solver": dr.SGD(1e-300), "max_iter": 1, "alpha": 0.0, "l1": 0.0, "clip_norm": None}
    return fitted(task, **options | still).network_.copy()


def encoded(task: str) -> Any:
    """The targets of a task as its network takes them, written apart from the estimators."""
    y = DATA[task][1]
    if task in REGRESSION or task in ("multilabel", "binary"):
        return np.asarray(y, dtype=float).reshape(N, -1)
    return np.asarray(np.unique(y) == y[:, None], dtype=float)


def one_step(task: str, **options: Any) -> dr.Network:
    """The network after one step of gradient descent on the full batch."""
    options = {"alpha": 0.0} | options
    return fitted(task, solver=dr.SGD(RATE), batch_size=N, max_iter=1, **options).network_


def stepped(net: dr.Network, X: Any, Y: Any, weight: Any = None) -> Any:
    """Theta after that step, by hand."""
    return net.theta - RATE * dr.backward(net, X, Y, sample_weight=weight).theta


# -- weights of classes ----------------------------------------------------------------------------

BY_CLASS = {
    "binary": {0: 3.0, 1: 0.5},
    "multiclass": {0: 3.0, 1: 1.0, 2: 0.5, 3: 0.0},
    "text labels": {"a": 2.0, "b": 1.0, "c": 0.1, "d": 1.5},
    "multilabel": [{0: 1.0, 1: 2.0}, {0: 1.0, 1: 5.0}, {0: 0.5, 1: 1.0}],
}


@pytest.mark.parametrize("task", CLASSIFICATION)
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("also", [None, WEIGHT], ids=["", "with sample_weight"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weight_is_a_sample_weight(task: str, balanced: bool, also: Any, solver: str) -> None:
    given: Any = "balanced" if balanced else BY_CLASS[task]
    by_hand = compute_sample_weight(given, DATA[task][1]) * (1 if also is None else also)
    options: dict[str, Any] = {"max_iter": 4, "batch_size": 20, "solver": solver}
    ours = fitted(task, class_weight=given, weight=also, **options)
    np.testing.assert_allclose(theta(ours), theta(fitted(task, weight=by_hand, **options)), **CLOSE)
    plain = fitted(task, weight=also, **options)
    assert not np.allclose(theta(ours), theta(plain), rtol=1e-3)


def test_class_weight_in_partial_fit() -> None:
    """A batch may lack classes; what "balanced" means only all of y can tell."""
    X, y = DATA["multiclass"]
    some = y < 2
    weighted = dr.MLPClassifier(**HIDDEN, class_weight=BY_CLASS["multiclass"])
    by_hand = dr.MLPClassifier(**HIDDEN)
    for rows in (np.arange(N), some):
        weighted.partial_fit(X[rows], y[rows], classes=np.unique(y))
        weight = compute_sample_weight(BY_CLASS["multiclass"], y[rows])
        by_hand.partial_fit(X[rows], y[rows], weight, classes=np.unique(y))
    np.testing.assert_allclose(theta(weighted), theta(by_hand), **CLOSE)
    weighted.set_params(class_weight="balanced")
    with pytest.raises(ValueError, match="'balanced' needs to see all of y"):
        weighted.partial_fit(X, y)


# -- activations and losses ------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in activation_names() if not n.startswith("softmax")])
def test_every_activation_of_the_package(name: str) -> None:
    X, _ = DATA["multiclass"]
    net = start("multiclass", activation=name)
    assert [f.name for f in net.activations] == [name, "softmax"]
    after = one_step("multiclass", activation=name)
    np.testing.assert_allclose(after.theta, stepped(net, X, encoded("multiclass")), **CLOSE)


def test_a_list_of_activations_is_one_for_each_hidden_layer() -> None:
    own = dr.Activation("cube", lambda z: z**3, lambda z: 3 * z * z)
    names = ["tanh", own, "leaky_relu(0.2)"]
    options = {"activation": names, "hidden_layer_sizes": (5, 4, 3)}
    net = start("regression", **options)
    assert [f.name for f in net.activations] == ["tanh", "cube", "leaky_relu(0.2)", "identity"]
    after = one_step("regression", **options)
    np.testing.assert_allclose(
        after.theta, stepped(net, DATA["regression"][0], encoded("regression")), **CLOSE
    )
    by_tuple = one_step("regression", **options | {"activation": tuple(names)})
    np.testing.assert_array_equal(by_tuple.theta, after.theta)


def test_an_own_activation_is_as_good_as_ours() -> None:
    own = dr.Activation("my tanh", np.tanh, lambda z: 1 - np.tanh(z) ** 2)
    X, _ = DATA["multiclass"]
    ours = fitted("multiclass", activation="tanh", max_iter=1, solver=dr.SGD(1e-300), alpha=0)
    mine = fitted("multiclass", activation=own, max_iter=1, solver=dr.SGD(1e-300), alpha=0)
    mine.coefs_ = [W.copy() for W in ours.coefs_]
    mine.intercepts_ = [b.copy() for b in ours.intercepts_]
    for one in (ours, mine):
        quiet(one.set_params(solver="adam", max_iter=5, warm_start=True).fit, *DATA["multiclass"])
    np.testing.assert_allclose(mine.predict_proba(X), ours.predict_proba(X), rtol=1e-8)
    with pytest.raises(dr.DerivativeError, match="my wrong"):
        fitted("multiclass", activation=dr.Activation("my wrong", np.tanh, np.tanh))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", [n for n in loss_names() if not n.startswith("cross_entropy(")])
def test_every_loss_that_suits_the_targets(task: str, name: str) -> None:
    """On the output activation of the kind of y for a classifier, else on the loss's own."""
    classes = task in CLASSIFICATION
    softmax = task in ("multiclass", "text labels")
    if not classes and (name == "cross_entropy" or (name == "poisson" and task != "counts")):
        return  # refused: see test_errors.py
    if not classes and name == "log_loss":
        return  # targets beyond 0 and 1
    if classes and name == "cross_entropy" and not softmax:
        return
    net = start(task, loss=name)
    if classes and name == "log_loss":
        assert net.loss.name == ("cross_entropy" if softmax else "log_loss")
    else:
        assert net.loss.name == name
    after = one_step(task, loss=name)
    np.testing.assert_allclose(after.theta, stepped(net, DATA[task][0], encoded(task)), **CLOSE)
    assert fitted(task, loss=name, alpha=0, max_iter=1, batch_size=N).loss_ == pytest.approx(
        dr.backward(net, DATA[task][0], encoded(task)).loss, rel=1e-12
    )


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_an_own_loss(task: str) -> None:
    """J = (o - y)^4 / 4, summed over the outputs."""
    own = dr.Loss("fourth", lambda o, y: ((o - y) ** 4).sum(-1) / 4, lambda o, y: (o - y) ** 3)
    net = start(task, loss=own)
    after = one_step(task, loss=own)
    np.testing.assert_allclose(after.theta, stepped(net, DATA[task][0], encoded(task)), **CLOSE)
    ours = fitted(task, loss=own, alpha=0.0, max_iter=1, batch_size=N)
    outputs = net.predict(DATA[task][0])
    assert ours.loss_ == pytest.approx(((outputs - encoded(task)) ** 4).sum() / 4 / N)


# -- what is added to the loss, and what is done to the gradient -----------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_penalties_are_of_the_weights_and_per_sample(task: str, weight: Any) -> None:
    alpha, l1 = 0.7, 0.3
    net, X = start(task), DATA[task][0]
    total = N if weight is None else weight.sum()
    expected = net.copy()
    expected.theta = stepped(net, X, encoded(task), weight)
    for W, W_0 in zip(expected.weights, net.weights, strict=True):
        W -= RATE * (alpha * W_0 + l1 * np.sign(W_0)) / total
    after = one_step(task, alpha=alpha, l1=l1, weight=weight)
    np.testing.assert_allclose(after.theta, expected.theta, **CLOSE)
    ours = fitted(task, alpha=alpha, l1=l1, weight=weight, max_iter=1, batch_size=N)
    sums = sum(alpha / 2 * (W**2).sum() + l1 * np.abs(W).sum() for W in net.weights)
    data = dr.backward(net, X, encoded(task), sample_weight=weight).loss
    assert ours.loss_ == pytest.approx(data + sums / total, rel=1e-12)
    assert ours.history_.loss == [pytest.approx(data, rel=1e-12)]


def test_l1_leaves_fewer_weights() -> None:
    options: dict[str, Any] = {"max_iter": 300, "solver": dr.SGD(0.05), "hidden_layer_sizes": (20,)}
    plain, lean = (fitted("regression", l1=l1, **options) for l1 in (0.0, 3.0))
    small = [np.mean(np.abs(theta(one)) < 1e-2) for one in (plain, lean)]
    assert small[0] < 0.05
    assert small[1] > 0.3


@pytest.mark.parametrize("clip", [1e-3, 0.1, 1e3])
def test_clip_norm_bounds_the_step(clip: float) -> None:
    X, Y = DATA["regression"][0], encoded("regression")
    net = start("regression")
    gradient = dr.backward(net, X, Y).theta
    move = (net.theta - one_step("regression", clip_norm=clip).theta) / RATE
    factor = min(1.0, clip / np.linalg.norm(gradient))
    assert bool(factor < 1) is (clip < 1e3)
    np.testing.assert_allclose(move, factor * gradient, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("task", CLASSIFICATION)
def test_label_smoothing_is_training_on_smoothed_targets(task: str) -> None:
    Y, amount = encoded(task), 0.2
    k = Y.shape[1] if task in ("multiclass", "text labels") else 2
    smoothed = Y * (1 - amount) + amount / k
    net = start(task)
    after = one_step(task, label_smoothing=amount)
    np.testing.assert_allclose(after.theta, stepped(net, DATA[task][0], smoothed), **CLOSE)
    longer = {"max_iter": 200, "learning_rate_init": 0.02, "tol": 0.0}
    sure, modest = (fitted(task, label_smoothing=s, **longer) for s in (0.0, amount))
    P = [one.predict_proba(DATA[task][0]).max() for one in (sure, modest)]
    assert P[1] < P[0]


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_dropout_is_of_training_alone(solver: str, task: str) -> None:
    X = DATA[task][0]
    options: dict[str, Any] = {"solver": solver, "max_iter": 4, "batch_size": 20}
    plain = fitted(task, **options)
    for none in (0, 0.0, [0, 0], (0.0, 0.0)):
        np.testing.assert_array_equal(theta(fitted(task, dropout=none, **options)), theta(plain))
    found = [fitted(task, dropout=rate, **options) for rate in (0.3, [0.0, 0.3], [0.3, 0.0])]
    np.testing.assert_array_equal(theta(found[0]), theta(found[1]))  # of the hidden layer
    assert not np.allclose(theta(found[0]), theta(plain))
    assert not np.allclose(theta(found[0]), theta(found[2]))
    np.testing.assert_array_equal(found[0].predict(X), found[0].predict(X))
    again = fitted(task, dropout=0.3, **options)
    np.testing.assert_array_equal(theta(again), theta(found[0]))
    other = fitted(task, dropout=0.3, random_state=1, **options)
    assert not np.allclose(theta(other), theta(found[0]))


def test_dropout_leaves_units_out() -> None:
    """With all hidden units but a few left out of the one step, their weights stay."""
    net = start("regression", hidden_layer_sizes=(50,))
    after = one_step("regression", hidden_layer_sizes=(50,), dropout=0.5)
    X, Y = DATA["regression"][0], encoded("regression")
    full = (net.theta - stepped(net, X, Y)) / RATE
    part = (net.theta - after.theta) / RATE
    assert 0.2 < np.linalg.norm(part - full) / np.linalg.norm(full) < 2.0
    ratio = float(part @ full / (full @ full))
    assert 0.5 < ratio < 1.5, "kept units are scaled up, so that the mean is kept"


# -- engines and types -----------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "options",
    [
        {"solver": "adam", "dropout": 0.3, "l1": 0.1, "clip_norm": 0.5},
        {"solver": "adamw", "learning_rate": "one_cycle", "early_stopping": True},
        {"solver": "lbfgs", "alpha": 0.3},
        {"activation": "gelu", "hidden_layer_sizes": (5, 4)},
    ],
    ids=["adam", "adamw", "lbfgs", "gelu"],
)
def test_the_reference_engine_gives_the_same_numbers(task: str, options: dict[str, Any]) -> None:
    common: dict[str, Any] = {"max_iter": 4, "batch_size": 20}
    ours, reference = (
        fitted(task, weight=WEIGHT, engine=engine, **common | options)
        for engine in ("native", "reference")
    )
    close = {"rtol": 1e-6, "atol": 1e-9} if options.get("solver") == "lbfgs" else CLOSE
    np.testing.assert_allclose(theta(ours), theta(reference), **close)
    np.testing.assert_allclose(ours.history_.loss, reference.history_.loss, rtol=1e-9)
    np.testing.assert_array_equal(ours.predict(DATA[task][0]).shape, DATA[task][1].shape)


@pytest.mark.parametrize("given", ["float32", "float64", np.float32, np.dtype("float32"), float])
@pytest.mark.parametrize("of_X", [np.float32, np.float64])
def test_dtype_is_of_the_network(given: Any, of_X: Any) -> None:
    X, y = DATA["regression"]
    ours = fitted("regression", X=X.astype(of_X), y=y, dtype=given, max_iter=2)
    assert ours.network_.dtype == ours.coefs_[0].dtype == np.dtype(given)
    for other in (np.float32, np.float64):
        assert ours.predict(X.astype(other)).dtype == np.dtype(given)
    quiet(ours.partial_fit, X, y)
    assert ours.coefs_[0].dtype == np.dtype(given)
