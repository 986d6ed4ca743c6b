"""One step of a descent check: a learning rate, and what it did to C beside what was promised."""

from __future__ import annotations

import math
from dataclasses import dataclass

_SURE = 20.0  # ratios are trusted where what they miss 1 by is that many times the rounding


@dataclass(frozen=True)
class DescentStep:
    """One learning rate, tried.

    Attributes
    ----------
    learning_rate : float
        alpha
    predicted : float
        -alpha |dC/dtheta|^2, the change of C to first order.
    measured : float
        C(theta - alpha dC/dtheta) - C(theta); NaN or infinity where that is no finite number.
    rounding : float
        How far off `measured` may be by rounding alone.
    kinks : int
        Net inputs (and errors o - y) that the step carries across a kink of an activation (or of
        the loss): the first order says nothing about the other side.
    """

    learning_rate: float
    predicted: float
    measured: float
    rounding: float
    kinks: int

    @property
    def ratio(self) -> float:
        """measured / predicted: tends to 1 as alpha does to 0. NaN where nothing is predicted."""
        return self.measured / self.predicted if self.predicted else math.nan

    @property
    def falls(self) -> bool:
        """Whether C is less after the step."""
        return self.measured < 0

    @property
    def only_rounding(self) -> bool:
        """Whether the change of C is too small to be told from rounding."""
        return math.isfinite(self.measured) and abs(self.predicted) <= self.rounding

    @property
    def trusted(self) -> bool:
        """Whether the distance of the ratio from 1 is no matter of rounding or of a kink."""
        if self.kinks or not math.isfinite(self.ratio):
            return False
        return abs(self.measured - self.predicted) > _SURE * self.rounding

    @property
    def remark(self) -> str:
        """What a reader should know about it; empty if nothing."""
        said = []
        if not math.isfinite(self.measured):
            said.append("C is not finite")
        elif self.predicted and self.only_rounding:
            said.append("rounding only")
        elif self.measured > 0:
            said.append("C rises")
        if self.kinks:
            said.append(f"crosses {self.kinks} kink{'s' * (self.kinks > 1)}")
        return ", ".join(said)
