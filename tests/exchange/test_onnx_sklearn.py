"""Estimators as ONNX, alone and inside what skl2onnx converts, for every kind of target."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import skl2onnx
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import deltarule as dr
from deltarule.exchange.onnx.model import register_skl2onnx, signature, to_onnx
from support.onnx_oracle import assert_close, evaluate, run, runtime
from support.oracles import own_sigmoid

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
NAMES = np.array(load_iris().target_names)
TARGETS: dict[str, Any] = {
    "multiclass": Y,
    "text": NAMES[Y],
    "text objects": NAMES[Y].astype(object),
    "floats": Y / 1.0,
    "binary": (Y > 0) * 2 - 1,
    "binary text": np.where(Y > 0, "b", "a"),
    "flags": Y > 0,
    "one class": np.full(len(Y), 4),
    "multilabel": np.column_stack([Y > 0, Y > 1, Y < 1]).astype(int),
    "multioutput": np.column_stack([Y, (Y + np.arange(len(Y)) % 2) % 4]),
    "multioutput text": np.column_stack([NAMES[Y], np.roll(NAMES[Y], 3)]),
    "multioutput text of several lengths": np.column_stack([NAMES[Y], np.where(Y > 0, "b", "a")]),
}


def classifier(**options: Any) -> dr.MLPClassifier:
    return dr.MLPClassifier((8,), **({"max_iter": 15, "random_state": 0} | options))


def regressor(**options: Any) -> dr.MLPRegressor:
    return dr.MLPRegressor(
        hidden_layer_sizes=(8,), **({"max_iter": 15, "random_state": 0} | options)
    )


def assert_same_answers(est: Any, outputs: list[Any], rows: Any, dtype: Any) -> None:
    """Labels and probabilities against predict and predict_proba."""
    label, p = outputs
    expected = est.predict_proba(rows)
    several = isinstance(expected, list)
    assert isinstance(p, list) is several
    for found, P in zip(p if several else [p], expected if several else [expected], strict=True):
        assert found.dtype == dtype
        assert_close(found, P, dtype)
    said = est.predict(rows)
    assert label.shape == said.shape
    assert label.tolist() == said.tolist()


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("n_ensemble", [1, 3])
@pytest.mark.parametrize("kind", TARGETS)
def test_every_kind_of_classes(kind: str, n_ensemble: int, dtype: str) -> None:
    rows = X.astype(dtype)
    est = classifier(n_ensemble=n_ensemble).fit(rows, TARGETS[kind])
    made = to_onnx(est)
    assert_same_answers(est, run(made, {"X": rows}), rows, dtype)
    label, p = evaluate(made, {"X": rows[:4]})
    assert label.tolist() == est.predict(rows[:4]).tolist()
    assert len(p) == len(est.predict_proba(rows[:4]))


def test_signatures() -> None:
    def signed(kind: str) -> list[tuple[Any, ...]]:
        _, outputs = signature(to_onnx(classifier(max_iter=1).fit(X, TARGETS[kind])))
        return [tuple(one.values()) for one in outputs]

    for kind, label, sizes, k in (
        ("multiclass", "int64", [None], 3),
        ("text", "string", [None], 3),
        ("floats", "double", [None], 3),
        ("flags", "bool", [None], 2),
        ("one class", "int64", [None], 2),
        ("multilabel", "int64", [None, 3], 3),
    ):
        found = signed(kind)
        assert found == [("label", label, sizes), ("probabilities", "double", [None, k])]
    assert signed("multioutput text") == [
        ("label", "string", [None, 2]),
        ("probabilities", "sequence(double)", [None, None]),
    ]
    for y, k in ((X[:, 0], 1), (X[:, :2], 2)):
        inputs, outputs = signature(to_onnx(regressor(max_iter=1).fit(X, y)))
        assert inputs == [{"name": "X", "type": "double", "shape": [None, 4]}]
        assert outputs == [{"name": "variable", "type": "double", "shape": [None, k]}]


@pytest.mark.parametrize("n_ensemble", [1, 3])
@pytest.mark.parametrize("loss", ["squared_error", "poisson", "quantile(0.9)"])
@pytest.mark.parametrize("k", [1, 2])
def test_quantities(loss: str, k: int, n_ensemble: int, dtype: str) -> None:
    rows = X.astype(dtype)
    est = regressor(loss=loss, n_ensemble=n_ensemble).fit(rows, X[:, :k] if k > 1 else X[:, 0])
    (found,) = run(to_onnx(est), {"X": rows})
    assert_close(found, est.predict(rows).reshape(-1, k), dtype)


def test_another_precision(tmp_path: Path) -> None:
    est = classifier().fit(X, NAMES[Y])
    rows = X.astype(np.float32)
    outputs = run(to_onnx(est, dtype="float32"), {"X": rows})
    assert outputs[1].dtype == np.float32
    assert_close(outputs[1], est.predict_proba(X), "float32")
    assert est.to_onnx(tmp_path / "a.onnx") == onnx.load(tmp_path / "a.onnx")


def test_weights_set_by_hand_are_exported() -> None:
    est = regressor().fit(X, X[:, 0])
    est.coefs_ = [-2 * W for W in est.coefs_]
    assert_close(run(to_onnx(est), {"X": X})[0], est.predict(X)[:, None], "float64")


@pytest.mark.parametrize("kind", ["binary", "text", "multilabel"])
def test_a_tie_falls_as_in_predict(kind: str) -> None:
    est = classifier(max_iter=1).fit(X, TARGETS[kind])
    est.coefs_ = [0 * W for W in est.coefs_]
    est.intercepts_ = [0 * b for b in est.intercepts_]
    label, p = run(to_onnx(est), {"X": X})
    assert np.ptp(p) == 0
    assert label.tolist() == est.predict(X).tolist()


def test_what_the_file_says() -> None:
    frame = pd.DataFrame(X, columns=list("abcd"))
    made = to_onnx(classifier(n_ensemble=2, max_iter=1).fit(frame, NAMES[Y]))
    said = {prop.key: prop.value for prop in made.metadata_props}
    assert json.loads(said["feature_names"]) == list("abcd")
    assert json.loads(said["classes"]) == NAMES.tolist()
    assert said["loss"] == "cross_entropy"
    assert made.doc_string.startswith("MLPClassifier: mean of 2 networks as Network(4-8-3, relu")


def test_what_onnx_cannot_express() -> None:
    with pytest.raises(NotFittedError):
        to_onnx(classifier())
    with pytest.raises(dr.SpecError, match="layer 1: mine is your own activation"):
        to_onnx(classifier(activation=own_sigmoid(), max_iter=1).fit(X, Y))
    est = classifier(max_iter=1).fit(X, Y)
    for classes, kinds in (([1, "a", 2], "int, str"), ([2**80, 2, 3], "int")):
        est.classes_ = np.array(classes, dtype=object)
        with pytest.raises(dr.SpecError, match=f"classes of type {kinds}: ONNX needs all"):
            to_onnx(est)
    several = classifier(max_iter=1).fit(X, TARGETS["multioutput"])
    several.classes_ = [several.classes_[0], several.classes_[1].astype(str)]
    with pytest.raises(dr.SpecError, match="classes of several types"):
        to_onnx(several)


# -- skl2onnx ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="module")
def registered() -> None:
    register_skl2onnx()
    register_skl2onnx()


def convert(est: Any, rows: Any, **options: Any) -> onnx.ModelProto:
    given = {id(est): options} if options else None
    return skl2onnx.to_onnx(est, rows[:1], options=given, target_opset=17)


@pytest.mark.parametrize("n_ensemble", [1, 2])
@pytest.mark.parametrize("kind", TARGETS)
def test_a_pipeline(kind: str, n_ensemble: int, dtype: str) -> None:
    rows = X.astype(dtype)
    pipe = make_pipeline(StandardScaler(), classifier(n_ensemble=n_ensemble))
    pipe.fit(rows, TARGETS[kind])
    label, p = run(convert(pipe, rows, zipmap=False), {"X": rows})
    if kind in ("flags", "floats"):  # skl2onnx has labels of whole numbers and of text only
        assert label.dtype == np.int64
        label = label.astype(TARGETS[kind].dtype)
    assert_same_answers(pipe, [label, p], rows, dtype)


@pytest.mark.parametrize("opset", [13, 15, 17, 18, 20])
def test_the_operators_of_other_years(opset: int) -> None:
    rows = X.astype(np.float32)
    est = classifier(activation=["gelu"]).fit(rows, TARGETS["multioutput"])
    made = skl2onnx.to_onnx(est, rows[:1], target_opset=opset, options={"zipmap": False})
    assert_same_answers(est, run(made, {"X": rows}), rows, "float32")


@pytest.mark.parametrize("kind", ["multiclass", "text", "binary", "multilabel"])
@pytest.mark.parametrize(
    "options",
    [{"zipmap": True}, {"zipmap": "columns"}, {"zipmap": False, "output_class_labels": True}],
    ids=str,
)
def test_options_give_what_scikit_learns_mlp_gives(kind: str, options: dict[str, Any]) -> None:
    rows = X.astype(np.float32)
    ours = classifier().fit(rows, TARGETS[kind])
    theirs = ours.to_sklearn()
    found, expected = (convert(est, rows, **options) for est in (ours, theirs))
    mine, other = signature(found)[1], signature(expected)[1]
    if kind == "multilabel":  # skl2onnx declares its labels as (n,), but they are (n, k)
        other[0]["shape"] = [None, 3]
    assert mine == other
    references = runtime(expected, {"X": rows})
    for one, reference in zip(run(found, {"X": rows}), references, strict=True):
        if isinstance(one, list):  # ZipMap: a dict for each row
            assert [list(row) for row in one] == [list(row) for row in reference]
            one, reference = ([list(r.values()) for r in each] for each in (one, reference))
        if np.asarray(one).dtype.kind == "f":
            assert_close(one, reference, "float32")
        else:
            assert np.array_equal(one, reference)


@pytest.mark.parametrize("kind", ["multiclass", "text", "binary", "flags"])
def test_positions_in_place_of_classes(kind: str) -> None:
    rows = X.astype(np.float32)
    est = classifier().fit(rows, TARGETS[kind])
    label, p = run(convert(est, rows, zipmap=False, nocl=True), {"X": rows})
    assert label.tolist() == est.predict_proba(rows).argmax(axis=1).tolist()
    assert_close(p, est.predict_proba(rows), "float32")


def test_quantities_in_a_pipeline(dtype: str) -> None:
    data, y = load_diabetes(return_X_y=True)
    rows = data.astype(dtype)
    for target in (y, np.column_stack([y, -y])):
        pipe = make_pipeline(StandardScaler(), regressor(n_ensemble=2)).fit(rows, target)
        (found,) = run(convert(pipe, rows), {"X": rows})
        assert_close(found, pipe.predict(rows).reshape(len(y), -1), dtype)


def test_whole_numbers_as_inputs() -> None:
    rows = np.round(X * 10).astype(np.int64)
    est = classifier().fit(rows, Y)
    label, p = run(convert(est, rows, zipmap=False), {"X": rows})
    assert_close(p, est.predict_proba(rows), "float32")
    assert label.dtype == np.int64


@pytest.mark.parametrize(
    "around",
    [
        lambda mlp: GridSearchCV(
            make_pipeline(StandardScaler(), mlp), {"mlpclassifier__alpha": [1e-4, 1]}, cv=2
        ),
        lambda mlp: StackingClassifier([("mlp", mlp), ("other", LogisticRegression())], cv=2),
        lambda mlp: BaggingClassifier(mlp, 2, random_state=0),
        lambda mlp: CalibratedClassifierCV(mlp, cv=2),
    ],
    ids=["search", "stack", "bag", "calibrated"],
)
def test_inside_other_estimators(around: Any) -> None:
    rows = X.astype(np.float32)
    est = around(classifier()).fit(rows, Y)
    assert_same_answers(est, run(convert(est, rows, zipmap=False), {"X": rows}), rows, "float32")


def test_classes_that_skl2onnx_cannot_write() -> None:
    est = classifier(max_iter=1).fit(X, Y + 0.0)
    est.classes_ = est.classes_ + 0.5
    with pytest.raises(dr.SpecError, match="classes that are whole numbers or text"):
        convert(est, X, zipmap=False)


def test_without_skl2onnx_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skl2onnx", None)  # as if it were not installed
    with pytest.raises(dr.DeltaruleError, match="pip install skl2onnx"):
        register_skl2onnx()
