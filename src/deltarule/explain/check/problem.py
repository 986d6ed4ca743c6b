"""The problem that a step solves, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from deltarule.equations.params import Array
from deltarule.network.network import Network

# In the order of computation; `order` of each counts its layers up or down.
QUANTITIES = (
    "z",
    "a",
    "loss",
    "delta",
    "weight_gradients",
    "bias_gradients",
    "input_gradients",
    "new_weights",
    "new_biases",
    "output_after",
    "loss_after",
)


@dataclass(frozen=True)
class Problem:
    """What a step starts from.

    Attributes
    ----------
    net : Network
        Its sizes, activations, loss and parameters (float64 is what is computed with).
    X : (n, n_0)
    Y : (n, n_L)
    learning_rate : float
    edges : list of L bool arrays (n_{l-1}, n_l), or None
        False for an edge that does not exist: never used, never updated.
    trainable_biases : bool
    reduction : "mean" or "sum"
        Of J over the samples.
    l2 : float
        Of the penalty l2/2 sum W^2; its gradient is part of the weight gradients.
    momentum : float
    velocity : (list of L arrays, list of L arrays or None), or None
        Of weights and biases before the step.
    masks : list of L + 1 arrays or None
        masks[l] multiplies a_l (dropout, already scaled); None for no mask.
    """

    net: Network
    X: Array
    Y: Array
    learning_rate: float = 1.0
    edges: list[Array] | None = None
    trainable_biases: bool = True
    reduction: str = "mean"
    l2: float = 0.0
    momentum: float = 0.0
    velocity: tuple[list[Array], list[Array | None]] | None = None
    masks: list[Array | None] | None = None

    @property
    def L(self) -> int:
        """The number of layers."""
        return len(self.net.sizes) - 1

    @property
    def n(self) -> int:
        """The number of samples."""
        return len(self.X)

    def mask(self, l: int) -> Array | None:
        """The dropout mask of a_l."""
        return None if self.masks is None else self.masks[l]


class Told(NamedTuple):
    """Someone's numbers of one quantity of one layer: NaN where nothing is said.

    Attributes
    ----------
    value, unit : arrays of the quantity's shape
        The number as printed, and one unit of its last printed digit.
    """

    value: Array
    unit: Array

    @property
    def ends(self) -> tuple[Array, Array]:
        """Between what a printed number may lie: it is rounded to it, or cut off to it.

        A whole unit is too much: whoever prints 2 does not mean 3. So where nothing was rounded on
        the way, as with whole numbers, only the right number is right.
        """
        whole, half = self.unit * (1 - 1e-6), self.unit / 2
        low = np.where(self.value > 0, half, whole)
        high = np.where(self.value < 0, half, whole)
        return self.value - low, self.value + high
