"""The catalogue of mistakes: every one of them, by its code (SPEC X3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deltarule.errors import unknown_name
from deltarule.explain.check.mistakes.backward import BACKWARD
from deltarule.explain.check.mistakes.forward import FORWARD
from deltarule.explain.check.mistakes.gradients import GRADIENTS
from deltarule.explain.check.mistakes.mistake import Mistake
from deltarule.explain.check.mistakes.slopes import SLOPES
from deltarule.explain.check.mistakes.update import UPDATE
from deltarule.explain.check.problem import Problem
from deltarule.explain.check.step import Variant

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
