"""What the keeping of error terms saves: products of a gradient without it and with it (A7, D7).

Without it the chain rule is a sum over all paths from a weight to the outputs, and their number
grows exponentially with the depth; with it every error term is computed once, and the cost grows
linearly. The formulas are exact, and `ProductCounts.verify` counts the products one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from deltarule import options
from deltarule.document import Document, Item, Items, Lines, Shown, Table, Title
from deltarule.document.blocks import Block
from deltarule.document.figures import new_figure, save_figure
from deltarule.document.formulas import Given
from deltarule.equations.spec import checked_sizes
from deltarule.errors import SpecError
from deltarule.explain.case import Source, case_or_none
from deltarule.explain.counts.counted import Counted, count
from deltarule.explain.counts.formulas import WAYS, Counts, Products

_MOST_DIGITS = 4000  # more than that Python does not write out as a number
_MOST_LAYERS = 1000
_PRODUCTS_DOWN = Given(
    "N_l = n_l*n_(l+1)*...*n_L, N_(L+1) = 1",
    r"N_l = n_l n_{l+1} \cdots n_L, \quad N_{L+1} = 1",
)


@dataclass(frozen=True)
class ProductCounts(Counts, Shown):
    """What `count_products` gives: `print` it, `plot`, or any format of `Shown`."""

    def by_depth(self) -> list[ProductCounts]:
        """The counts of the last 1, 2, ..., L layers as networks of their own."""
        return [_counts(self.sizes[-d - 1 :]) for d in range(1, self.layers + 1)]

    def verify(self, rng: Any = 0) -> Counted:
        """Count the products one by one on a random network, and compare the gradients too.

        Raises SpecError where that would be more than 3 million products.
        """
        return count(self, rng)

    def document(self) -> Document:
        """Counts, formulas and growth with the depth."""
        shape = "-".join(map(str, self.sizes))
        if len(self.sizes) > 12:
            shape = f"{self.sizes[0]}-...-{self.sizes[-1]}"
        head = f"Products of the gradient, {self.layers} layers ({shape}), no biases"
        rows = [
            (name, *(written(getattr(one, way)) for one in self._both()))
            for way, name in WAYS.items()
        ]
        saved = self.all_weights.nested / Decimal(self.all_weights.cached)
        paths = "path leads" if self.number_of_paths == 1 else "paths lead"
        meaning = (
            f"{written(self.number_of_paths)} {paths} from a weight of layer 1 to the outputs. "
            f"Keeping the error terms divides the products of the written-out chain rule by "
            f"{saved:.4g}. The forward pass has {written(self.forward)} products; the gradient "
            f"with error terms kept has {self.all_weights.cached / self.forward:.2f} times as many."
        )
        blocks: list[Block] = [Title(head)]
        blocks.append(Table(("", "all weights", "one weight of layer 1"), rows, "lrr"))
        blocks.append(Lines([meaning], width=80))
        for number, (what, formulas) in enumerate(self.formulas().items()):
            by_way = [(way, Given(one.text, one.latex)) for way, one in formulas.items()]
            caption = f"{what.replace('_', ' ')}:"
            blocks.append(Table((), by_way, "ll", indent=2, caption=caption, tight=number > 0))
        if self.width is None:
            blocks.append(Items([Item(_PRODUCTS_DOWN)], "  ", tight=True))
        return Document([*blocks, self._growth()])

    def _both(self) -> tuple[Products, Products]:
        return self.all_weights, self.first_weight

    def _growth(self) -> Table:
        """What all weights of the last so many layers cost."""
        rows = []
        for depth in sorted({*range(1, min(self.layers, 10) + 1), self.layers}):
            one = _counts(self.sizes[-depth - 1 :])
            nested, cached = one.all_weights.nested, one.all_weights.cached
            ratio = f"{nested / Decimal(cached):.4g}"
            rows.append((str(depth), written(nested), written(cached), ratio))
        return Table(("depth", "written out", "error terms kept", "ratio"), rows, "lrrr")

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it; the counts are exact, whole numbers of any length."""
        return {
            "sizes": list(self.sizes),
            "all_weights": self.all_weights._asdict(),
            "first_weight": self.first_weight._asdict(),
            "forward": self.forward,
            "number_of_paths": self.number_of_paths,
            "formulas": {
                what: {way: formula._asdict() for way, formula in formulas.items()}
                for what, formulas in self.formulas().items()
            },
        }

    def plot(self, path: str | Path | None = None) -> Any:
        """Products for all weights over the depth, each way a line, on a logarithmic scale.

        Returns the matplotlib Figure; with `path` it is also written there (PNG, SVG or PDF by its
        ending). Needs the extra "plot": without it, DeltaruleError. OutputError if the file cannot
        be written.
        """
        figure, axis = new_figure("ProductCounts.plot")
        counts = self.by_depth()
        depth = [one.layers for one in counts]
        for way, name in WAYS.items():
            # as powers of ten: the numbers themselves may be beyond the largest float
            powers = [_log10(getattr(one.all_weights, way)) for one in counts]
            axis.plot(depth, powers, marker="o" if len(depth) <= 30 else "", ms=4, label=name)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.yaxis.get_major_locator().set_params(integer=True)
        axis.yaxis.set_major_formatter(lambda power, _: f"$10^{{{power:g}}}$")
        axis.set_xlabel("layers" if self.width else "layers, counted from the output")
        axis.set_ylabel("products for all weights")
        axis.legend()
        if path is not None:
            save_figure(figure, path)
        return figure


