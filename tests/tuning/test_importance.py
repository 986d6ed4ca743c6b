"""What mattered: a parameter that decides is found, and noise is not explained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from deltarule.tuning.importance import measure
from deltarule.tuning.space import Configurations, Space
from deltarule.tuning.study import Trial


def trials(score: Any, count: int = 60, rung: int = 0, **changes: Any) -> list[Trial]:
    configurations = Configurations(Space(), 0)
    rng = np.random.default_rng(0)
    result = []
    for number in range(1, count + 1):
        parameters = configurations.get(number)
        assert parameters is not None
        value = score(parameters, rng)
        scores = [] if value is None else [float(value)]
        failed = "why" if value is None else None
        result.append(Trial(number, rung, 9, parameters, scores, 1.0, [1], 0.1, failed))
    return result


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("learning_rate", lambda p, rng: -abs(math.log10(p["learning_rate"]) + 2.5)),
        ("depth", lambda p, rng: None if len(p["hidden"]) == 4 else -len(p["hidden"])),
        ("activation", lambda p, rng: (p["activation"] == "tanh") + 0.1 * rng.normal()),
    ],
)
def test_the_parameter_that_decides_is_found(name: str, score: Any) -> None:
    found = measure(trials(score))
    assert found is not None
    assert next(iter(found.shares)) == name
    assert found.shares[name] > 0.5
    assert sum(found.shares.values()) == pytest.approx(1)
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)
    assert 0.1 < found.r2 <= 1
    assert found.trials == 59


def test_nothing_is_said_of_noise_and_of_few_trials() -> None:
    assert measure(trials(lambda p, rng: rng.normal())) is None
    assert measure(trials(lambda p, rng: 0.5)) is None
    assert measure(trials(lambda p, rng: p["learning_rate"], count=20)) is None
    assert measure([]) is None


def test_the_lowest_rung_is_compared_with_itself() -> None:
    below = trials(lambda p, rng: p["learning_rate"])
    above = trials(lambda p, rng: 1000 * rng.random(), count=20, rung=1)
    alone, together = measure(below), measure([*below, *above])
    assert alone is not None
    assert together == alone


def test_lists_with_a_value_for_each_layer() -> None:
    some = trials(lambda p, rng: p["dropout"])
    for trial in some:
        trial.parameters["dropout"] = [0.0, 0.1] if trial.parameters["dropout"] else [0.0, 0.0]
    found = measure(some)
    assert found is not None
    assert next(iter(found.shares)) == "dropout"
