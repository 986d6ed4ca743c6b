"""Validation rows given apart, so that a Pipeline can transform them (transform_input)."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from deltarule import MLPClassifier
from support.estimator_cases import quiet


def test_validation_rows_go_through_the_steps_of_a_pipeline() -> None:
    X, y = load_iris(return_X_y=True)
    X = 1000.0 * X + 5000.0  # without the scaler nothing could be learnt
    train, held = np.arange(0, 150, 2), np.arange(1, 150, 2)
    with config_context(enable_metadata_routing=True):
        est = MLPClassifier(max_iter=40, random_state=0, n_iter_no_change=40)
        pipeline = Pipeline(
            [("scale", StandardScaler()), ("mlp", est.set_fit_request(X_val=True, y_val=True))],
            transform_input=["X_val"],
        )
        quiet(pipeline.fit, X[train], y[train], X_val=X[held], y_val=y[held])
        scaler = StandardScaler().fit(X[train])
        rows = scaler.transform(X[held]), y[held]
        alone = quiet(clone(est).fit, scaler.transform(X[train]), y[train], validation_data=rows)
    found = pipeline[-1].validation_scores_
    np.testing.assert_allclose(found, alone.validation_scores_, rtol=1e-12)
    assert max(found) > 0.8


def test_validation_rows_are_given_in_one_way() -> None:
    X, y = load_iris(return_X_y=True)
    for bad in ({"X_val": X}, {"y_val": y}, {"X_val": X, "y_val": y, "validation_data": (X, y)}):
        with pytest.raises(ValueError, match="give validation_data"):
            MLPClassifier().fit(X, y, **bad)
