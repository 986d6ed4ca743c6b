"""Hooks into training: look at every batch and epoch, stop when you like, keep the best.

A callback is a `Callback`, or a plain function of the `Progress` that is called after each epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from deltarule.equations.params import Array
from deltarule.errors import SpecError
from deltarule.network.network import Network
from deltarule.training.history import History


@dataclass
class Progress:
    """What a callback sees, and how it stops training.

    Attributes
    ----------
    net : Network
        With its present parameters.
    history : History
    epoch, epochs : int
        The present epoch, counted from 1, and how many are planned.
    batch, batches : int
        The present batch, counted from 1, and how many an epoch has.
    batch_loss : float
        Mean of J over the present batch, before its update.
    X, Y, sample_weight, l2
        What is trained on: checked rows in the network's precision, weights or None, the l2 of a
        full batch.
    """

    net: Network
    history: History
    epochs: int
    batches: int
    epoch: int = 0
    batch: int = 0
    batch_loss: float = math.nan
    reason: str | None = None
    X: Any = field(default=None, repr=False)
    Y: Any = field(default=None, repr=False)
    sample_weight: Array | None = field(default=None, repr=False)
    l2: float = 0.0

    def stop(self, reason: str = "callback") -> None:
        """End training after the present batch or epoch; `History.stopped` tells the reason."""
        self.reason = str(reason)


class Callback:
    """Base of callbacks; override what you need."""

    def on_start(self, progress: Progress) -> None:
        """Before the first epoch (of a resumed run too)."""

    def on_batch(self, progress: Progress) -> None:
        """After each batch (L-BFGS has none). Overriding it returns to Python for every batch."""

    def on_epoch(self, progress: Progress) -> None:
        """After each epoch, when its entries stand in the history."""

    def on_end(self, progress: Progress) -> None:
        """After training, when the parameters to keep are in place."""


@dataclass
class _EpochFunction(Callback):
    function: Callable[[Progress], Any]

    def on_epoch(self, progress: Progress) -> None:
        self.function(progress)


def as_callbacks(given: Sequence[Callback | Callable[[Progress], Any]]) -> list[Callback]:
    """The callbacks as Callback objects. Raises SpecError for anything else."""
    if isinstance(given, Callback) or callable(given):
        given = [given]
    if not isinstance(given, Iterable):
        raise SpecError(f"callbacks must be a list of callbacks, got {given!r}")
    result = []
    for one in given:
        if isinstance(one, Callback):
            result.append(one)
        elif callable(one) and not isinstance(one, type):
            result.append(_EpochFunction(one))
        else:
            raise SpecError(f"a callback must be a dr.Callback object or a function, got {one!r}")
    return result


def wants_batches(callbacks: Sequence[Callback]) -> bool:
    """Whether any callback looks at single batches."""
    return any(type(one).on_batch is not Callback.on_batch for one in callbacks)
