"""Derivatives measured from values alone, each with an estimate of its own error.

Central differences at h, h/2 and h/4 are extrapolated (Richardson 1911) and the error is read off
the table (Ridders 1982). The step of each coordinate is moved to where what the differences leave
out, which falls with h, balances the rounding of the values, which grows with 1/h; that rounding is
measured as well, from differences of high order over tiny steps (More and Wild 2011). A step that
crosses a kink is made smaller until it does not, or until it cannot be made smaller.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.params import Array

#: (coordinates (m,), steps (m, K)) -> (change of the function (m, K), whether it crossed a kink)
Change = Callable[[NDArray[np.intp], Array], tuple[Array, NDArray[np.bool_]]]

EPS = float(np.finfo(np.float64).eps)
_SIDES = np.array([1.0, -1.0, 0.5, -0.5, 0.25, -0.25])
_HALVES = np.array([1.0, 0.5, 0.25])
_FIRST = 2.0**-7  # of a coordinate's scale
_ROUNDS = 9
_AMPLIFIED = 7.0  # |rounding of the extrapolated derivative| <= 7 noise / h
_SHRINK = 1 / 16
_IMAGINARY = 1e-30  # its square is lost beside 1 in any arithmetic


@dataclass(frozen=True)
class Measured:
    """Derivatives with respect to m coordinates.

    Attributes
    ----------
    value : (m,) array
    error : (m,) array
        An estimate, rather too large, of how far `value` may be off; infinite if nothing is known.
    crossed : (m,) bool array
        Whether even the smallest step crossed a kink.
    jump : (m,) array
        By how much the slope jumps at the very point, 0 where it does not: value is then the mean
        of the slopes on both sides.
    """

    value: Array
    error: Array
    crossed: NDArray[np.bool_]
    jump: Array

    def __getitem__(self, at: Any) -> Measured:
        return Measured(self.value[at], self.error[at], self.crossed[at], self.jump[at])

    def weigh(self, at: NDArray[np.intp], again: Measured) -> None:
        """Raise the errors of coordinates `at` by what a second measurement of them says.

        The estimate from one row of steps can be too small by accident, where a second derivative
        jumps. A kink is one only if both have seen the same jump: what is merely steep has another
        at other steps.
        """
        self.error[at] = np.maximum(self.error[at], np.abs(again.value - self.value[at]))
        self.crossed[at] &= again.crossed
        smaller, larger = np.sort([self.jump[at], again.jump], axis=0)
        self.jump[at] = np.where(smaller > 0.8 * larger, smaller, 0.0)

    def replace(self, at: NDArray[np.intp], by: Measured) -> None:
        """Put another measurement of coordinates `at` in their place."""
        self.value[at], self.error[at] = by.value, by.error
        self.crossed[at], self.jump[at] = by.crossed, by.jump


def measure(change: Change, scale: Array, noise: Array, rtol: float) -> Measured:
    """The derivative with respect to each of m coordinates.

    Parameters
    ----------
    change : Change
        f(x + t e_i) - f(x) for coordinates i and steps t.
    scale : (m,) array
        By how much each coordinate must move for the function to look different; a guess will do.
    noise : (m,) array
        Size of the rounding in the values of f.
    rtol : float
        A relative error that is small enough.
    """
    m = len(scale)
    best = Measured(np.zeros(m), np.full(m, np.inf), np.ones(m, dtype=bool), np.zeros(m))
    rough, last = np.zeros(m, dtype=bool), np.zeros(m)
    h, largest, best_h = scale * _FIRST, np.full(m, np.inf), np.zeros(m)
    active = np.arange(m)
    for turn in range(_ROUNDS):
        value, truncated, crossed, jump, smooth = _extrapolated(change, active, h[active])
        # after a round that was not smooth the error may only fall as h does, until another one is
        least = np.where(smooth & rough[active], last[active] * h[active], 0.0)
        least = np.where(np.isfinite(least), least, 0.0)
        rough[active], last[active] = ~smooth, truncated / h[active]
        truncated = np.maximum(truncated, least)
        rounded = _AMPLIFIED * noise[active] / h[active]
        error = truncated + rounded
        # of two rounds that are further apart than they may be, the wider step has missed something
        gap, wider = np.abs(value - best.value[active]), h[active] >= best_h[active]
        comparable = np.isfinite(best.error[active]) & (crossed == best.crossed[active])
        apart = comparable & (gap > 2 * (error + best.error[active]))
        error, truncated = (
            np.where(apart & wider, np.maximum(one, gap), one) for one in (error, truncated)
        )
        missed = active[apart & ~wider]
        best.error[missed] = np.maximum(best.error[missed], gap[apart & ~wider])
        usable = np.isfinite(error)
        better = usable & np.where(
            crossed == best.crossed[active], error <= best.error[active], ~crossed
        )
        at = active[better]
        best.value[at], best.error[at] = value[better], error[better]
        best.crossed[at], best.jump[at] = crossed[better], jump[better]
        best_h[at] = h[at]
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.clip((rounded / truncated) ** 0.2, 1 / 64, 64)
        spoiled = crossed | ~usable
        factor = np.where(spoiled, _SHRINK, np.where(np.isfinite(factor), factor, 1.0))
        largest[active[spoiled]] = h[active[spoiled]] * _SHRINK
        moved = np.minimum(h[active] * factor, largest[active])
        settled = (factor > 0.5) & (factor < 2) | (moved == h[active])
        flat = (value == 0) & (truncated == 0) & (turn > 0)  # as far as two steps could see
        good = flat | (error <= 0.1 * rtol * np.abs(value))
        h[active] = moved
        active = active[spoiled | ~(good | settled)]
        if not len(active):
            break
    return best


def _extrapolated(
    change: Change, active: NDArray[np.intp], h: Array
) -> tuple[Array, Array, NDArray[np.bool_], Array, NDArray[np.bool_]]:
    """(derivative, what it may leave out, was a kink crossed, jump of the slope, is f smooth)."""
    df, crossing = change(active, h[:, None] * _SIDES)
    up, down, steps = df[:, 0::2], df[:, 1::2], h[:, None] * _HALVES
    d = (up - down) / (2 * steps)
    first, second = (4 * d[:, 1] - d[:, 0]) / 3, (4 * d[:, 2] - d[:, 1]) / 3
    value = (16 * second - first) / 15
    coarse, fine = d[:, 0] - d[:, 1], d[:, 1] - d[:, 2]
    # where f is smooth each halving divides what is left out by 4; else nothing is extrapolated
    smooth = np.abs(coarse - 4 * fine) <= 0.4 * np.abs(coarse)
    truncated = np.where(smooth, np.abs(value - first), np.abs(coarse) + np.abs(fine))
    # f(h) - 2 f(0) + f(-h), over h: it falls with h where f is smooth, and stays where f has a kink
    bend = np.abs(up + down) / steps
    jump = np.where(bend[:, 2] > 0.7 * bend[:, 0], bend[:, 2], 0.0)
    crossed = np.asarray(crossing.any(axis=1))
    return value, truncated, crossed, jump, smooth


def noise_of(change: Change, coordinates: NDArray[np.intp], scale: Array) -> Array:
    """The size of the rounding in the values of f, as it shows along each of these coordinates.

    Fourth differences over the smallest steps at which f changes at all: a smooth function leaves
    nothing in them. NaN where nothing can be told: even they cross a kink, or f never changes.
    """
    steps = np.arange(-4.0, 5.0)
    found = np.full(len(coordinates), np.nan)
    left = np.arange(len(coordinates))
    for size in (1e-12, 1e-10, 1e-8, 1e-6, 1e-4):
        df, crossed = change(coordinates[left], scale[left, None] * size * steps)
        flat = (np.diff(df, axis=1) == 0).mean(axis=1) > 0.5
        rough = crossed.any(axis=1) | ~np.isfinite(df).all(axis=1)
        with np.errstate(invalid="ignore"):
            spread = np.sqrt((np.diff(df, 4, axis=1) ** 2).mean(axis=1) / 70)
        found[left] = np.where(flat | rough, np.nan, spread)
        left = left[flat & ~rough]
        if not len(left):
            break
    return found


def takes_complex_steps(f: Callable[[Array], Array], z: Array, rng: np.random.Generator) -> bool:
    """Whether f, from rows z (n, k), may be differentiated by one complex step.

    It may if f takes complex arrays and is analytic where z lies: its imaginary part must be the
    derivative that differences of its real values show, in every row and for a random direction.
    An abs or a real part on the way gives something else, and is found out.
    """
    v = rng.choice([-1.0, 1.0], z.shape) * rng.uniform(0.5, 1.5, z.shape)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")  # of a complex number that is made real
        try:
            value, moved = f(z), np.asarray(f(z + 1j * _IMAGINARY * v))
        except Exception:  # whatever a user's function raises: it takes no complex arrays
            return False
        if moved.dtype.kind != "c" or moved.shape != value.shape:
            return False
        h = 1e-3
        near, far = (f(z + t * v) - f(z - t * v) for t in (h, 2 * h))
    slope, expected = moved.imag / _IMAGINARY, (8 * near - far) / (12 * h)
    size = 1 + np.abs(expected)
    return bool(
        (np.abs(moved.real - value) <= 1e-12 * (1 + np.abs(value))).all()
        and (np.abs(slope - expected) <= 1e-6 * size).all()
    )


def complex_step(
    changes: Callable[[NDArray[np.intp], Array], tuple[Array, Array]],
    coordinates: NDArray[np.intp],
    scale: Array,
) -> tuple[Array, Array]:
    """Derivatives by one complex step each (Squire and Trapp 1998), and the sizes of their parts.

    `changes` gives the change of f for each coordinate and complex step, and the size of the
    imaginary parts that were summed; no difference is taken, so that nothing cancels.
    """
    h = _IMAGINARY * scale
    values, sizes = changes(coordinates, 1j * h)
    return values.imag / h, sizes / h
