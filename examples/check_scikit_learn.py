"""Any code's gradient, checked in one call: that of scikit-learn's MLP beside its loss.

    python examples/check_scikit_learn.py

The finding of `scikit_learn_gradient.py`, made by `deltarule.check_objective`: with k outputs and
squared error the gradient is k times that of the loss; Poisson and the classifiers are right. The
function that is checked is the one that `fit` hands to SciPy's minimizer.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import sklearn
from scikit_learn_gradient import HIDDEN, INPUTS, objective, problems
from sklearn.neural_network import MLPClassifier, MLPRegressor

import deltarule as dr


def blocks(outputs: int) -> dict[str, tuple[int, ...]]:
    """How scikit-learn packs its parameters: all coefs_, then all intercepts_."""
    sizes = (INPUTS, *HIDDEN, outputs)
    pairs = list(pairwise(sizes))
    coefs = {f"coefs_[{l}]": pair for l, pair in enumerate(pairs)}
    return coefs | {f"intercepts_[{l}]": (n,) for l, (_, n) in enumerate(pairs)}


def checked(kind: type, outputs: int, X: Any, y: Any, **options: Any) -> Any:
    """The report on one estimator's loss and gradient."""
    estimator = kind(
        hidden_layer_sizes=HIDDEN, activation="tanh", solver="lbfgs", random_state=0, **options
    )
    loss_and_gradient, theta = objective(estimator, X, y)
    return dr.check_objective(loss_and_gradient, True, theta, blocks=blocks(outputs))


def main() -> None:
    print(f"scikit-learn {sklearn.__version__}\n")
    last = None
    for loss, k, kind, options, X, y in problems(MLPRegressor, MLPClassifier):
        report = checked(kind, k, X, y, alpha=0.0, **options)
        said = " ".join(report.causes) or report.verdict()
        print(f"{loss:20s} {k} output{'s' if k > 1 else ' '}  {said}")
        if loss == "squared_error":
            last = report
    print(f"\nThe last of squared_error in full:\n\n{last}")


if __name__ == "__main__":
    main()
