"""The numbers of the steps: forward, loss, backward, update, forward again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deltarule.equations import backprop
from deltarule.equations.params import Array
from deltarule.explain.case import Case
from deltarule.explain.network_file import Edges
from deltarule.network.network import Network


@dataclass(frozen=True, eq=False)
class TracedPass:
    """A forward pass and its loss.

    Attributes
    ----------
    weights : list of L arrays (n_{l-1}, n_l)
    biases : list of L arrays (n_l,), None without a bias
    z : list of L arrays (n, n_l)
    a : list of L + 1 arrays (n, n_l); a[0] is X
    sample_losses : (n,) array, J of each sample
    loss : float, C: their mean or sum
    """

    weights: list[Array]
    biases: list[Array | None]
    z: list[Array]
    a: list[Array]
    sample_losses: Array
    loss: float

    @property
    def output(self) -> Array:
        """a_L (n, n_L)."""
        return self.a[-1]


@dataclass(frozen=True, eq=False)
class TracedStep:
    """One step of gradient descent, whole.

    Attributes
    ----------
    before, after : TracedPass
        With the parameters before and after the update.
    delta : list of L arrays (n, n_l)
        dJ/dz_l of each sample.
    activation_gradients : list of L + 1 arrays (n, n_l)
        dJ/da_l of each sample, from l = 0, the inputs.
    weight_gradients : list of L arrays (n_{l-1}, n_l)
        dC/dW_l; 0 where there is no edge.
    bias_gradients : list of L arrays (n_l,), None without a bias
    weight_updates, bias_updates : the same shapes
        What is added to the parameters: -learning_rate times the gradient; 0 for what is not
        trained.
    """

    before: TracedPass
    delta: list[Array]
    activation_gradients: list[Array]
    weight_gradients: list[Array]
    bias_gradients: list[Array | None]
    weight_updates: list[Array]
    bias_updates: list[Array | None]
    after: TracedPass

    @property
    def input_gradients(self) -> Array:
        """dJ/dX (n, n_0) of each sample."""
        return self.activation_gradients[0]


@dataclass(frozen=True, eq=False)
class Traced:
    """Steps of gradient descent with all that they were taken from.

    Attributes
    ----------
    net : Network
        As it was before the first step.
    X : (n, n_0) array
    Y : (n, n_L) array
    learning_rate : float
    reduction : "mean" or "sum"
    edges : list of L bool arrays (n_{l-1}, n_l), or None if all edges are there
    trainable_biases : bool
    steps : list of TracedStep
    """

    net: Network
    X: Array
    Y: Array
    learning_rate: float
    reduction: str
    edges: Edges | None
    trainable_biases: bool
    steps: list[TracedStep]


class Tracer:
    """The steps, one after the other, on parameters of their own."""

    def __init__(self, case: Case, learning_rate: float) -> None:
        self.net, self.X, self.Y = case.net, case.dense, case.Y
        self.learning_rate, self.edges = learning_rate, case.edges
        self.trained, self.share = case.trainable_biases, case.share
        self.theta = np.array(case.net.theta, dtype=np.float64)

    def run(self, steps: int) -> list[TracedStep]:
        with np.errstate(all="ignore"):  # too large a learning rate overflows: that is shown
            passes = [self.forward()]
            done = []
            for _ in range(steps):
                done.append(self.step(passes[-1]))
                passes.append(done[-1].after)
        return done

    def forward(self) -> TracedPass:
        layers = self.net.layers(self.theta.copy())
        z, a = backprop.forward(layers, self.X)
        J = np.asarray(self.net.loss.value(self.net.activations[-1], z[-1], self.Y))
        return TracedPass(
            [layer.W for layer in layers],
            [layer.b for layer in layers],
            z,
            a,
            J,
            float(self.share @ J),
        )

    def step(self, before: TracedPass) -> TracedStep:
        layers, loss = self.net.layers(self.theta), self.net.loss
        delta = backprop.deltas(layers, loss, before.z, self.Y)
        dW, db = backprop.gradients(layers, before.a, delta, self.share)
        dJ_da = backprop.activation_gradients(layers, delta, loss.dJ(before.output, self.Y))
        if self.edges is not None:
            dW = [np.where(edge, g, 0.0) for edge, g in zip(self.edges, dW, strict=True)]
        uW = [-self.learning_rate * g for g in dW]
        rate = -self.learning_rate if self.trained else 0.0
        ub = [None if g is None else rate * g for g in db]
        for layer, u, v in zip(layers, uW, ub, strict=True):
            layer.W[...] += u
            if layer.b is not None:
                layer.b[...] += v
        return TracedStep(before, delta, dJ_da, dW, db, uW, ub, self.forward())
