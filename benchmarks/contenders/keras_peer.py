"""Keras 3 on its JAX backend: `fit`, compiled, many steps per execution."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from benchmarks.cases import Floats, Problem, Weights
from benchmarks.contenders.fitted import Fitted

MOST_STEPS = 50


def _half_squared_error(y: Any, output: Any) -> Any:
    return 0.5 * keras.ops.sum((output - y) ** 2, axis=-1)


class Keras(Fitted):
    """Dense layers, plain SGD, no shuffling."""

    def __init__(self, problem: Problem, threads: int) -> None:
        case = problem.case
        layers: list[Any] = [keras.layers.Input((case.sizes[0],))]
        layers += [keras.layers.Dense(n, activation=case.activation) for n in case.sizes[1:-1]]
        layers.append(keras.layers.Dense(case.sizes[-1]))
        self.model = keras.Sequential(layers)
        # many steps per dispatch cut the cost of a small step by ten; large steps gain nothing
        most = MOST_STEPS if case.parameters < 100_000 and len(case.layers) < 10 else 1
        self.quantum = max(n for n in range(1, most + 1) if case.batches % n == 0)
        self.model.compile(
            optimizer=keras.optimizers.SGD(case.learning_rate),
            loss=_half_squared_error,
            jit_compile=True,
            steps_per_execution=self.quantum,
        )
        self.clock = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self.epoch_ended()
        )
        super().__init__(problem, threads)

    def reset(self) -> None:
        self.model.set_weights([array for pair in self.problem.weights for array in pair])

    def fit(self, rows: int, epochs: int) -> None:
        self.model.fit(
            self.problem.X[:rows],
            self.problem.Y[:rows],
            batch_size=self.problem.case.batch,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=[self.clock],
        )

    def weights(self) -> Weights:
        arrays = [np.array(array) for array in self.model.get_weights()]
        return list(zip(arrays[::2], arrays[1::2], strict=True))

    def to_input(self, X: Floats) -> Any:
        return X

    def infer(self, X: Any) -> Any:
        return self.model.predict_on_batch(X)
