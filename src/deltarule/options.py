"""Checks of options that are single numbers, and of rng: what is wrong, and what is needed.

`owner` is the record whose option it is (its class is named in the message), or None.
"""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from deltarule.errors import SpecError


def positive(owner: object, **values: Any) -> None:
    """Raise SpecError unless each value is a finite number > 0."""
    _require(owner, "a finite number > 0", numbers.Real, math.ulp(0.0), math.inf, values)


def not_negative(owner: object, **values: Any) -> None:
    """Raise SpecError unless each value is a finite number >= 0."""
    _require(owner, "a finite number >= 0", numbers.Real, 0, math.inf, values)


def fraction(owner: object, **values: Any) -> None:
    """Raise SpecError unless each value is a number in [0, 1)."""
    _require(owner, "a number in [0, 1)", numbers.Real, 0, 1, values)


def share(owner: object, **values: Any) -> None:
    """Raise SpecError unless each value is a number in [0, 1]."""
    _require(owner, "a number in [0, 1]", numbers.Real, 0, math.nextafter(1, 2), values)


def between_0_and_1(owner: object, **values: Any) -> None:
    """Raise SpecError unless each value lies between 0 and 1, both excluded."""
    _require(owner, "between 0 and 1", numbers.Real, math.ulp(0.0), 1, values)


def count(owner: object, **values: Any) -> None:
    """Raise SpecError unless each value is a whole number >= 1."""
    _require(owner, "a whole number >= 1", numbers.Integral, 1, math.inf, values)


def generator(rng: Any) -> np.random.Generator:
    """The random numbers that a user's rng stands for; SpecError if it is none."""
    try:
        if isinstance(rng, bool):
            raise TypeError
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise no_rng(rng) from None


def no_rng(rng: Any) -> SpecError:
    """The error for what is no source of random numbers."""
    return SpecError(
        f"rng must be None, a whole number >= 0, a SeedSequence or a Generator, got {rng!r}"
    )


def _require(
    owner: object, need: str, kind: Any, low: float, high: float, values: dict[str, Any]
) -> None:
    """Each value a number of that kind, at least `low` and less than `high`."""
    prefix = "" if owner is None else f"{type(owner).__name__}: "
    for name, value in values.items():
        is_kind = isinstance(value, kind) and not isinstance(value, bool)
        if not is_kind or not low <= _as(kind, value) < high:
            raise SpecError(f"{prefix}{name} must be {need}, got {value!r:.60}")


def _as(kind: Any, value: Any) -> Any:
    """The number to compare; a whole number beyond all floats counts as infinite among them."""
    try:
        return value if kind is numbers.Integral else float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
