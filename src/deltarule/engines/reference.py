"""The reference engine: backprop.py as it stands, in NumPy. Slow, readable, and always right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.engines.base import Run, Steps
from deltarule.equations import backprop, dropout
from deltarule.equations.activations import Activation
from deltarule.equations.backprop import Layer
from deltarule.equations.losses import Loss, shares
from deltarule.equations.params import Array
from deltarule.equations.spec import Spec


def _gradient(
    spec: Spec, layers: list[Layer], X: Any, Y: Array, weight: Array | None
) -> tuple[float, Array]:
    """C (weighted mean over the rows) and dC/dtheta, flat."""
    share = shares(len(Y), weight, "mean", spec.dtype)
    z, a = backprop.forward(layers, X)
    C = float(share.astype(np.float64) @ spec.loss.value(layers[-1].f, z[-1], Y).astype(np.float64))
    delta = backprop.deltas(layers, spec.loss, z, Y)
    dW, db = backprop.gradients(layers, a, delta, share)
    # a user's own slope may give float64 in a float32 network
    return C, np.concatenate(spec.layout.join(dW, db)).astype(spec.dtype, copy=False)


def _dropped(f: Activation, mask: Array) -> Activation:
    """The activation followed by a fixed dropout mask: the equations need not know of it."""
    return Activation(f.name, lambda z: f.f(z) * mask, lambda z: f.df(z) * mask)


def _with_dropout(
    run: Run, layers: list[Layer], X: Any, step: int, n: int
) -> tuple[list[Layer], Any]:
    """The layers and inputs of one step with its dropout masks applied."""
    masks = [
        dropout.mask(rate, run.seed, step, l, (n, run.spec.sizes[l]), run.spec.dtype)
        if rate
        else None
        for l, rate in enumerate(run.dropout)
    ]
    if masks and masks[0] is not None:
        X = X.multiply(masks[0]).tocsr() if hasattr(X, "multiply") else X * masks[0]
    dropped = [
        layer if mask is None else layer._replace(f=_dropped(layer.f, mask))
        for layer, mask in zip(layers, masks[1:], strict=False)
    ]
    return dropped + layers[len(dropped) :], X


class ReferenceEngine:
    """See `base.Engine`; works for every network, in the network's own dtype."""

    name = "reference"

    def supports(self, spec: Spec) -> bool:
        return True

    def scores(self, spec: Spec, theta: Array, X: Any) -> Array:
        with np.errstate(all="ignore"):
            z, _ = backprop.forward(spec.layers(theta), X)
        return np.asarray(z[-1])

    def predict(self, spec: Spec, theta: Array, X: Any) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(spec.activations[-1].f(self.scores(spec, theta, X)))

    def gradients(
        self, spec: Spec, theta: Array, X: Any, Y: Array, sample_weight: Array | None
    ) -> tuple[float, Array]:
        with np.errstate(all="ignore"):
            return _gradient(spec, spec.layers(theta), X, Y, sample_weight)

    def steps(
        self,
        run: Run,
        order: NDArray[np.int64],
        rates: NDArray[np.float64],
        first: int,
        last: int,
    ) -> Steps:
        spec, total = run.spec, Steps(0.0, 0.0, 0)
        weights_only = spec.layout.weight_mask() if run.l1 or run.l2 else None
        for batch in range(first, last):
            rows = order[batch * run.batch_size : (batch + 1) * run.batch_size]
            weight = None if run.sample_weight is None else run.sample_weight[rows]
            weight_sum = float(len(rows) if weight is None else weight.sum(dtype=np.float64))
            layers, X = spec.layers(run.theta), run.X[rows]
            if any(run.dropout):
                layers, X = _with_dropout(run, layers, X, run.state["t"], len(rows))
            with np.errstate(all="ignore"):  # a loss that overflows is reported, not warned about
                C, grad = _gradient(spec, layers, X, run.Y[rows], weight)
                penalty = 0.0
                if not np.isfinite(C):
                    total.bad_batch = batch
                    break
                if weights_only is not None:
                    penalty, slope = penalties(run.theta * weights_only, *run.penalties(weight_sum))
                    grad = grad + slope.astype(spec.dtype)
                if batch == 0:
                    total.gradient_norms = layer_norms(spec, grad)
                if run.clip_norm is not None:
                    norm = float(np.linalg.norm(grad.astype(np.float64)))
                    grad = grad * (run.clip_norm / norm) if norm > run.clip_norm else grad
                theta, run.state = run.optimizer.update(
                    run.theta, grad.astype(spec.dtype), run.state, float(rates[batch])
                )
                run.theta[...] = theta
            if run.objective is not None:
                run.objective[batch] = C + penalty
            total.loss_sum += C * weight_sum
            total.weight_sum += weight_sum
            total.done += 1
            if run.stop[0]:
                break
        return total


def penalties(W: Array, l1: float, l2: float) -> tuple[float, Array]:
    """l1 sum |W| + l2/2 sum W^2 and its gradient, for a flat W with zeros for the biases."""
    exact = W.astype(np.float64)
    value = l1 * np.abs(exact).sum() + 0.5 * l2 * (exact @ exact)
    return float(value), l1 * np.sign(W) + l2 * W


def layer_norms(spec: Spec, grad: Array) -> NDArray[np.float64]:
    """The Euclidean norm of each layer's part of a flat gradient, (L,)."""
    return np.array(
        [np.linalg.norm(grad[where].astype(np.float64)) for where in spec.layout.layer_slices()]
    )


def loss_of_scores(loss: Loss, output: Activation, z: Array, Y: Array, share: Array) -> float:
    """C from raw scores z_L, for a loss that is only looked at."""
    with np.errstate(all="ignore"):
        return float(share.astype(np.float64) @ loss.value(output, z, Y).astype(np.float64))
