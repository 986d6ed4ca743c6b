"""Life among scikit-learn's tools: frames, sparse matrices, searches, pipelines, pickles, routing.

scikit-learn's own checks are in test_scikit_learn_checks.py; here is what they do not reach.
"""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import subprocess
import sys
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.ensemble import AdaBoostClassifier, BaggingRegressor, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.metrics import accuracy_score, make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import deltarule as dr
from support.estimator_cases import (
    CLASSIFICATION,
    DATA,
    FEATURES,
    REGRESSION,
    RELEASE,
    WEIGHT,
    own,
    pair,
    quiet,
    theta,
)

KINDS = [dr.MLPClassifier, dr.MLPRegressor]
NAMES = [f"column {j}" for j in range(FEATURES)]
QUICK: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
IRIS, SPECIES = load_iris(return_X_y=True)


def fitted(task: str = "multiclass", **parameters: Any) -> Any:
    ours = own(task)
    return quiet(ours.set_params(**QUICK | parameters).fit, *DATA[task])


# -- the constructor -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_of_theirs_has_its_place_and_default(kind: Any) -> None:
    their_kind = getattr(sklearn.neural_network, kind.__name__)
    theirs = dict(inspect.signature(their_kind).parameters)
    ours = dict(inspect.signature(kind).parameters)
    if kind is dr.MLPRegressor and RELEASE < (1, 7):
        del ours["loss"]
    assert list(ours)[: len(theirs)] == list(theirs)
    for name, parameter in theirs.items():
        assert ours[name].default == parameter.default, name
        assert ours[name].kind == parameter.kind, name
    for name in list(ours)[len(theirs) :]:
        assert ours[name].kind is inspect.Parameter.KEYWORD_ONLY, name
    assert kind().get_params() == {name: one.default for name, one in
                                   inspect.signature(kind).parameters.items()}  # fmt: skip


@pytest.mark.skipif(RELEASE < (1, 7), reason="scikit-learn 1.6 has no sample weights here")
@pytest.mark.parametrize("kind", KINDS)
def test_every_method_of_theirs_takes_the_same_arguments(kind: Any) -> None:
    their_kind = getattr(sklearn.neural_network, kind.__name__)
    for name in ("fit", "partial_fit", "predict", "predict_proba", "predict_log_proba", "score"):
        if not hasattr(their_kind, name):
            assert not hasattr(kind, name)
            continue
        theirs = list(inspect.signature(getattr(their_kind, name)).parameters)
        assert list(inspect.signature(getattr(kind, name)).parameters)[: len(theirs)] == theirs


@pytest.mark.parametrize("kind", KINDS)
def test_fit_never_rewrites_a_parameter(kind: Any) -> None:
    given = {
        "hidden_layer_sizes": [4, 3], "activation": ["tanh", dr.Activation("x", np.tanh,
        lambda z: 1 - np.tanh(z) ** 2)], "solver": dr.AdamW(0.01), "learning_rate": dr.Cosine(),
        "random_state": np.random.RandomState(0), "callbacks": [dr.Callback()],
        "dropout": [0, 0, 0.1], "max_iter": 2, "n_ensemble": 2, "dtype": np.float32,
        "scoring": make_scorer(accuracy_score),
    }  # fmt: skip
    est = kind(**given)
    before = est.get_params()
    quiet(est.fit, IRIS, SPECIES)
    after = est.get_params()
    assert before.keys() == after.keys()
    for name, value in given.items():
        assert before[name] is value
        assert after[name] is value
    assert not [name for name in vars(kind(**given)) if name.endswith("_")]


@pytest.mark.parametrize("kind", KINDS)
def test_clone_and_set_params(kind: Any) -> None:
    est = kind(**QUICK, dropout=0.1, solver=dr.AdamW(0.01), learning_rate=dr.Cosine())
    quiet(est.fit, IRIS, SPECIES)
    twin = clone(est)
    assert twin.get_params() == est.get_params()
    assert not hasattr(twin, "coefs_")
    quiet(twin.fit, IRIS, SPECIES)
    np.testing.assert_array_equal(theta(twin), theta(est))
    assert est.set_params(alpha=0.5, dropout=0.2) is est
    assert (est.alpha, est.dropout) == (0.5, 0.2)
    with pytest.raises(ValueError, match="Invalid parameter 'alhpa'"):
        est.set_params(alhpa=0.1)


