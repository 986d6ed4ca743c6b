"""Early stopping's rows: a share of the training rows as scikit-learn draws it, or the user's."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from deltarule.estimators.inputs import checked_both
from deltarule.network.data import check_sample_weight
from deltarule.network.network import Network

Score = Callable[[], float]


def one_validation(data: Any, X_val: Any, y_val: Any) -> Any:
    """validation_data, as such or as X_val and y_val. Raises ValueError for both or a half."""
    if X_val is None and y_val is None:
        return data
    if data is not None or X_val is None or y_val is None:
        raise ValueError("give validation_data=(X, y), or X_val and y_val, or neither")
    return X_val, y_val


def held_out(
    est: Any, net: Network, X: Any, y: Any, Y: Any, weight: Any, given: Any, random: Any
) -> tuple[Any, Score]:
    """The rows to train on, and a function that scores the network on those that are held out.

    Raises ValueError for a validation set that is too small or not (X, y[, sample_weight]).
    """
    if given is not None:
        X_held, y_held, weight_held = _given(est, given, net)
        return slice(None), _score(est, net, X_held, y_held, weight_held)
    stratify = Y if is_classifier(est) and Y.shape[1] == 1 else None
    rows, held = train_test_split(
        np.arange(len(Y)),
        random_state=random,
        test_size=est.validation_fraction,
        stratify=stratify,
    )
    if len(held) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    weight_held = None if weight is None else weight[held]
    if weight_held is not None and not weight_held.any():
        weight_held = None  # weights that are all 0 say nothing about these rows
    return rows, _score(est, net, X[held], y[held], weight_held)


def _given(est: Any, given: Any, net: Network) -> tuple[Any, Any, Any]:
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise ValueError("validation_data must be a tuple (X, y) or (X, y, sample_weight)")
    try:
        X, y = checked_both(est, *given[:2], reset=False, y_numeric=not is_classifier(est))
        if y.ndim == 2 and y.shape[1] == 1:
            y = y.ravel()
        est._check_held_out(y)
        weight = check_sample_weight(given[2], len(y), net.dtype) if len(given) == 3 else None
    except ValueError as error:
        raise ValueError(f"validation_data: {error}") from None
    return X, y, weight


def _score(est: Any, net: Network, X: Any, y: Any, weight: Any) -> Score:
    if est.scoring is None:

        def default() -> float:
            output = net.predict(X, engine=est.engine)
            finite = bool(np.isfinite(output).all())
            return float(est._default_score(y, output, weight)) if finite else float("nan")

        return default
    view = copy.copy(est)  # shares the network; X has no column names any more
    vars(view).pop("feature_names_in_", None)
    scorer = check_scoring(view, scoring=est.scoring)
    weights = {} if weight is None or not _takes_weights(scorer) else {"sample_weight": weight}

    def chosen() -> float:
        value = scorer(view, X, y, **weights)
        try:
            return float(value)
        except (TypeError, ValueError):
            raise ValueError(
                f"scoring must return a number, got {value!r} from {est.scoring!r}"
            ) from None

    return chosen


def _takes_weights(scorer: Any) -> bool:
    """Whether a scorer can weigh the rows; a function (estimator, X, y) counts them alike."""
    function = getattr(scorer, "_score_func", scorer)  # what scikit-learn's own scorers call
    known = inspect.signature(function).parameters
    return "sample_weight" in known or any(one.kind is one.VAR_KEYWORD for one in known.values())
