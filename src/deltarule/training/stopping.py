"""When training stops, and which epoch is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from deltarule import options
from deltarule.equations.params import Array
from deltarule.errors import SpecError
from deltarule.training.metrics import HIGHER_IS_BETTER


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when `monitor` has not improved for `patience` epochs, and restore the best.

    Parameters
    ----------
    patience : int >= 1, default 10
    min_delta : float >= 0, default 0
        By how much a value must be better to count.
    monitor : str, default "validation_loss"
        Or "loss", or a validation metric: "accuracy", "r2", "rmse".
    restore_best : bool, default True
        Give the network the parameters of the best epoch, however training ends.
    """

    patience: int = 10
    min_delta: float = 0.0
    monitor: str = "validation_loss"
    restore_best: bool = True

    def __post_init__(self) -> None:
        options.count(self, patience=self.patience)
        options.not_negative(self, min_delta=self.min_delta)


@dataclass
class BestSoFar:
    """The running state of an EarlyStopping: the best epoch, its value and its parameters."""

    rule: EarlyStopping
    epoch: int | None = None
    value: float = math.nan
    theta: Array | None = field(default=None, repr=False)

    def observe(self, epoch: int, value: float, theta: Array) -> bool:
        """Take in an epoch (counted from 1); True if patience has run out."""
        sign = -1.0 if self.rule.monitor in HIGHER_IS_BETTER else 1.0
        margin = self.rule.min_delta if self.epoch is not None else 0.0
        better = self.epoch is None or sign * value < sign * self.value - margin
        if math.isfinite(value) and (better or not math.isfinite(self.value)):
            self.epoch, self.value, self.theta = epoch, value, theta.copy()
        return epoch - (self.epoch or 0) >= self.rule.patience


def get_early_stopping(
    spec: EarlyStopping | bool | int | None, has_validation: bool, known: Sequence[str]
) -> EarlyStopping | None:
    """None, True (defaults), a patience, or an EarlyStopping, checked against what is recorded.

    Raises SpecError if the monitored series will not exist.
    """
    if spec is None or spec is False:
        return None
    if spec is True or isinstance(spec, int | np.integer):
        default = "validation_loss" if has_validation else "loss"
        patience = 10 if spec is True else int(spec)
        return EarlyStopping(patience=patience, monitor=default)
    if not isinstance(spec, EarlyStopping):
        raise SpecError(f"early_stopping must be a patience or dr.EarlyStopping(...), got {spec!r}")
    if spec.monitor not in known:
        why = "" if has_validation else " (there is no validation)"
        raise SpecError(f"early stopping cannot monitor {spec.monitor!r}{why}: {', '.join(known)}")
    return spec
