"""One training on one fold: rows that are encoded once, trained by the rules of `train_table`.

The encoder and the target's mean and scale are measured on the fold's training rows alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deltarule import options
from deltarule.equations.params import Array
from deltarule.errors import DivergenceError
from deltarule.network.network import Network
from deltarule.tabular import TableEncoder, TargetColumn
from deltarule.tabular.model import TableModel
from deltarule.tabular.training import enough_patience
from deltarule.training.callbacks import Callback, Progress
from deltarule.training.history import History
from deltarule.training.plan import train
from deltarule.training.stopping import EarlyStopping
from deltarule.tuning.scoring import Scorer
from deltarule.tuning.space import DEFAULTS, Choice, Parameters, Space, complete, train_options

Rows = NDArray[np.int64]
_DTYPE = "float32"  # as train_table
TIME_IS_UP = "time budget"


class Cut(Exception):
    """A training that was ended before its time.

    Attributes
    ----------
    reason : "interrupted" or "time budget"
    where : str
        How far it had come.
    """

    def __init__(self, reason: str, where: str) -> None:
        super().__init__(reason)
        self.reason, self.where = reason, where


class Deadline(Callback):
    """Ends a training whose next epoch would not end before the deadline.

    Parameters
    ----------
    at : float
        On the clock of `time.monotonic`; infinity for none.
    """

    def __init__(self, at: float) -> None:
        self.at = at

    def on_start(self, progress: Progress) -> None:
        if time.monotonic() >= self.at:
            progress.stop(TIME_IS_UP)

    def on_epoch(self, progress: Progress) -> None:
        seconds = progress.history.seconds[-1]
        if progress.epoch < progress.epochs and time.monotonic() + seconds > self.at:
            progress.stop(TIME_IS_UP)


@dataclass(frozen=True)
class Fold:
    """Encoded rows to train on and rows held out, which stop the training and score it."""

    encoder: TableEncoder
    target: TargetColumn
    X: Array
    Y: Array
    held_X: Array
    held_Y: Array
    truth: NDArray[Any]

    @classmethod
    def encode(
        cls, frame: pl.DataFrame, target: TargetColumn, rows: Rows, held: Rows, scorer: Scorer
    ) -> Fold:
        """The fold of these rows; `target` tells the column and the task."""
        goal = TargetColumn().fit(frame, target.name, target.task, rows=rows)
        columns = [name for name in frame.columns if name != goal.name]
        encoder = TableEncoder().fit(frame, columns, rows=rows)
        X, Y = encoder.transform(frame, dtype=_DTYPE), goal.transform(frame, dtype=_DTYPE)
        truth = scorer.truth(goal, frame[held])
        return cls(encoder, goal, X[rows], Y[rows], X[held], Y[held], truth)

    def network(self, parameters: Parameters, seed: int) -> Network:
        """A network for this fold, not trained yet."""
        sizes = [self.encoder.width, *parameters["hidden"], self.target.n_outputs]
        return Network(sizes, parameters["activation"], self.target.loss, dtype=_DTYPE, rng=seed)

    def score(self, net: Network, scorer: Scorer) -> float:
        """The score on the rows held out."""
        return scorer.score(net, self.target, self.held_X, self.truth)

    def fit(
        self, parameters: Parameters, epochs: int, seed: int, callbacks: Sequence[Callback] = ()
    ) -> Fit:
        """Train a network, at most so many epochs.

        Raises Cut if Ctrl-C or a Deadline ended it, DivergenceError and SpecError as `dr.train`.
        """
        net = self.network(parameters, seed)
        start = time.perf_counter()
        history = train(
            net,
            self.X,
            self.Y,
            epochs=epochs,
            validation=(self.held_X, self.held_Y),
            early_stopping=EarlyStopping(patience=enough_patience(epochs)),
            rng=seed,
            callbacks=list(callbacks),
            **train_options(parameters),
        )
        if history.stopped in ("interrupted", TIME_IS_UP):
            raise Cut(history.stopped, f"after {len(history)} of at most {epochs} epochs")
        return Fit(TableModel(net, self.encoder, self.target), history, time.perf_counter() - start)


@dataclass(frozen=True)
class Fit:
    """A trained model, what happened on the way, and how long it took."""

    model: TableModel
    history: History
    seconds: float

    @property
    def loss(self) -> float:
        """The validation loss of the best epoch."""
        epoch = self.history.best_epoch
        return self.history.validation_loss[epoch - 1] if epoch else float("nan")


def require_trainable(space: Space) -> None:
    """Raise SpecError for a listed value that no training takes.

    Each is tried on two rows before the search, not in some trial after hours of it.
    """
    for part in space.parts:
        listed = {name: one.values for name, one in part.items() if isinstance(one, Choice)}
        first = {name: values[0] for name, values in listed.items()}
        for units in listed.pop("hidden", ()):
            for n in units:
                options.count(None, hidden=n)
        for name, values in listed.items():
            for value in values:
                p = complete(first | {name: value})
                if isinstance(p["activation"], list):  # it ends in one that suits the target
                    p["activation"] = DEFAULTS["activation"]
                layers = len(p["dropout"]) if isinstance(p["dropout"], list) else 2
                net = Network([1] * (layers + 1), p["activation"], rng=0)
                try:
                    train(net, [[0], [1]], [0, 1], epochs=1, validation=None, **train_options(p))
                except DivergenceError:  # it may do better on the table; if not, the trial fails
                    continue


def score_rows(model: TableModel, frame: pl.DataFrame, scorer: Scorer) -> dict[str, float]:
    """As `TableModel.evaluate`, and the score if its name is none of these."""
    result = model.evaluate(frame)
    if scorer.name not in result:
        X = model.encoder.transform(frame, dtype=model.network.dtype)
        truth = scorer.truth(model.target, frame)
        result[scorer.name] = scorer.score(model.network, model.target, X, truth)
    return result