def test_shown_with_what_differs_from_the_defaults() -> None:
    assert repr(dr.MLPClassifier()) == "MLPClassifier()"
    assert repr(dr.MLPRegressor(alpha=0.1, dropout=0.5)) == "MLPRegressor(alpha=0.1, dropout=0.5)"
    for est in (dr.MLPRegressor(dropout=0.5), fitted(dropout=0.5)):
        html = est._repr_html_()
        assert type(est).__name__ in html
        assert "dropout" in html


@pytest.mark.parametrize("kind", KINDS)
def test_before_fit_there_is_nothing_to_see(kind: Any) -> None:
    est = kind()
    for name in ("coefs_", "intercepts_", "network_", "history_", "classes_", "n_iter_", "loss_"):
        assert not hasattr(est, name), name
    for call in (est.predict, est.input_gradients):
        with pytest.raises(NotFittedError, match=f"This {kind.__name__} instance is not fitted"):
            call(IRIS)
    with pytest.raises(NotFittedError):
        est.score(IRIS, SPECIES)
    with pytest.raises(NotFittedError):
        est.per_sample_gradients(IRIS, SPECIES)


# -- what X and y may be ---------------------------------------------------------------------------

FRAMES = {
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
    "pandas, nullable": lambda X: pd.DataFrame(X, columns=NAMES).convert_dtypes(),
}


if RELEASE < (1, 9) and not hasattr(pl.DataFrame, "__dataframe__"):
    del FRAMES["polars"]  # whose names those releases read by a protocol that polars 2 has dropped


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("task", ["text labels", "regression", "multilabel"])
def test_data_frames(frame: str, task: str) -> None:
    plain = fitted(task)
    X, y = DATA[task]
    table = FRAMES[frame](X)
    if y.ndim == 2:
        answers: Any = pd.DataFrame(y) if "pandas" in frame else y
    else:
        answers = pd.Series(y, name="answer") if "pandas" in frame else pl.Series(y)
    ours = quiet(clone(plain).fit, table, answers)
    np.testing.assert_array_equal(theta(ours), theta(plain))
    assert list(ours.feature_names_in_) == NAMES
    assert ours.feature_names_in_.dtype == object
    assert not hasattr(plain, "feature_names_in_")
    np.testing.assert_array_equal(ours.predict(table), plain.predict(X))
    assert ours.score(table, answers) == plain.score(X, y)


@pytest.mark.parametrize("frame", [frame for frame in FRAMES if "nullable" not in frame])
def test_columns_are_known_by_name(frame: str) -> None:
    X, y = DATA["regression"]
    ours = quiet(dr.MLPRegressor(**QUICK, early_stopping=True).fit, FRAMES[frame](X), y)
    turned = FRAMES[frame](X)[NAMES[::-1]]
    with pytest.raises(ValueError, match="feature names should match"):
        ours.predict(turned)
    with pytest.raises(ValueError, match="feature names should match"):
        ours.partial_fit(turned, y, validation_data=(turned, y))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        ours.predict(X)


def test_a_categorical_series_of_labels() -> None:
    X, y = DATA["text labels"]
    ours = quiet(dr.MLPClassifier(**QUICK).fit, X, pd.Series(y, dtype="category"))
    np.testing.assert_array_equal(theta(ours), theta(fitted("text labels")))
    assert set(ours.predict(X)) <= set("abcd")


