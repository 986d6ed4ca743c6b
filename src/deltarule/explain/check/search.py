"""The smallest set of mistakes that explains someone's wrong numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deltarule.explain.check.judge import Judgement, Masks, agreement
from deltarule.explain.check.mistakes.catalogue import variants
from deltarule.explain.check.problem import Problem
from deltarule.explain.check.step import Variant

_BEAM = 12
_BY_CHANCE = -2.0  # log10 of a probability


@dataclass(frozen=True)
class Explanation:
    """A set of mistakes, and how well it explains.

    Attributes
    ----------
    variants : tuple of Variant
    unexplained : int
        Wrong numbers that it does not reproduce.
    contradicted : int
        Right numbers that would be wrong, had the author made these mistakes throughout.
    explained : dict (quantity, layer) -> bool array
        The wrong numbers that it reproduces.
    luck : float
        log10 of the chance that numbers taken at random would reproduce as many.
    """

    variants: tuple[Variant, ...]
    unexplained: int
    contradicted: int
    explained: Masks
    luck: float

    @property
    def rank(self) -> tuple[int, int, int]:
        """Smaller is better: all explained, by few mistakes, at odds with few right numbers."""
        return self.unexplained, len(self.variants), self.contradicted


def explain(judgement: Judgement, most: int = 2, *, thorough: bool = False) -> list[Explanation]:
    """The best explanations of the wrong numbers, equally good ones together; [] if there is none.

    Parameters
    ----------
    judgement : Judgement
    most : int, default 2
        Mistakes in one explanation, at most.
    thorough : bool, default False
        Combine with every mistake, also with those that explain nothing alone: needed where the
        numbers between the mistakes and what they spoil are not claimed.
    """
    if not any(mask.any() for mask in judgement.wrong.values()):
        return []
    wrong = evaluate(judgement, ()).unexplained  # all, or a few less at the edge of rounding
    singles = [evaluate(judgement, (one,)) for one in variants(judgement.problem)]
    helpful = [one for one in singles if one.unexplained < wrong]
    found = beam = sorted(helpful, key=_order)[:_BEAM]
    for _ in range(1, most):
        if not beam or beam[0].unexplained == 0:
            break
        others = singles if thorough else helpful
        beam = sorted(_extended(judgement, beam, others, thorough), key=_order)[:_BEAM]
        found = sorted([*found, *beam], key=_order)
    best = [one for one in found if one.rank == found[0].rank] if found else []
    return [one for one in best if not one.unexplained or _told(one, len(singles))]


def _told(one: Explanation, tried: int) -> bool:
    """Whether what explains only some of the wrong numbers is more than luck.

    Among hundreds of mistakes one or another comes near to one of many numbers.
    """
    reproduced = sum(int(mask.sum()) for mask in one.explained.values())
    ways = math.comb(one.unexplained + reproduced, reproduced) * tried ** len(one.variants)
    return one.luck + math.log10(ways) < _BY_CHANCE


def _order(one: Explanation) -> tuple[int, int, int, int, int]:
    # of equals, the one in a single layer first, and a sign or a factor before an odd formula
    return (
        *one.rank,
        sum(variant.layer is None for variant in one.variants),
        sum(variant.code == "wrong_slope_formula" for variant in one.variants),
    )


def evaluate(judgement: Judgement, chosen: tuple[Variant, ...]) -> Explanation:
    """How well a set of mistakes explains the wrong numbers."""
    own, apart = agreement(judgement, chosen)
    explained, lucks = {}, [0.0]
    for at, mask in judgement.wrong.items():
        explained[at] = mask & (own[at].agrees | apart[at].agrees)
        luck = np.where(own[at].agrees, own[at].luck, apart[at].luck)[explained[at]]
        lucks.append(float(np.log10(np.maximum(luck, 1e-15)).sum()))
    unexplained = sum(int((mask & ~explained[at]).sum()) for at, mask in judgement.wrong.items())
    contradicted = sum(int((mask & ~own[at].agrees).sum()) for at, mask in judgement.right.items())
    return Explanation(chosen, unexplained, contradicted, explained, sum(lucks))


def _extended(
    judgement: Judgement,
    beam: Sequence[Explanation],
    others: Sequence[Explanation],
    thorough: bool,
) -> list[Explanation]:
    """Each of the beam with one more mistake, that alone explains what it does not, or any."""
    seen: set[frozenset[object]] = set()
    result = []
    for base in beam:
        for other in others:
            more = other.variants[0]
            chosen = (*base.variants, more)
            key = frozenset(one.identity for one in chosen)
            if len(key) < len(chosen) or key in seen or not (thorough or _adds(base, other)):
                continue
            seen.add(key)
            result.append(evaluate(judgement, chosen))
    return result


def _adds(base: Explanation, other: Explanation) -> bool:
    return any((mask & ~base.explained[at]).any() for at, mask in other.explained.items())


def same_in(problem: Problem, chosen: Sequence[Variant]) -> tuple[Variant, ...] | None:
    """The same mistakes in another problem; None if one of them is not possible there."""
    known = {one.identity: one for one in variants(problem)}
    found = [known.get(one.identity) for one in chosen]
    return None if None in found else tuple(one for one in found if one is not None)
