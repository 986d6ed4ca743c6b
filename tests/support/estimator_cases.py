"""What the tests of the estimators share: small plausible data, a quiet fit, theirs beside ours."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import sklearn
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

import deltarule as dr

RELEASE = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
N, FEATURES = 67, 5  # 67 rows leave a remainder for every batch size but 1 and 67


def _data() -> dict[str, tuple[Any, Any]]:
    rng = np.random.default_rng(7)
    X = rng.normal(size=(N, FEATURES))
    signal = np.sin(X[:, 0]) + X[:, 1] * X[:, 2]
    made: dict[str, tuple[Any, Any]] = {
        "regression": (X, signal + 0.1 * rng.normal(size=N)),
        "regression of 3": (X, np.c_[signal, X[:, 3] ** 2, X[:, 4] - signal]),
        "counts": (X, rng.poisson(np.exp(0.5 * signal)).astype(float)),
    }
    for name, k in (("binary", 2), ("multiclass", 4)):
        made[name] = make_classification(
            N, FEATURES, n_informative=4, n_redundant=0, n_classes=k, random_state=3
        )
    made["text labels"] = (made["multiclass"][0], np.array(list("dbac"))[made["multiclass"][1]])
    made["multilabel"] = make_multilabel_classification(N, FEATURES, n_classes=3, random_state=3)
    return made


DATA = _data()
WEIGHT = np.random.default_rng(8).uniform(0.2, 3.0, N)
CLASSIFICATION = ["binary", "multiclass", "text labels", "multilabel"]
REGRESSION = ["regression", "regression of 3", "counts"]


def own(task: str, **parameters: Any) -> Any:
    """Our estimator for a task."""
    if task in CLASSIFICATION:
        return dr.MLPClassifier(**parameters)
    loss = {"loss": "poisson"} if task == "counts" else {}
    return dr.MLPRegressor(**loss | parameters)


def pair(task: str, **parameters: Any) -> tuple[Any, Any]:
    """Our estimator and scikit-learn's for a task, with the same parameters."""
    if task in CLASSIFICATION:
        return own(task, **parameters), TheirClassifier(**parameters)
    loss = {"loss": "poisson"} if task == "counts" else {}
    return own(task, **parameters), TheirRegressor(**loss, **parameters)


def quiet(method: Any, *args: Any, **kwargs: Any) -> Any:
    """Call `method` while fits that end at max_iter, or clip their batch size, do not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="Got `batch_size`")
        return method(*args, **kwargs)


def theta(estimator: Any) -> Any:
    """All parameters in one vector."""
    return np.concatenate([w.ravel() for w in [*estimator.coefs_, *estimator.intercepts_]])
