"""One flat vector theta per network; the weights and biases of every layer are views of it.

Optimizers, L-BFGS, saving and gradient checks then see a single array, and nothing is ever copied
between "the parameters" and "the layers".

Layout: for l = 1..L, first b_l (n_l numbers, if the layer has a bias), then W_l row by row
(n_{l-1} x n_l). Because b_l stands directly before W_l, the matrix [b_l; W_l] of shape
(n_{l-1} + 1, n_l) is itself a view of theta: this is the bias folded in as the weight w_0 of an
input x_0 = 1 (SPEC C3), and folding costs nothing and loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Layout:
    """Where the parameters of each layer lie in theta.

    Parameters
    ----------
    sizes : tuple of int
        n_0, ..., n_L.
    bias : tuple of bool
        For l = 1..L, whether layer l has a bias vector.
    folded : bool, default False
        Show [b_l; W_l] as one matrix (n_{l-1} + 1, n_l) instead of W_l and b_l apart.
    """

    sizes: tuple[int, ...]
    bias: tuple[bool, ...]
    folded: bool = False

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(
            (n_in + has_bias) * n_out
            for n_in, n_out, has_bias in zip(self.sizes, self.sizes[1:], self.bias, strict=False)
        )

    def layer_slices(self) -> list[slice]:
        """For each layer, where its parameters (b_l, then W_l) lie in theta."""
        slices, start = [], 0
        for n_in, n_out, has_bias in zip(self.sizes, self.sizes[1:], self.bias, strict=False):
            stop = start + (n_in + has_bias) * n_out
            slices.append(slice(start, stop))
            start = stop
        return slices

    def matrices(self, theta: Any) -> list[tuple[Any, Any]]:
        """(W_l, b_l or None) for each layer, always apart; views where theta is a NumPy array."""
        pairs = []
        for n_out, has_bias, where in zip(
            self.sizes[1:], self.bias, self.layer_slices(), strict=True
        ):
            block = theta[where].reshape(-1, n_out)
            pairs.append((block[1:], block[0]) if has_bias else (block, None))
        return pairs

    def views(self, theta: Array) -> tuple[list[Array], list[Array | None]]:
        """The weights and biases as the user sees them (folded networks show one matrix)."""
        if self.folded:
            blocks = [
                theta[where].reshape(-1, n_out)
                for n_out, where in zip(self.sizes[1:], self.layer_slices(), strict=True)
            ]
            return blocks, [None] * len(blocks)
        pairs = self.matrices(theta)
        return [W for W, _ in pairs], [b for _, b in pairs]

    def join(self, weights: Sequence[Any], biases: Sequence[Any]) -> list[Any]:
        """The pieces of a flat vector in the order of theta, each raveled, ready to concatenate."""
        pieces = []
        for W, b in zip(weights, biases, strict=True):
            if b is not None:
                pieces.append(b.reshape(-1))
            pieces.append(W.reshape(-1))
        return pieces

    def weight_mask(self) -> NDArray[np.bool_]:
        """True where theta holds a weight, False where it holds a bias (penalties skip biases)."""
        mask = np.ones(self.size, dtype=bool)
        for n_out, has_bias, where in zip(
            self.sizes[1:], self.bias, self.layer_slices(), strict=True
        ):
            if has_bias:
                mask[where.start : where.start + n_out] = False
        return mask