CONTAINERS = [
    sp.csr_matrix, sp.csc_matrix, sp.coo_matrix, sp.lil_matrix, sp.csr_array, sp.csc_array,
    sp.coo_array, sp.dok_array, sp.bsr_array,
]  # fmt: skip


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_sparse_inputs_are_their_dense_ones(container: Any, dtype: Any) -> None:
    X, y = DATA["multiclass"]
    X = np.where(np.abs(X) > 1, X * 3, 0).astype(dtype)
    S = container(X)
    dense = quiet(dr.MLPClassifier(**QUICK).fit, X, y)
    sparse = quiet(dr.MLPClassifier(**QUICK).fit, S, y)
    tight = {"rtol": 1e-4, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(theta(sparse), theta(dense), **tight)
    assert sparse.coefs_[0].dtype == (np.float32 if dtype == np.float32 else np.float64)
    np.testing.assert_allclose(sparse.predict_proba(S), dense.predict_proba(X), **tight)
    np.testing.assert_allclose(sparse.predict_proba(X), dense.predict_proba(S), **tight)


def test_sparse_label_indicators() -> None:
    X, y = DATA["multilabel"]
    ours = quiet(dr.MLPClassifier(**QUICK).fit, X, sp.csr_matrix(y))
    plain = fitted("multilabel")
    np.testing.assert_array_equal(theta(ours), theta(plain))
    np.testing.assert_array_equal(ours.predict(X).toarray(), plain.predict(X))
    assert ours.score(X, sp.csr_matrix(y)) == plain.score(X, y)


@pytest.mark.skipif(sys.platform != "linux", reason="limits on memory are those of Linux")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_rows_stay_sparse(solver: str) -> None:
    """3000 x 100,000 with 10 numbers in a row would be 2.4 GB as an array."""
    code = f"""
import resource, sys, warnings
import numpy as np, scipy.sparse as sp
import deltarule as dr
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
columns = np.sort(rng.integers(0, 100_000, (3000, 10)), axis=1).ravel()
X = sp.csr_array((rng.random(30_000), columns, np.arange(0, 30_001, 10)), shape=(3000, 100_000))
y = np.arange(3000) % 2
est = dr.MLPClassifier((4,), solver={solver!r}, max_iter=2, early_stopping=True)
resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31))
print(est.fit(X, y).predict_proba(X).shape, est.coefs_[0].shape)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert out.stderr == ""
    assert out.stdout.strip() == "(3000, 2) (100000, 4)"


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_layout_of_an_array_does_not_matter(order: Any, task: str) -> None:
    X, y = DATA[task]
    ours = own(task, **QUICK)
    quiet(ours.fit, np.asarray(np.repeat(X, 2, axis=1), order=order)[:, ::2], y)
    np.testing.assert_array_equal(theta(ours), theta(fitted(task)))
    np.testing.assert_array_equal(ours.predict(np.asfortranarray(X)), ours.predict(X))


@pytest.mark.parametrize("task", [*CLASSIFICATION, *REGRESSION])
@pytest.mark.parametrize("given", ["float16", "float32", "float64", "int32", "bool", "longdouble"])
def test_float32_is_kept_and_all_else_is_float64(task: str, given: str) -> None:
    X, y = DATA[task]
    X = (X > 0).astype(given)
    kept = np.dtype("float32" if given == "float32" else "float64")
    ours = own(task, **QUICK, early_stopping=True)
    quiet(ours.fit, X, y)
    assert {part.dtype for part in [*ours.coefs_, *ours.intercepts_]} == {kept}
    assert ours.network_.dtype == kept
    outputs = ours.predict(X) if task in REGRESSION else ours.predict_proba(X)
    assert outputs.dtype == kept


# -- copies ----------------------------------------------------------------------------------------


def through_joblib(est: Any) -> Any:
    buffer = io.BytesIO()
    joblib.dump(est, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


COPIES = {
    "pickle": lambda est: pickle.loads(pickle.dumps(est)),
    "joblib": through_joblib,
    "deepcopy": copy.deepcopy,
}
STATES: dict[str, dict[str, Any]] = {
    "adam": {},
    "lbfgs": {"solver": "lbfgs"},
    "early stopping": {"early_stopping": True},
    "ensemble": {"n_ensemble": 2},
    "schedule": {"learning_rate": "cosine", "dropout": 0.1},
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_a_copy_answers_and_goes_on_to_the_same_bits(how: str, state: str, task: str) -> None:
    X, y = DATA[task]
    ours = fitted(task, **STATES[state])
    twin = COPIES[how](ours)
    np.testing.assert_array_equal(twin.predict(X), ours.predict(X))
    assert twin.get_params() == ours.get_params()
    assert twin.n_iter_ == ours.n_iter_
    if state not in ("lbfgs", "early stopping"):
        for one in (ours, twin):
            one.partial_fit(X, y)
        np.testing.assert_array_equal(theta(twin), theta(ours))
    twin.coefs_[0][:] = 0  # a copy of its own, whose network sees the change
    assert not twin.network_.weights[0].any()
    assert ours.coefs_[0].any()
    assert not np.allclose(twin.predict(X), ours.predict(X)) if task == "regression" else True


def test_parameters_are_stored_once() -> None:
    X, y = DATA["regression"]
    big: dict[str, Any] = {"hidden_layer_sizes": (100, 100), "max_iter": 3, "random_state": 0}
    lbfgs = quiet(dr.MLPRegressor(**big, solver="lbfgs").fit, X, y)
    size = lbfgs.network_.theta.nbytes
    assert len(pickle.dumps(lbfgs)) < size + 20_000
    adam, theirs = (quiet(one.set_params(**big).fit, X, y) for one in pair("regression"))
    assert len(pickle.dumps(adam)) < 3 * size + 20_000  # with both moments, to go on
    assert len(pickle.dumps(adam)) < len(pickle.dumps(theirs))


# -- tools of scikit-learn -------------------------------------------------------------------------


def test_cross_validation_gives_their_scores() -> None:
    parameters: dict[str, Any] = {"max_iter": 300, "tol": 1e-3, "learning_rate_init": 0.01}
    scores = [
        cross_val_score(make_pipeline(StandardScaler(), one), IRIS, SPECIES, cv=StratifiedKFold(4))
        for one in pair("multiclass", hidden_layer_sizes=(8,), random_state=0, **parameters)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert scores[0].mean() > 0.9


def test_a_grid_search_in_processes() -> None:
    grid = {
        "mlp__alpha": [1e-4, 10.0],
        "mlp__activation": ["tanh", "gelu"],
        "mlp__solver": ["adam", dr.SGD(0.05, momentum=0.9)],
    }
    mlp = dr.MLPClassifier((8,), max_iter=400, tol=1e-2, random_state=0, learning_rate_init=0.01)
    search = GridSearchCV(Pipeline([("scale", StandardScaler()), ("mlp", mlp)]), grid, cv=3)
    alone = clone(search).fit(IRIS, SPECIES)
    together = clone(search).set_params(n_jobs=2).fit(IRIS, SPECIES)
    for name in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_array_equal(together.cv_results_[name], alone.cv_results_[name])
    assert together.best_params_ == alone.best_params_
    np.testing.assert_array_equal(together.predict(IRIS), alone.predict(IRIS))
    assert together.score(IRIS, SPECIES) > 0.93


def sure(est: Any, X: Any, y: Any) -> float:
    return float(est.fit(X, y).score(X, y))


def test_meta_estimators() -> None:
    scaled = StandardScaler().fit_transform(IRIS)
    mlp = dr.MLPClassifier((8,), max_iter=500, tol=1e-3, learning_rate_init=0.02, random_state=0)
    reg = dr.MLPRegressor(hidden_layer_sizes=8, max_iter=500, tol=1e-3, random_state=0)
    reg.set_params(learning_rate_init=0.02)
    vote = VotingClassifier(
        [("a", mlp), ("b", clone(mlp).set_params(random_state=1))], voting="soft"
    )
    assert sure(vote, scaled, SPECIES) > 0.95
    mean = np.mean([one.predict_proba(scaled) for one in vote.estimators_], axis=0)
    np.testing.assert_allclose(vote.predict_proba(scaled), mean)
    assert sure(CalibratedClassifierCV(mlp, cv=3), scaled, SPECIES) > 0.93
    assert sure(OneVsRestClassifier(mlp), scaled, SPECIES) > 0.95
    assert sure(AdaBoostClassifier(mlp, n_estimators=2), scaled, SPECIES) > 0.9
    assert sure(MultiOutputClassifier(mlp), scaled, np.c_[SPECIES, SPECIES > 0]) > 0.95
    target = scaled[:, 3]
    assert sure(BaggingRegressor(reg, n_estimators=2, random_state=0), scaled[:, :3], target) > 0.85
    assert sure(TransformedTargetRegressor(reg, func=np.exp, inverse_func=np.log),
                scaled[:, :3], target) > 0.8  # fmt: skip
    importances = permutation_importance(mlp.fit(scaled, SPECIES), scaled, SPECIES, random_state=0)
    assert importances.importances_mean.argmax() in (2, 3)  # the petal's sizes


# -- metadata routing ------------------------------------------------------------------------------


@pytest.fixture
def routing() -> Any:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_requests_can_be_set_for_every_method(routing: None) -> None:
    est = dr.MLPClassifier()
    est.set_fit_request(sample_weight=True, validation_data=True, X_val=True, y_val=False)
    est.set_partial_fit_request(sample_weight=True, classes=True, validation_data=False)
    est.set_score_request(sample_weight=True)
    requests = est.get_metadata_routing()
    assert requests.fit.requests == {
        "sample_weight": True,
        "validation_data": True,
        "X_val": True,
        "y_val": False,
    }
    reg = dr.MLPRegressor().set_partial_fit_request(sample_weight=True, validation_data=True)
    assert set(reg.get_metadata_routing().partial_fit.requests) == {
        "sample_weight", "validation_data",
    }  # fmt: skip


def test_sample_weights_are_routed(routing: None) -> None:
    X, y = DATA["regression"]
    est = dr.MLPRegressor(**QUICK | {"max_iter": 40}).set_fit_request(sample_weight=True)
    score = make_scorer(r2_score).set_score_request(sample_weight=False)
    pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), est)
    search = GridSearchCV(pipe, {"mlpregressor__alpha": [0.1]}, cv=2, scoring=score)
    quiet(search.fit, X, y, sample_weight=WEIGHT)
    by_hand = clone(est)
    quiet(by_hand.fit, StandardScaler().fit_transform(X), y, sample_weight=WEIGHT)
    by_hand.set_params(alpha=0.1)
    quiet(by_hand.fit, StandardScaler().fit_transform(X), y, sample_weight=WEIGHT)
    np.testing.assert_array_equal(theta(search.best_estimator_[-1]), theta(by_hand))


def test_validation_data_is_routed(routing: None) -> None:
    X, y = DATA["multiclass"]
    held = DATA["multiclass"][0][:9] + 0.1, y[:9]
    est = dr.MLPClassifier(**QUICK).set_fit_request(validation_data=True)
    by_hand = quiet(clone(est).fit, X, y, validation_data=held)
    assert len(by_hand.validation_scores_) == 5
    pipe = quiet(make_pipeline("passthrough", clone(est)).fit, X, y, validation_data=held)
    np.testing.assert_array_equal(theta(pipe[-1]), theta(by_hand))
    assert pipe[-1].validation_scores_ == by_hand.validation_scores_
    search = GridSearchCV(clone(est), {"alpha": [0.0001]}, cv=2)
    quiet(search.fit, X, y, validation_data=held)
    np.testing.assert_array_equal(theta(search.best_estimator_), theta(by_hand))


# -- importing -------------------------------------------------------------------------------------


def test_only_the_use_of_an_estimator_loads_scikit_learn() -> None:
    code = (
        "import sys, deltarule\n"
        "assert 'sklearn' not in sys.modules\n"
        "assert {'MLPClassifier', 'MLPRegressor'} <= set(dir(deltarule)) & set(deltarule.__all__)\n"
        "assert 'sklearn' not in sys.modules\n"
        "from deltarule import MLPClassifier\n"
        "assert 'sklearn' in sys.modules\n"
        "assert MLPClassifier is deltarule.MLPClassifier is deltarule.estimators.MLPClassifier\n"
        "assert not {'torch', 'onnx', 'polars', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=300)
