"""Bad input and bad parameters: scikit-learn's words, and where the fault lies."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

import deltarule as dr
from support.estimator_cases import DATA, FEATURES, RELEASE, WEIGHT, N, pair, quiet

X, Y_CLASS = DATA["multiclass"]
Y_REAL = DATA["regression"][1]
KINDS = [dr.MLPClassifier, dr.MLPRegressor]
THEIRS = {dr.MLPClassifier: TheirClassifier, dr.MLPRegressor: TheirRegressor}
QUICK: dict[str, Any] = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
NAMES = ["length", "width", "height", "weight", "age"]


def y_of(kind: Any) -> Any:
    return Y_CLASS if kind is dr.MLPClassifier else Y_REAL


def fitted(kind: Any, **options: Any) -> Any:
    return quiet(kind(**QUICK | options).fit, X, y_of(kind))


def spoiled(value: float, container: Any) -> Any:
    bad = X.copy()
    bad[40, 2] = value
    bad[50, 1] = value
    return container(bad)


# -- X ---------------------------------------------------------------------------------------------

CONTAINERS = {
    "array": np.asarray,
    "float32": np.float32,
    "list": lambda x: x.tolist(),
    "pandas": lambda x: pd.DataFrame(x, columns=NAMES),
    "pandas, nullable": lambda x: pd.DataFrame(x, columns=NAMES).convert_dtypes(),
    "polars": lambda x: pl.DataFrame(x, schema=NAMES),
    "csr": sp.csr_array,
    "csc": sp.csc_matrix,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", ["fit", "predict", "partial_fit"])
def test_nan_and_infinity_with_their_place(
    kind: Any, container: str, value: float, method: str
) -> None:
    bad = spoiled(value, CONTAINERS[container])
    if method == "fit":
        call: Any = lambda: kind(**QUICK).fit(bad, y_of(kind))  # noqa: E731
    else:
        est = quiet(kind(**QUICK).fit, CONTAINERS[container](X), y_of(kind))
        answers = () if method == "predict" else (y_of(kind),)
        call = lambda: getattr(est, method)(bad, *answers)  # noqa: E731
    theirs = "contains NaN" if np.isnan(value) else "contains infinity"
    with pytest.raises(ValueError, match=rf"Input X {theirs}") as caught:
        call()
    said = str(caught.value)
    assert re.search(r"row 40, column 2|row 50, column 1", said)
    assert "NaN" in said if np.isnan(value) else "infinity" in said
    if container.startswith(("pandas", "polars")):
        assert "'height'" in said
    if container != "csc":
        assert "row 40, column 2" in said
        assert "and 1 more" in said


def test_a_number_too_large_for_float32() -> None:
    big = X.copy()
    big[3, 4] = 1e300
    with pytest.raises(ValueError, match=r"too large for dtype\(.float32.\)") as caught:
        dr.MLPRegressor(**QUICK, dtype="float32").fit(big, Y_REAL)
    assert "1e+300, too large for float32, at row 3, column 4" in str(caught.value)
    with pytest.raises(ValueError, match="at row 3, column 4"):
        quiet(dr.MLPRegressor(**QUICK, dtype="float32").fit, X, Y_REAL).predict(big)


@pytest.mark.parametrize("kind", KINDS)
def test_text_in_x(kind: Any) -> None:
    bad = X.astype(object)
    bad[5, 1] = "tall"
    said = "could not convert string to float: 'tall'\nFirst: 'tall' at row 5, column 1, counted"
    with pytest.raises(ValueError, match=said):
        kind().fit(bad, y_of(kind))
    said = r"float: 'wide'\nFirst: 'wide' at row 0, column 1 \('width'\), counted"
    frame = pd.DataFrame(X, columns=NAMES).assign(width="wide")
    for one in (frame, pl.DataFrame(frame)):
        with pytest.raises(ValueError, match=said):
            kind().fit(one, y_of(kind))
    with pytest.raises(ValueError, match=r"dtype='numeric' is not compatible|could not convert"):
        fitted(kind).predict(np.full((3, FEATURES), "a"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [FEATURES - 1, FEATURES + 1])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_a_wrong_number_of_features(kind: Any, width: int, container: Any) -> None:
    est = fitted(kind)
    wrong = container(np.ones((N, width)))
    match = rf"X has {width} features, but {kind.__name__} is expecting 5 features as input"
    for call in (est.predict, est.input_gradients, lambda x: est.partial_fit(x, y_of(kind))):
        with pytest.raises(ValueError, match=match):
            call(wrong)
    with pytest.raises(ValueError, match=match):
        kind(**QUICK).fit(X, y_of(kind), validation_data=(wrong, y_of(kind)))


BAD_X = {
    "one-dimensional": X[:, 0], "three-dimensional": X.reshape(N, 5, 1), "no rows": X[:0],
    "no columns": X[:, :0], "ragged": [[1.0, 2.0], [3.0]], "complex": X * 1j, "None": None,
    "a number": 3.0,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", BAD_X)
def test_shapes_and_kinds_of_x_are_refused_in_their_words(kind: Any, what: str) -> None:
    told = []
    for one in (kind(**QUICK), THEIRS[kind](**QUICK)):
        with pytest.raises((ValueError, TypeError)) as caught:
            one.fit(BAD_X[what], y_of(kind)[: len(X[:0]) if what == "no rows" else N])
        told.append(caught.value)
    assert type(told[0]) is type(told[1])
    assert str(told[0]).splitlines()[0] == str(told[1]).splitlines()[0]


# -- y ---------------------------------------------------------------------------------------------

BAD_Y: dict[str, tuple[Any, Any]] = {
    "too short": (dr.MLPClassifier, Y_CLASS[:-1]),
    "too long": (dr.MLPRegressor, np.r_[Y_REAL, 1.0]),
    "missing": (dr.MLPRegressor, np.r_[Y_REAL[:-1], np.nan]),
    "infinite": (dr.MLPRegressor, np.r_[Y_REAL[:-1], np.inf]),
    "None": (dr.MLPClassifier, None),
    "quantities as classes": (dr.MLPClassifier, Y_REAL),
    "missing class": (dr.MLPClassifier, np.r_[Y_CLASS[:-1].astype(float), np.nan]),
    "three-dimensional": (dr.MLPRegressor, Y_REAL.reshape(-1, 1, 1)),
}


@pytest.mark.parametrize("what", BAD_Y)
def test_bad_targets_are_refused_in_their_words(what: str) -> None:
    kind, y = BAD_Y[what]
    told = []
    for one in (kind(**QUICK), THEIRS[kind](**QUICK)):
        with pytest.raises((ValueError, TypeError)) as caught:
            one.fit(X, y)
        told.append(caught.value)
    assert type(told[0]) is type(told[1])
    assert str(told[0]).splitlines()[0] == str(told[1]).splitlines()[0]


def test_missing_targets_with_their_place() -> None:
    letters = [*"dbac" * 16, "d", "b", None]
    for y, what, row in (
        (np.r_[Y_REAL[:-1], np.nan], "NaN", 66),
        (np.r_[-np.inf, Y_REAL[1:]], "infinity", 0),
        (np.array([*Y_REAL[:-1], None]), "None", 66),
        (letters, "None", 66),
        (pl.Series(letters), "None", 66),
        (pd.Series(letters), "NaN", 66),
        (pd.Series(letters).astype("string"), "<NA>", 66),
        (pd.Series(letters).astype("category"), "NaN", 66),
    ):
        kind = dr.MLPRegressor if isinstance(y, np.ndarray) else dr.MLPClassifier
        with pytest.raises(ValueError, match=rf"Input y contains {what}") as caught:
            kind(**QUICK).fit(X, y)
        assert str(caught.value).endswith(f"\nFirst: {what} at row {row}, counted from 0.")
    frame = pd.DataFrame({"a": Y_REAL, "b": np.r_[Y_REAL[:9], np.nan, Y_REAL[10:]]})
    with pytest.raises(ValueError, match=r"NaN at row 9, column 1 \('b'\)"):
        dr.MLPRegressor(**QUICK).fit(X, frame)
    with pytest.raises(ValueError, match="text and other labels"):
        dr.MLPClassifier(**QUICK).fit(X, np.array([*"dbac" * 16, "d", "b", 3], dtype=object))


def test_text_as_quantities_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"y holds '\w' \(str\) at row 0.*not a number"):
        dr.MLPRegressor(**QUICK).fit(X, DATA["text labels"][1])


def test_a_column_of_targets_warns_as_theirs() -> None:
    for kind in KINDS:
        with pytest.warns(DataConversionWarning, match="column-vector y was passed") as caught:
            quiet(kind(**QUICK).fit, X, y_of(kind)[:, None])
        assert sum(w.category is DataConversionWarning for w in caught) == 1


def test_a_single_class_is_learned_as_theirs() -> None:
    one = np.zeros(N, dtype=int)
    ours, theirs = pair("binary", **QUICK)
    for est in (ours, theirs):
        quiet(est.fit, X, one)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert list(ours.classes_) == [0]


@pytest.mark.parametrize(("loss", "y", "where"), [
    ("poisson", np.r_[Y_REAL[:30] ** 2, -1.0, Y_REAL[31:] ** 2], "row 30"),
    ("log_loss", np.r_[np.ones(12), 2.0, np.zeros(N - 13)], "row 12"),
])  # fmt: skip
def test_targets_that_the_loss_cannot_take(loss: str, y: Any, where: str) -> None:
    with pytest.raises(ValueError, match=f"{where}.*{loss}"):
        dr.MLPRegressor(loss=loss, **QUICK).fit(X, y)


# -- weights ---------------------------------------------------------------------------------------

BAD_WEIGHTS = {
    "too short": WEIGHT[:-1], "a matrix": np.ones((N, 2)), "NaN": np.r_[WEIGHT[:-1], np.nan],
    "infinite": np.r_[WEIGHT[:-1], np.inf], "text": ["heavy"] * N
}  # fmt: skip


@pytest.mark.skipif(RELEASE < (1, 7), reason="scikit-learn 1.6 has no sample weights here")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", BAD_WEIGHTS)
def test_bad_sample_weights(kind: Any, what: str) -> None:
    told = []
    for one in (kind(**QUICK), THEIRS[kind](**QUICK)):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  # compared below
            one.fit(X, y_of(kind), sample_weight=BAD_WEIGHTS[what])
        told.append(str(caught.value).splitlines()[0])
        if one.__class__ is kind and what in ("NaN", "infinite"):
            assert "at row 66, counted from 0" in str(caught.value)
    assert told[0] == told[1]


def can_train(est: Any, y: Any, weight: Any) -> bool:
    """Whether a row with a weight is left to train on."""
    try:
        quiet(est.fit, X, y, weight)
    except ValueError as error:
        if "at least one non-zero number among the rows to train on" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_leave_no_row(kind: Any) -> None:
    match = r"(?i)sample weights.* must contain at least one non-zero number"
    with pytest.raises(ValueError, match=match):
        kind(**QUICK).fit(X, y_of(kind), np.zeros(N))
    few = np.r_[1.0, np.zeros(N - 1)]
    split = {"early_stopping": True, "validation_fraction": 0.3}
    seeds = [kind(**QUICK | {"random_state": seed}, **split) for seed in range(12)]
    trained = [can_train(est, y_of(kind), few) for est in seeds]
    assert 0 < sum(trained) < 12, "some splits hold that one row out"
    with pytest.raises(ValueError, match=match):
        dr.MLPClassifier(**QUICK, class_weight=dict.fromkeys(range(4), 0.0)).fit(X, Y_CLASS)


@pytest.mark.parametrize(("given", "match"), [
    ({0: 1.0, 7: 2.0}, r"classes, \[1, 2, 3\], are not in class_weight"),
    ("blanced", "class_weight"), ([{0: 1.0}], "list of dicts is for several outputs"),
])  # fmt: skip
def test_bad_class_weights(given: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        dr.MLPClassifier(**QUICK, class_weight=given).fit(X, Y_CLASS)


# -- rows to validate on ---------------------------------------------------------------------------

BAD_VALIDATION: dict[str, tuple[Any, str]] = {
    "X alone": ((X,), r"tuple \(X, y\) or \(X, y, sample_weight\)"),
    "an array": (X, r"tuple \(X, y\)"),
    "four parts": ((X, Y_CLASS, WEIGHT, 1), r"tuple \(X, y\)"),
    "y too short": ((X, Y_CLASS[:-1]), "validation_data: .*67.*66"),
    "weight too short": ((X, Y_CLASS, WEIGHT[:-1]), "sample_weight"),
    "NaN": ((spoiled(np.nan, np.asarray), Y_CLASS), "row 40, column 2"),
    "no rows": ((X[:0], Y_CLASS[:0]), "0 sample"),
    "no y": ((X, None), "validation_data: .*requires y"),
    "one-hot": ((X, np.eye(4)[Y_CLASS]), "validation_data: y has 4 columns of labels, but .* 1"),
    "y with NaN": ((X, np.where(Y_CLASS == 3, np.nan, Y_CLASS)), "validation_data: Input y cont"),
}


def test_lbfgs_has_no_epochs_to_validate_after() -> None:
    with pytest.raises(ValueError, match="validation_data is scored after every epoch, and solver"):
        dr.MLPRegressor(solver="lbfgs").fit(X, Y_REAL, validation_data=(X, Y_REAL))


@pytest.mark.parametrize("what", BAD_VALIDATION)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_validation_data(what: str, method: str) -> None:
    given, match = BAD_VALIDATION[what]
    est = dr.MLPClassifier(**QUICK)
    options = {"classes": np.unique(Y_CLASS)} if method == "partial_fit" else {}
    with pytest.raises(ValueError, match=match):
        quiet(getattr(est, method), X, Y_CLASS, validation_data=given, **options)


@pytest.mark.parametrize(("y", "y_held", "match"), [
    (Y_REAL, np.c_[Y_REAL, Y_REAL], r"y has shape \(67, 2\)"),
    (np.c_[Y_REAL, Y_REAL], Y_REAL, r"y has shape \(67,\)"),
    (np.c_[Y_REAL, Y_REAL], np.c_[Y_REAL, Y_REAL, Y_REAL], r"y has shape \(67, 3\)"),
    (Y_REAL, np.r_[Y_REAL[:-1], np.nan], "NaN at row 66"),
    (Y_REAL, np.full(N, "many"), "y holds 'many'"),
], ids=["2 for 1", "1 for 2", "3 for 2", "NaN", "text"])  # fmt: skip
@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error"])
def test_bad_quantities_to_validate_on(y: Any, y_held: Any, match: str, scoring: Any) -> None:
    """Broadcast against the outputs they would give a score, and a wrong one."""
    with pytest.raises(ValueError, match=match) as caught:
        dr.MLPRegressor(**QUICK, scoring=scoring).fit(X, y, validation_data=(X, y_held))
    assert str(caught.value).startswith("validation_data: ")


@pytest.mark.filterwarnings("ignore:Only one class:sklearn.exceptions.UndefinedMetricWarning")
def test_scores_that_are_none() -> None:
    """Without them the parameters of the start would count as the best ones."""
    zeros = Y_CLASS == 0
    est = dr.MLPClassifier(**QUICK, scoring="roc_auc")
    with pytest.raises(ValueError, match=r"no epoch has a validation score.*they are nan"):
        quiet(est.fit, X, zeros, validation_data=(X[zeros], zeros[zeros]))
    with pytest.raises(ValueError, match=r"R\^2 is not defined for less than two rows"):
        dr.MLPRegressor(**QUICK).fit(X, Y_REAL, validation_data=(X[:1], Y_REAL[:1]))
    est = dr.MLPRegressor(**QUICK, scoring=lambda *_: None)
    with pytest.raises(ValueError, match="scoring must return a number, got None"):
        est.fit(X, Y_REAL, validation_data=(X, Y_REAL))


def test_validation_classes_that_training_does_not_know() -> None:
    est = dr.MLPClassifier(**QUICK)
    with pytest.warns(UserWarning, match=r"classes that training does not know: \[4\]"):
        quiet(est.fit, X, Y_CLASS, validation_data=(X, Y_CLASS + 1))


def test_a_validation_set_that_is_too_small() -> None:
    kinds = [dr.MLPRegressor, TheirRegressor] if RELEASE >= (1, 7) else [dr.MLPRegressor]
    for est in [kind(early_stopping=True) for kind in kinds]:
        with pytest.raises(ValueError, match=r"The validation set is too small\. Increase"):
            est.fit(X[:5], Y_REAL[:5])


# -- parameters ------------------------------------------------------------------------------------

BAD_PARAMETERS: dict[str, Any] = {
    "hidden_layer_sizes": [-1, (3, 0), "big"], "solver": ["adm", 3], "alpha": [-1.0, "a"],
    "batch_size": [0, 2.5, "all"], "learning_rate": ["fast", 3.0],
    "learning_rate_init": [0.0, -1.0], "power_t": [-1], "max_iter": [0, 2.5],
    "shuffle": ["yes"], "random_state": ["seed", -1], "tol": [-1.0], "warm_start": ["no"],
    "momentum": [-0.1, 1.5], "nesterovs_momentum": ["no"], "early_stopping": ["no"],
    "validation_fraction": [1.0, -0.1], "beta_1": [1.0], "beta_2": [-0.1], "epsilon": [0.0],
    "n_iter_no_change": [0, 1.5], "max_fun": [0],
    "dropout": [1.0, -0.1, "some"], "l1": [-0.1], "clip_norm": [0.0, -1.0],
    "dtype": ["float16", "int", int], "n_ensemble": [0, 1.5], "scoring": [3],
    "callbacks": [3], "engine": [3],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, vs in BAD_PARAMETERS.items() for v in vs]
)
def test_a_bad_parameter_is_named_with_its_value(kind: Any, name: str, value: Any) -> None:
    ours = kind(**QUICK | {name: value})
    with pytest.raises(ValueError, match=name) as caught:
        ours.fit(X, y_of(kind))
    shown = {"(3, 0)": "[3, 0]", "<class 'int'>": "int64"}.get(str(value), str(value))
    assert shown in str(caught.value)
    if name in THEIRS[kind]().get_params():  # and theirs refuses it as well
        with pytest.raises(ValueError, match=name):
            THEIRS[kind](**QUICK | {name: value}).fit(X, y_of(kind))


@pytest.mark.parametrize(("kind", "options", "match"), [
    (dr.MLPClassifier, {"activation": "rleu"}, "unknown activation 'rleu'. Did you mean 'relu'"),
    (dr.MLPClassifier, {"activation": ["tanh", "relu"]}, "list of 2, but there are 1 hidden"),
    (dr.MLPClassifier, {"activation": "softmax"}, "softmax mixes the units of a layer"),
    (dr.MLPClassifier, {"loss": "logloss"}, "unknown loss 'logloss'. Did you mean 'log_loss'"),
    (dr.MLPRegressor, {"loss": "cross_entropy"}, "use MLPClassifier"),
    (dr.MLPRegressor, {"loss": "squared_eror"}, "Did you mean 'squared_error'"),
    (dr.MLPRegressor, {"loss": "quantile(2)"}, "level must lie between 0 and 1"),
    (dr.MLPRegressor, {"dropout": [0.1]}, "dropout has 1 rates, but 2 layers have inputs"),
    (dr.MLPRegressor, {"dropout": 0.5, "hidden_layer_sizes": ()}, "there is none"),
    (dr.MLPRegressor, {"solver": "lbfgs", "dropout": 0.5}, "no dropout"),
    (dr.MLPRegressor, {"solver": "lbfgs", "clip_norm": 1.0}, "no clip_norm"),
    (dr.MLPRegressor, {"solver": "lbfgs", "learning_rate": "cosine"}, "no schedule"),
    (dr.MLPRegressor, {"engine": "gpu"}, "(?i)engine 'gpu'"),
    (dr.MLPRegressor, {"scoring": "acuracy", "early_stopping": True}, "acuracy"),
    (dr.MLPClassifier, {"label_smoothing": 1.0}, "label_smoothing"),
    (dr.MLPRegressor, {"callbacks": ["print"]}, "a callback must be"),
])  # fmt: skip
def test_what_does_not_exist_or_fit_together(
    kind: Any, options: dict[str, Any], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        kind(**QUICK | options).fit(X, y_of(kind))


# -- calls out of place ----------------------------------------------------------------------------


def test_lbfgs_has_no_partial_fit() -> None:
    for solver in ("lbfgs", dr.LBFGS()):
        for kind in KINDS:
            est = kind(solver=solver)
            assert not hasattr(est, "partial_fit")
            with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
                est.partial_fit(X, y_of(kind))


def test_partial_fit_and_classes() -> None:
    est = dr.MLPClassifier(**QUICK)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        est.partial_fit(X, Y_CLASS)
    with pytest.raises(ValueError, match=r"`y` has classes not in `self\.classes_`"):
        est.partial_fit(X, Y_CLASS, classes=[0, 1])
    est = fitted(dr.MLPClassifier)
    with pytest.raises(ValueError, match="is not the same as on last call"):
        est.partial_fit(X, Y_CLASS, classes=[0, 1, 2, 3, 4])
    with pytest.raises(ValueError, match=r"`y` has classes not in `self\.classes_`"):
        est.partial_fit(X, Y_CLASS + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_early_stopping_in_partial_fit_needs_rows(kind: Any) -> None:
    est = kind(**QUICK, early_stopping=True)
    classes = {"classes": np.unique(Y_CLASS)} if kind is dr.MLPClassifier else {}
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        est.partial_fit(X, y_of(kind), **classes)
    est.partial_fit(X, y_of(kind), **classes, validation_data=(X, y_of(kind)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_keeps_its_sizes_while_training_goes_on(kind: Any) -> None:
    est = fitted(kind, warm_start=True).set_params(hidden_layer_sizes=(7,))
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=r"sizes \[5, 4, \d\], but \[5, 7, \d\] are asked for"):
            getattr(est, method)(X, y_of(kind))


def test_a_failed_fit_can_be_repeated_and_leaves_no_half_a_model() -> None:
    est = dr.MLPClassifier(**QUICK)
    with pytest.raises(ValueError, match="row 40"):
        est.fit(spoiled(np.nan, np.asarray), Y_CLASS)
    with pytest.raises(NotFittedError):
        est.predict(X)
    quiet(est.fit, X, Y_CLASS)
    before = est.predict_proba(X)
    with pytest.raises(ValueError, match="row 40"):
        est.partial_fit(spoiled(np.nan, np.asarray), Y_CLASS)
    np.testing.assert_array_equal(est.predict_proba(X), before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("n_ensemble", [1, 2])
def test_bad_data_leave_an_estimator_as_it_was(kind: Any, method: str, n_ensemble: int) -> None:
    """Whatever is found to be bad, and when: before, a network was made by then."""
    y = y_of(kind)
    known = {"classes": np.unique(y)} if (kind, method) == (KINDS[0], "partial_fit") else {}
    new, old = kind(**QUICK, n_ensemble=n_ensemble), fitted(kind, n_ensemble=n_ensemble)
    before = pickle.dumps(old)
    for bad in (
        {"validation_data": (X[:, :2], y)}, {"validation_data": (X, y[:-1])},
        {"sample_weight": WEIGHT[:-1]},
    ):  # fmt: skip
        for est in (new, old):
            with pytest.raises(ValueError, match=r"features|inconsistent|shape"):
                getattr(est, method)(X, y, **known, **bad)
        assert [name for name in vars(new) if name.endswith("_")] == []
        assert pickle.dumps(old) == before


def test_classes_of_a_first_call_that_failed_are_forgotten() -> None:
    est = dr.MLPClassifier(**QUICK)
    with pytest.raises(ValueError, match="classes not in"):
        est.partial_fit(X, Y_CLASS, classes=[0, 1, 2])
    est.partial_fit(X, Y_CLASS, classes=[0, 1, 2, 3])


def test_questions_about_gradients_that_make_no_sense() -> None:
    est = fitted(dr.MLPClassifier)
    with pytest.raises(ValueError, match="not both"):
        est.input_gradients(X, Y_CLASS, output=1)
    for output in (-1, 4, 0.5, "red"):
        with pytest.raises(
            ValueError, match=rf"output={output!r}: the network has the outputs 0 to 3"
        ):
            est.input_gradients(X, output=output)
    for call in (est.input_gradients, lambda x: est.per_sample_gradients(x, Y_CLASS)):
        with pytest.raises(ValueError, match="toarray"):
            call(sp.csr_array(X))
    with pytest.raises(ValueError, match="there are 67 samples"):
        est.per_sample_gradients(X, Y_CLASS[:-1])
    for ask in (est.input_gradients, est.per_sample_gradients):
        with pytest.raises(ValueError, match=r"`y` has classes not in `self\.classes_`"):
            ask(X, Y_CLASS + 1)
