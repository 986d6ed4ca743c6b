"""Someone's numbers of a step, one by one: right, following from an earlier one, or wrong.

What rounding does. A number printed as 0.476 may stand for anything within one unit of its last
digit, rounded or cut off. A person goes on with what he printed or with what he had before printing
it; so what follows is computed from the printed number, with a radius that reaches to the unrounded
one, carried along to first order (`approx.py`). A quantity that is not printed is taken to be
rounded as the printed ones are. A number is accepted if it lies within the radius of what follows
from his earlier numbers, plus its own last digit. So nobody who rounds at each step is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltarule.explain.step import QUANTITIES, Claims, Problem, Step, Variant
from deltarule.params import Array

Mask = NDArray[np.bool_]
Masks = dict[tuple[str, int], Mask]
Rounding = Callable[[Array], Array]


@dataclass(frozen=True)
class Place:
    """Where a number stands.

    Attributes
    ----------
    quantity : str
        One of `QUANTITIES`.
    layer : int
        Counted 1..L; 0 for a quantity without layers.
    index : tuple of int
        Within the layer's array, from 0.
    """

    quantity: str
    layer: int
    index: tuple[int, ...]


@dataclass(frozen=True)
class Judgement:
    """What became of every number that is claimed.

    Attributes
    ----------
    problem : Problem
    claims : mapping
    exact : Step
        Without rounding.
    right, following, wrong : dict (quantity, layer) -> bool array
        A claim is right; or consistent with the author's own earlier, wrong numbers; or neither.
    own : Step
        From the author's own numbers, wherever he gives them.
    """

    problem: Problem
    claims: Claims
    exact: Step
    own: Step
    right: Masks
    following: Masks
    wrong: Masks
    rounding: Rounding

    def places(self, masks: Masks) -> Iterator[Place]:
        """The places where a mask holds, in the order of computation."""
        for quantity, layer in in_order(self.problem.L):
            mask = masks.get((quantity, layer))
            if mask is not None:
                for index in np.argwhere(mask):
                    yield Place(quantity, layer, tuple(int(i) for i in index))

    def claimed(self, place: Place) -> float:
        """The number that is claimed there."""
        return float(self.claims[place.quantity][place.layer].value[place.index])

    def expected(self, place: Place) -> float:
        """The exact number there."""
        return float(self.exact.values[place.quantity][place.layer].v[place.index])

    def expected_from_own(self, place: Place) -> float:
        """The number that would follow from the author's earlier numbers."""
        return float(self.own.values[place.quantity][place.layer].v[place.index])


def in_order(L: int) -> list[tuple[str, int]]:
    """(quantity, layer) in the order of computation: up, down, and the step."""
    up, down = range(1, L + 1), range(L, 0, -1)
    order = [(quantity, l) for l in up for quantity in ("z", "a")]
    order += [("loss", 0)]
    order += [("delta", l) for l in down]
    order += [(quantity, l) for l in down for quantity in ("weight_gradients", "bias_gradients")]
    order += [("input_gradients", 0)]
    order += [(quantity, l) for l in down for quantity in ("new_weights", "new_biases")]
    return [*order, ("output_after", 0), ("loss_after", 0)]


def judge(problem: Problem, claims: Claims) -> Judgement:
    """Compare every claim with the right number and with what follows from earlier claims."""
    rounding = working_precision(problem, claims)
    own = Step(problem, claims=claims, carry="all", rounding=rounding)
    trusted = Step(problem, claims=claims, carry="consistent", rounding=rounding)
    said = {(q, l): ~np.isnan(claims[q][l].value) for q in claims for l in claims[q]}
    right = {at: mask & trusted.agrees[at[0]][at[1]] for at, mask in said.items()}
    following = {at: mask & ~right[at] & own.agrees[at[0]][at[1]] for at, mask in said.items()}
    wrong = {at: mask & ~right[at] & ~following[at] for at, mask in said.items()}
    return Judgement(problem, claims, Step(problem), own, right, following, wrong, rounding)


def working_precision(problem: Problem, claims: Claims) -> Rounding:
    """The radius that rounding adds to a number that is not printed.

    Numbers that are printed with all their digits (0.5 for one half) tell nothing; of the others,
    the most frequent number of decimals and of significant digits is taken to be the author's, and
    the coarser of the two holds.
    """
    exact = Step(problem)
    decimals: list[int] = []
    digits: list[int] = []
    for quantity in QUANTITIES:
        for layer, told in claims.get(quantity, {}).items():
            value = exact.values[quantity][layer].v
            rounded = (
                ~np.isnan(told.value) & (told.value != 0) & (np.abs(told.value - value) > 1e-15)
            )
            for number, unit in zip(told.value[rounded], told.unit[rounded], strict=True):
                place = round(-np.log10(unit))
                decimals.append(place)
                digits.append(int(np.floor(np.log10(abs(number)))) + 1 + place)
    if not decimals:
        return lambda v: np.zeros_like(v)
    unit, kept = 10.0 ** -_mode(decimals), _mode(digits)

    def radius(v: Array) -> Array:
        size = np.abs(np.where(v == 0, 1.0, v))
        relative = 10.0 ** (np.floor(np.log10(size)) + 1 - kept)
        return np.asarray(np.where(np.isfinite(v), 0.5 * np.maximum(unit, relative), 0.0))

    return radius


def _mode(values: Sequence[int]) -> int:
    """The most frequent value; the smallest of several."""
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])


def agreement(judgement: Judgement, variants: Sequence[Variant]) -> tuple[Masks, Masks]:
    """Where the claims agree with a step that makes these mistakes.

    Returns
    -------
    (own, apart)
        Computed from the author's own numbers, and from none of them (as by a program whose
        printed numbers come from elsewhere).
    """
    problem, claims, rounding = judgement.problem, judgement.claims, judgement.rounding
    own = Step(problem, variants, claims, "all", rounding).agrees
    apart = Step(problem, variants, claims, "none", rounding).agrees
    return (
        {(q, l): own[q][l] for q, l in judgement.right},
        {(q, l): apart[q][l] for q, l in judgement.right},
    )
