"""Which trial comes next: random search, or successive halving that can stop and go on anywhere.

The next job is a function of the trials that have ended. So a search that was cut at any point goes
on as if it had not been, and one that is given more trials later runs those that it would have run.
"""

from __future__ import annotations

from collections.abc import Mapping

from deltarule.errors import unknown_name
from deltarule.tuning.study import Job, Trial

ETA = 3
#: The share of the epochs that each rung may train.
SHARES: Mapping[str, tuple[float, ...]] = {
    "random": (1.0,),
    "halving": (1 / ETA**2, 1 / ETA, 1.0),
}


def get_shares(search: str) -> tuple[float, ...]:
    """The shares of the epochs on each rung. Raises SpecError for an unknown search."""
    if search not in SHARES:
        raise unknown_name("search", search, SHARES)
    return SHARES[search]


def next_job(search: str, record: Mapping[Job, Trial], trials: float) -> Job | None:
    """The next training of a search of so many trials (or infinity); None when it is over.

    "random" trains each trial in full. "halving" is successive halving (Jamieson, Talwalkar 2016)
    in the asynchronous form (Li et al. 2020) with one worker: on each rung the best third of the
    trials is promoted to the next as soon as it is known; only if none is to be promoted, a new
    trial starts on rung 0. Trial 1, the defaults, is trained in full first and takes no part.
    """
    top = len(SHARES[search]) - 1
    if Job(1, top) not in record:
        return Job(1, top)
    for rung in range(top - 1, -1, -1):
        ended = [trial for job, trial in record.items() if job.rung == rung]
        best = sorted(ended, key=lambda trial: trial.rank, reverse=True)[: len(ended) // ETA]
        for trial in best:
            if trial.failed is None and Job(trial.number, rung + 1) not in record:
                return Job(trial.number, rung + 1)
    number = 2 + sum(job.rung == 0 and job.number > 1 for job in record)
    return Job(number, 0) if number <= trials else None
