"""How often a planted mistake is found, and how often nobody is accused: the confusion table.

    python -m benchmarks.mistakes [--trials 1000] [--code 200] [--seed 0] [--json FILE]

Worksheets: a random small network, a person who computes one step, rounds every number to 3 to 10
decimals or significant digits, goes on with the rounded ones and writes down all of them or seven
in ten; right, or with one mistake of the catalogue. Code: a function with one mistake, called by
`check_implementation`. Mistakes that change no number by more than three units of the last digit
are left out: nobody could see them. Explanations that give the same numbers count as one.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.people import Person, claims_of, code_with, random_problem
from deltarule.explain.check.implementation import Probes, check_implementation
from deltarule.explain.check.judge import in_order, judge
from deltarule.explain.check.mistakes.catalogue import CATALOGUE, variants
from deltarule.explain.check.search import explain
from deltarule.explain.check.step import Claims, Step

# Rules that change no gradient: code that returns gradients cannot get them wrong.
_NOT_IN_GRADIENTS = {"loss", "update", "new_weights", "new_biases", "weights_after"}


@dataclass
class Table:
    """Counts by the code of the mistake.

    Attributes
    ----------
    planted, found, cause : Counter
        Trials; those with the right first place; those with the right mistake.
    taken_for : dict code -> Counter
        What was named instead.
    right, accused : int
        Trials without a mistake, and how many of them were found fault with.
    """

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    cause: Counter[str] = field(default_factory=Counter)
    taken_for: dict[str, Counter[str]] = field(default_factory=dict)
    right: int = 0
    accused: int = 0

    def count(self, code: str, found: bool, named: set[str]) -> None:
        """Take in one trial with a planted mistake."""
        self.planted[code] += 1
        self.found[code] += found
        self.cause[code] += code in named
        if code not in named:
            other = " or ".join(sorted(named)) or "nothing"
            self.taken_for.setdefault(code, Counter())[other] += 1

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "right": self.right,
            "accused": self.accused,
            "planted": dict(self.planted),
            "found": dict(self.found),
            "cause": dict(self.cause),
            "taken_for": {code: dict(counts) for code, counts in self.taken_for.items()},
        }


def worksheets(trials: int, seed: int) -> Table:
    """As many right worksheets as wrong ones."""
    table, trial = Table(), 0
    while sum(table.planted.values()) < trials:
        rng = np.random.default_rng([seed, trial])
        trial += 1
        p, digits = random_problem(rng), int(rng.integers(3, 11))
        significant, silent = bool(rng.random() < 0.3), float(rng.choice([0, 0.3]))
        careful = Person(p, (), digits, significant)
        if table.right < trials:
            table.right += 1
            judgement = judge(p, claims_of(careful, rng, silent))
            table.accused += any(mask.any() for mask in judgement.wrong.values())
        possible = list(variants(p))
        variant = possible[rng.integers(len(possible))]
        claims = claims_of(Person(p, (variant,), digits, significant), rng, silent)
        expected = _first_difference(p.L, claims, careful)
        if expected is None:
            continue
        judgement = judge(p, claims)
        first = next(judgement.places(judgement.wrong), None)
        found = first is not None and (first.quantity, first.layer) == expected
        named = {
            one.variants[0].code
            for one in explain(judgement)
            if len(one.variants) == 1 and not one.unexplained
        }
        table.count(variant.code, found, named)
    return table


def _first_difference(L: int, claims: Claims, careful: Step) -> tuple[str, int] | None:
    """Where a worksheet first says something else than a careful person's."""
    for quantity, layer in in_order(L):
        told = claims.get(quantity, {}).get(layer)
        if told is None:
            continue
        right = careful.values[quantity][layer].v
        with np.errstate(invalid="ignore"):
            if (np.abs(told.value - right) > 3 * told.unit).any():
                return quantity, layer
    return None


def code(trials: int, seed: int) -> Table:
    """Functions with one mistake; one right one for every ten."""
    table, trial = Table(), 0
    while sum(table.planted.values()) < trials:
        rng = np.random.default_rng([seed, 1, trial])
        trial += 1
        p = dataclasses.replace(  # what a function of gradients is not told of
            random_problem(rng), masks=None, momentum=0.0, velocity=None, trainable_biases=True
        )
        settings = {
            "sizes": p.net.sizes,
            "activation": list(p.net.activations[:-1]),
            "output_activation": p.net.activations[-1],
            "loss": p.net.loss,
            "bias": bool(p.net.bias[0]),
            "learning_rate": p.learning_rate,  # of updates that come too early
            "l2": p.l2,
            "rng": trial,
        }
        probe = Probes(**settings).problem()
        settings["reduction"] = "mean"
        if trial % 10 == 1:
            table.right += 1
            table.accused += not check_implementation(code_with(None, p), **settings).ok
        possible = [one for one in variants(probe) if one.rule not in _NOT_IN_GRADIENTS]
        variant = possible[rng.integers(len(possible))]
        report = check_implementation(code_with(variant, probe), **settings)
        if report.ok:
            continue  # it changes nothing in this network
        first = report.first_error
        expected = _first_wrong_gradient(variant, probe)
        found = first is not None and (first.quantity, first.layer) == expected
        named = {
            mistake.code
            for one in report.mistakes
            for mistake in (one, *one.alternatives)
            if len(report.mistakes) == 1 and not report.unexplained
        }
        table.count(variant.code, found, named)
    return table


def _first_wrong_gradient(variant: Any, p: Any) -> tuple[str, int] | None:
    right, wrong = Step(p), Step(p, (variant,))
    for quantity, layer in in_order(p.L):
        if quantity in ("weight_gradients", "bias_gradients") and layer in right.values[quantity]:
            a, b = right.values[quantity][layer].v, wrong.values[quantity][layer].v
            if not np.allclose(a, b, rtol=1e-6, atol=1e-9 * max(np.abs(a).max(), 1e-9)):
                return quantity, layer
    return None


def to_markdown(title: str, table: Table, seconds: float) -> str:
    """The table for people."""
    n = max(sum(table.planted.values()), 1)
    lines = [
        f"## {title}",
        "",
        f"{table.right} right: {table.accused} accused. {n} with one mistake: right layer and term "
        f"in {sum(table.found.values()) / n:.1%}, right cause in "
        f"{sum(table.cause.values()) / n:.1%}. {seconds:.0f} s.",
        "",
        "| mistake | planted | right place | right cause | taken for |",
        "|---|--:|--:|--:|---|",
    ]
    for one in CATALOGUE:
        planted = table.planted[one]
        if planted:
            others = ", ".join(
                f"{name} ({times})" for name, times in table.taken_for.get(one, {}).items()
            )
            lines.append(
                f"| {one} | {planted} | {table.found[one]} | {table.cause[one]} | {others} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Run both and print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mistakes", description=__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="worksheets with a mistake")
    parser.add_argument("--code", type=int, default=200, help="functions with a mistake")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the counts there as well")
    given = parser.parse_args()
    told: dict[str, Any] = {}
    for title, run, trials in (
        ("Worksheets", worksheets, given.trials),
        ("Code", code, given.code),
    ):
        start = time.perf_counter()
        table = run(trials, given.seed)
        print(to_markdown(title, table, time.perf_counter() - start), flush=True)
        print()
        told[title.lower()] = table.to_dict()
    if given.json is not None:
        given.json.write_text(json.dumps({"seed": given.seed} | told, indent=2) + "\n")


if __name__ == "__main__":
    main()
