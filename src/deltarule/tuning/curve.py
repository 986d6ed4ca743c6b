"""Learning curves: the score over growing numbers of rows, and whether more rows would help."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from deltarule import options
from deltarule.document import Document, Lines, Notes, Shown, Table, Title
from deltarule.document.figures import new_figure, save_figure
from deltarule.errors import DataError, DivergenceError, SpecError
from deltarule.tabular import TargetColumn, split_rows
from deltarule.tabular.training import enough_epochs
from deltarule.tuning.fitting import Cut, Fold, Rows, score_rows
from deltarule.tuning.problem import TaskName, read_target, require_seed, split_folds
from deltarule.tuning.progress import new_bar
from deltarule.tuning.scoring import Scorer
from deltarule.tuning.space import Parameters, complete

_STEPS = 5  # sizes by default: all rows, a half, a quarter, ...
_FEWEST = 20  # rows below which a network learns nothing
_CONFIDENCE = 0.90  # two-sided: 5 % that rows which do not help seem to


@dataclass
class LearningCurve(Shown):
    """What `learning_curve` gives.

    Attributes
    ----------
    sizes : list of int
        Rows to learn from, a tenth of them only to decide when to stop.
    train_scores, validation_scores : (sizes, folds) arrays
        On the rows trained on, and on the rows of the fold that were held out. NaN for a training
        that diverged.
    seconds : (sizes, folds) array
        Of each training.
    scoring : str
    held : int
        Rows held out of a fold.
    stopped : str
        "sizes", or "interrupted": then the sizes are those that were finished.
    notes : list of str
    """

    sizes: list[int]
    train_scores: NDArray[np.float64]
    validation_scores: NDArray[np.float64]
    seconds: NDArray[np.float64]
    scoring: str
    held: int
    stopped: str
    notes: list[str]

    def gain(self) -> tuple[float, float, float] | None:
        """What a doubling of the rows gained in the last step: mean, lower and upper 90 % limit.

        The differences are taken fold by fold. As the training rows of folds overlap, the
        variance of their mean is s^2 (1/k + held/rows) (Nadeau, Bengio 2003). None if there is one
        size only, or fewer than two folds without a failure.
        """
        if len(self.sizes) < 2:
            return None
        doublings = math.log2(self.sizes[-1] / self.sizes[-2])
        d = (self.validation_scores[-1] - self.validation_scores[-2]) / doublings
        d = d[np.isfinite(d)]
        if d.size < 2:
            return None
        error = d.std(ddof=1) * math.sqrt(1 / d.size + self.held / self.sizes[-1])
        reach = float(stats.t.ppf(0.5 + _CONFIDENCE / 2, d.size - 1) * error)
        return float(d.mean()), float(d.mean()) - reach, float(d.mean()) + reach

    @property
    def verdict(self) -> str:
        """Whether more rows would help, in a sentence, with the spread that it rests on."""
        gain = self.gain()
        if gain is None:
            return "Whether more rows would help cannot be told from these scores."
        mean, low, high = gain
        what = (
            f"per doubling, from {self.sizes[-2]:,} to {self.sizes[-1]:,} rows, the validation "
            f"{self.scoring} changed by {mean:+.4f} ({_CONFIDENCE:.0%} interval {low:+.4f} to "
            f"{high:+.4f})"
        )
        spread = float(np.nanstd(self.validation_scores[-1], ddof=1))
        if low > 0:
            return f"More rows would probably help: {what}."
        if high < spread:
            return (
                f"More rows would hardly help: {what}; that is less than the scores of the folds "
                f"differ by (standard deviation {spread:.4f})."
            )
        return f"Whether more rows would help cannot be told: {what}."

    def table(self) -> list[tuple[int, tuple[float, float], tuple[float, float], float]]:
        """By size: rows, (mean, standard deviation) over the folds on the rows trained on and on
        those held out, mean seconds of a training."""
        train = zip(*_mean_and_spread(self.train_scores), strict=True)
        held = zip(*_mean_and_spread(self.validation_scores), strict=True)
        return list(zip(self.sizes, train, held, self.seconds.mean(axis=1), strict=True))

    def document(self) -> Document:
        """Scores by size, and whether more rows would help."""
        folds = self.validation_scores.shape[1]
        rows = [
            (
                f"{size:,}",
                *(f"{number:.4f}" for number in (*train, *held)),
                f"{seconds:.2f}",
            )
            for size, train, held, seconds in self.table()
        ]
        head = ("rows", "training", "", "validation", "", "seconds")
        title = f"{self.scoring}, mean and standard deviation over {folds} folds"
        table = Table(head, rows, "rrlrlr")
        notes = Notes([f"note: {one}" for one in self.notes])
        return Document([Title(title), table, Lines([self.verdict]), notes])

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it (NaN for what failed)."""
        gain = self.gain()
        return {
            "scoring": self.scoring,
            "sizes": self.sizes,
            "train_scores": self.train_scores.tolist(),
            "validation_scores": self.validation_scores.tolist(),
            "seconds": self.seconds.round(3).tolist(),
            "held": self.held,
            "gain": None if gain is None else list(gain),
            "verdict": self.verdict,
            "stopped": self.stopped,
            "notes": self.notes,
        }

    def plot(self, path: str | Path | None = None) -> Any:
        """Mean scores over the number of rows; bands are one standard deviation over the folds.

        Returns the matplotlib Figure; with `path` it is also written there (PNG, SVG or PDF by its
        ending). Needs the extra "plot": without it, DeltaruleError. OutputError if the file cannot
        be written.
        """
        figure, axis = new_figure("LearningCurve.plot")
        for name, scores in (
            ("training", self.train_scores),
            ("validation", self.validation_scores),
        ):
            mean, spread = _mean_and_spread(scores)
            axis.plot(self.sizes, mean, "o-", markersize=4, label=name)
            axis.fill_between(self.sizes, mean - spread, mean + spread, alpha=0.2)
        axis.set_xscale("log")
        axis.set_xticks(self.sizes, [f"{size:,}" for size in self.sizes])
        axis.minorticks_off()
        axis.set_xlabel("rows to learn from")
        axis.set_ylabel(self.scoring)
        axis.legend()
        if path is not None:
            save_figure(figure, path)
        return figure

    def __repr__(self) -> str:
        mean, spread = _mean_and_spread(self.validation_scores)
        return (
            f"LearningCurve({self.sizes[-1]} rows: validation {self.scoring} {mean[-1]:.4g} +- "
            f"{spread[-1]:.2g}, {len(self.sizes)} sizes, {self.validation_scores.shape[1]} folds)"
        )


