"""From judgements and explanations to a Report: places in words, mistakes in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deltarule.explain.check.judge import Judgement, Place
from deltarule.explain.check.report import Finding, FoundMistake, Report
from deltarule.explain.check.search import Explanation
from deltarule.explain.check.step import Step

_NAMES = {
    "z": "z",
    "a": "a",
    "loss": "loss",
    "delta": "delta",
    "weight_gradients": "weight gradient",
    "bias_gradients": "bias gradient",
    "input_gradients": "gradient of the input",
    "new_weights": "new weight",
    "new_biases": "new bias",
    "output_after": "output after the step",
    "loss_after": "loss after the step",
}
# Rules in the order of computation, for the order in which mistakes are told.
_RULES = (
    *("z", "a", "loss", "delta", "slope", "back", "share", "weight_gradients", "bias_gradients"),
    *("update", "new_weights", "new_biases", "weights_after"),
)


def name_of(place: Place, n: int) -> str:
    """A place in words; nodes and samples are counted from 1."""
    name, at = _NAMES[place.quantity], [i + 1 for i in place.index]
    layer = f" of layer {place.layer}" if place.layer else ""
    if place.quantity in ("weight_gradients", "new_weights"):
        return f"{name}{layer}, node {at[0]} to node {at[1]}"
    if place.quantity in ("bias_gradients", "new_biases"):
        return f"{name}{layer}, node {at[0]}"
    if len(at) == 2:
        sample = f", sample {at[0]}" if n > 1 else ""
        return f"{name}{layer}, node {at[1]}{sample}"
    return name + layer


def reported(
    title: str,
    judgement: Judgement,
    explanations: Sequence[Explanation],
    printed: Any,
    notes: Sequence[str] = (),
) -> Report:
    """A Report from what `judge` and `explain` have found.

    Parameters
    ----------
    printed : callable Place -> (str, tuple of int)
        The number as the author has printed it, and its index in what he gave.
    """
    n = judgement.problem.n

    def finding(place: Place, follows: bool) -> Finding:
        text, index = printed(place)
        return Finding(
            place.quantity,
            place.layer,
            index,
            name_of(place, n),
            text,
            judgement.expected(place),
            judgement.expected_from_own(place),
            follows,
        )

    best = explanations[0] if explanations else None
    left = {
        at: mask if best is None else mask & ~best.explained[at]
        for at, mask in judgement.wrong.items()
    }
    notes = [*_rounding(judgement), *notes]
    if best is not None and not best.unexplained:
        notes += _reproduced(judgement, best)
    return Report(
        title,
        sum(int(mask.sum()) for mask in judgement.right.values())
        + sum(
            int(mask.sum()) for mask in (*judgement.wrong.values(), *judgement.following.values())
        ),
        [finding(place, False) for place in judgement.places(judgement.wrong)],
        [finding(place, True) for place in judgement.places(judgement.following)],
        _mistakes(explanations),
        [finding(place, False) for place in judgement.places(left)],
        notes,
    )


def _rounding(judgement: Judgement) -> list[str]:
    """That rounding on the way has moved some last digits, which is no mistake."""
    moved = 0
    for (quantity, layer), mask in judgement.right.items():
        told = judgement.claims[quantity][layer]
        exact = judgement.exact.values[quantity][layer].v
        with np.errstate(invalid="ignore"):
            far = np.abs(told.value - exact) > 1.001 * told.unit + 1e-12 * np.abs(exact)
        moved += int((mask & far).sum())
    if not moved:
        return []
    many = "1 right number differs" if moved == 1 else f"{moved} right numbers differ"
    return [f"{many} in the last digits, as rounding on the way explains (rounding only)."]


def _mistakes(explanations: Sequence[Explanation]) -> list[FoundMistake]:
    """The first explanation's mistakes; what stands in their place in equally good ones beside."""
    if not explanations:
        return []
    best = explanations[0].variants
    result = []
    for variant in best:
        others = {}
        for other in explanations[1:]:
            rest = [one for one in other.variants if one not in best]
            if len(rest) == 1 and variant not in other.variants:
                others[rest[0].identity] = FoundMistake.of(rest[0])
        result.append((variant, FoundMistake.of(variant, list(others.values()))))
    result.sort(key=lambda pair: (_RULES.index(pair[0].rule), -(pair[0].layer or 0)))
    return [found for _, found in result]


def _reproduced(judgement: Judgement, best: Explanation) -> list[str]:
    """What the mistakes make of the result after the step, where that is claimed."""
    lines = []
    step = Step(judgement.problem, best.variants)
    for quantity in ("output_after", "loss_after"):
        told = judgement.claims.get(quantity, {}).get(0)
        if told is None or told.value.size != 1:
            continue
        made, right = (
            float(one.values[quantity][0].v.reshape(())) for one in (step, judgement.exact)
        )
        places = max(4, round(-math.log10(told.unit.item())))
        lines.append(
            f"With {'this' if len(best.variants) == 1 else 'these'} the {_NAMES[quantity]} is "
            f"{made:.{places}f}; right is {right:.{places}f}."
        )
    return lines
