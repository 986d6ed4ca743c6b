"""A term of a gradient check: numbers of one kind, and how a function changes with each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.params import Array
from deltarule.explain.gradients.differences import Change


@dataclass(eq=False)
class Term:
    """Numbers of one kind, and how the function changes with each of them.

    Attributes
    ----------
    name : str
        "weights", "biases", "inputs", or a block of someone's own.
    layer : int or None
        Counted 1..L.
    value : array
        The numbers themselves.
    scale, noise : (size,) arrays
        See `differences.measure`.
    noise_known : bool
        Whether `noise` has been measured, and is not only the least there can be.
    size_of_f : (size,) array
        Size of what is differentiated.
    change : Change
    along : callable v -> Change of one coordinate, or None
        The same for all of them moved by t v.
    imaginary : callable (coordinates, complex steps) -> (values, sizes), or None
        The change of f for a complex step; None where f does not take one. Sizes are those of the
        parts that were summed.
    share : array or None
        dC is the sum of share times this gradient times the change of each number; None: 1.
    there : bool array or None
        Which of the numbers there are; None: all.
    doubtful : (size,) bool array or None
        Which depend on a net input so near to a kink that rounding decides on its side.
    cost : float
        Multiplications for one value of the function.
    rounding : array of the shape of `value`, or None
        Rounding of the analytic gradient to be expected, in units of its arithmetic's eps.
    analytic : dict
        Who gives a gradient -> the gradient, of the shape of `value`.
    """

    name: str
    layer: int | None
    value: Array
    scale: Array
    noise: Array
    size_of_f: Array
    change: Change
    imaginary: Any = None
    share: Array | None = None
    there: NDArray[np.bool_] | None = None
    doubtful: NDArray[np.bool_] | None = None
    cost: float = 1.0
    noise_known: bool = False
    rounding: Array | None = None
    analytic: dict[str, Array] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """In words."""
        return self.name if self.layer is None else f"{self.name} of layer {self.layer}"

    def coordinates(self) -> NDArray[np.intp]:
        """Those that there are, as places in the raveled array."""
        if self.there is None:
            return np.arange(self.value.size)
        return np.flatnonzero(self.there)
