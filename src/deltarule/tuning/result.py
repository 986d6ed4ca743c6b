"""What tuning found: the best model, all trials, what mattered, and the picture of the search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltarule.document.figures import new_figure, save_figure
from deltarule.tabular import Split
from deltarule.tabular.model import TableModel
from deltarule.tuning.importance import Importance, measure
from deltarule.tuning.study import Trial


@dataclass
class Tuning:
    """What `tune` gives.

    Attributes
    ----------
    model : TableModel
        Trained with the best trial's parameters on the training rows of `split`.
    trials : list of Trial
        All finished ones, also those of earlier runs of the same study, in the order of time.
    best : Trial
        The one with the best score; of equal scores the one with the least loss.
    default : Trial or None
        Trial 1, the defaults; None if it failed.
    scores, default_scores : dict of dict
        "train", "validation" and "test" (those that have rows) of the best model and of a model
        with the defaults: as `TableModel.evaluate`. `default_scores` is empty if they failed.
    split : Split
        Row numbers of the training, validation and test part.
    search : str
        "random" or "halving".
    scoring : str
    folds : int
        How many trainings a trial is; 1 for the validation rows of the split.
    stopped : str
        Why the search ended: "trials", "time budget", "interrupted" or "space exhausted".
    resumed : int
        How many of the trials were there before.
    notes : list of str
        What a reader should know about the table and the study.
    seconds : float
        Of this run.
    """

    model: TableModel
    trials: list[Trial]
    best: Trial
    default: Trial | None
    scores: dict[str, dict[str, float]]
    default_scores: dict[str, dict[str, float]]
    split: Split
    search: str
    scoring: str
    folds: int
    stopped: str
    resumed: int
    notes: list[str]
    seconds: float

    @property
    def ranked(self) -> list[Trial]:
        """The trials that did not fail, the best first; of each number its best training."""
        seen: dict[int, Trial] = {}
        for trial in sorted(self.trials, key=lambda trial: trial.rank, reverse=True):
            if trial.failed is None:
                seen.setdefault(trial.number, trial)
        return list(seen.values())

    def importance(self) -> Importance | None:
        """How much of the differences between trials each parameter explains; None if too few
        trials tell it (see `measure`)."""
        return measure(self.trials)

    def plot(self, path: str | Path | None = None) -> Any:
        """The score of every trial, and the best so far.

        Returns the matplotlib Figure; with `path` it is also written there (PNG, SVG or PDF by its
        ending). Needs the extra "plot": without it, DeltaruleError. OutputError if the file cannot
        be written.
        """
        figure, axis = new_figure("Tuning.plot")
        top = max(trial.rung for trial in self.trials)
        places = np.arange(1, len(self.trials) + 1)
        scores = np.array([trial.score for trial in self.trials])
        finite = np.isfinite(scores)
        best = np.maximum.accumulate(scores)
        floor = scores[finite].max() - 4 * (scores[finite].max() - np.median(scores[finite]))
        low = finite & (scores < floor)  # a few wild ones must not flatten all others
        for rung in range(top + 1):
            here = finite & ~low & np.array([trial.rung == rung for trial in self.trials])
            shade = 0.7 - 0.5 * rung / max(top, 1)
            label = "trial" if top == 0 else f"rung {rung}"
            axis.plot(places[here], scores[here], "o", color=str(shade), markersize=4, label=label)
        axis.plot(places[finite], best[finite], drawstyle="steps-post", label="best so far")
        if self.default is not None:
            axis.axhline(self.default.score, color="0.4", linestyle=":", label="defaults")
        bottom = max(floor, scores[finite].min())
        for which, marker, label in ((low, "v", "lower"), (~finite, "x", "failed")):
            if which.any():
                at = np.full(which.sum(), bottom)
                axis.plot(places[which], at, marker, color="tab:red", markersize=4, label=label)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.set_xlabel("training" if top else "trial")
        axis.set_ylabel(f"validation {self.scoring}")
        axis.legend()
        if path is not None:
            save_figure(figure, path)
        return figure

    def __repr__(self) -> str:
        return (
            f"Tuning({len(self.trials)} trainings, {self.scoring} {self.best.score:.4g} in trial "
            f"{self.best.number}: {self.best}, stopped: {self.stopped})"
        )
