"""Someone's numbers of a step, one by one: right, following from an earlier one, or wrong.

What rounding does. A number printed as 0.476 may stand for anything that is rounded or cut off to
it. A person goes on with what he printed or with what he had before printing
it; so what follows is computed from the printed number, with a radius that reaches to the unrounded
one, carried along to first order (`approx.py`). A quantity that is not printed is taken to be
rounded as the printed ones are. A number is accepted if it lies within the radius of what follows
from his earlier numbers, plus its own last digit. So nobody who rounds at each step is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.params import Array
from deltarule.explain.check.approx import Approx
from deltarule.explain.check.problem import QUANTITIES, Problem, Told
from deltarule.explain.check.step import Claims, Step, Variant

Mask = NDArray[np.bool_]
Key = tuple[str, int]
Masks = dict[Key, Mask]
Rounding = Callable[[Approx], Array]

# Above this share of numbers that are more than half a unit too near to 0, they were cut off: of
# those that are cut off it is one half, of those that are rounded none, but for earlier rounding.
_CUT = 0.25
_KEPT = (np.round, np.trunc)


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
    rounding: Rounding | None

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
    claims = _whole_numbers(problem, claims)
    rounding = working_precision(problem, claims)
    own = Step(problem, claims=claims, carry="all", rounding=rounding)
    trusted = Step(problem, claims=claims, carry="consistent", rounding=rounding)
    said = {(q, l): ~np.isnan(claims[q][l].value) for q in claims for l in claims[q]}
    right = {at: mask & trusted.agrees[at[0]][at[1]] for at, mask in said.items()}
    following = {at: mask & ~right[at] & own.agrees[at[0]][at[1]] for at, mask in said.items()}
    wrong = {at: mask & ~right[at] & ~following[at] for at, mask in said.items()}
    return Judgement(problem, claims, Step(problem), own, right, following, wrong, rounding)


class Habit(NamedTuple):
    """How an author rounds.

    Attributes
    ----------
    decimals, digits : int or None
        As many decimals always, or as many significant digits; if both, the coarser holds.
    cut : bool
        Cut off instead of rounded.
    """

    decimals: int | None
    digits: int | None
    cut: bool

    def unit(self, v: Array) -> Array:
        """One unit of the last digit that he keeps of v."""
        fixed = 0.0 if self.decimals is None else 10.0**-self.decimals
        if self.digits is None:
            return np.full(np.shape(v), fixed)
        size = np.abs(np.where(v == 0, 1.0, v))
        return np.maximum(fixed, 10.0 ** (np.floor(np.log10(size)) + 1 - self.digits))


def working_precision(problem: Problem, claims: Claims) -> Rounding | None:
    """The radius that rounding adds to a number that is not printed; None where none is rounded.

    Of a number that is known exactly it is what rounding takes away: nothing from one half.
    """
    habit = _habit(problem, claims)
    if habit is None:
        return None
    share = 1.0 if habit.cut else 0.5

    def radius(value: Approx) -> Array:
        v = np.where(np.isfinite(value.v), value.v, 0.0)
        unit = habit.unit(v)
        taken = unit * np.maximum(*(np.abs(v / unit - kept(v / unit)) for kept in _KEPT))
        return np.asarray(np.where(value.r == 0, taken, share * unit) * np.isfinite(value.v))

    return radius


def _habit(problem: Problem, claims: Claims) -> Habit | None:
    """What the printed numbers tell of rounding; None if it is nothing.

    Numbers that are printed with all their digits (0.5 for one half) tell nothing. Of the others
    either the number of decimals is always the same or that of significant digits: the more
    constant of the two is taken to be the author's; of two that are equally so, the coarser. Who
    cuts off what he prints is taken to do so with every number. Whole numbers none of which is
    right but for a fraction were not rounded: the right ones are whole by themselves.
    """
    exact = Step(problem)
    decimals: list[int] = []
    digits: list[int] = []
    short: list[float] = []  # by how many units the printed number is nearer to 0
    for quantity in QUANTITIES:
        for layer, told in claims.get(quantity, {}).items():
            value = exact.values[quantity][layer].v
            rounded = (
                ~np.isnan(told.value) & (told.value != 0) & (np.abs(told.value - value) > 1e-15)
            )
            for number, unit, right in zip(
                told.value[rounded], told.unit[rounded], value[rounded], strict=True
            ):
                place = round(-np.log10(unit))
                decimals.append(max(place, 0))  # 7.6e7 has none
                digits.append(int(np.floor(np.log10(abs(number)))) + 1 + place)
                with np.errstate(over="ignore"):  # a wild number may be 1e300 units off
                    short.append((right - number) * np.sign(number) / unit)
    whole = not any(decimals) and all(abs(one) >= 1 for one in short)
    if not decimals or whole:
        return None
    (place, places), (kept, alike) = _mode(decimals), _mode(digits)
    return Habit(
        place if places >= alike else None,
        kept if alike >= places else None,
        bool(np.mean([0.5 < one < 2 for one in short]) > _CUT),
    )


def _mode(values: Sequence[int]) -> tuple[int, int]:
    """The most frequent value, the smallest of several; and how often it is there."""
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()]), int(counts.max())


def _whole_numbers(problem: Problem, claims: Claims) -> Claims:
    """Whole numbers are meant as precisely as the others: among decimals 0 is 0.000."""
    layers = [(name, l, told) for name in claims for l, told in claims[name].items()]
    units = np.concatenate([told.unit[~np.isnan(told.value)] for _, _, told in layers])
    if (units == 1).all() or not (units == 1).any():
        return claims
    others = {
        name: {
            l: Told(np.where(told.unit == 1, np.nan, told.value), told.unit)
            for l, told in claims[name].items()
        }
        for name in claims
    }
    finest = float(units.min())
    habit = _habit(problem, others) or Habit(round(-np.log10(finest)), None, False)
    result: dict[str, dict[int, Told]] = {name: {} for name in claims}
    for name, l, told in layers:
        whole = (told.unit == 1) & (np.round(told.value) == told.value)
        unit = np.where(told.value == 0, finest, habit.unit(told.value))
        result[name][l] = Told(told.value, np.where(whole, unit, told.unit))
    return result


def agreement(
    judgement: Judgement, variants: Sequence[Variant]
) -> tuple[Mapping[Key, Likeness], Mapping[Key, Likeness]]:
    """Where the claims agree with a step that makes these mistakes.

    Returns
    -------
    (own, apart)
        Computed from the author's own numbers, and from none of them (as by a program whose
        printed numbers come from elsewhere).
    """
    problem, claims, rounding = judgement.problem, judgement.claims, judgement.rounding
    own = Step(problem, variants, claims, "all", rounding)
    apart = Step(problem, variants, claims, "none", rounding)
    return _likeness(judgement, own, judgement.own), _likeness(judgement, apart, judgement.exact)


class Likeness(NamedTuple):
    """How claims agree with a step.

    Attributes
    ----------
    agrees : bool array
        A wrong claim only if the right number is farther from it than the step is vague: a mistake
        may blow up the radius of what follows, by a division by almost 0, until it takes in all.
    luck : array
        The chance of a number somewhere between the claim and the right number to agree as well.
    """

    agrees: Mask
    luck: Array


def _likeness(judgement: Judgement, step: Step, right: Step) -> dict[Key, Likeness]:
    result = {}
    for (q, l), wrong in judgement.wrong.items():
        told, value = judgement.claims[q][l], step.values[q][l]
        distance = np.abs(told.value - right.values[q][l].v)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            vague = wrong & ~(value.r <= distance)
            luck = np.minimum(1.0, (value.r + told.unit) / distance)
        result[q, l] = Likeness(step.agrees[q][l] & ~vague, luck)
    return result