def count_products(layers: int | Sequence[int] | Source, width: int | None = None) -> ProductCounts:
    """How many products the gradient needs, with error terms kept and without (SPEC A7, D7).

    Counted are the products of numbers in the formulas, for one sample and a network without
    biases (a bias needs no product of its own once error terms are kept). Slopes and outputs are
    given; sums and signs cost nothing. An error term e_lj multiplies its sum by its slope once.

    Parameters
    ----------
    layers : int, or sequence of int; or a network
        L, with `width`; or the sizes n_0, n_1, ..., n_L of a network; or a Network, TableModel,
        fitted estimator, path (.safetensors, .json, .toml, .yaml), dict or published name, whose
        sizes are taken, with all edges between them.
    width : int, optional
        n, the units of every layer, inputs and outputs included.

    Raises
    ------
    SpecError
        For sizes that are no network, a width beside sizes or no width beside L, more than
        1000 layers, and where a number would have more than 4000 digits.
    """
    case = case_or_none(layers)
    given: Any = layers if case is None else case.net.sizes
    if isinstance(given, int | np.integer):
        if width is None:
            raise SpecError(
                f"count_products({given}) needs a width too: count_products({given}, 10), "
                "or the sizes of all layers: count_products([3, 4, 2])"
            )
        options.count(None, layers=given, width=width)
        sizes = (int(width),) * (min(int(given), _MOST_LAYERS + 1) + 1)
    elif width is not None:
        raise SpecError("with the sizes of all layers there is no width to give")
    else:
        sizes = tuple(checked_sizes(given))
    if len(sizes) - 1 > _MOST_LAYERS:
        raise SpecError(f"products are counted for {_MOST_LAYERS:,} layers at most")
    digits = sum(math.log10(size) for size in sizes) + 2 * math.log10(len(sizes)) + 2
    if digits > _MOST_DIGITS:
        raise SpecError(
            f"the numbers of products would have about {digits:,.0f} digits; "
            f"use fewer or narrower layers ({_MOST_DIGITS} digits at most)"
        )
    return _counts(sizes)


def _counts(n: tuple[int, ...]) -> ProductCounts:
    L = len(n) - 1
    paths = nested = restarted = cached = 0
    products_down, sums_down = 1, 0  # N_(m+1), and N_(m+1) + ... + N_L
    to_layer = 0  # sum over l = m..L of n_l (n_(l-1) + 1)
    first = Products(0, 0, 0, 0)
    for m in range(L, 0, -1):
        weights = n[m] * n[m - 1]
        to_layer += n[m] * (n[m - 1] + 1)
        first = first._replace(
            paths=2 * (L - m + 1) * products_down, nested=2 * sums_down + 2 * products_down
        )
        paths += weights * first.paths
        nested += weights * first.nested
        restarted += to_layer
        cached += n[m] * (n[m - 1] + 1) + (n[m] * n[m + 1] if m < L else 0)
        if m > 1:
            products_down *= n[m]
            sums_down += products_down
    # of the error terms of layer 1 only one is needed, so nothing is worked out twice
    one = 2 if L == 1 else sum(n[2:]) + sum(a * b for a, b in pairwise(n[2:]))
    if L > 1:
        one += n[2] + 2
    return ProductCounts(
        n,
        Products(paths, nested, restarted, cached),
        first._replace(restarted=one, cached=one),
        sum(a * b for a, b in pairwise(n)),
        products_down,
    )


def written(number: int) -> str:
    """A whole number with all its digits, or four of them with a power of ten."""
    return f"{number:,}" if number < 10**15 else f"{Decimal(number):.3e}"


def _log10(number: int) -> float:
    """The logarithm of a whole number >= 1 of any length."""
    return math.log10(number)
