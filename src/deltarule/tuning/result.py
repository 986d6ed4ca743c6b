"""What tuning found: the best model, all trials, what mattered, and the picture of the search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltarule.document import Document, Lines, Notes, Shown, Table, Title
from deltarule.document.blocks import Block
from deltarule.document.figures import new_figure, save_figure
from deltarule.tabular import Split
from deltarule.tabular.model import TableModel
from deltarule.tabular.wording import goal_line
from deltarule.tuning.importance import Importance, measure
from deltarule.tuning.study import Trial

_MOST_TRIALS = 5  # in a table; to_dict has all
_LEAST_SHARE = 0.05  # below it a parameter did not matter


@dataclass
class Tuning(Shown):
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

    def document(self) -> Document:
        """How the search went, its best trials, what mattered, and the scores of the best model."""
        blocks: list[Block] = [
            Title(goal_line(self.model.target)),
            Lines([self._searched()], tight=True),
            self._best_trials(),
        ]
        if self.best is self.default:
            blocks.append(Lines(["no trial was better than the defaults (trial 1)"], tight=True))
        notes = Notes([f"note: {one}" for one in self.notes])
        return Document([*blocks, Lines(self._mattered()), self._judged(), notes])

    def _searched(self) -> str:
        ended = len({trial.number for trial in self.trials})
        failed = sum(trial.failed is not None for trial in self.trials)
        where = f"{self.folds} folds"
        if self.folds == 1:
            where = f"{len(self.split.validation):,} validation rows"
        return (
            f"{ended} trial{'s' * (ended != 1)}{f', {failed} failed' * (failed > 0)} "
            f"({self.search} search, {self.scoring} on {where}, stopped: {self.stopped}) "
            f"in {self.seconds:.1f} s"
        )

    def _best_trials(self) -> Table:
        """The best ones, and the defaults wherever they stand."""
        first, others = self.ranked[:_MOST_TRIALS], self.ranked[_MOST_TRIALS:]
        rows = [
            (
                f"{trial.number}",
                f"{trial.score:.4f}",
                f"{sum(trial.best_epochs) / len(trial.best_epochs):.0f}",
                f"{trial.seconds:.2f}",
                str(trial),
            )
            for trial in first + [trial for trial in others if trial is self.default]
        ]
        head = ("trial", self.scoring, "epochs", "seconds", "parameters")
        return Table(head, rows, "rrrrl")

    def _mattered(self) -> list[str]:
        found = self.importance()
        if found is None:
            return []
        largest = [f"{n} {share:.0%}" for n, share in found.shares.items() if share >= _LEAST_SHARE]
        return [
            f"what mattered: {', '.join(largest)} (of what a forest explains over {found.trials} "
            f"trials; its R^2 on unseen trials is {found.r2:.2f})"
        ]

    def _judged(self) -> Table:
        """Test scores of the best model and the defaults (validation scores without a test)."""
        part = "test" if "test" in self.scores else "validation"
        best, defaults = self.scores[part], self.default_scores.get(part)
        rows = [
            (name, *(f"{scores[metric]:.4f}" for metric in best))
            for name, scores in (("best model", best), ("defaults", defaults))
            if scores
        ]
        caption = f"on {len(getattr(self.split, part)):,} {part} rows"
        return Table(("", *best), rows, "l" + "r" * len(best), caption=caption)

    def to_dict(self) -> dict[str, Any]:
        """All but the model's parameters and the rows, as JSON can hold it."""
        importance = self.importance()
        return {
            "task": self.model.target.task,
            "search": self.search,
            "scoring": self.scoring,
            "folds": self.folds,
            "best": self.best.to_dict(),
            **self.scores,
            "defaults": self.default_scores,
            "trials": [trial.to_dict() for trial in self.trials],
            "resumed": self.resumed,
            "importance": None if importance is None else importance.shares,
            "importance_r2": None if importance is None else importance.r2,
            "stopped": self.stopped,
            "seconds": round(self.seconds, 3),
            "notes": self.notes,
        }

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
