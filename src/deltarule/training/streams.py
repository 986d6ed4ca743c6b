"""From a user's rng to the seeds of everything random in a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from deltarule.options import no_rng


def entropy(rng: Any) -> int:
    """One number from which every random stream of a run follows."""
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    if isinstance(rng, np.random.SeedSequence):
        return int(rng.generate_state(1, np.uint64)[0])
    if rng is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(rng, int | np.integer) and rng >= 0:
        return int(rng)
    raise no_rng(rng)


def stream(seed: int, *key: int) -> np.random.SeedSequence:
    """The seeds of one random stream of a run."""
    return np.random.SeedSequence(seed, spawn_key=key)
