"""Gradients compared with measured slopes: along directions, and then number by number.

A number is wrong only if analytic and numeric differ by more than the numeric one's own estimated
error and the rounding of the analytic one, and not where a step crosses a kink.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.params import Array
from deltarule.explain.gradients.causes import common_causes
from deltarule.explain.gradients.differences import EPS, Measured, complex_step, measure, noise_of
from deltarule.explain.gradients.directions import AGAIN, Function, Slopes
from deltarule.explain.gradients.found import (
    LEFT_OUT,
    SOURCES,
    STATUS,
    WRONG,
    Direction,
    TermCheck,
    statuses,
)
from deltarule.explain.gradients.objective import ObjectiveFunction
from deltarule.explain.gradients.term import Term

_EVALUATIONS = 6  # of the function for one number, mostly
_AT_A_TIME = 8192
_PROBED = 4  # coordinates of a term along which the rounding is measured


@dataclass(frozen=True)
class Done:
    """What a comparison has found; see `GradientCheck`."""

    directions: list[Direction]
    terms: list[TermCheck]
    causes: list[str]
    notes: list[str]


@dataclass
class Comparison:
    """One check: a function, its terms, and how exactly they are compared.

    Attributes
    ----------
    function : Function
    terms : list of Term
    eps : float
        Of the arithmetic of the analytic gradient.
    rtol : float
    rng : Generator
    """

    function: Function
    terms: list[Term]
    eps: float
    rtol: float
    rng: np.random.Generator

    @property
    def _slopes(self) -> Slopes:
        return Slopes(self.function, self.eps, self.rtol, self.rng)

    # -- rounding -------------------------------------------------------------------------------

    def _measure_noise(self, terms: Sequence[Term]) -> None:
        """Raise each term's noise to what shows along a few of its coordinates."""
        for term in terms:
            at = term.coordinates()
            if term.noise_known or not len(at):
                continue
            at = at[:: max(1, len(at) // _PROBED)][:_PROBED]

            def change(i: NDArray[np.intp], t: Array, term: Term = term, at: Any = at) -> Any:
                return term.change(at[i], t)

            seen, floor = noise_of(change, np.arange(len(at)), term.scale[at]), term.noise[at]
            ratios = (seen / floor)[np.isfinite(seen) & (floor > 0)]
            term.noise *= max(1.0, 2 * float(np.median(ratios))) if len(ratios) else 1.0

    def measure_common_noise(self) -> float:
        """The same from one direction, for terms that are all evaluated in one way.

        Returns that noise beside the size of the function there and a large step away.
        """
        change = self.function.along([(term, self._slopes.direction(term)) for term in self.terms])
        only = np.zeros(1, dtype=np.intp)
        seen = 2 * float(np.nan_to_num(noise_of(change, only, np.ones(1))[0]))
        for term in self.terms:
            np.maximum(term.noise, seen, out=term.noise)
            term.noise_known = True
        around = np.abs(change(only, np.array([[1.0, -1.0, 0.01, -0.01]]))[0])
        size = max(self.terms[0].size_of_f[0], around[np.isfinite(around)].max(initial=0.0))
        for term in self.terms:
            term.size_of_f[:] = size
        return float(seen / size) if size > 0 else 0.0

    def takes_complex_steps(self, function: ObjectiveFunction) -> bool:
        """Whether a complex step along a random direction gives the slope that differences give."""
        moves = [(term, self._slopes.direction(term)) for term in self.terms]
        v, noise = function.direction(moves), self.terms[0].noise[:1]
        slope = function.complex_slope(v, 1e-30)
        if slope is None:
            return False
        found = measure(function.along(moves), np.ones(1), noise, self.rtol)
        tolerance = 4 * found.error[0] + 1e-6 * abs(found.value[0])
        return bool(abs(slope - found.value[0]) <= tolerance)

    # -- the check ------------------------------------------------------------------------------

    def run(
        self,
        groups: Mapping[str, Sequence[Term]],
        directions: int,
        full: bool | None,
        budget: float,
        known: Mapping[str, int],
    ) -> Done:
        """Directions over each group of terms, then numbers as far as they are called for."""
        slopes = self._slopes
        tried = [
            one for over, terms in groups.items() for one in slopes.along(over, terms, directions)
        ]
        passes = all(one.status != STATUS[WRONG] for one in tried)
        if full is None:
            full = self._work() <= budget
        total = sum(len(term.coordinates()) for term in self.terms)
        chosen, notes = [], []
        if full:
            chosen = [(term, term.coordinates()) for term in self.terms]
        elif passes:
            notes.append(f"The {total:,} numbers were not checked one by one; full=True does that.")
        else:
            failing = []
            for term in self.terms:
                alone = slopes.along(term.title, [term], 1)
                tried += alone
                if any(one.status == STATUS[WRONG] for one in alone):
                    failing.append(term)
            failing = failing or self.terms
            for term in failing:
                most = int(budget / len(failing) / _EVALUATIONS / term.cost)
                chosen.append((term, slopes.suspects(term, most)))
            looked_at = sum(len(at) for _, at in chosen)
            notes.append(
                f"{looked_at:,} of {total:,} numbers were checked one by one, where a direction is "
                "wrong; full=True checks all."
            )
        self._measure_noise([term for term, _ in chosen])
        found = [(term, *self._numbers(term, at)) for term, at in chosen if len(at)]
        checks = [one for _, some, _ in found for one in some]
        lost = sum(int(one.lost.sum()) for one in checks)
        if lost:
            notes.append(f"{lost:,} unresolved numbers are lost in the gradient's own rounding.")
        causes = self._causes(found, known) if any(one.count(WRONG) for one in checks) else []
        if checks and not any(
            one.analytic.any() or np.nan_to_num(one.numeric).any() for one in checks
        ):
            notes.append("Every gradient is 0 here, which says little: give other numbers.")
        return Done(tried, checks, causes, notes)

    # -- single numbers -------------------------------------------------------------------------

    def _work(self) -> float:
        """What it costs to measure every number."""
        return sum(len(term.coordinates()) * _EVALUATIONS * term.cost for term in self.terms)

    def _causes(
        self,
        found: Sequence[tuple[Term, list[TermCheck], list[Array]]],
        known: Mapping[str, int],
    ) -> list[str]:
        """What the wrong numbers have in common, for each who gives a gradient."""
        said: dict[str, list[str]] = {}
        sources = list(dict.fromkeys(one.source for _, checks, _ in found for one in checks))
        for source in sources:
            own = [
                (check, around, term.value)
                for term, checks, tolerances in found
                for check, around in zip(checks, tolerances, strict=True)
                if check.source == source
            ]
            checks, tolerances, values = (list(one) for one in zip(*own, strict=True))
            for text in common_causes(checks, tolerances, values, known):
                said.setdefault(text, []).append(source)
        return [
            text if len(of) == len(sources) else f"{SOURCES[of[0]]}: {text}"
            for text, of in said.items()
        ]

    def _numbers(self, term: Term, at: NDArray[np.intp]) -> tuple[list[TermCheck], list[Array]]:
        """The numbers `at` of a term, for each who gives a gradient, with their tolerances."""
        found, exact = self._measured(term, at)
        wrong = [self._status(term, at, source, found)[0] == WRONG for source in term.analytic]
        doubted = np.flatnonzero(np.any(wrong, axis=0))
        if len(doubted):  # what is called wrong must be so at other steps too
            again = self._differences(term, at[doubted], AGAIN)
            if exact:  # a complex step that differences contradict is not taken
                apart = np.abs(again.value - found.value[doubted]) > 4 * again.error
                doubted = doubted[apart]
                found.replace(doubted, again[apart])
                again = self._differences(term, at[doubted]) if len(doubted) else again[apart]
            found.weigh(doubted, again)
        checks, tolerances = [], []
        for source in term.analytic:
            status, tolerance = self._status(term, at, source, found)
            check, around = _spread(term, source, at, found, status, tolerance, exact)
            checks.append(check)
            tolerances.append(around)
        return checks, tolerances

    def _status(
        self, term: Term, at: NDArray[np.intp], source: str, found: Measured
    ) -> tuple[NDArray[np.int8], Array]:
        """What is found of the numbers `at`, and by how much analytic and numeric may differ."""
        analytic = term.analytic[source].reshape(-1).astype(np.float64)
        largest = float(np.abs(analytic[np.isfinite(analytic)]).max(initial=0.0))
        smallest = 1e3 * float(np.finfo(np.float32 if self.eps > 1e-8 else np.float64).tiny)
        rounding = np.full(len(at), 200 * self.eps * largest + smallest)
        if term.rounding is not None:
            rounding += 32 * self.eps * term.rounding.reshape(-1)[at]
        tolerance = 4 * found.error + rounding
        doubtful = np.zeros(len(at), bool) if term.doubtful is None else term.doubtful[at]
        nothing = 1e-6 * term.size_of_f[at] / term.scale[at]
        status = statuses(analytic[at], found, tolerance, self.rtol, doubtful, nothing)
        return status, tolerance

    def _measured(self, term: Term, at: NDArray[np.intp]) -> tuple[Measured, bool]:
        if term.imaginary is None:
            return self._differences(term, at), False
        values, sizes = np.empty(len(at)), np.empty(len(at))
        for some in _pieces(len(at)):
            values[some], sizes[some] = complex_step(term.imaginary, at[some], term.scale[at[some]])
        if not np.isfinite(values).all():
            return self._differences(term, at), False
        none = np.zeros(len(at))
        return Measured(values, 100 * EPS * sizes, np.zeros(len(at), dtype=bool), none), True

    def _differences(self, term: Term, at: NDArray[np.intp], first: float = 1.0) -> Measured:
        parts = []
        for some in _pieces(len(at)):
            these = at[some]

            def change(i: NDArray[np.intp], t: Array, these: Array = these) -> Any:
                return term.change(these[i], t)

            parts.append(measure(change, first * term.scale[these], term.noise[these], self.rtol))
        return Measured(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("value", "error", "crossed", "jump")
            )
        )


def _spread(
    term: Term,
    source: str,
    at: NDArray[np.intp],
    found: Measured,
    status: NDArray[np.int8],
    tolerance: Array,
    exact: bool,
) -> tuple[TermCheck, Array]:
    """What was found of some numbers, as arrays of the term's shape; and their tolerances."""
    shape = term.value.shape
    numeric, error, around = (np.full(term.value.size, np.nan) for _ in range(3))
    numeric[at], error[at], around[at] = found.value, found.error, tolerance
    statuses = np.full(term.value.size, LEFT_OUT, dtype=np.int8)
    statuses[at] = status
    check = TermCheck(
        term.name,
        term.layer,
        source,
        term.analytic[source],
        numeric.reshape(shape),
        error.reshape(shape),
        statuses.reshape(shape),
        "complex step" if exact else "differences",
    )
    return check, around.reshape(shape)


def _pieces(n: int) -> list[slice]:
    return [slice(start, start + _AT_A_TIME) for start in range(0, n, _AT_A_TIME)]
