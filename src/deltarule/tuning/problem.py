"""What a search is asked to solve: a table, split and encoded once, and the score of a trial on it.

Test rows are no part of any fold: neither encoders nor scores of trials ever see them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from sklearn.model_selection import KFold, StratifiedKFold

from deltarule import options
from deltarule.errors import DataError, DivergenceError, SpecError
from deltarule.tabular import TargetColumn, read_table, split_rows
from deltarule.tabular.model import TableModel
from deltarule.tabular.training import enough_epochs
from deltarule.training.callbacks import Callback
from deltarule.tuning.fitting import Cut, Fit, Fold, Rows, score_rows
from deltarule.tuning.scoring import Scorer
from deltarule.tuning.space import DEFAULTS, Parameters
from deltarule.tuning.study import Job, Trial

_FOLDS, _ENOUGH_ROWS = 5, 1000  # by default folds, unless there are so many validation rows
TaskName = Literal["auto", "classify", "regress"]


def read_target(data: Any, target: str, task: TaskName) -> tuple[pl.DataFrame, TargetColumn]:
    """The table and its target column, task and classes decided. Raises DataError."""
    frame = read_table(data)
    goal = TargetColumn().fit(frame, target, task)
    if frame.width == 1:
        raise DataError(f"the table has no column besides the target {target!r}")
    return frame, goal


def require_seed(seed: Any) -> None:
    """Raise SpecError unless the seed is a whole number >= 0."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise SpecError(f"seed must be a whole number >= 0, got {seed!r}")


def split_folds(labels: Any, rows: Rows, folds: int, seed: int) -> list[tuple[Rows, Rows]]:
    """Rows to train on and rows held out of each fold, by scikit-learn: class by class for classes.

    Parameters
    ----------
    labels : (n,) integer array of all rows, or None for quantities
    rows : the rows to divide, ascending

    Raises DataError if there are too few rows.
    """
    options.count(None, folds=folds)
    if folds < 2 or folds > rows.size:
        raise SpecError(f"folds must be from 2 to the {rows.size} rows to divide, got {folds}")
    kind = KFold if labels is None else StratifiedKFold
    splitter = kind(folds, shuffle=True, random_state=np.random.RandomState(seed % 2**32))
    try:
        with warnings.catch_warnings():  # a class of fewer rows than folds is missing from some
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            pairs = list(splitter.split(rows, None if labels is None else labels[rows]))
    except ValueError as error:
        raise DataError(f"{folds} folds are too many for this table: {error}") from error
    return [(rows[train], rows[held]) for train, held in pairs]


class Problem:
    """A table to tune on.

    Parameters
    ----------
    As `tune`.

    Attributes
    ----------
    frame : polars.DataFrame
    target : TargetColumn
    split : Split
        As `train_table` splits with the same seed.
    folds : list of Fold
        One: the training and validation rows of the split; or several, into which these rows
        together are divided.
    scorer : Scorer
    """

    def __init__(
        self,
        data: Any,
        target: str,
        *,
        task: TaskName,
        test: float,
        validation: float,
        folds: int | None,
        scoring: Any,
        epochs: int | None,
        seed: int,
    ) -> None:
        require_seed(seed)
        if epochs is not None:
            options.count(None, epochs=epochs)
        if not 0 < validation < 1:
            raise SpecError(
                f"validation must be a share of the rows between 0 and 1, got {validation}: it "
                "decides when a training stops"
            )
        self.seed, self.epochs = seed, epochs
        self.frame, self.target = read_target(data, target, task)
        self.scorer = Scorer(scoring, self.target.task)
        labels = self.target.labels(self.frame)
        self.split = split_rows(
            self.frame.height, labels, test=test, validation=validation, rng=seed
        )
        pairs = [(self.split.train, self.split.validation)]
        self._main = self._encode(*pairs[0])
        if folds is None:
            folds = _FOLDS if pairs[0][1].size < _ENOUGH_ROWS else 1
        if folds == 1:
            self.folds = [self._main]
        else:
            rows = np.sort(np.concatenate(pairs[0]))
            self.folds = [self._encode(*pair) for pair in split_folds(labels, rows, folds, seed)]
        for fold in self.folds:  # a scorer that cannot score these rows is found before training
            fold.score(fold.network(DEFAULTS | {"hidden": []}, seed), self.scorer)

    def _encode(self, rows: Rows, held: Rows) -> Fold:
        return Fold.encode(self.frame, self.target, rows, held, self.scorer)

    @property
    def notes(self) -> list[str]:
        """What a reader should know about the table."""
        return list(self._main.encoder.notes)

    @property
    def is_split_once(self) -> bool:
        """Whether a trial is the very training that `final` would do again."""
        return self.folds[0] is self._main

    def evaluate(
        self, job: Job, parameters: Parameters, share: float, callbacks: Sequence[Callback]
    ) -> tuple[Trial, list[Fit]]:
        """Train on every fold and score the rows held out.

        Raises Cut as `Fold.fit`. A training that diverges makes a failed trial.
        """
        full = self.epochs or enough_epochs(len(self.folds[0].Y), parameters["batch_size"])
        epochs = math.ceil(full * share)
        fits: list[Fit] = []
        scores: list[float] = []
        failed = None
        for fold in self.folds:
            try:
                fits.append(fold.fit(parameters, epochs, self.seed, callbacks))
            except Cut as cut:
                if len(self.folds) > 1:
                    cut.where += f" on fold {len(fits) + 1} of {len(self.folds)}"
                raise
            except DivergenceError as error:
                failed = str(error)
                break
            scores.append(fold.score(fits[-1].model.network, self.scorer))
            if math.isnan(scores[-1]) or not math.isfinite(fits[-1].loss):
                failed = f"the {self.scorer.name} or the loss of the validation rows is not finite"
                break
        trial = Trial(
            number=job.number,
            rung=job.rung,
            epochs=epochs,
            parameters=parameters,
            scores=[] if failed else scores,
            loss=math.inf if failed else math.fsum(fit.loss for fit in fits) / len(fits),
            best_epochs=[] if failed else [fit.history.best_epoch or 0 for fit in fits],
            seconds=math.fsum(fit.seconds for fit in fits),
            failed=failed,
        )
        return trial, fits

    def final(self, trial: Trial) -> Fit:
        """The training that `train_table` does with a trial's parameters and this seed."""
        return self._main.fit(trial.parameters, trial.epochs, self.seed)

    def scores(self, model: TableModel) -> dict[str, dict[str, float]]:
        """Of "train", "validation" and "test" (those that have rows): see `score_rows`."""
        parts = self.split._asdict().items()
        return {
            part: score_rows(model, self.frame[rows], self.scorer)
            for part, rows in parts
            if rows.size
        }
