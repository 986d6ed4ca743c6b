"""What an estimator keeps of its training besides the attributes that scikit-learn knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.optimizers import Optimizer, State
from deltarule.equations.params import Array
from deltarule.equations.schedules import Schedule
from deltarule.network.network import Network

_SMALLEST_RATE = 1e-6


@dataclass
class Descent:
    """The optimizer of an estimator with its state, kept from one partial_fit to the next.

    Attributes
    ----------
    rule : Optimizer
    state : dict
        Of the rule: steps done and moments.
    learning_rate : float
        The present one, before a schedule's factor.
    plan : str
        "constant", "invscaling" or "adaptive": scikit-learn's ways to change it between epochs.
    power_t : float
        Of "invscaling".
    schedule : Schedule
        Factors of the learning rate, step by step; constant unless asked for.
    schedule_state : dict
        What the schedule has observed.
    """

    rule: Optimizer
    state: State
    learning_rate: float
    plan: str
    power_t: float
    schedule: Schedule
    schedule_state: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.schedule_state = self.schedule.init()

    def epoch_ended(self, samples_seen: int) -> None:
        """Follow "invscaling": learning_rate_init / (samples seen + 1)^power_t."""
        if self.plan == "invscaling":
            self.learning_rate = self.rule.learning_rate / (samples_seen + 1) ** self.power_t

    def stops(self, message: str, say: Callable[[str], None]) -> bool:
        """Without progress: True to stop, or with "adaptive" a fifth of the rate until 1e-6."""
        stops = self.plan != "adaptive" or self.learning_rate <= _SMALLEST_RATE
        if not stops:
            self.learning_rate /= 5.0
            end = f"Setting learning rate to {self.learning_rate:f}"
        else:
            end = "Learning rate too small. Stopping." if self.plan == "adaptive" else "Stopping."
        say(f"{message} {end}")
        return stops


@dataclass(frozen=True)
class Member:
    """What the networks of an ensemble share while they are trained side by side.

    Attributes
    ----------
    stop : (1,) array of uint8
        Not 0: all are to stop.
    failed : list
        The errors that ended some of them.
    prefix : str
        What this one's lines begin with.
    """

    stop: NDArray[np.uint8]
    failed: list[BaseException]
    prefix: str


@dataclass
class Fitted:
    """The record of an estimator that has a network.

    Attributes
    ----------
    network : Network
    linked : (list, list)
        The very arrays shown as coefs_ and intercepts_, to see whether a user has put others there.
    descent : Descent or None
        The optimizer, kept from one partial_fit to the next; None before any step.
    best_theta : (P,) array or None
        The parameters of the best validation score so far.
    """

    network: Network
    linked: tuple[list[Array], list[Array]] = field(default_factory=lambda: ([], []), repr=False)
    descent: Descent | None = None
    best_theta: Array | None = None
