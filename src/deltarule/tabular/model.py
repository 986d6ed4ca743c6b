"""A network together with the encoding of its table: trained on raw rows, asked with raw rows.

`train_table` is the whole way from a file to a tested model; the command line only calls it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deltarule.engines import get_engine
from deltarule.equations.params import Array
from deltarule.errors import DataError, ModelFileError, SpecError
from deltarule.network.data import check_targets, shares
from deltarule.network.network import Network
from deltarule.network.saving import read, save
from deltarule.tabular import Split, TableEncoder, TargetColumn, read_table, split_rows
from deltarule.training.callbacks import EarlyStopping
from deltarule.training.history import History
from deltarule.training.metrics import metrics
from deltarule.training.plan import train

_SECTION = "table"


@dataclass
class TableModel:
    """A network that takes and gives raw table rows.

    Attributes
    ----------
    network : Network
        Its inputs are the encoded columns (`encoder.feature_names`).
    encoder : TableEncoder
    target : TargetColumn
    notes : list of str
        What the last call found unusual in its table (columns it does not know, and the like).
    """

    network: Network
    encoder: TableEncoder
    target: TargetColumn
    notes: list[str] = field(default_factory=list)

    def read(self, data: Any) -> pl.DataFrame:
        """A table from a file name, a data set's name or a DataFrame, with this model's columns."""
        text = list(self.encoder.text_columns)
        if self.target.task == "classify" and self.target.dtype == pl.String:
            text.append(self.target.name)
        return read_table(data, text=text)

    def outputs(self, data: Any) -> Array:
        """The network's outputs (n, n_L) for raw rows: probabilities, or scaled quantities."""
        frame = self.read(data)
        if self.target.name in frame.columns:
            frame = frame.drop(self.target.name)
        X, self.notes = self.encoder.encode(frame, dtype=self.network.dtype)
        return self.network.predict(X)

    def predict(self, data: Any) -> pl.Series:
        """The predicted class or quantity of each row, under the target's name.

        Parameters
        ----------
        data : path, name of a data set, or DataFrame with the columns that the model was trained on

        Raises
        ------
        DataError
            Columns are missing (all are named), or a cell cannot be read (row and column).
        """
        return self._decode(self.outputs(data))

    def predict_proba(self, data: Any) -> pl.DataFrame:
        """The probability of each class, one column per class named "P(class)", as CSV has it.

        Raises SpecError for a model of quantities; DataError as `predict`.
        """
        if self.target.task != "classify":
            raise SpecError("this model predicts a quantity: it has no probabilities of classes")
        p = self.outputs(data).astype(np.float64)
        if p.shape[1] == 1:
            p = np.hstack([1 - p, p])
        p /= p.sum(axis=1, keepdims=True)  # 1 to the bits of float64, not only of float32
        names = pl.Series(self.target.classes, dtype=self.target.dtype).cast(pl.String)
        return pl.DataFrame({f"P({name})": p[:, i] for i, name in enumerate(names)})

    def evaluate(self, data: Any) -> dict[str, float]:
        """How well the model does on rows with known target.

        Returns
        -------
        dict
            "accuracy" and "loss" for classes; "r2", "rmse" (in the target's unit) for quantities.
        """
        frame = self.read(data)
        Y = self._targets(frame)
        X, self.notes = self.encoder.encode(frame.drop(self.target.name), dtype=self.network.dtype)
        return self._score(X, Y)

    def _targets(self, frame: pl.DataFrame) -> Array:
        Y = self.target.transform(frame, dtype=self.network.dtype)
        net = self.network
        return check_targets(net.loss, Y, frame.height, net.sizes[-1], net.dtype)

    def _score(self, X: Array, Y: Array) -> dict[str, float]:
        net = self.network
        z = get_engine("auto", net).scores(net, X)
        output = net.activations[-1].f(z)
        found = metrics(net.loss, output, Y, None)
        if self.target.task == "regress":
            found["rmse"] *= self.target.scale
            return found
        share = shares(len(Y), None, "mean", np.float64)
        J = net.loss.value(net.activations[-1], z, Y)
        return found | {"loss": float(share @ J.astype(np.float64))}

    def _decode(self, output: Array) -> pl.Series:
        if self.target.task == "regress":
            return self.target.decode(output[:, 0])
        labels = output[:, 0] >= 0.5 if output.shape[1] == 1 else output.argmax(axis=1)
        return self.target.decode(labels.astype(np.int64))

    def confusions(self, data: Any) -> list[tuple[Any, Any, int]]:
        """(true class, predicted class, rows) of every confusion, the most frequent first."""
        if self.target.task != "classify":
            raise SpecError("this model predicts a quantity: it confuses no classes")
        frame = self.read(data)
        true = self.target.labels(frame)
        assert true is not None  # only None when regressing
        output = self.outputs(frame)
        said = (output[:, 0] >= 0.5 if output.shape[1] == 1 else output.argmax(1)).astype(np.int64)
        k = len(self.target.classes)
        counts = np.bincount(true * k + said, minlength=k * k).reshape(k, k)
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[: np.count_nonzero(counts)]
        names = self.target.classes
        return [(names[i // k], names[i % k], int(counts[i // k, i % k])) for i in order.tolist()]

    def save(self, path: str | Path) -> None:
        """Write network and encoding to one safetensors file, whole or not at all."""
        table = {"encoder": self.encoder.to_dict(), "target": self.target.to_dict()}
        save(self.network, path, {_SECTION: table})

    def to_onnx(self, path: str | Path | None = None, *, dtype: str | None = None) -> Any:
        """The model as an `onnx.ModelProto` that takes raw columns, written to `path` if given.

        See `deltarule.exchange.onnx.to_onnx` for inputs, outputs and errors, and `table_inputs`
        there for a table as its inputs.
        """
        from deltarule.exchange.onnx.model import to_onnx  # exchange stands above the models

        return to_onnx(self, path, dtype=dtype)

    @classmethod
    def load(cls, path: str | Path) -> TableModel:
        """The model saved at `path`.

        Raises
        ------
        ModelFileError
            Damaged, foreign, newer, or a bare network without an encoding (see `dr.load`).
        """
        net, sections = read(path)
        table = sections.get(_SECTION)
        if not isinstance(table, dict):
            raise ModelFileError(
                f"{path} holds a bare network, not a model of a table: use dr.load in Python"
            )
        model = cls(
            net,
            TableEncoder.from_dict(table.get("encoder")),
            TargetColumn.from_dict(table.get("target")),
        )
        if (model.encoder.width, model.target.n_outputs) != (net.sizes[0], net.sizes[-1]):
            raise ModelFileError(f"{path}: its encoding does not fit its network {net!r}")
        if net.loss.classifies != (model.target.task == "classify"):
            raise ModelFileError(f"{path}: a {net.loss.name} network cannot {model.target.task}")
        return model

    def __repr__(self) -> str:
        return f"TableModel({self.target!r}, {len(self.encoder.columns)} columns, {self.network!r})"


@dataclass
class TableTraining:
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
    judged = next(rows for rows in (split.test, split.validation, split.train) if rows.size)
    return TableTraining(
        model=model,
        history=history,
        split=split,
        scores={name: model._score(X[rows], Y[rows]) for name, rows in parts.items() if rows.size},
        confusions=model.confusions(frame[judged]) if goal.task == "classify" else [],
        notes=list(encoder.notes),
        seconds=seconds,
    )


def enough_epochs(rows: int, batch_size: int | str) -> int:
    """200, or on a small table as many as make 10,000 steps, up to 1,000."""
    steps = 1 if batch_size == "full" else -(-rows // max(int(batch_size), 1))
    return min(1000, max(200, -(-10_000 // steps)))


def enough_patience(epochs: int) -> int:
    """A tenth of the epochs, but at least 15."""
    return max(15, epochs // 10)
