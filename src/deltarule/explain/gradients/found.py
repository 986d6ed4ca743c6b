"""What a gradient check finds of one number, one term and one direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.params import Array
from deltarule.explain.gradients.differences import Measured

#: What is found of one number, as `TermCheck.status` holds it.
RIGHT, WRONG, KINK, UNRESOLVED, LEFT_OUT = range(5)
STATUS = ("right", "wrong", "at a kink", "unresolved", "not checked")
#: Whose gradients there are.
SOURCES = {"reference": "dr.backward", "native": "the compiled engine"}


@dataclass(frozen=True)
class Coordinate:
    """One number of a gradient.

    Attributes
    ----------
    term : str
        "weights", "biases", "inputs", or the name of a block.
    layer : int or None
        Counted 1..L.
    index : tuple of int
        Within the term's array, from 0.
    analytic, numeric : float
    uncertainty : float
        How far `numeric` may be off, as it was estimated.
    status : {"right", "wrong", "at a kink", "unresolved"}
    source : str
        Whose gradient: "reference" (`dr.backward`) or "native"; "" for a function of your own.
    """

    term: str
    layer: int | None
    index: tuple[int, ...]
    analytic: float
    numeric: float
    uncertainty: float
    status: str
    source: str = ""

    @property
    def relative_error(self) -> float:
        """|analytic - numeric| over the larger of both."""
        return float(relative_errors(np.array(self.analytic), np.array(self.numeric)))

    @property
    def where(self) -> str:
        """In words, such as "weights of layer 2 [0, 3]"."""
        layer = "" if self.layer is None else f" of layer {self.layer}"
        return f"{self.term}{layer} {list(self.index)}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "term": self.term,
            "layer": self.layer,
            "index": list(self.index),
            "analytic": self.analytic,
            "numeric": self.numeric,
            "uncertainty": self.uncertainty,
            "relative_error": self.relative_error,
            "status": self.status,
            "source": self.source,
        }


@dataclass(frozen=True, eq=False)
class TermCheck:
    """The numbers of one term.

    Attributes
    ----------
    name, layer, source : see `Coordinate`
    analytic, numeric, uncertainty : arrays of the term's shape
        NaN where nothing was measured.
    status : int array
        Places in `STATUS`: 0 right, 1 wrong, 2 at a kink, 3 unresolved (too small
        or too rough to be measured), 4 not checked.
    method : "complex step" or "differences"
    """

    name: str
    layer: int | None
    source: str
    analytic: Array
    numeric: Array
    uncertainty: Array
    status: NDArray[np.int8]
    method: str

    @property
    def title(self) -> str:
        """In words."""
        return self.name if self.layer is None else f"{self.name} of layer {self.layer}"

    def count(self, status: int) -> int:
        """How many numbers have a status."""
        return int((self.status == status).sum())

    @property
    def checked(self) -> int:
        """How many numbers were looked at."""
        return self.status.size - self.count(LEFT_OUT)

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Which unresolved numbers were measured well: there the gradient itself is too rough."""
        size = np.maximum(np.abs(self.analytic), np.abs(self.numeric))
        return np.asarray((self.status == UNRESOLVED) & (4 * self.uncertainty <= 0.1 * size))

    @property
    def worst(self) -> Coordinate | None:
        """The wrong number (if there is none, the right one) with the largest relative error."""
        among = self.status == (WRONG if self.count(WRONG) else RIGHT)
        if not among.any():
            return None
        errors = np.where(among, relative_errors(self.analytic, self.numeric), -1.0)
        # of errors that are all the same, such as those of a factor, the one that shows most
        close = errors >= errors.max() * (1 - 1e-6)
        off = np.where(close, np.nan_to_num(np.abs(self.analytic - self.numeric), nan=np.inf), -1.0)
        return self.at(np.unravel_index(int(np.argmax(off)), off.shape))

    def at(self, index: Sequence[Any]) -> Coordinate:
        """One number."""
        place = tuple(int(i) for i in index)
        return Coordinate(
            self.name,
            self.layer,
            place,
            float(self.analytic[place]),
            float(self.numeric[place]),
            float(self.uncertainty[place]),
            STATUS[int(self.status[place])],
            self.source,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "term": self.name,
            "layer": self.layer,
            "source": self.source,
            "shape": list(self.status.shape),
            "checked": self.checked,
            "right": self.count(RIGHT),
            "wrong": self.count(WRONG),
            "at_a_kink": self.count(KINK),
            "unresolved": self.count(UNRESOLVED),
            "method": self.method,
            "worst": None if self.worst is None else self.worst.to_dict(),
        }


@dataclass(frozen=True)
class Direction:
    """The slope of the error along one random direction.

    Attributes
    ----------
    over : str
        Which numbers moved.
    analytic, numeric, uncertainty, status, source : see `Coordinate`
    """

    over: str
    source: str
    analytic: float
    numeric: float
    uncertainty: float
    status: str

    @property
    def relative_error(self) -> float:
        """|analytic - numeric| over the larger of both."""
        return float(relative_errors(np.array(self.analytic), np.array(self.numeric)))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "over": self.over,
            "source": self.source,
            "analytic": self.analytic,
            "numeric": self.numeric,
            "uncertainty": self.uncertainty,
            "relative_error": self.relative_error,
            "status": self.status,
        }


def statuses(
    g: Array,
    found: Measured,
    tolerance: Array,
    rtol: float,
    doubtful: NDArray[np.bool_],
    nothing: Any,
) -> NDArray[np.int8]:
    """What is found of each number; a slope below `nothing` is as good as 0."""
    size = np.maximum(np.abs(g), np.abs(found.value))
    off = np.abs(g - found.value)
    agrees = off <= tolerance + rtol * size  # false for NaN
    # at a kink the value is the mean of two slopes, and any between them is a subgradient
    between = off <= 0.55 * found.jump + tolerance
    kink = ~agrees & (found.crossed | doubtful | (between & (found.jump > 0)))
    vanishes = (g == 0) & (tolerance <= nothing)
    small = agrees & (tolerance > 0.1 * size) & ~vanishes & (off + tolerance > 0)
    status = np.where(agrees, RIGHT, np.where(kink & np.isfinite(g), KINK, WRONG))
    return np.where(small, UNRESOLVED, status).astype(np.int8)


def relative_errors(analytic: Array, numeric: Array) -> Array:
    """|a - b| / max(|a|, |b|), 0 where both are 0, infinite where one is not a number."""
    difference, size = np.abs(analytic - numeric), np.maximum(np.abs(analytic), np.abs(numeric))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(difference == 0, 0.0, difference / size)
    return np.where(np.isnan(error), np.inf, error)
