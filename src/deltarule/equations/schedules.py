"""Registry of learning-rate schedules: factors of the optimizer's learning rate, step by step.

A schedule is a frozen record; `factors` is a pure function of the step numbers and an explicit
state, so that a run can be resumed to the same bits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deltarule import options
from deltarule.errors import SpecError, unknown_name

Factors = NDArray[np.float64]


@dataclass(frozen=True)
class Span:
    """How long training is planned to be: what a schedule may depend on."""

    steps_per_epoch: int
    epochs: int

    @property
    def steps(self) -> int:
        """The planned number of steps."""
        return self.steps_per_epoch * self.epochs


@dataclass(frozen=True)
class Schedule:
    """Base of all schedules: a constant factor of 1."""

    name: ClassVar[str] = "constant"
    plans_ahead: ClassVar[bool] = False  # whether the factors depend on the number of epochs

    def init(self) -> dict[str, float]:
        """The state before the first epoch, as JSON can hold it."""
        return {}

    def factors(self, steps: Factors, span: Span, state: dict[str, float]) -> Factors:
        """The factor for each global step number (from 0)."""
        return np.ones_like(steps)

    def observe(self, loss: float, state: dict[str, float]) -> dict[str, float]:
        """The state after an epoch with this training loss."""
        return state

    def settings(self) -> dict[str, Any]:
        """The settings by name, as JSON can hold them."""
        return {"name": self.name} | dataclasses.asdict(self)


@dataclass(frozen=True)
class Step(Schedule):
    """gamma^(epoch // every).

    Parameters
    ----------
    every : int >= 1, default 10
        Epochs between two drops.
    gamma : float > 0, default 0.1
    """

    every: int = 10
    gamma: float = 0.1
    name: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        options.count(self, every=self.every)
        options.positive(self, gamma=self.gamma)

    def factors(self, steps: Factors, span: Span, state: dict[str, float]) -> Factors:
        epoch = steps // span.steps_per_epoch
        return np.asarray(self.gamma ** (epoch // self.every))


@dataclass(frozen=True)
class InvScaling(Schedule):
    """1 / (step + 1)^power, default power 0.5 (scikit-learn's "invscaling", counted in steps)."""

    power: float = 0.5
    name: ClassVar[str] = "invscaling"

    def __post_init__(self) -> None:
        options.not_negative(self, power=self.power)

    def factors(self, steps: Factors, span: Span, state: dict[str, float]) -> Factors:
        return np.asarray((steps + 1) ** -self.power)


@dataclass(frozen=True)
class Adaptive(Schedule):
    """Multiply by `factor` whenever the training loss has stopped falling.

    Parameters
    ----------
    factor : float in (0, 1), default 0.2
        As scikit-learn's "adaptive", which divides by 5.
    patience : int >= 1, default 2
        Epochs in a row without an improvement of `tol`.
    tol : float >= 0, default 1e-4
    """

    factor: float = 0.2
    patience: int = 2
    tol: float = 1e-4
    name: ClassVar[str] = "adaptive"

    def __post_init__(self) -> None:
        options.between_0_and_1(self, factor=self.factor)
        options.count(self, patience=self.patience)
        options.not_negative(self, tol=self.tol)

    def init(self) -> dict[str, float]:
        return {"scale": 1.0, "best": float("inf"), "waited": 0}

    def factors(self, steps: Factors, span: Span, state: dict[str, float]) -> Factors:
        return np.full_like(steps, state["scale"])

    def observe(self, loss: float, state: dict[str, float]) -> dict[str, float]:
        waited = 0 if loss < state["best"] - self.tol else state["waited"] + 1
        best = min(loss, state["best"])
        if waited >= self.patience:
            return {"scale": state["scale"] * self.factor, "best": best, "waited": 0}
        return {"scale": state["scale"], "best": best, "waited": waited}


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from 1 down to `final` over all planned steps (Loshchilov, Hutter 2017)."""

    final: float = 0.0
    name: ClassVar[str] = "cosine"
    plans_ahead: ClassVar[bool] = True

    def __post_init__(self) -> None:
        options.not_negative(self, final=self.final)

    def factors(self, steps: Factors, span: Span, state: dict[str, float]) -> Factors:
        part = np.clip(steps / max(span.steps, 1), 0, 1)
        return np.asarray(self.final + (1 - self.final) * 0.5 * (1 + np.cos(np.pi * part)))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """From `start` up to 1 and down to `final`, both along half a cosine (Smith, Topin 2019).

    Parameters
    ----------
    rise : float in (0, 1), default 0.3
        The share of the planned steps that climbs.
    start, final : float >= 0, default 0.04 and 0.0001
        Factors at the first and after the last step.
    """

    rise: float = 0.3
    start: float = 0.04
    final: float = 1e-4
    name: ClassVar[str] = "one_cycle"
    plans_ahead: ClassVar[bool] = True

    def __post_init__(self) -> None:
        options.between_0_and_1(self, rise=self.rise)
        options.not_negative(self, start=self.start, final=self.final)

    def factors(self, steps: Factors, span: Span, state: dict[str, float]) -> Factors:
        part = np.clip(steps / max(span.steps, 1), 0, 1)
        up = 0.5 * (1 - np.cos(np.pi * np.minimum(part / self.rise, 1)))
        down = 0.5 * (1 + np.cos(np.pi * np.maximum((part - self.rise) / (1 - self.rise), 0)))
        rising = self.start + (1 - self.start) * up
        falling = self.final + (1 - self.final) * down
        return np.where(part < self.rise, rising, falling)


@dataclass(frozen=True)
class Warmup(Schedule):
    """A straight line up to 1 over the first epochs, times another schedule.

    Parameters
    ----------
    epochs : float > 0, default 5
        How long the line is; a fraction is fine.
    then : Schedule, default constant
    """

    epochs: float = 5.0
    then: Schedule = field(default_factory=Schedule)
    name: ClassVar[str] = "warmup"

    def __post_init__(self) -> None:
        options.positive(self, epochs=self.epochs)
        if not isinstance(self.then, Schedule):
            raise SpecError(f"then must be a Schedule such as dr.Cosine(), got {self.then!r}")

    @property
    def plans_ahead(self) -> bool:  # type: ignore[override]  # here it depends on the inner one
        return self.then.plans_ahead

    def init(self) -> dict[str, float]:
        return self.then.init()

    def factors(self, steps: Factors, span: Span, state: dict[str, float]) -> Factors:
        line = np.minimum((steps + 1) / (self.epochs * span.steps_per_epoch), 1)
        return np.asarray(line * self.then.factors(steps, span, state))

    def observe(self, loss: float, state: dict[str, float]) -> dict[str, float]:
        return self.then.observe(loss, state)

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "epochs": self.epochs, "then": self.then.settings()}


@dataclass(frozen=True)
class ByEpoch(Schedule):
    """A user's own function of the epoch (from 0): its value is the factor."""

    function: Callable[[int], float] = lambda epoch: 1.0
    name: ClassVar[str] = "by_epoch"

    def factors(self, steps: Factors, span: Span, state: dict[str, float]) -> Factors:
        epochs = (steps // span.steps_per_epoch).astype(int)
        values = {int(e): self.function(int(e)) for e in np.unique(epochs)}
        for epoch, value in values.items():
            options.not_negative(self, **{f"the factor of epoch {epoch}": value})
        return np.array([float(values[int(e)]) for e in epochs])

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "function": getattr(self.function, "__qualname__", "?")}


SCHEDULES: Mapping[str, type[Schedule]] = {
    kind.name: kind for kind in (Schedule, Step, InvScaling, Adaptive, Cosine, OneCycle, Warmup)
}


def get_schedule(spec: str | Schedule | Callable[[int], float] | None) -> Schedule:
    """The schedule of that name with its defaults, or the given one; a function of the epoch too.

    Raises SpecError for an unknown name (with the nearest known one).
    """
    if spec is None:
        return Schedule()
    if isinstance(spec, Schedule):
        return spec
    if isinstance(spec, str):
        kind = SCHEDULES.get(spec.lower())
        if kind is None:
            raise unknown_name("schedule", spec, SCHEDULES)
        return kind()
    if callable(spec):
        return ByEpoch(spec)
    raise SpecError(f"schedule must be a name, a Schedule or a function of the epoch, got {spec!r}")
