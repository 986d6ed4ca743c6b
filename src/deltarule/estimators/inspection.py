"""Gradients of a fitted estimator: by inputs, and row by row by parameters."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from deltarule.equations import backprop
from deltarule.equations.params import Array
from deltarule.estimators.inputs import checked
from deltarule.network.data import is_sparse
from deltarule.network.gradients import backward
from deltarule.network.gradients import per_sample_gradients as of_each_sample
from deltarule.network.network import Network


def input_gradients(est: Any, X: Any, y: Any, output: int | None) -> Array:
    """See `BaseMLP.input_gradients`."""
    X = _dense(est, X)
    if y is not None:
        if output is not None:
            raise ValueError("give y for the gradient of the loss, or output, not both")
        Y = est._encoded(y)
        return np.asarray(np.mean([backward(net, X, Y).inputs for net in est.networks_], axis=0))
    k = est.n_outputs_
    if output is not None and not (isinstance(output, Integral) and 0 <= output < k):
        raise ValueError(f"output={output!r}: the network has the outputs 0 to {k - 1}")
    if output is not None or k == 1:
        return _mean_product(est, X, _one_hot(np.full(len(X), output or 0), k))
    if is_classifier(est) and est.out_activation_ == "softmax" and np.ndim(est.classes_[0]) == 0:
        return _mean_product(est, X, _one_hot(est._mean_output(X).argmax(axis=1), k))
    each = [_mean_product(est, X, _one_hot(np.full(len(X), i), k)) for i in range(k)]
    return np.stack(each, axis=1)


def per_sample_gradients(est: Any, X: Any, y: Any) -> Any:
    """See `BaseMLP.per_sample_gradients`."""
    X = _dense(est, X)
    return of_each_sample(est.network_, X, est._encoded(y))


def _dense(est: Any, X: Any) -> Array:
    check_is_fitted(est, "coefs_")
    X = checked(est, X)
    if is_sparse(X):
        raise ValueError("gradients with respect to sparse inputs are dense: use X.toarray()")
    return X  # type: ignore[no-any-return]  # an array, not being sparse


def _one_hot(index: Any, k: int) -> Array:
    return np.asarray(np.arange(k) == np.asarray(index)[:, None])


def _mean_product(est: Any, X: Array, seed: Array) -> Array:
    """The gradient of sum_i seed_i a_L,i with respect to each row of X, averaged over networks."""
    return np.asarray(np.mean([_product(net, X, seed) for net in est.networks_], axis=0))


def _product(net: Network, X: Array, seed: Array) -> Array:
    """seed^T da_L/dX by the chain rule: the deltas of backprop with dJ/da_L = seed."""
    layers = net.layers()
    with np.errstate(all="ignore"):
        z, _ = backprop.forward(layers, X)
        g = seed.astype(net.dtype)
        for layer, z_l in zip(reversed(layers), reversed(z), strict=True):
            g = layer.f.backward(z_l, g) @ layer.W.T
    return np.asarray(g)
