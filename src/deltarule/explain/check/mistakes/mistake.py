"""What a mistake is: a wrong variant of exactly one equation, with a name and the two formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from deltarule.explain.check.problem import Problem
from deltarule.explain.check.step import Variant, Wrong


@dataclass(frozen=True)
class Mistake:
    """A mistake that people make in back-propagation.

    Attributes
    ----------
    code : str
        Stable; documented in docs/explain/check.md.
    rule : str
        The equation that it gets wrong (see `step.py`).
    sentence : str
        What was done, with {where} for the layer and the variant's details by name.
    right, wrong : str
        The equation and what stands in its place, in the notation of docs/checklist.md.
    variants : callable Problem -> iterable of Variant
        Every way to make it in this problem that can change a number.
    """

    code: str
    rule: str
    sentence: str
    right: str
    wrong: str
    variants: Callable[[Problem], Iterable[Variant]] = field(repr=False, compare=False)

    def describe(self, variant: Variant) -> str:
        """The sentence for one variant."""
        where = "all layers" if variant.layer is None else f"layer {variant.layer}"
        return self.sentence.format(where=where, **variant.detail)

    def formulas(self, variant: Variant) -> tuple[str, str]:
        """(right, wrong) for one variant."""
        return self.right.format(**variant.detail), self.wrong.format(**variant.detail)


def in_layers(
    code: str, rule: str, layers: Sequence[int], wrong: Wrong, **detail: Any
) -> Iterator[Variant]:
    """The variant in each of these layers and, where there are several, in all of them at once."""
    for l in layers:
        yield Variant(code, rule, l, wrong, detail)
    if len(layers) > 1:
        allowed = frozenset(layers)
        yield Variant(
            code,
            rule,
            None,
            lambda s, l, right: wrong(s, l, right) if l in allowed else right,
            detail,
        )


def once(code: str, rule: str, layer: int, wrong: Wrong, **detail: Any) -> Variant:
    """The variant in one layer only."""
    return Variant(code, rule, layer, wrong, detail)
