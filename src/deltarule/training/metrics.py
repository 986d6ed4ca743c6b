"""What people read off a trained network: accuracy for classes, R^2 and RMSE for numbers."""

from __future__ import annotations

import numpy as np

from deltarule.equations.groups import apart
from deltarule.equations.losses import Loss
from deltarule.equations.params import Array

HIGHER_IS_BETTER = frozenset({"accuracy", "r2"})


def metric_names(loss: Loss) -> tuple[str, ...]:
    """The metrics that suit a loss."""
    return ("accuracy",) if loss.classifies else ("r2", "rmse")


def metrics(loss: Loss, output: Array, Y: Array, weight: Array | None) -> dict[str, float]:
    """The metrics that suit the loss, from outputs and targets (n, k).

    accuracy: the share of samples whose largest output is the largest target, averaged over the
    groups (cross_entropy), or of labels on the right side of 1/2, averaged over the labels
    (log_loss). r2 is averaged over the outputs; an output with constant targets counts 1 if it is
    met exactly, else 0. rmse is the root of the mean over samples and outputs.
    """
    w = None if weight is None else weight.astype(np.float64)
    if loss.targets == "distribution":
        groups = zip(apart(output, loss.groups), apart(Y, loss.groups), strict=True)
        right = np.mean([o.argmax(1) == y.argmax(1) for o, y in groups], axis=0)
        return {"accuracy": float(_mean(right, w))}
    if loss.targets == "unit":
        right = ((output >= 0.5) == (Y >= 0.5)).mean(axis=1)
        return {"accuracy": float(_mean(right, w))}
    error = _mean((output.astype(np.float64) - Y) ** 2, w)
    mean = _mean(Y.astype(np.float64), w)
    spread = _mean((Y - mean) ** 2, w)
    # the mean of equal numbers is rounded: the spread alone may miss that they are equal
    shown = Y if w is None else Y[w > 0]
    varies = (shown.max(axis=0) > shown.min(axis=0)) & (spread > 0)
    r2 = np.where(varies, 1 - error / np.where(varies, spread, 1), (error == 0).astype(float))
    return {"r2": float(r2.mean()), "rmse": float(np.sqrt(error.mean()))}


def _mean(values: Array, weight: Array | None) -> Array:
    """The (weighted) mean over the samples; without weights not by np.average, which is slow."""
    if weight is None:
        return np.asarray(values.mean(axis=0))
    return np.asarray(np.average(values, axis=0, weights=weight))
