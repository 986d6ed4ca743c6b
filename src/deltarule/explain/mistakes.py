"""The catalogue of mistakes: every one of them, by its code (SPEC X3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deltarule.errors import unknown_name
from deltarule.explain.mistake import Mistake
from deltarule.explain.mistakes_backward import BACKWARD
from deltarule.explain.mistakes_forward import FORWARD
from deltarule.explain.mistakes_gradients import GRADIENTS
from deltarule.explain.mistakes_slopes import SLOPES
from deltarule.explain.mistakes_update import UPDATE
from deltarule.explain.step import Problem, Variant

CATALOGUE: Mapping[str, Mistake] = {
    one.code: one for one in (*FORWARD, *SLOPES, *BACKWARD, *GRADIENTS, *UPDATE)
}


def get_mistake(code: str) -> Mistake:
    """The mistake of that code. Raises SpecError for an unknown one, with the nearest known."""
    if code not in CATALOGUE:
        raise unknown_name("mistake", code, CATALOGUE)
    return CATALOGUE[code]


def variants(problem: Problem) -> Iterator[Variant]:
    """Every way to make any mistake of the catalogue in this problem."""
    for mistake in CATALOGUE.values():
        yield from mistake.variants(problem)
