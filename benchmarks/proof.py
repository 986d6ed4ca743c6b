"""Proof of equal work: what the weights must be after an epoch, straight from the equations.

Every contender starts from the same weights and sees the same rows in the same order, so that all
must end at the same loss. The reference below is float64 and shares no code with any of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Problem, Weights

TOLERANCE = 1e-4
"""Allowed difference of the final losses, as a share of how far the loss moved."""

ROWS = 256
"""Rows on which losses are compared."""

Doubles = NDArray[np.float64]


def _forward(weights: list[tuple[Doubles, Doubles]], X: Doubles, activation: str) -> list[Doubles]:
    a = [X]
    for l, (W, b) in enumerate(weights, start=1):
        z = a[-1] @ W + b
        if l < len(weights):
            z = 1 / (1 + np.exp(-z)) if activation == "sigmoid" else np.maximum(z, 0)
        a.append(z)
    return a


def outputs(problem: Problem, weights: Weights) -> Doubles:
    """a_L of the first rows of the data, in float64."""
    wide = [(W.astype(np.float64), b.astype(np.float64)) for W, b in weights]
    X = problem.X[:ROWS].astype(np.float64)
    return _forward(wide, X, problem.case.activation)[-1]


def loss(problem: Problem, weights: Weights) -> float:
    """Mean of 1/2 ||o - y||^2 over the first rows of the data, in float64."""
    error = outputs(problem, weights) - problem.Y[:ROWS]
    return float(0.5 * np.sum(error**2) / len(error))


def predicts(problem: Problem, weights: Weights, got: Any) -> bool:
    """Whether predictions of the first rows are those of the weights, to float32's rounding."""
    expected = outputs(problem, weights)[: len(got)]
    return np.allclose(np.asarray(got).reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)


def reference(problem: Problem) -> Weights:
    """The weights after one epoch, computed in float64 as the equations are written."""
    case = problem.case
    weights = [(W.astype(np.float64), b.astype(np.float64)) for W, b in problem.weights]
    for k in range(case.batches):
        rows = slice(k * case.batch, (k + 1) * case.batch)
        a = _forward(weights, problem.X[rows].astype(np.float64), case.activation)
        delta = a[-1] - problem.Y[rows]
        for l in range(len(weights), 0, -1):
            W, b = weights[l - 1]
            gradient = a[l - 1].T @ delta / case.batch, delta.sum(0) / case.batch
            if l > 1:
                f = a[l - 1]
                slope: Any = f * (1 - f) if case.activation == "sigmoid" else f > 0
                delta = (delta @ W.T) * slope
            weights[l - 1] = (
                W - case.learning_rate * gradient[0],
                b - case.learning_rate * gradient[1],
            )
    return [(W.astype(np.float32), b.astype(np.float32)) for W, b in weights]


def agrees(before: float, expected: float, got: float) -> bool:
    """Whether a final loss is the expected one, measured by how far the loss had to move."""
    return bool(np.isfinite(got)) and abs(got - expected) <= TOLERANCE * abs(expected - before)
