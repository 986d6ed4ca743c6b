"""Planted mistakes are found, careful people are not accused (SPEC X3)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from deltarule.errors import SpecError
from deltarule.explain.check.judge import judge
from deltarule.explain.check.mistakes.catalogue import CATALOGUE, get_mistake, variants
from deltarule.explain.check.problem import Problem
from deltarule.explain.check.search import explain
from deltarule.explain.check.step import Step, Variant
from support.explain_cases import Person, claims_of, differs, random_problem


def test_codes_are_unique_and_every_variant_is_of_its_mistake() -> None:
    p = random_problem(np.random.default_rng(3))
    for variant in variants(p):
        mistake = get_mistake(variant.code)
        assert mistake.describe(variant)
        assert all("{" not in text for text in mistake.formulas(variant))
    assert list(CATALOGUE) == [one.code for one in CATALOGUE.values()]
    with pytest.raises(SpecError, match="Did you mean 'slope_left_out'"):
        get_mistake("slope_left")


def test_no_two_variants_share_an_identity() -> None:
    for seed in range(20):
        found = [one.identity for one in variants(random_problem(np.random.default_rng(seed)))]
        assert len(found) == len(set(found))


@pytest.mark.parametrize("seed", range(60))
def test_nobody_is_wrong_who_rounds_at_each_step(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, digits = random_problem(rng), int(rng.integers(3, 11))
    person = Person(p, (), digits, significant=bool(rng.random() < 0.3))
    judgement = judge(p, claims_of(person, rng, float(rng.choice([0, 0.3]))))
    assert list(judgement.places(judgement.wrong)) == []
    assert explain(judgement) == []


def _planted(code: str) -> Iterator[tuple[Problem, Variant]]:
    """Problems in which a mistake of this code changes a number, with one of its variants."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        p = random_problem(rng)
        possible = list(get_mistake(code).variants(p))
        if possible:
            variant = possible[rng.integers(len(possible))]
            if differs(Step(p, (variant,)), Step(p), 1e-3):
                yield p, variant


RARE = {  # these need momentum, dropout, fixed biases or square weights
    *("momentum_sign", "momentum_left_out", "dropout_not_backward", "fixed_biases_updated"),
}


@pytest.mark.parametrize("code", sorted(CATALOGUE.keys() - RARE))
def test_a_planted_mistake_is_found_where_it_was_made(code: str) -> None:
    found = 0
    for p, variant in _planted(code):
        rng = np.random.default_rng(found)
        person = Person(p, (variant,), 8, significant=False)
        judgement = judge(p, claims_of(person, rng))
        first = next(judgement.places(judgement.wrong))
        best = explain(judgement)
        assert best[0].unexplained == 0
        codes = {one.variants[0].code for one in best if len(one.variants) == 1}
        assert code in codes, (variant.identity, first)
        found += 1
        if found == 3:
            break
    assert found, "no problem shows this mistake"
