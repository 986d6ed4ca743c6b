"""What mattered: how much of the differences between trials each parameter explains.

A random forest learns the rank of a trial from its parameters; a parameter matters as much as the
forest's error on trials that it has not seen grows when the parameter's values are shuffled among
them (permutation importance, Breiman 2001). The forest's own R^2 there says how far to trust it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.tuning.study import Trial

_FEWEST = 20  # trials below which a forest has nothing to say
_LEAST_R2 = 0.1


@dataclass(frozen=True)
class Importance:
    """Shares of the parameters in what the forest explains.

    Attributes
    ----------
    r2 : float
        Of the forest on trials that it has not seen.
    trials : int
        How many it was fitted to.
    shares : dict of str to float
        By parameter, the largest first; they add up to 1.
    """

    r2: float
    trials: int
    shares: dict[str, float]


def measure(trials: Sequence[Trial]) -> Importance | None:
    """The importance of each parameter among the trials of the lowest rung, failed ones last.

    None for fewer than 20 trials, or if the forest explains less than a tenth of the differences
    between trials that it has not seen: then nothing can be said.
    """
    by_number = {t.number: t for t in sorted(trials, key=lambda t: -t.rung) if t.number > 1}
    ended = [t for t in by_number.values() if t.rung == 0]
    if len(ended) < _FEWEST or len({t.score for t in ended}) == 1:
        return None
    from scipy.stats import rankdata  # slow to import, as the forest is
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold

    names, X = _columns(ended)
    y = rankdata([t.score for t in ended])
    said, drops = np.empty(len(y)), np.zeros(len(names))
    for train, held in KFold(5, shuffle=True, random_state=0).split(X):
        forest = RandomForestRegressor(50, min_samples_leaf=2, random_state=0)
        forest.fit(X[train], y[train])
        said[held] = forest.predict(X[held])
        found = permutation_importance(
            forest,
            X[held],
            y[held],
            scoring="neg_mean_squared_error",
            n_repeats=3,
            random_state=0,
        )
        drops += found.importances_mean * len(held)
    r2 = float(r2_score(y, said))
    drops = np.maximum(drops, 0)
    if r2 < _LEAST_R2 or not drops.any():
        return None
    order = np.argsort(-drops, kind="stable")
    shares = {names[i]: float(drops[i] / drops.sum()) for i in order}
    return Importance(r2, len(ended), shares)


def _columns(trials: Sequence[Trial]) -> tuple[list[str], NDArray[np.float64]]:
    """Parameters that differ, as numbers: depth, width, logarithms of what is above 0, codes of
    names. What a trial does not have (momentum without SGD) is -1 below all."""
    columns: dict[str, list[Any]] = {
        "depth": [len(t.parameters["hidden"]) for t in trials],
        "width": [max(t.parameters["hidden"], default=0) for t in trials],
    }
    for name in dict.fromkeys(name for t in trials for name in t.parameters if name != "hidden"):
        columns[name] = [t.parameters.get(name) for t in trials]
    numbers = {name: _numbers(values) for name, values in columns.items()}
    varied = {name: values for name, values in numbers.items() if np.ptp(values) > 0}
    if not varied:
        return [], np.zeros((len(trials), 0))
    return list(varied), np.column_stack(list(varied.values()))


def _numbers(values: list[Any]) -> NDArray[np.float64]:
    present = [value for value in values if value is not None]
    if any(isinstance(value, str | list) for value in present):  # lists: one of each layer
        names = sorted(set(map(str, present)))
        return np.array([-1.0 if v is None else names.index(str(v)) for v in values])
    positive = [value for value in present if value > 0]
    low = np.log(min(positive, default=1.0)) - 1
    return np.array([low - 1 if v is None else np.log(v) if v > 0 else low for v in values])
