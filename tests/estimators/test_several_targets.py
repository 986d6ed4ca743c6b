"""Several columns of classes at once (multiclass-multioutput), which scikit-learn's MLP refuses.

Without hidden layers the columns do not know of one another: the oracle is then one classifier for
each column. With them, the reference of the core.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.class_weight import compute_sample_weight

import deltarule as dr
from support.estimator_cases import DATA, FEATURES, WEIGHT, N, quiet, theta

X = DATA["multiclass"][0]
COLORS = np.array(["blue", "green", "red"], dtype=object)[np.arange(N) % 3]
SIZES = DATA["multiclass"][1]  # 0 to 3
Y_NUMBERS = np.c_[np.arange(N) % 3, SIZES]
Y_TEXT = np.c_[COLORS, np.array(["L", "M", "S", "XL"])[SIZES]].astype(object)
SHARE = Y_NUMBERS + np.array([5, 10])  # labels that are not 0..k-1
QUICK: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 6, "random_state": 0}
CASES = {"numbers": Y_NUMBERS, "text": Y_TEXT, "other numbers": SHARE}


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_what_is_fitted_and_answered(kind: str, solver: str) -> None:
    y = CASES[kind]
    ours = quiet(dr.MLPClassifier(**QUICK, solver=solver).fit, X, y)
    assert ours.n_outputs_ == 7
    assert ours.out_activation_ == "softmax"
    assert isinstance(ours.classes_, list)
    for j in range(2):
        np.testing.assert_array_equal(ours.classes_[j], np.unique(y[:, j]))
    P = ours.predict_proba(X)
    assert [one.shape for one in P] == [(N, 3), (N, 4)]
    for one, log_one in zip(P, ours.predict_log_proba(X), strict=True):
        np.testing.assert_allclose(one.sum(axis=1), 1.0)
        np.testing.assert_allclose(log_one, np.log(one))
    answers = ours.predict(X)
    assert answers.shape == (N, 2)
    assert answers.dtype.kind == ("U" if kind == "text" else "i")
    for j in range(2):
        np.testing.assert_array_equal(answers[:, j], ours.classes_[j][P[j].argmax(axis=1)])
    assert ours.score(X, y) == np.mean((answers == y).all(axis=1))
    weighted = np.average((answers == y).all(axis=1), weights=WEIGHT)
    assert ours.score(X, y, WEIGHT) == pytest.approx(weighted)


@pytest.mark.parametrize("options", [{}, {"solver": "sgd"}, {"alpha": 0.5}, {"batch_size": 10}])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_without_hidden_layers_each_column_is_on_its_own(
    options: dict[str, Any], weight: Any
) -> None:
    common = {**QUICK, "hidden_layer_sizes": (), "shuffle": False, "warm_start": True, **options}
    y = Y_TEXT
    together = quiet(dr.MLPClassifier(**common).fit, X, y, weight)
    W, b = together.coefs_[0].copy(), together.intercepts_[0].copy()
    losses = []
    for j, part in enumerate((slice(0, 3), slice(3, 7))):
        alone = dr.MLPClassifier(**common)
        quiet(alone.set_params(max_iter=1).fit, X, y[:, j], weight)
        alone.coefs_, alone.intercepts_ = [W[:, part].copy()], [b[part].copy()]
        quiet(alone.set_params(max_iter=4).fit, X, y[:, j], weight)
        losses.append(np.array(alone.history_.loss[-4:]))
        if j == 0:
            quiet(together.set_params(max_iter=4).fit, X, y, weight)
        np.testing.assert_allclose(together.coefs_[0][:, part], alone.coefs_[0], rtol=1e-9)
        np.testing.assert_allclose(together.intercepts_[0][part], alone.intercepts_[0], rtol=1e-9)
    np.testing.assert_allclose(together.history_.loss[-4:], losses[0] + losses[1], rtol=1e-9)


@pytest.mark.parametrize(
    "options", [{}, {"dropout": 0.3}, {"label_smoothing": 0.2}, {"n_ensemble": 2}, {"l1": 0.1}]
)
def test_both_engines_agree(options: dict[str, Any]) -> None:
    ours, reference = (
        quiet(dr.MLPClassifier(**QUICK, engine=engine, **options).fit, X, Y_NUMBERS, WEIGHT)
        for engine in ("native", "reference")
    )
    np.testing.assert_allclose(theta(ours), theta(reference), rtol=1e-9, atol=1e-12)
    for one, other in zip(ours.predict_proba(X), reference.predict_proba(X), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_labels_are_smoothed_column_by_column() -> None:
    amount, options = 0.3, {**QUICK, "alpha": 0.0, "shuffle": False, "batch_size": N}
    still = dr.MLPClassifier(**options | {"solver": dr.SGD(1e-300), "max_iter": 1})
    net = quiet(still.fit, X, Y_NUMBERS).network_
    one_hot = np.hstack([np.eye(3)[Y_NUMBERS[:, 0]], np.eye(4)[Y_NUMBERS[:, 1]]])
    smoothed = one_hot * (1 - amount) + amount / np.r_[[3] * 3, [4] * 4]
    expected = net.theta - 0.1 * dr.backward(net, X, smoothed).theta
    stepped = dr.MLPClassifier(**options | {"solver": dr.SGD(0.1), "max_iter": 1})
    quiet(stepped.set_params(label_smoothing=amount).fit, X, Y_NUMBERS)
    np.testing.assert_allclose(stepped.network_.theta, expected, rtol=1e-10)


def test_class_weights_of_columns_multiply() -> None:
    given = [{0: 1.0, 1: 2.0, 2: 3.0}, {0: 1.0, 1: 0.5, 2: 2.0, 3: 1.0}]
    for one in (given, "balanced"):
        ours = quiet(dr.MLPClassifier(**QUICK, class_weight=one).fit, X, Y_NUMBERS)
        weight = compute_sample_weight(one, Y_NUMBERS)
        by_hand = quiet(dr.MLPClassifier(**QUICK).fit, X, Y_NUMBERS, weight)
        np.testing.assert_allclose(theta(ours), theta(by_hand), rtol=1e-9)


def test_early_stopping_and_given_rows() -> None:
    ours = quiet(dr.MLPClassifier(**QUICK, early_stopping=True).fit, X, Y_TEXT)
    assert len(ours.validation_scores_) == 6
    held = X[:20] + 0.1, Y_TEXT[:20]
    ours = quiet(dr.MLPClassifier(**QUICK).fit, X, Y_TEXT, validation_data=held)
    last = quiet(dr.MLPClassifier(**QUICK).fit, X, Y_TEXT)
    assert ours.validation_scores_[-1] == pytest.approx(last.score(*held))


def test_going_on() -> None:
    classes = [np.unique(Y_TEXT[:, 0]), np.append(np.unique(Y_TEXT[:, 1]), "XXL")]
    ours = dr.MLPClassifier(**QUICK)
    few = Y_TEXT[:, 1] != "XL"
    ours.partial_fit(X[few], Y_TEXT[few], classes=classes)
    ours.partial_fit(X, Y_TEXT)
    assert [len(one) for one in ours.classes_] == [3, 5]
    assert [one.shape for one in ours.predict_proba(X)] == [(N, 3), (N, 5)]
    with pytest.raises(ValueError, match=r"classes not in `self.classes_`.*column 1"):
        ours.partial_fit(X, np.where(Y_TEXT == "S", "XXXL", Y_TEXT))
    ours.partial_fit(X, Y_TEXT, classes=classes)  # as before
    for other in (classes[:1], [classes[0], classes[0]], np.unique(Y_TEXT)):
        with pytest.raises(ValueError, match="not the same as on last call to partial_fit"):
            ours.partial_fit(X, Y_TEXT, classes=other)
    twin = pickle.loads(pickle.dumps(ours))
    for one in (ours, twin):
        one.partial_fit(X, Y_TEXT)
    np.testing.assert_array_equal(theta(twin), theta(ours))
    warm = dr.MLPClassifier(**QUICK, warm_start=True)
    quiet(warm.fit, X, Y_TEXT)
    quiet(warm.fit, X, Y_TEXT)
    assert len(warm.loss_curve_) == 12
    with pytest.raises(ValueError, match="same classes"):
        warm.fit(X[few], Y_TEXT[few])


def test_a_wrong_number_of_columns() -> None:
    """A column too many would otherwise be left out without a word."""
    three, one = np.c_[Y_NUMBERS, SIZES], SIZES
    classes = [[0, 1, 2], [0, 1, 2, 3]]
    ours = quiet(dr.MLPClassifier(**QUICK, warm_start=True).fit, X, Y_NUMBERS)
    for y, found in ((three, "3 columns"), (one, "1 column")):
        match = f"y has {found} of labels, but the network was fitted to 2"
        for call in (
            *(ours.fit, ours.partial_fit, ours.score, ours.input_gradients),
            lambda X, y: dr.MLPClassifier(**QUICK).fit(X, Y_NUMBERS, validation_data=(X, y)),
        ):
            with pytest.raises(ValueError, match=match):
                call(X, y)
        first = dr.MLPClassifier(**QUICK)
        with pytest.raises(ValueError, match=f"y has {found} of labels, but `classes` is of 2"):
            first.partial_fit(X, y, classes=classes)
        first.partial_fit(X, Y_NUMBERS, classes=classes)  # the failure has left nothing behind
    with pytest.raises(ValueError, match="`classes` is of 1: give a list with the classes of each"):
        dr.MLPClassifier(**QUICK).partial_fit(X, Y_NUMBERS, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[5, 67\]"):
        ours.score(X, Y_NUMBERS[:5])
    with pytest.raises(ValueError, match="Unknown label type: continuous-multioutput"):
        dr.MLPClassifier(**QUICK).fit(X, X[:, :2])


def test_classes_of_columns_as_one_array() -> None:
    y = np.c_[np.arange(N) % 2, np.arange(N) // 2 % 2 + 5]
    ours = dr.MLPClassifier(**QUICK).partial_fit(X, y, classes=np.array([[0, 1], [5, 6]]))
    assert [one.tolist() for one in ours.classes_] == [[0, 1], [5, 6]]


def test_a_frame_whose_columns_are_of_different_kinds() -> None:
    frame = pd.DataFrame({"color": COLORS, "size": np.array(["S", "M", "L", "XL"])[SIZES]})
    ours = quiet(dr.MLPClassifier(**QUICK).fit, X, frame)
    assert [len(one) for one in ours.classes_] == [3, 4]
    assert ours.score(X, frame) == np.mean((ours.predict(X) == frame.to_numpy()).all(axis=1))
    mixed = pd.DataFrame({"color": COLORS, "size": SIZES})
    ours = quiet(dr.MLPClassifier(**QUICK).fit, X, mixed)
    np.testing.assert_array_equal(ours.classes_[0], ["blue", "green", "red"])
    assert list(ours.classes_[1]) == [0, 1, 2, 3]
    answers = ours.predict(X)
    assert {type(one) for one in answers[:, 0]} == {str}
    assert set(answers[:, 1]) <= {0, 1, 2, 3}
    numbers_first = quiet(dr.MLPClassifier(**QUICK).fit, X, mixed[["size", "color"]])
    assert [len(one) for one in numbers_first.classes_] == [4, 3]

    with pytest.raises(ValueError, match="text and other labels in column 0"):
        dr.MLPClassifier(**QUICK).fit(X, mixed.assign(color=np.where(SIZES > 1, COLORS, SIZES)))


def test_columns_of_one_and_of_two_classes() -> None:
    y = np.c_[np.full(N, 3), np.arange(N) % 2, SIZES]
    ours = quiet(dr.MLPClassifier(**QUICK).fit, X, y)
    P = ours.predict_proba(X)
    assert [one.shape for one in P] == [(N, 1), (N, 2), (N, 4)]
    np.testing.assert_array_equal(P[0], 1.0)
    np.testing.assert_array_equal(ours.predict(X)[:, 0], 3)


def test_it_learns_and_searches() -> None:
    """Two answers from one network, better than chance (1/12) by far."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, FEATURES))
    y = np.c_[np.digitize(points[:, 0], [-0.5, 0.5]), np.digitize(points[:, 1], [-1, 0, 1])]
    mlp = dr.MLPClassifier((16,), max_iter=300, tol=1e-3, learning_rate_init=0.02, random_state=0)
    search = GridSearchCV(mlp, {"alpha": [1e-4, 100.0]}, cv=3)
    search.fit(points[:250], y[:250])
    assert search.best_params_ == {"alpha": 1e-4}
    assert search.score(points[250:], y[250:]) > 0.75
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()
