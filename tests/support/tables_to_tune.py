"""Small tables to tune on, and what must be the same when a search is repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy.stats import loguniform

from deltarule.tabular.model import TableModel
from deltarule.tuning import Trial, Tuning

SMALL: dict[str, Any] = {
    "hidden": [[4], [8, 4]],
    "learning_rate": loguniform(1e-3, 1e-1),
    "dropout": [0.0, 0.1],
}
QUICK: dict[str, Any] = {"epochs": 6, "space": SMALL, "trials": 7}


def table(n: int = 150) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=n), rng.normal(5, 2, size=n)
    score = x + rng.normal(0, 0.3, size=n)
    return pl.DataFrame(
        {
            "x": x,
            "z": [None if i % 11 == 0 else float(v) for i, v in enumerate(z)],
            "group": rng.choice(["red", "green", "blue"], n).tolist(),
            "class": [["low", "middle", "high"][i] for i in np.digitize(score, [-0.4, 0.6])],
            "yes": score > 0,
            "amount": 100 + 30 * x + z,
        }
    )


def of(target: str) -> pl.DataFrame:
    return table().select("x", "z", "group", target)


def facts(trials: list[Trial]) -> list[dict[str, Any]]:
    """All that must be the same in a repetition."""
    return [trial.to_dict() | {"seconds": 0} for trial in trials]


def same(a: Tuning, b: Tuning) -> bool:
    return facts(a.trials) == facts(b.trials) and bytes_of(a.model) == bytes_of(b.model)


def bytes_of(model: TableModel) -> bytes:
    return model.network.theta.tobytes()
