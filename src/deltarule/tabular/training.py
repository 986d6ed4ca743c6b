"""The whole way from a table to a tested model: read, split, encode, train, test."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deltarule.document import Document, Lines, Notes, Shown, Table, Title
from deltarule.document.blocks import Block
from deltarule.errors import DataError, SpecError
from deltarule.network.network import Network
from deltarule.tabular.encoder import TableEncoder
from deltarule.tabular.model import TableModel
from deltarule.tabular.read import read_table
from deltarule.tabular.split import Split, split_rows
from deltarule.tabular.target import TargetColumn
from deltarule.tabular.wording import PARTS, goal_line, label, score_table
from deltarule.training.history import History
from deltarule.training.plan import train
from deltarule.training.stopping import EarlyStopping

_MOST_CONFUSIONS = 6


@dataclass
class TableTraining(Shown):
    """What `train_table` gives.

    Attributes
    ----------
    model : TableModel
    history : History
    split : Split
        Row numbers of the training, validation and test part.
    scores : dict of dict
        "train", "validation" and "test" (those that have rows): as `TableModel.evaluate`.
    confusions : list of (true, predicted, rows)
        On the test rows (the validation rows if there is no test part); classes only.
    notes : list of str
        What a reader should know about the table.
    seconds : float
        Of training alone.
    """

    model: TableModel
    history: History
    split: Split
    scores: dict[str, dict[str, float]]
    confusions: list[tuple[Any, Any, int]]
    notes: list[str]
    seconds: float

    def document(self) -> Document:
        """What was learnt and how well, what is confused, and gradient norms."""
        history, rows = self.history, self.split._asdict()
        scores = {PARTS[part]: (len(rows[part]), of) for part, of in self.scores.items()}
        blocks: list[Block] = [
            Title(goal_line(self.model.target)),
            Lines([repr(self.model.network)], tight=True),
            Lines([history.outcome(self.seconds)], tight=True),
            score_table(scores),
        ]
        if self.model.target.task == "classify":
            blocks += self._confused()
        return Document([*blocks, history.norms(), Notes([f"note: {one}" for one in self.notes])])

    def _confused(self) -> list[Block]:
        part = judged(self.split)
        wrong = sum(count for _, _, count in self.confusions)
        caption = f"confusions: {wrong:,} of {len(getattr(self.split, part)):,} {PARTS[part]} rows"
        if not self.confusions:
            return [Lines([caption])]
        rows = [
            (label(true), label(predicted), f"{count:,}")
            for true, predicted, count in self.confusions[:_MOST_CONFUSIONS]
        ]
        others = self.confusions[_MOST_CONFUSIONS:]
        left = sum(count for _, _, count in others)
        more = [f"and {len(others)} more pairs ({left:,} rows)"] if others else []
        head = ("true", "predicted", "rows")
        return [Table(head, rows, "llr", caption=caption), Lines(more, tight=True)]

    def to_dict(self) -> dict[str, Any]:
        """All but the parameters and the rows, as JSON can hold it."""
        return {
            "task": self.model.target.task,
            "rows": sum(map(len, self.split)),
            "features": self.model.encoder.width,
            "network": repr(self.model.network),
            **self.scores,
            "epochs": len(self.history),
            "best_epoch": self.history.best_epoch,
            "stopped": self.history.stopped,
            "seconds": round(self.seconds, 3),
            "notes": self.notes,
            "confusions": self.confusions,
            "history": self.history.to_dict(),
        }


def train_table(
    data: Any,
    target: str,
    *,
    task: Literal["auto", "classify", "regress"] = "auto",
    hidden: Sequence[int] = (64, 64),
    activation: str = "relu",
    test: float = 0.2,
    validation: float = 0.1,
    epochs: int | None = None,
    patience: int | None = None,
    l2: float = 1e-3,
    dtype: str = "float32",
    seed: int = 0,
    **options: Any,
) -> TableTraining:
    """Read a table, split it, encode it, train a network on it and test it.

    Parameters
    ----------
    data : path of a CSV or Parquet file, name of a data set, or DataFrame
    target : str
        The column to predict.
    task : "auto" (default), "classify" or "regress"
    hidden : sequence of int, default (64, 64)
        Units of the hidden layers; empty for none.
    test, validation : float, default 0.2 and 0.1
        Shares of the rows. Validation rows decide when to stop; test rows are only looked at once.
    epochs : int, optional
        At most so many; by default 200, or on a small table enough for 10,000 steps, up to 1,000.
    patience : int, optional
        Epochs without a better validation loss before training stops; by default a tenth of
        `epochs`, but at least 15.
    l2 : float, default 1e-3
        Of the penalty l2/2 sum W^2: on real tables a little is better than none.
    seed : int, default 0
        Of the split, the weights and the orders.
    **options
        Further options of `dr.train`: optimizer, learning_rate, batch_size, dropout, ...

    Raises
    ------
    DataError, SpecError, DivergenceError
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise SpecError(f"seed must be a whole number >= 0, got {seed!r}")
    frame = read_table(data)
    goal = TargetColumn().fit(frame, target, task)
    split = split_rows(frame.height, goal.labels(frame), test=test, validation=validation, rng=seed)
    goal.fit(frame, target, goal.task, rows=split.train)
    columns = [name for name in frame.columns if name != target]
    if not columns:
        raise DataError(f"the table has no column besides the target {target!r}")
    encoder = TableEncoder().fit(frame, columns, rows=split.train)
    sizes = [encoder.width, *hidden, goal.n_outputs]
    model = TableModel(Network(sizes, activation, goal.loss, dtype=dtype, rng=seed), encoder, goal)
    X = encoder.transform(frame, dtype=model.network.dtype)
    Y = model._targets(frame)

    if epochs is None:
        epochs = enough_epochs(len(split.train), options.get("batch_size", 32))
    if patience is None:
        patience = enough_patience(epochs)
    held = split.validation
    start = time.perf_counter()
    history = train(
        model.network,
        X[split.train],
        Y[split.train],
        epochs=epochs,
        validation=(X[held], Y[held]) if held.size else None,
        early_stopping=EarlyStopping(patience=patience) if held.size else None,
        l2=l2,
        rng=seed,
        **options,
    )
    seconds = time.perf_counter() - start
    parts: dict[str, NDArray[np.int64]] = split._asdict()
    tested = frame[getattr(split, judged(split))]
    return TableTraining(
        model=model,
        history=history,
        split=split,
        scores={name: model._score(X[rows], Y[rows]) for name, rows in parts.items() if rows.size},
        confusions=model.confusions(tested) if goal.task == "classify" else [],
        notes=list(encoder.notes),
        seconds=seconds,
    )


def judged(split: Split) -> str:
    """The part on which a model is judged: the test rows, or the next best ones."""
    return next(part for part in ("test", "validation", "train") if len(getattr(split, part)))


def enough_epochs(rows: int, batch_size: int | str) -> int:
    """200, or on a small table as many as make 10,000 steps, up to 1,000."""
    steps = 1 if batch_size == "full" else -(-rows // max(int(batch_size), 1))
    return min(1000, max(200, -(-10_000 // steps)))


def enough_patience(epochs: int) -> int:
    """A tenth of the epochs, but at least 15."""
    return max(15, epochs // 10)