def learning_curve(
    data: Any,
    target: str,
    *,
    sizes: Sequence[float] | None = None,
    folds: int = 10,
    scoring: Any = None,
    task: TaskName = "auto",
    epochs: int | None = None,
    seed: int = 0,
    progress: bool = False,
    **parameters: Any,
) -> LearningCurve:
    """Train on growing numbers of a table's rows, and score on rows held out.

    Each fold of the table is held out in turn. Of its other rows the first so many, in one random
    order in which every beginning has the classes in their shares, are given to a training as
    `train_table` does it: a tenth of them decides when to stop. The rows held out take no part.

    Parameters
    ----------
    data : path of a CSV or Parquet file, name of a data set, or DataFrame
    target : str
        The column to predict.
    sizes : sequence of int or float, optional
        Numbers of rows, or shares (floats up to 1) of the rows that a fold leaves; by default all,
        a half, a quarter, an eighth and a sixteenth of them, as far as that is 20 rows or more.
    folds : int >= 2, default 10
    scoring, task, seed : as for `tune`
    epochs : int >= 1, optional
        At most so many; by default as `train_table`.
    **parameters
        As in a search space, such as those of a trial: hidden, activation, learning_rate, ...

    Raises
    ------
    DataError, SpecError
    KeyboardInterrupt
        Ctrl-C before the first size was finished. Later it ends the curve there.
    """
    require_seed(seed)
    if epochs is not None:
        options.count(None, epochs=epochs)
    frame, goal = read_target(data, target, task)
    scorer = Scorer(scoring, goal.task)
    labels = goal.labels(frame)
    rng = np.random.default_rng(seed)
    pairs = split_folds(labels, np.arange(frame.height), folds, seed)
    orders = [(_spread(train, labels, rng), held) for train, held in pairs]
    counts = _counts(sizes, min(order.size for order, _ in orders))
    setting = _Setting(frame, goal, labels, scorer, complete(parameters), epochs, seed)
    points: list[list[tuple[float, float, float]]] = []
    stopped = "sizes"
    with new_bar(show=progress) as bar:
        shown = bar.add_task("", total=sum(counts) * folds, now="")
        try:
            for count in counts:
                point = []
                for number, (order, held) in enumerate(orders, 1):
                    bar.update(shown, description=f"{count:,} rows, fold {number} of {folds}")
                    point.append(setting.point(order[:count], held))
                    bar.advance(shown, count)
                points.append(point)
        except (Cut, KeyboardInterrupt):
            if not points:
                raise KeyboardInterrupt from None
            stopped = "interrupted"
    trained, held_out, seconds = np.moveaxis(np.array(points), 2, 0)
    return LearningCurve(
        sizes=counts[: len(points)],
        train_scores=trained,
        validation_scores=held_out,
        seconds=seconds,
        scoring=scorer.name,
        held=pairs[0][1].size,
        stopped=stopped,
        notes=setting.notes,
    )


