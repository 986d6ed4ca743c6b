"""JAX: one jit-compiled lax.scan over all batches of an epoch, the old weights donated."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.cases import Floats, Problem, Weights
from benchmarks.contenders.base import Timed

finished: Any = jax.block_until_ready


class _Jax(Timed):
    def __init__(self, problem: Problem, threads: int) -> None:
        case = problem.case
        self.problem = problem
        self.quantum = case.batches
        shape = (case.batches, case.batch, -1)
        self.data = jnp.asarray(problem.X.reshape(shape)), jnp.asarray(problem.Y.reshape(shape))
        self.f = jax.nn.relu if case.activation == "relu" else jax.nn.sigmoid
        self.epoch = jax.jit(
            lambda weights, data: jax.lax.scan(self.step, weights, data)[0], donate_argnums=0
        )
        self.forward = jax.jit(lambda weights, X: self.outputs(weights, X)[-1])
        self.reset()

    def reset(self) -> None:
        self.now = [(jnp.array(W), jnp.array(b)) for W, b in self.problem.weights]

    def outputs(self, weights: Any, X: Any) -> list[Any]:
        """a_0..a_L."""
        a = [X]
        for l, (W, b) in enumerate(weights, start=1):
            z = a[-1] @ W + b
            a.append(self.f(z) if l < len(weights) else z)
        return a

    def step(self, weights: Any, xy: Any) -> tuple[Any, None]:
        raise NotImplementedError

    def train(self, steps: int) -> None:
        for _ in range(steps // self.quantum):
            self.now = self.epoch(self.now, self.data)
        finished(self.now)

    def weights(self) -> Weights:
        return [(np.array(W), np.array(b)) for W, b in self.now]

    def to_input(self, X: Floats) -> Any:
        return jnp.asarray(X)

    def infer(self, X: Any) -> Any:
        return finished(self.forward(self.now, X))


class JaxHand(_Jax):
    """The deltas written out."""

    def step(self, weights: Any, xy: Any) -> tuple[Any, None]:
        x, y = xy
        case = self.problem.case
        scale = case.learning_rate / case.batch
        a = self.outputs(weights, x)
        delta, new = a[-1] - y, list(weights)
        for l in range(len(weights), 0, -1):
            W, b = weights[l - 1]
            new[l - 1] = W - scale * (a[l - 1].T @ delta), b - scale * delta.sum(0)
            if l > 1:
                f = a[l - 1]
                delta = (delta @ W.T) * (f > 0 if case.activation == "relu" else f * (1 - f))
        return new, None


class JaxGrad(_Jax):
    """value_and_grad of the loss."""

    def step(self, weights: Any, xy: Any) -> tuple[Any, None]:
        x, y = xy

        def loss(weights: Any) -> Any:
            return 0.5 * jnp.mean(jnp.sum((self.outputs(weights, x)[-1] - y) ** 2, axis=1))

        _, gradient = jax.value_and_grad(loss)(weights)
        rate = self.problem.case.learning_rate
        return jax.tree.map(lambda w, g: w - rate * g, weights, gradient), None
