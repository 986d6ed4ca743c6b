"""scikit-learn's conventions, as its own `parametrize_with_checks` states them."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import deltarule as dr

# Configurations whose parameters lead through other code than the defaults'. The defaults have
# max_iter=100, as scikit-learn gives its own MLP here.
CONFIGURATIONS: list[dict[str, Any]] = [
    {"max_iter": 100},
    {"solver": "lbfgs", "max_iter": 60},
    {"max_iter": 100, "n_ensemble": 2},
    {"max_iter": 100, "dtype": "float32"},
    {"max_iter": 100, "engine": "reference", "hidden_layer_sizes": (20,)},
    {"max_iter": 100, "early_stopping": True, "n_iter_no_change": 100},
    {"max_iter": 100, "activation": ["tanh", "gelu"], "hidden_layer_sizes": (30, 20),
     "solver": "adamw", "clip_norm": 5.0, "l1": 1e-6, "learning_rate": "cosine"},
]  # fmt: skip

# A tenth of a check's data may be no more than a row, and partial_fit has no split at all:
# scikit-learn's own MLP fails these too when early_stopping=True.
TOO_SMALL = "the rows held out are too few: an error says so (or the first of equal scores wins)"
EARLY_STOPPING = {
    "check_fit_score_takes_y": "partial_fit takes validation_data, and has no rows to hold out",
    "check_n_features_in_after_fitting": "partial_fit, as before",
    "check_estimators_partial_fit_n_features": "partial_fit, as before",
    "check_estimators_nan_inf": "partial_fit, as before",
    "check_sample_weight_equivalence_on_dense_data": "a repeated row may be held out, a weight not",
    "check_sample_weight_equivalence_on_sparse_data": "as before",
    "check_fit2d_1feature": TOO_SMALL,
    "check_classifiers_one_label": TOO_SMALL,
    "check_regressors_no_decision_function": TOO_SMALL,
    "check_class_weight_classifiers": TOO_SMALL,  # theirs has no class_weight
}
FLOAT32 = {
    f"check_sample_weight_equivalence_on_{kind}_data": "equal to 7 digits; the check asks for 9"
    for kind in ("dense", "sparse")
}


def expected_failures(estimator: Any) -> dict[str, str]:
    """What a configuration cannot pass, with the reason; nothing for the defaults."""
    if estimator.early_stopping:
        return EARLY_STOPPING
    return FLOAT32 if estimator.dtype == "float32" else {}


ESTIMATORS = [kind(**one) for one in CONFIGURATIONS for kind in (dr.MLPClassifier, dr.MLPRegressor)]


# The marks before scikit-learn 1.9 hold a generator, which pytest 9 no longer takes.
CHECKS = parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures).mark


# As in scikit-learn's own test_common.py: 100 epochs are too few for some of the checks' data.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learn_check(estimator: Any, check: Any) -> None:
    check(estimator)
