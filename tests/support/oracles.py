"""What the tests hold the core to: finite differences of C, decimal arithmetic, plausible data."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from deltarule.equations.activations import Activation, activation_names, get_activation
from deltarule.equations.losses import Loss, loss_names
from deltarule.equations.spec import check_output
from deltarule.explain.network_file import published
from deltarule.network.network import Network

_OFFSETS = np.array([-2.0, -1.0, 1.0, 2.0])
_FACTORS = np.array([1.0, -8.0, 8.0, -1.0]) / 12  # central differences of fourth order


def example(name: str) -> dict[str, Any]:
    """A published worked example, as its author printed it."""
    return json.loads(published(name).read_text())


def slopes(function: Callable[[Any], Any], x: Any, step: float) -> Any:
    """f'(x) by central differences of fourth order, for an f that works element by element."""
    return sum(c * function(x + o * step) for o, c in zip(_OFFSETS, _FACTORS, strict=True)) / step


def numeric_gradient(C: Callable[[Any], Any], theta: Any, step: float = 1e-4) -> Any:
    """dC/dtheta by central differences, for a C that takes a whole stack of vectors (m, P)."""
    moves = (_OFFSETS[:, None, None] * step) * np.eye(theta.size)
    values = C((theta + moves).reshape(-1, theta.size)).reshape(4, theta.size)
    return _FACTORS @ values / step


def stacked_error(net: Network, X: Any, Y: Any, share: Any) -> Callable[[Any], Any]:
    """C as a function of a stack of parameter vectors, written apart from the equations' file."""

    def C(thetas: Any) -> Any:
        a, start = X, 0
        for l, (n_in, n_out) in enumerate(zip(net.sizes, net.sizes[1:], strict=False)):
            b = 0.0
            if net.bias[l]:
                b = thetas[:, None, start : start + n_out]
                start += n_out
            W = thetas[:, start : start + n_in * n_out].reshape(-1, n_in, n_out)
            start += n_in * n_out
            a = net.activations[l].f(a @ W + b)
        return net.loss.J(a, Y) @ share

    return C


def targets(loss: Loss, rng: np.random.Generator, n: int, k: int) -> Any:
    """Targets (n, k) that the loss can take."""
    if loss.targets == "count":
        return rng.poisson(2.0, (n, k)).astype(float)
    if loss.targets == "unit":
        return rng.uniform(0, 1, (n, k)).round(rng.integers(0, 2))
    if loss.targets == "distribution":
        sizes, soft = loss.groups or (k,), rng.integers(0, 2)
        return np.hstack(
            [rng.dirichlet(np.ones(j), n) if soft else np.eye(j)[np.arange(n) % j] for j in sizes]
        )
    return rng.standard_normal((n, k))


def admissible_pairs() -> list[tuple[str, str]]:
    """Every (loss, output activation) that a network accepts."""
    from deltarule.equations.losses import get_loss
    from deltarule.errors import SpecError

    pairs = []
    for loss in loss_names():
        for output in activation_names():
            try:
                check_output(get_activation(output), get_loss(loss), 3)
            except SpecError:
                continue
            pairs.append((loss, output))
    return pairs


def hidden_names() -> list[str]:
    """Every activation that a hidden layer may have."""
    return [name for name in activation_names() if name != "softmax"]


def own_sigmoid(name: str = "mine") -> Activation:
    """A user's activation, written as a user would."""
    return Activation(
        name,
        lambda z: 1 / (1 + np.exp(-z)),
        lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
        range=(0.0, 1.0),
    )
