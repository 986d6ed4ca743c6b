"""Gradients compared along random directions: cheap, and enough to find one wrong number of many.

One direction moves all numbers at once. If its slope is wrong, that of a term alone tells which
term, and halving a term tells which of its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.params import Array
from deltarule.explain.gradients.differences import EPS, Change, Measured, measure, noise_of
from deltarule.explain.gradients.found import STATUS, WRONG, Direction, statuses
from deltarule.explain.gradients.term import Term

AGAIN = 0.1  # of the steps of a first measurement
_SAMPLED = 50  # numbers at least of a large term in which something is wrong
_ONLY = np.zeros(1, dtype=np.intp)

Move = tuple[Term, Array]


class Function(Protocol):
    """What is differentiated."""

    def along(self, moves: Sequence[Move]) -> Change:
        """The function of one step t, where each term moves by t times its array."""
        ...


@dataclass
class Slopes:
    """Slopes of a function along random directions, measured and analytic.

    Attributes
    ----------
    function : Function
    eps, rtol, rng : see `Comparison`
    """

    function: Function
    eps: float
    rtol: float
    rng: np.random.Generator

    def along(self, over: str, terms: Sequence[Term], count: int) -> list[Direction]:
        """The slopes along random directions over some terms, for all who give a gradient."""
        found, noise = [], None
        for _ in range(count):
            moves = [(term, self.direction(term)) for term in terms]
            if noise is None:
                noise = self._noise(moves)
            found += self._compared(over, moves, noise)
        return found

    def suspects(self, term: Term, most: int) -> NDArray[np.intp]:
        """Some numbers of a term whose slope is wrong: drawn at random, and where halving leads."""
        at = term.coordinates()
        if len(at) <= max(most, _SAMPLED):
            return at
        drawn = self.rng.choice(at, max(most, _SAMPLED), replace=False)
        return np.union1d(drawn, self._halved(term, at))

    def _halved(self, term: Term, at: NDArray[np.intp]) -> NDArray[np.intp]:
        """At most `_SAMPLED` numbers along which the slope is wrong; none if halving loses it."""
        while len(at) > _SAMPLED:
            for half in np.array_split(at, 2):
                there = np.zeros(term.value.size)
                there[half] = 1
                moves = [(term, self.direction(term) * there.reshape(term.value.shape))]
                slopes = self._compared(term.title, moves, self._noise(moves))
                if any(one.status == STATUS[WRONG] for one in slopes):
                    at = half
                    break
            else:
                return at[:0]
        return at

    def direction(self, term: Term) -> Array:
        """+-1 in the scale of each number; a weight's falls with the number of inputs."""
        fan = term.value.shape[0] if term.name == "weights" and term.layer is not None else 1
        signs = self.rng.choice([-1.0, 1.0], term.value.size) / math.sqrt(fan)
        v = (signs * term.scale).reshape(term.value.shape)
        return v if term.there is None else v * term.there

    def _noise(self, moves: Sequence[Move]) -> Array:
        seen = noise_of(self.function.along(moves), _ONLY, np.ones(1))
        # fmax passes over NaN
        return np.asarray(np.fmax(2 * seen, EPS * float(moves[0][0].size_of_f.mean())))

    def _compared(self, over: str, moves: Sequence[Move], noise: Array) -> list[Direction]:
        """One direction; what is called wrong must be so at other steps too."""
        change = self.function.along(moves)
        found = measure(change, np.ones(1), noise, self.rtol)
        slopes = self._beside(over, moves, found)
        if any(one.status == STATUS[WRONG] for one in slopes):
            found.weigh(_ONLY, measure(change, np.full(1, AGAIN), noise, self.rtol))
            slopes = self._beside(over, moves, found)
        return slopes

    def _beside(self, over: str, moves: Sequence[Move], found: Measured) -> list[Direction]:
        """What was measured along a direction beside each analytic gradient's slope along it."""
        numeric, error = float(found.value[0]), float(found.error[0])
        rounded = [
            (_share(term) * term.rounding * move) ** 2
            for term, move in moves
            if term.rounding is not None
        ]
        rounding = 32 * math.sqrt(sum(float(one.sum()) for one in rounded))
        result, nowhere = [], np.zeros(1, dtype=bool)
        for source in [s for s in moves[0][0].analytic if all(s in t.analytic for t, _ in moves)]:
            parts = [_share(term) * term.analytic[source] * move for term, move in moves]
            analytic = float(sum(part.sum() for part in parts))
            size = math.sqrt(sum(float((part**2).sum()) for part in parts))
            tolerance = np.array([4 * error + self.eps * (200 * size + rounding)])
            g = np.array([analytic])
            text = STATUS[int(statuses(g, found, tolerance, self.rtol, nowhere, 0.0)[0])]
            result.append(Direction(over, source, analytic, numeric, error, text))
        return result


def _share(term: Term) -> Array | float:
    return 1.0 if term.share is None else term.share
