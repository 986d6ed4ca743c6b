"""to_sklearn of networks, what training options become, and what either side refuses and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier as SklearnClassifier
from sklearn.neural_network import MLPRegressor as SklearnRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import deltarule as dr
from deltarule.estimators import MLPClassifier, MLPRegressor
from deltarule.exchange import sklearn as exchange
from deltarule.exchange.sklearn import _has_poisson, from_sklearn, to_sklearn
from support.oracles import own_sigmoid
from support.sklearn_models import data, ours_fitted, quietly, sklearn_fitted

CLOSE = {"rtol": 1e-10, "atol": 1e-13}


# -- networks ---------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 5), min_size=0, max_size=3),
    st.sampled_from(["identity", "sigmoid", "tanh", "relu"]),
    st.sampled_from(["squared_error", "huber", "log_loss", "cross_entropy"]),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from(["float32", "float64"]),
)
def test_a_network_predicts_as_it_did(
    hidden: list[int], activation: str, loss: str, k: int, bias: bool, dtype: str
) -> None:
    k = max(k, 2) if loss == "cross_entropy" else k
    net = dr.Network([3, *hidden, k], activation, loss, bias, dtype, rng=k)
    net.theta = np.random.default_rng(k).standard_normal(net.theta.size)
    X = np.random.default_rng(0).standard_normal((9, 3)).astype(dtype)
    est, a = to_sklearn(net), net.predict(X)
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else CLOSE
    assert est.coefs_[0].dtype == dtype
    if loss == "cross_entropy":
        np.testing.assert_allclose(est.predict_proba(X), a, **close)
        np.testing.assert_array_equal(est.predict(X), a.argmax(axis=1))
        np.testing.assert_array_equal(est.classes_, range(k))
    elif loss == "log_loss":
        expected = np.hstack([1 - a, a]) if k == 1 else a
        np.testing.assert_allclose(est.predict_proba(X), expected, **close)
        said = (a > 0.5).astype(int)
        np.testing.assert_array_equal(est.predict(X), said.ravel() if k == 1 else said)
    else:
        np.testing.assert_allclose(est.predict(X), a.ravel() if k == 1 else a, **close)
    assert len(est.coefs_) == len(hidden) + 1
    assert est.get_params()["hidden_layer_sizes"] == tuple(hidden)


@pytest.mark.skipif(not _has_poisson(), reason="scikit-learn before 1.7 has no Poisson loss")
def test_a_network_for_counts() -> None:
    net = dr.Network([3, 4, 1], "tanh", "poisson", rng=0)
    X = np.random.default_rng(0).standard_normal((9, 3))
    est = to_sklearn(net)
    assert (est.loss, est.out_activation_) == ("poisson", "exp")
    np.testing.assert_allclose(est.predict(X), net.predict(X).ravel(), **CLOSE)


def test_two_outputs_of_a_softmax_become_one_sigmoid() -> None:
    net = dr.Network([3, 4, 2], "tanh", "cross_entropy", rng=0)
    est = to_sklearn(net)
    assert (est.n_outputs_, est.out_activation_) == (1, "logistic")
    z = np.tanh(np.ones((1, 3)) @ net.weights[0] + net.biases[0]) @ est.coefs_[1]
    p = softmax(np.tanh(np.ones((1, 3)) @ net.weights[0] + net.biases[0]) @ net.weights[1])
    assert expit(z + est.intercepts_[1]).item() == pytest.approx(p[0, 1])


@pytest.mark.parametrize(
    ("loss", "k", "kind"),
    [
        ("log_loss", 1, "binary"),
        ("log_loss", 3, "multilabel"),
        ("cross_entropy", 2, "binary"),
        ("cross_entropy", 3, "classes"),
        ("squared_error", 3, "quantities"),
    ],
)
def test_what_a_network_became_can_be_trained_and_used(loss: str, k: int, kind: str) -> None:
    X, y = data(kind)
    y = np.unique(y, return_inverse=True)[1] if kind == "classes" else y
    est = to_sklearn(dr.Network([4, 6, k], "tanh", loss, rng=0))
    assert not hasattr(est, "_optimizer")
    before = est.score(X, y)
    assert permutation_importance(est, X, y, n_repeats=2).importances_mean.shape == (4,)
    est.set_params(learning_rate_init=0.05)
    for _ in range(60):
        est.partial_fit(X, y)
    assert est.score(X, y) > max(before, 0.8)
    back = from_sklearn(est)
    assert back.score(X, y) == est.score(X, y)
    assert len(est.loss_curve_) == 60


def test_folded_biases_count() -> None:
    net = dr.Network([3, 4, 2], "relu", rng=0)
    for b in net.biases:
        b += 0.5
    X = np.random.default_rng(0).standard_normal((9, 3))
    folded = to_sklearn(dr.fold_biases(net))
    np.testing.assert_allclose(folded.predict(X), net.predict(X), **CLOSE)


NO_NETWORK = [
    (dr.Network([3, 4, 1], "gelu"), r"the activation gelu of layer 1$"),
    (dr.Network([3, 4, 1], own_sigmoid("relu")), "the activation relu of layer 1"),
    (
        dr.Network([3, 4, 4, 4, 1], ["elu", "relu", "mish", "softplus"]),
        "elu of layer 1; the activation mish of layer 3; the output activation softplus",
    ),
    (
        dr.Network([3, 4, 4, 1], ["relu", "tanh", "identity"]),
        r"hidden layers of different activations \(relu, tanh\)",
    ),
    (dr.Network([3, 1], output_activation="sigmoid"), "the output activation sigmoid"),
    (
        dr.Network([3, 2], loss="log_loss", output_activation="softmax"),
        "the output activation softmax with the loss log_loss",
    ),
    (
        dr.Network([3, 2], loss="cross_entropy", output_activation="sigmoid"),
        "the output activation sigmoid with the loss cross_entropy",
    ),
]


@pytest.mark.parametrize(("net", "message"), NO_NETWORK, ids=[m for _, m in NO_NETWORK])
def test_networks_that_would_predict_otherwise_are_refused(net: Any, message: str) -> None:
    with pytest.raises(dr.SpecError, match=f"scikit-learn's MLP cannot express .*{message}"):
        to_sklearn(net)


def test_a_network_of_several_multiclass_outputs_is_refused() -> None:
    with pytest.raises(dr.SpecError, match="several multiclass outputs in one network"):
        to_sklearn(dr.Network([3, 5], loss="cross_entropy(2,3)"))


# -- estimators -------------------------------------------------------------------------------


def test_estimators_that_would_predict_otherwise_are_refused() -> None:
    est, X, _ = ours_fitted("quantity", activation=["relu", "gelu"], n_ensemble=2)
    with pytest.raises(dr.SpecError, match=r"the activation gelu of layer 2; an ensemble of 2"):
        est.to_sklearn()
    assert isinstance(
        quietly(MLPRegressor(n_ensemble=2, max_iter=2), X, X[:, 0]).estimators_[1].to_sklearn(),
        SklearnRegressor,
    )


def test_several_multiclass_outputs_are_refused() -> None:
    X, _ = data("classes")
    several = quietly(MLPClassifier((3,), max_iter=2), X, np.arange(120).reshape(60, 2) % 3)
    with pytest.raises(dr.SpecError, match="several multiclass outputs"):
        several.to_sklearn()


def test_poisson_before_scikit_learn_1_7(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_has_poisson", lambda: False)
    net = dr.Network([3, 4, 1], "tanh", "poisson")
    with pytest.raises(dr.SpecError, match=r"the loss poisson, .* from version 1\.7 on"):
        to_sklearn(net)
    assert isinstance(to_sklearn(dr.Network([3, 1])), SklearnRegressor)


LEFT_BEHIND = [
    {"solver": "adamw", "beta_1": 0.8},
    {"solver": "rmsprop", "learning_rate": "cosine"},
    {"solver": "adagrad", "dropout": 0.2, "l1": 0.01, "clip_norm": 1.0},
    {"dtype": "float32", "engine": "reference", "callbacks": [dr.EarlyStopping()]},
]


@pytest.mark.parametrize("params", LEFT_BEHIND, ids=str)
@pytest.mark.parametrize("kind", ["classes", "quantity"])
def test_training_options_are_left_behind(kind: str, params: dict[str, Any]) -> None:
    more = {"class_weight": "balanced", "label_smoothing": 0.1} if kind == "classes" else {}
    params = dict(params)
    callbacks = [] if "callbacks" in params else None
    est, X, y = ours_fitted(kind, **params | more | {"callbacks": callbacks})
    made = est.to_sklearn()
    assert made.solver == "adam"
    assert made.learning_rate == "constant"
    close = {"rtol": 1e-3, "atol": 1e-5} if "dtype" in params else CLOSE
    method = "predict_proba" if kind == "classes" else "predict"
    np.testing.assert_allclose(getattr(made, method)(X), getattr(est, method)(X), **close)
    assert hasattr(made, "_optimizer") is (type(est._fitted.descent.rule) is dr.Adam)
    made.partial_fit(X, y)


@pytest.mark.parametrize(
    ("solver", "expected"),
    [
        (dr.SGD(0.3, momentum=0.2, nesterov=True), ("sgd", 0.3, 0.2, True)),
        (dr.SGD(0.3), ("sgd", 0.3, 0.0, False)),
        (dr.Adam(0.03, beta_1=0.5), ("adam", 0.03, 0.5)),
        (dr.AdamW(0.03, beta_1=0.5), ("adam", 0.03, 0.5)),
        (dr.RMSprop(0.03), ("adam", 0.03, 0.9)),
        (dr.LBFGS(max_evaluations=99, gradient_tolerance=0.1), ("lbfgs", 99, 0.1)),
    ],
    ids=str,
)
def test_an_optimizer_of_its_own_becomes_a_solver(solver: Any, expected: tuple[Any, ...]) -> None:
    names = {
        "sgd": ("solver", "learning_rate_init", "momentum", "nesterovs_momentum"),
        "adam": ("solver", "learning_rate_init", "beta_1"),
        "lbfgs": ("solver", "max_fun", "tol"),
    }[expected[0]]
    est, X, y = ours_fitted("quantity", solver=solver)
    made = est.to_sklearn()
    assert tuple(getattr(made, name) for name in names) == expected
    if type(solver) in (dr.SGD, dr.Adam):
        made.partial_fit(X, y)
        est.partial_fit(X, y)
    np.testing.assert_allclose(made.predict(X), est.predict(X), **CLOSE)


def test_other_losses_with_the_same_output_activation() -> None:
    est, X, _ = ours_fitted("quantity", loss="huber")
    made = est.to_sklearn()
    assert getattr(made, "loss", "squared_error") == "squared_error"
    np.testing.assert_allclose(made.predict(X), est.predict(X), **CLOSE)
    assert made.loss_ == est.loss_
    several, X, _ = ours_fitted("quantities", loss="absolute_error")
    assert several.to_sklearn().loss_ == several.loss_


def test_sigmoid_by_any_name_is_logistic() -> None:
    for activation in ("sigmoid", "logistic", ["sigmoid", "logistic"]):
        est, X, _ = ours_fitted("binary", activation=activation)
        made = est.to_sklearn()
        assert made.activation == "logistic"
        np.testing.assert_allclose(made.predict_proba(X), est.predict_proba(X), **CLOSE)
    alone, X, _ = ours_fitted("binary", activation=[], hidden_layer_sizes=[])
    np.testing.assert_allclose(alone.to_sklearn().predict_proba(X), alone.predict_proba(X), **CLOSE)


def test_parameters_set_after_fit_do_not_change_what_was_fitted() -> None:
    est, X, _ = ours_fitted("classes", activation="tanh")
    expected = est.predict_proba(X)
    est.set_params(activation="relu", hidden_layer_sizes=(2,))
    np.testing.assert_allclose(est.to_sklearn().predict_proba(X), expected, **CLOSE)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learns_tools_take_the_result() -> None:
    est, X, y = ours_fitted("classes", max_iter=30)
    made = est.to_sklearn()
    searched = GridSearchCV(made.set_params(solver="lbfgs"), {"alpha": [0.1, 1.0]}, cv=2)
    assert searched.fit(X, y).best_score_ > 0.5
    assert cross_val_score(made, X, y, cv=2).shape == (2,)


# -- refusals ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_from_sklearn_says_what_to_convert_instead() -> None:
    est, X, y = sklearn_fitted("classes", solver="lbfgs", max_iter=200)
    pipe = make_pipeline(StandardScaler(), est)
    with pytest.raises(dr.SpecError, match=r"from_sklearn\(pipeline\[-1\]\)"):
        from_sklearn(pipe)
    searched = GridSearchCV(est, {"alpha": [1.0, 2.0]}, cv=2).fit(X, y)
    with pytest.raises(dr.SpecError, match="of a GridSearchCV convert its best_estimator_"):
        from_sklearn(searched)
    assert isinstance(from_sklearn(searched.best_estimator_), MLPClassifier)
    with pytest.raises(dr.SpecError, match="this MLPClassifier is deltarule's already"):
        from_sklearn(from_sklearn(est))
    with pytest.raises(dr.SpecError, match="got dict"):
        from_sklearn({})
    with pytest.raises(dr.SpecError, match="not StandardScaler"):
        to_sklearn(StandardScaler())


def test_a_subclass_may_predict_anything() -> None:
    class Own(SklearnClassifier):
        pass

    with pytest.raises(dr.SpecError, match="got Own"):
        from_sklearn(Own())


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_what_is_not_fitted(kind: Any) -> None:
    with pytest.raises(NotFittedError):
        kind().to_sklearn()
    with pytest.raises(NotFittedError):
        from_sklearn({MLPClassifier: SklearnClassifier, MLPRegressor: SklearnRegressor}[kind]())


def test_a_parameter_of_a_later_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    est, X, y = sklearn_fitted("classes")
    get_params = SklearnClassifier.get_params

    def later(self: Any, deep: bool = True) -> Any:
        return get_params(self, deep) | {"sparsity": value if self is est else None}

    monkeypatch.setattr(SklearnClassifier, "get_params", later)
    value = None
    assert from_sklearn(est).score(X, y) == est.score(X, y)
    value = 0.5
    with pytest.raises(dr.SpecError, match=r"MLPClassifier has no parameter for sparsity=0\.5"):
        from_sklearn(est)
