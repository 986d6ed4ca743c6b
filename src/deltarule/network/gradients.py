"""Every number of a pass, for a Network and checked data: forward, backward, per-sample gradients.

These read the equations of backprop.py as they stand (SPEC A5, B4, B5, C8, D4, D5, X1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deltarule.equations import backprop
from deltarule.equations.losses import shares
from deltarule.equations.params import Array
from deltarule.errors import SpecError
from deltarule.network.data import check_inputs, check_sample_weight, check_targets, is_sparse
from deltarule.network.network import Network, require_network


@dataclass(frozen=True)
class ForwardPass:
    """What `forward` gives.

    Attributes
    ----------
    z : list of L arrays (n, n_l)
        z[l-1] holds z_l, the net inputs of layer l.
    a : list of L + 1 arrays (n, n_l)
        a[l] holds a_l; a[0] is X and a[L] the output.
    """

    z: list[Array]
    a: list[Array]

    @property
    def output(self) -> Array:
        """a_L (n, n_L)."""
        return self.a[-1]


@dataclass(frozen=True)
class Gradients:
    """What `backward` gives. Only `loss`, `theta`, `weights` and `biases` involve all samples.

    Attributes
    ----------
    loss : float
        C, the (weighted) mean or sum of J over the samples.
    theta : (P,) array
        dC/dtheta, laid out as `Network.theta`.
    weights, biases : lists of L arrays
        dC/dW_l and dC/db_l (None without a bias), views of `theta`, shaped as in the network.
    delta : list of L arrays (n, n_l)
        delta[l-1] holds delta_l = dJ/dz_l of each sample, neither averaged nor weighted.
    activations : list of L + 1 arrays (n, n_l)
        activations[l] holds dJ/da_l of each sample (SPEC A5).
    """

    loss: float
    theta: Array
    weights: list[Array]
    biases: list[Array | None]
    delta: list[Array]
    activations: list[Array]

    @property
    def inputs(self) -> Array:
        """dJ/dx (n, n_0) of each sample (SPEC D5)."""
        return self.activations[0]


@dataclass(frozen=True)
class PerSampleGradients:
    """Gradients of J for each sample apart.

    Attributes
    ----------
    weights : list of L arrays (n, n_{l-1}, n_l)
    biases : list of L arrays (n, n_l), None without a bias
    """

    weights: list[Array]
    biases: list[Array | None]


def forward(net: Network, X: Any) -> ForwardPass:
    """The forward pass for inputs X (n, n_0): every z and a.

    Raises DataError for a wrong shape, text, NaN or infinity (with row and column).
    """
    require_network(net)
    with np.errstate(all="ignore"):
        z, a = backprop.forward(net.layers(), check_inputs(X, net.sizes[0], net.dtype))
    return ForwardPass(z, a)


def _deltas(net: Network, X: Any, Y: Any) -> tuple[ForwardPass, Array, list[Array]]:
    passed = forward(net, X)
    Y = check_targets(net.loss, Y, len(passed.output), net.sizes[-1], net.dtype)
    with np.errstate(all="ignore"):
        return passed, Y, backprop.deltas(net.layers(), net.loss, passed.z, Y)


def backward(
    net: Network, X: Any, Y: Any, sample_weight: Any = None, reduction: str = "mean"
) -> Gradients:
    """The loss and its gradient with respect to weights, biases, inputs and activations.

    Parameters
    ----------
    X : (n, n_0)
    Y : (n, n_L), or (n,) for one output; for cross_entropy also labels (n,), or one column for each
        group of outputs
    sample_weight : (n,), optional
        C is then sum_i w_i J_i / sum_i w_i ("mean") or sum_i w_i J_i ("sum").
    reduction : "mean" (default) or "sum"

    Raises
    ------
    DataError
        For wrong shapes, text, NaN or infinity, targets that the loss cannot take.
    SpecError
        For any other reduction.
    """
    passed, Y, delta = _deltas(net, X, Y)
    weight = check_sample_weight(sample_weight, len(Y), net.dtype)
    share = shares(len(Y), weight, reduction, net.dtype)
    layers, output = net.layers(), net.activations[-1]
    with np.errstate(all="ignore"):
        J = net.loss.value(output, passed.z[-1], Y)
        dW, db = backprop.gradients(layers, passed.a, delta, share)
        dJ_do = net.loss.dJ(passed.output, Y)
        activations = backprop.activation_gradients(layers, delta, dJ_do)
    # a user's own slope may give float64 in a float32 network
    theta = np.concatenate(net.layout.join(dW, db)).astype(net.dtype, copy=False)
    weights, biases = net.layout.views(theta)
    C = float(share.astype(np.float64) @ J.astype(np.float64))
    return Gradients(C, theta, weights, biases, delta, activations)


def per_sample_gradients(net: Network, X: Any, Y: Any) -> PerSampleGradients:
    """dJ/dW_l (n, n_{l-1}, n_l) and dJ/db_l (n, n_l) of each sample (SPEC X1).

    Their mean over the samples is what `backward` gives. A folded network (see `fold_biases`) has
    weights (n, 1 + n_{l-1}, n_l) here too.

    Raises DataError as `backward`; SpecError for sparse X.
    """
    if is_sparse(X):
        raise SpecError("per-sample gradients of sparse inputs would be dense: use X.toarray()")
    passed, _, delta = _deltas(net, X, Y)
    weights = [a[:, :, None] * d[:, None, :] for a, d in zip(passed.a, delta, strict=False)]
    biases: list[Array | None] = [
        d if has_bias else None for d, has_bias in zip(delta, net.bias, strict=True)
    ]
    if net.folded:
        weights = [
            W if b is None else np.concatenate([b[:, None, :], W], axis=1)
            for W, b in zip(weights, biases, strict=True)
        ]
        biases = [None] * len(biases)
    return PerSampleGradients(weights, biases)
