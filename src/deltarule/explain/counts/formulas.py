"""The products that each way to a gradient needs, and their number as formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Products(NamedTuple):
    """Products (multiplications) that each way to a gradient needs.

    Attributes
    ----------
    paths : int
        Every path from the weight to an output multiplied out by itself.
    nested : int
        The chain rule written out, as in document D's step 19: each inner sum is worked out again
        for every term of the sum around it.
    restarted : int
        Layer by layer, but from the output again for every layer (document B's expanded form).
    cached : int
        Every error term once, and kept (document D's steps 20 to 24, the delta rule).
    """

    paths: int
    nested: int
    restarted: int
    cached: int


class Formula(NamedTuple):
    """A number of products as a formula: plain text, and LaTeX without dollar signs."""

    text: str
    latex: str


WAYS = {
    "paths": "every path multiplied out by itself",
    "nested": "the chain rule written out",
    "restarted": "layer by layer, anew for each layer",
    "cached": "error terms kept",
}


def _uniform(L: int, n: int) -> dict[str, dict[str, Formula]]:
    """Formulas where every layer has n units."""
    one = Formula("2", "2")
    if L > 1:
        one = Formula("2*n + 2 + (L - 2)*n*(n + 1)", r"2 n + 2 + (L - 2) n (n + 1)")
    paths = Formula(
        "2*n^2*(L*n^(L + 1) - (L + 1)*n^L + 1)/(n - 1)^2",
        r"\frac{2 n^{2} (L n^{L + 1} - (L + 1) n^{L} + 1)}{(n - 1)^{2}}",
    )
    nested = Formula(
        "2*n^2*((2*n - 1)*(n^L - 1) - L*n*(n - 1))/(n - 1)^2",
        r"\frac{2 n^{2} ((2 n - 1) (n^{L} - 1) - L n (n - 1))}{(n - 1)^{2}}",
    )
    nested_one = Formula(
        "2*(n^L - n)/(n - 1) + 2*n^(L - 1)", r"\frac{2 (n^{L} - n)}{n - 1} + 2 n^{L - 1}"
    )
    if n == 1:  # the sums of geometric series are sums of ones
        paths = nested = Formula("L*(L + 1)", "L (L + 1)")
        nested_one = Formula("2*L", "2 L")
    return {
        "all_weights": {
            "paths": paths,
            "nested": nested,
            "restarted": Formula("n*(n + 1)*L*(L + 1)/2", r"\frac{n (n + 1) L (L + 1)}{2}"),
            "cached": Formula("L*n + (2*L - 1)*n^2", "L n + (2 L - 1) n^{2}"),
        },
        "first_weight": {
            "paths": Formula("2*L*n^(L - 1)", "2 L n^{L - 1}"),
            "nested": nested_one,
            "restarted": one,
            "cached": one,
        },
    }


def _by_layer(L: int) -> dict[str, dict[str, Formula]]:
    """Formulas for layers of different sizes."""
    one = Formula("2", "2")
    if L > 1:
        one = Formula(
            "n_2 + 2 + sum_(l=2..L)[n_l] + sum_(l=2..L-1)[n_l*n_(l+1)]",
            r"n_2 + 2 + \sum_{l=2}^{L} n_l + \sum_{l=2}^{L-1} n_l n_{l+1}",
        )
    return {
        "all_weights": {
            "paths": Formula(
                "2*sum_(m=1..L)[(L - m + 1)*n_(m-1)*N_m]",
                r"2 \sum_{m=1}^{L} (L - m + 1) n_{m-1} N_m",
            ),
            "nested": Formula(
                "2*sum_(m=1..L)[n_(m-1)*n_m*(N_(m+1) + sum_(l=m+1..L)[N_l])]",
                r"2 \sum_{m=1}^{L} n_{m-1} n_m \left( N_{m+1} + \sum_{l=m+1}^{L} N_l \right)",
            ),
            "restarted": Formula(
                "sum_(l=1..L)[l*n_l*(n_(l-1) + 1)]", r"\sum_{l=1}^{L} l\, n_l (n_{l-1} + 1)"
            ),
            "cached": Formula(
                "sum_(l=1..L)[n_l*(n_(l-1) + 1)] + sum_(l=1..L-1)[n_l*n_(l+1)]",
                r"\sum_{l=1}^{L} n_l (n_{l-1} + 1) + \sum_{l=1}^{L-1} n_l n_{l+1}",
            ),
        },
        "first_weight": {
            "paths": Formula("2*L*N_2", "2 L N_2"),
            "nested": Formula("2*N_2 + 2*sum_(l=2..L)[N_l]", r"2 N_2 + 2 \sum_{l=2}^{L} N_l"),
            "restarted": one,
            "cached": one,
        },
    }


@dataclass(frozen=True)
class Counts:
    """The products of a network's gradient.

    Attributes
    ----------
    sizes : tuple of int
        n_0, ..., n_L.
    all_weights : Products
        For the gradient of every weight.
    first_weight : Products
        For the gradient of one weight of layer 1.
    forward : int
        Of the forward pass, for comparison.
    number_of_paths : int
        From one weight of layer 1 to the outputs.
    """

    sizes: tuple[int, ...]
    all_weights: Products
    first_weight: Products
    forward: int
    number_of_paths: int

    @property
    def layers(self) -> int:
        """L, the number of layers of weights."""
        return len(self.sizes) - 1

    @property
    def width(self) -> int | None:
        """n if every layer, inputs included, has n units; else None."""
        return self.sizes[0] if len(set(self.sizes)) == 1 else None

    def formulas(self) -> dict[str, dict[str, Formula]]:
        """For "all_weights" and "first_weight", the formula of each way.

        In L and n if all layers have n units, else in sums over the layers with N_l = n_l ... n_L,
        N_(L+1) = 1.
        """
        return _uniform(self.layers, self.width) if self.width else _by_layer(self.layers)
