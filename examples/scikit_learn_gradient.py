"""Is the gradient that an MLP hands to its optimizer the gradient of the loss it hands over?

    python examples/scikit_learn_gradient.py

The proof needs NumPy, SciPy and scikit-learn only, and no private name of theirs: `fit` with
solver="lbfgs" gives SciPy's minimizer one function that returns loss and gradient, and that very
function is caught and differentiated numerically, in every coordinate. Where deltarule is
installed, its estimators go through the same test, and both fit a real problem with 32 outputs.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

try:
    import deltarule as dr
except ImportError:
    dr = None

ROWS, INPUTS, OUTPUTS = 40, 4, (1, 2, 3, 5)
HIDDEN = (6, 5)
ALPHA = 0.5  # a penalty large enough to be measured

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


class _Caught(Exception):
    """Carries what `fit` gave to the minimizer out of it."""


def objective(estimator: Any, X: np.ndarray, y: np.ndarray) -> tuple[Objective, np.ndarray]:
    """The function theta -> (loss, gradient) that the estimator has minimized, and its start."""

    def catch(fun: Any, x0: Any, args: tuple[Any, ...] = (), *rest: Any, **options: Any) -> Any:
        raise _Caught(lambda theta: fun(theta, *args), np.array(x0, dtype=float))

    try:
        with patch("scipy.optimize.minimize", catch):
            estimator.fit(X, y)
    except _Caught as caught:
        return caught.args[0], caught.args[1]
    raise SystemExit(
        f"{type(estimator).__module__} does not call scipy.optimize.minimize for solver='lbfgs': "
        "this script does not know how to catch its loss and gradient"
    )


def differences(fun: Objective, theta: np.ndarray, h: float = 1e-3) -> np.ndarray:
    """The gradient of the loss by central differences of fourth order."""
    gradient = np.empty_like(theta)
    for i in range(len(theta)):
        values = []
        for step in (-2, -1, 1, 2):
            moved = theta.copy()
            moved[i] += step * h
            values.append(fun(moved)[0])
        gradient[i] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
    return gradient


def ratio(analytic: np.ndarray, numeric: np.ndarray) -> tuple[float, float]:
    """The factor between two gradients, and how far any coordinate is from it (1: all of it)."""
    factor = float(analytic @ numeric / (numeric @ numeric))
    return factor, float(np.abs(analytic - factor * numeric).max() / np.abs(analytic).max())


def problems(
    regressor: type, classifier: type
) -> Iterator[tuple[str, int, type, dict[str, Any], np.ndarray, np.ndarray]]:
    """Loss, outputs, class, options, X and y of each test."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, INPUTS))
    has_poisson = "loss" in regressor().get_params()  # scikit-learn 1.7 and later
    for k in OUTPUTS:
        Y = rng.normal(size=(ROWS, k))
        yield "squared_error", k, regressor, {}, X, Y[:, 0] if k == 1 else Y
    for k in OUTPUTS if has_poisson else ():
        Y = rng.poisson(2.0, size=(ROWS, k)).astype(float)
        yield "poisson", k, regressor, {"loss": "poisson"}, X, Y[:, 0] if k == 1 else Y
    yield "log_loss, 2 classes", 1, classifier, {}, X, np.arange(ROWS) % 2
    for k in OUTPUTS[2:]:
        yield f"log_loss, {k} classes", k, classifier, {}, X, np.arange(ROWS) % k
    yield "log_loss, 3 labels", 3, classifier, {}, X, rng.integers(0, 2, size=(ROWS, 3))


def table(regressor: type, classifier: type) -> list[tuple[str, int, float, float]]:
    """Print analytic / numeric for every loss; (loss, outputs, ratio, ratio of the penalty)."""
    print(f"{'loss':20s} outputs  numbers    ratio  penalty  worst coordinate off by")
    rows = []
    for loss, k, kind, options, X, y in problems(regressor, classifier):
        gradients = []
        for alpha in (0.0, ALPHA):
            estimator = kind(
                hidden_layer_sizes=HIDDEN, activation="tanh", solver="lbfgs", alpha=alpha,
                random_state=0, **options,
            )  # fmt: skip
            fun, theta = objective(estimator, X, y)
            gradients.append((np.array(fun(theta)[1], copy=True), differences(fun, theta)))
        (analytic, numeric), (with_penalty, numeric_with) = gradients
        found, off = ratio(analytic, numeric)
        penalty, penalty_off = ratio(with_penalty - analytic, numeric_with - numeric)
        worst = max(off, penalty_off)
        if worst > 1e-6:
            raise SystemExit(f"{loss}, {k} outputs: no single ratio, off by {worst:.2g}")
        print(f"{loss:20s} {k:7d}  {len(theta):7d}  {found:.5f}  {penalty:.5f}  {worst:.0e}")
        rows.append((loss, k, found, penalty))
    return rows


def ending(estimator: Any, X: np.ndarray, Y: np.ndarray) -> str:
    """Fit, and say how L-BFGS ended."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(X, Y)
    said = " ".join(str(w.message) for w in caught if w.category is ConvergenceWarning)
    if "ABNORMAL" in said:
        return "line search failed"
    return "all iterations used" if said else "converged"


def practice(regressors: dict[str, type]) -> None:
    """Fit the lower half of a digit to its upper half (32 numbers each) by L-BFGS."""
    images = load_digits().data / 16
    train, test = images[:600], images[600:]
    print(f"{'alpha':>6s}  {'MLPRegressor of':15s} iterations  {'end':20s} minimized  test R2")
    for alpha in (1e-4, 0.1, 1.0, 10.0):
        for name, kind in regressors.items():
            estimator = kind(
                hidden_layer_sizes=(20,), activation="tanh", solver="lbfgs", alpha=alpha,
                max_iter=300, random_state=0,
            )  # fmt: skip
            end = ending(estimator, train[:, :32], train[:, 32:])
            squares = ((estimator.predict(train[:, :32]) - train[:, 32:]) ** 2).sum()
            penalty = alpha * sum(float((W**2).sum()) for W in estimator.coefs_)
            minimized = 0.5 * (squares + penalty) / len(train)
            # over all pixels at once: some are the same in every image, and have no R2
            rest = ((estimator.predict(test[:, :32]) - test[:, 32:]) ** 2).sum()
            total = ((test[:, 32:] - test[:, 32:].mean(axis=0)) ** 2).sum()
            print(
                f"{alpha:6g}  {name:15s} {estimator.n_iter_:10d}  {end:20s} {minimized:9.4f}"
                f"  {1 - rest / total:7.4f}"
            )


def main() -> int:
    """Print the tables; 1 if a gradient of deltarule is not that of its loss."""
    print(f"scikit-learn {sklearn.__version__}: gradient / central differences of its loss\n")
    found = table(MLPRegressor, MLPClassifier)
    wrong = [(loss, k) for loss, k, one, _ in found if abs(one - 1) > 1e-6]
    print(f"\nGradient and loss disagree in {len(wrong)} of {len(found)} cases.")
    if dr is None:
        print("\ndeltarule is not installed here: the rest is left out.")
        return 0
    print(f"\ndeltarule {dr.__version__}: the same test\n")
    ours = table(dr.MLPRegressor, dr.MLPClassifier)
    bad = [row for row in ours if abs(row[2] - 1) > 1e-6 or abs(row[3] - 1) > 1e-6]
    print(f"\nGradient and loss disagree in {len(bad)} of {len(ours)} cases.")
    print("\nThe lower half of a digit from its upper half: 32 outputs, L-BFGS, same start.\n")
    practice({"scikit-learn": MLPRegressor, "deltarule": dr.MLPRegressor})
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
