"""Numbers with a radius: what a person who rounds on the way may have carried on with.

An `Approx` is an interval v - r .. v + r for every element. Arithmetic carries the radius along to
first order, so that the equations, written once, also tell how far a rounded calculation may be
from the exact one. With radius 0 they are plain float64 arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deltarule.equations.params import Array


class Approx:
    """An array of values v with radii r >= 0 of the same shape.

    Parameters
    ----------
    v : array_like
    r : array_like, default 0
    """

    __slots__ = ("r", "v")
    __array_ufunc__ = None  # an ndarray on the left leaves the operation to us

    def __init__(self, v: Any, r: Any = 0.0) -> None:
        self.v: Array = np.asarray(v, dtype=np.float64)
        self.r: Array = np.broadcast_to(np.asarray(r, dtype=np.float64), self.v.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.v.shape

    @property
    def T(self) -> Approx:
        """The transposed array."""
        return Approx(self.v.T, self.r.T)

    def __getitem__(self, index: Any) -> Approx:
        return Approx(self.v[index], self.r[index])

    def __neg__(self) -> Approx:
        return Approx(-self.v, self.r)

    def __add__(self, other: Any) -> Approx:
        other = approx(other)
        return Approx(self.v + other.v, self.r + other.r)

    def __sub__(self, other: Any) -> Approx:
        other = approx(other)
        return Approx(self.v - other.v, self.r + other.r)

    def __rsub__(self, other: Any) -> Approx:
        return approx(other) - self

    def __mul__(self, other: Any) -> Approx:
        other = approx(other)
        r = np.abs(self.v) * other.r + self.r * np.abs(other.v) + self.r * other.r
        return Approx(self.v * other.v, r)

    def __truediv__(self, other: float) -> Approx:
        return self * (1 / other)

    def __matmul__(self, other: Any) -> Approx:
        other = approx(other)
        r = np.abs(self.v) @ other.r + self.r @ np.abs(other.v) + self.r @ other.r
        return Approx(self.v @ other.v, r)

    def __rmatmul__(self, other: Any) -> Approx:
        return approx(other) @ self

    __radd__ = __add__
    __rmul__ = __mul__

    def sum(self, axis: int | None = None) -> Approx:
        """The sum along an axis, or of all."""
        return Approx(self.v.sum(axis=axis), self.r.sum(axis=axis))

    def apply(self, f: Callable[[Any], Any]) -> Approx:
        """f of each element, with the larger change of f at either end of the interval."""
        v = f(self.v)
        if not self.r.any():
            return Approx(v)
        ends = np.maximum(np.abs(f(self.v + self.r) - v), np.abs(f(self.v - self.r) - v))
        return Approx(v, ends)

    def apply_rows(self, f: Callable[[Any], Any]) -> Approx:
        """f of each row (n, k), where every element of a row may depend on all of them."""
        v = f(self.v)
        r = np.zeros_like(v)
        for j in np.flatnonzero(self.r.any(axis=0)):
            ends = []
            for sign in (1, -1):
                moved = self.v.copy()
                moved[:, j] += sign * self.r[:, j]
                ends.append(np.abs(f(moved) - v))
            r = r + np.fmax(*ends)  # an end may lie where f is not defined
        return Approx(v, r)


def approx(value: Any) -> Approx:
    """The value as an Approx; plain numbers and arrays have radius 0."""
    return value if isinstance(value, Approx) else Approx(value)


def where(condition: Any, x: Any, y: Any) -> Approx:
    """x where the condition holds, y elsewhere."""
    x, y = approx(x), approx(y)
    return Approx(np.where(condition, x.v, y.v), np.where(condition, x.r, y.r))
