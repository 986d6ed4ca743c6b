"""A loss that is not finite: where it began, and what to try."""

from __future__ import annotations

import numpy as np

from deltarule.engines import Run
from deltarule.equations import backprop
from deltarule.equations.optimizers import LBFGS
from deltarule.errors import DivergenceError
from deltarule.training.history import History


def divergence(
    run: Run, history: History, epoch: int, batch: int, rate: float, kept: str
) -> DivergenceError:
    """The error for a run whose loss is not finite with the present parameters.

    The layer named is the first whose net input is not finite for some training row; if all are
    finite, it is the output layer, where the loss itself overflows.
    """
    layers = run.spec.layers(run.theta)
    layer = len(layers)
    with np.errstate(all="ignore"):
        for start in range(0, len(run.Y), 4096):
            z, _ = backprop.forward(layers, run.X[start : start + 4096])
            bad = [l for l, z_l in enumerate(z, start=1) if not np.isfinite(z_l).all()]
            layer = min([layer, *bad])
    W, b = layers[layer - 1].W, layers[layer - 1].b
    parameters = W if b is None else np.concatenate([b, W.ravel()])
    largest = float(np.max(np.abs(parameters)))
    size = (
        f"its largest parameter is {largest:.3g}"
        if np.isfinite(largest)
        else ("its parameters are no longer finite")
    )
    if isinstance(run.optimizer, LBFGS):  # it takes neither a learning rate nor clipping
        advice = ["an l2 penalty (or a larger one), or Adam in place of L-BFGS"]
    else:
        advice = [f"a smaller learning rate (it was {rate:.3g})"]
        advice += ["clip_norm=1"] if run.clip_norm is None else []
    advice.append("inputs and targets scaled to mean 0 and deviation 1")
    return DivergenceError(
        f"the loss is not finite in epoch {epoch}, batch {batch}: layer {layer} overflows "
        f"({size}). The network keeps the parameters of {kept}. Try {', '.join(advice)}",
        epoch=epoch,
        batch=batch,
        layer=layer,
        history=history,
    )
