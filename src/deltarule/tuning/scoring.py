"""The score of a trial: any scorer of scikit-learn, on the outputs of a network for a table."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import UndefinedMetricWarning

from deltarule.equations.params import Array
from deltarule.errors import SpecError, unknown_name
from deltarule.network.network import Network
from deltarule.tabular import TargetColumn


class _Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A network as scikit-learn's scorers see a classifier; the classes are their labels 0..k-1."""

    def __init__(self, net: Network, classes: int) -> None:
        self.net = net
        self.classes_ = np.arange(classes)

    def predict(self, X: Array) -> NDArray[np.int64]:
        output = self.net.predict(X)
        labels = output[:, 0] >= 0.5 if output.shape[1] == 1 else output.argmax(axis=1)
        return np.asarray(labels, dtype=np.int64)

    def predict_proba(self, X: Array) -> Array:
        p = self.net.predict(X).astype(np.float64)
        if p.shape[1] == 1:
            p = np.hstack([1 - p, p])
        return np.asarray(p / p.sum(axis=1, keepdims=True))


class _Regressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A network as scikit-learn's scorers see a regressor, in the unit of the target."""

    def __init__(self, net: Network, target: TargetColumn) -> None:
        self.net = net
        self.target = target

    def predict(self, X: Array) -> NDArray[np.float64]:
        return self.target.decode(self.net.predict(X)).to_numpy()


class Scorer:
    """What is maximised.

    Parameters
    ----------
    scoring : None, str or callable
        None: "accuracy" for classes, "r2" for quantities. A name that scikit-learn knows
        ("neg_log_loss", "balanced_accuracy", "roc_auc", "neg_root_mean_squared_error", ...), or
        its kind of function: scoring(estimator, X, y), X the encoded rows. Greater is better.
        With two classes the positive one is the second in order.
    task : "classify" or "regress"

    Attributes
    ----------
    name : str

    Raises SpecError for an unknown name.
    """

    def __init__(self, scoring: str | Callable[..., float] | None, task: str) -> None:
        if scoring is None:
            scoring = "accuracy" if task == "classify" else "r2"
        if isinstance(scoring, str):
            known = sklearn.metrics.get_scorer_names()
            if scoring not in known:
                raise unknown_name("scoring", scoring, known)
            self.name = scoring
            self._scorer = sklearn.metrics.get_scorer(scoring)
        elif callable(scoring):
            self.name = getattr(scoring, "__qualname__", repr(scoring))
            self._scorer = scoring
        else:
            raise SpecError(
                f"scoring must be a name that scikit-learn knows, or a function, got {scoring!r}"
            )

    def truth(self, target: TargetColumn, frame: Any) -> NDArray[Any]:
        """What the rows are scored against: labels (n,), or quantities (n,) in their unit."""
        labels = target.labels(frame)
        if labels is None:
            return target.decode(target.transform(frame)).to_numpy()
        return labels

    def score(self, net: Network, target: TargetColumn, X: Array, y: NDArray[Any]) -> float:
        """The score of a network for encoded rows X and their `truth`; NaN if it has none.

        Raises SpecError if the scorer cannot score such a target or such rows.
        """
        classes = len(target.classes)
        seen = _Classifier(net, classes) if classes else _Regressor(net, target)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)  # it counts as 0
                value = float(self._scorer(seen, X, y))
        except (ValueError, TypeError, AttributeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SpecError(
                f"scoring {self.name!r} cannot score the validation rows of this "
                f"{'classification' if classes else 'regression'}: {reason}"
            ) from error
        return value if math.isfinite(value) else math.nan