class _Setting:
    """What all trainings of a curve have in common."""

    def __init__(
        self,
        frame: pl.DataFrame,
        target: TargetColumn,
        labels: Rows | None,
        scorer: Scorer,
        parameters: Parameters,
        epochs: int | None,
        seed: int,
    ) -> None:
        self._frame, self._target, self._labels = frame, target, labels
        self._scorer, self._parameters = scorer, parameters
        self._epochs, self._seed = epochs, seed
        self.notes: list[str] = []

    def point(self, rows: Rows, held: Rows) -> tuple[float, float, float]:
        """Score on the rows trained on and on the rows held out, and seconds."""
        labels = None if self._labels is None else self._labels[rows]
        try:
            split = split_rows(rows.size, labels, test=0, validation=0.1, rng=self._seed)
        except DataError as error:
            raise DataError(f"size {rows.size}: {error}") from error
        train, stop = rows[split.train], rows[split.validation]
        fold = Fold.encode(self._frame, self._target, train, stop, self._scorer)
        epochs = self._epochs or enough_epochs(train.size, self._parameters["batch_size"])
        start = time.perf_counter()
        try:
            fit = fold.fit(self._parameters, epochs, self._seed)
        except DivergenceError as error:
            self.notes.append(f"{rows.size} rows: {error}")
            return math.nan, math.nan, time.perf_counter() - start
        found = [score_rows(fit.model, self._frame[part], self._scorer) for part in (train, held)]
        return found[0][self._scorer.name], found[1][self._scorer.name], fit.seconds


def _counts(sizes: Sequence[float] | None, most: int) -> list[int]:
    """Numbers of rows, ascending; SpecError for sizes that are none."""
    if sizes is None:
        halves = [most >> step for step in reversed(range(_STEPS))]
        return [count for count in halves if count >= min(_FEWEST, most)]
    counts = set()
    for size in sizes:
        is_number = isinstance(size, int | float | np.number) and not isinstance(size, bool)
        is_share = is_number and not isinstance(size, int | np.integer)
        count = round(size * most) if is_share else size
        if not is_number or not 2 <= count <= most or (is_share and size > 1):
            raise SpecError(
                f"sizes must be numbers of rows from 2 to {most} (what a fold leaves to train on) "
                f"or shares of them up to 1.0, got {size!r}"
            )
        counts.add(int(count))
    if not counts:
        raise SpecError("sizes is empty: give numbers of rows, or None for the default")
    return sorted(counts)


def _spread(rows: Rows, labels: Rows | None, rng: np.random.Generator) -> Rows:
    """The rows in a random order; each beginning has the classes in their shares."""
    order = rows[rng.permutation(rows.size)]
    if labels is None:
        return order
    place = np.empty(rows.size)
    for label in np.unique(labels[order]):
        of_class = np.flatnonzero(labels[order] == label)
        place[of_class] = (np.arange(of_class.size) + rng.random()) / of_class.size
    return order[np.argsort(place, kind="stable")]


def _mean_and_spread(scores: NDArray[np.float64]) -> tuple[Any, Any]:
    """Mean and standard deviation over the folds that did not fail."""
    kept = np.ma.masked_invalid(scores)
    return kept.mean(axis=1).filled(np.nan), kept.std(axis=1, ddof=1).filled(np.nan)
