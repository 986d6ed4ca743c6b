"""Fitted estimators of both packages on small data of every kind of target."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as SklearnClassifier
from sklearn.neural_network import MLPRegressor as SklearnRegressor

from deltarule.estimators import MLPClassifier, MLPRegressor
from deltarule.exchange.sklearn import _has_poisson

KINDS = ["binary", "labels", "classes", "multilabel", "quantity", "quantities", "counts"]
if not _has_poisson():  # scikit-learn 1.6
    KINDS.remove("counts")


def data(kind: str, n: int = 60, dtype: str = "float64") -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4)).astype(dtype)
    z = X @ rng.standard_normal((4, 3))
    y = {
        "binary": z[:, 0] > 0,
        "labels": np.array(["no", "yes"])[(z[:, 0] > 0).astype(int)],
        "classes": np.array(["fir", "oak", "elm"])[z.argmax(axis=1)],
        "multilabel": (z > 0).astype(int),
        "quantity": z[:, 0],
        "quantities": z,
        "counts": rng.poisson(np.exp(0.3 * z[:, 0])),
    }
    return X, y[kind]


def quietly(est: Any, X: Any, y: Any, **more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return est.fit(X, y, **more)


def sklearn_fitted(kind: str, dtype: str = "float64", **params: Any) -> tuple[Any, Any, Any]:
    X, y = data(kind, dtype=dtype)
    params = {"hidden_layer_sizes": (6, 5), "random_state": 0, "max_iter": 8} | params
    if kind in ("quantity", "quantities", "counts"):
        more = {"loss": "poisson"} if kind == "counts" else {}
        return quietly(SklearnRegressor(**more, **params), X, y), X, y
    return quietly(SklearnClassifier(**params), X, y), X, y


def ours_fitted(kind: str, dtype: str = "float64", **params: Any) -> tuple[Any, Any, Any]:
    X, y = data(kind, dtype=dtype)
    params = {"hidden_layer_sizes": (6, 5), "random_state": 0, "max_iter": 8} | params
    if kind in ("quantity", "quantities", "counts"):
        more = {"loss": "poisson"} if kind == "counts" else {}
        return quietly(MLPRegressor(**more | params), X, y), X, y
    return quietly(MLPClassifier(**params), X, y), X, y
