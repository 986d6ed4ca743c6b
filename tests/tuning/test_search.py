"""The order of trials: random search and successive halving, cut and gone on with anywhere."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import deltarule as dr
from deltarule.tuning.search import ETA, SHARES, get_shares, next_job
from deltarule.tuning.study import Job, Trial

SCORES = st.lists(
    st.one_of(st.none(), st.sampled_from([0.1, 0.5, 0.9]), st.floats(0, 1)),
    min_size=1,
    max_size=60,
)


def ended(job: Job, score: float | None) -> Trial:
    scores = [] if score is None else [score]
    failed = "why" if score is None else None
    loss = math.inf if score is None else 1.0
    return Trial(job.number, job.rung, 9, {}, scores, loss, [], 0.1, failed)


def run(
    search: str, scores: list[float | None], trials: float, record: dict[Job, Trial]
) -> dict[Job, Trial]:
    """Search on; the score of a trial is the same on every rung."""
    while (job := next_job(search, record, trials)) is not None:
        assert job not in record
        record = record | {job: ended(job, scores[job.number % len(scores)])}
    return record


@given(SCORES, st.integers(1, 40))
def test_random_search_trains_each_trial_once(scores: list[float | None], trials: int) -> None:
    record = run("random", scores, trials, {})
    assert list(record) == [Job(number, 0) for number in range(1, trials + 1)]


@given(SCORES, st.integers(1, 60))
def test_halving_promotes_the_best_third(scores: list[float | None], trials: int) -> None:
    record = run("halving", scores, trials, {})
    assert next(iter(record)) == Job(1, 2)
    assert [job.number for job in record if job.rung == 0] == list(range(2, trials + 1))
    del record[Job(1, 2)]
    for rung in (0, 1):
        here = [trial for job, trial in record.items() if job.rung == rung]
        above = {job.number for job in record if job.rung == rung + 1}
        assert above <= {trial.number for trial in here if trial.failed is None}
        top = sorted(here, key=lambda trial: trial.rank)[::-1][: len(here) // ETA]
        assert {trial.number for trial in top if trial.failed is None} <= above
        # a promotion that later trials have shown to be wrong stands, and there are few of them
        assert len(above) <= 2 * math.sqrt(len(here)) + len(here) / ETA


@given(SCORES, st.sampled_from(sorted(SHARES)), st.data())
def test_cuts_and_more_trials_change_nothing(
    scores: list[float | None], search: str, data: st.DataObject
) -> None:
    whole = run(search, scores, 30, {})
    cut = data.draw(st.integers(0, len(whole)))
    begun = dict(list(whole.items())[:cut])
    assert list(run(search, scores, 30, begun).items()) == list(whole.items())
    fewer = data.draw(st.integers(1, 30))
    assert list(run(search, scores, 30, run(search, scores, fewer, {})).items()) == list(
        whole.items()
    )


def test_what_halving_costs() -> None:
    record = run("halving", [(number * 37 % 101) / 101 for number in range(101)], 82, {})
    rungs = Counter(job.rung for job in record if job.number > 1)
    assert rungs[0] == 81
    assert 27 <= rungs[1] <= 40
    assert 9 <= rungs[2] <= 16
    epochs = sum(SHARES["halving"][rung] * count for rung, count in rungs.items())
    assert epochs < 81 * 0.5
    best = max(record.values(), key=lambda trial: trial.rank)
    assert (best.number % 101 * 37) % 101 == max(n * 37 % 101 for n in range(1, 83))
    assert Job(best.number, 2) in record


def test_more_is_recorded_than_asked_for() -> None:
    record = run("random", [0.5], 10, {})
    assert next_job("random", record, 4) is None
    assert next_job("random", record, math.inf) == Job(11, 0)


def test_searches() -> None:
    assert get_shares("random") == (1.0,)
    assert get_shares("halving") == pytest.approx((1 / 9, 1 / 3, 1.0))
    with pytest.raises(dr.SpecError, match=r"unknown search 'halfing'\. Did you mean 'halving'"):
        get_shares("halfing")
