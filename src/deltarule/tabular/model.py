"""A network together with the encoding of its table: trained on raw rows, asked with raw rows.

`train_table` is the whole way from a file to a tested model; the command line only calls it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from deltarule.doors import through
from deltarule.engines import get_engine
from deltarule.equations.losses import shares
from deltarule.equations.params import Array
from deltarule.errors import ModelFileError, SpecError
from deltarule.network.data import check_targets
from deltarule.network.network import Network
from deltarule.network.saving import read, save
from deltarule.tabular.encoder import TableEncoder
from deltarule.tabular.read import read_table
from deltarule.tabular.target import TargetColumn
from deltarule.training.metrics import metrics

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
        return self._score(*self.encoded(data))

    def encoded(self, data: Any) -> tuple[Array, Array]:
        """Rows with known target as the network takes them: X (n, n_0) and Y (n, n_L).

        Raises DataError as `predict`, and for a target that is missing or not of its kind.
        """
        frame = self.read(data)
        Y = self._targets(frame)
        X, self.notes = self.encoder.encode(frame.drop(self.target.name), dtype=self.network.dtype)
        return X, Y

    def _targets(self, frame: pl.DataFrame) -> Array:
        Y = self.target.transform(frame, dtype=self.network.dtype)
        net = self.network
        return check_targets(net.loss, Y, frame.height, net.sizes[-1], net.dtype)

    def _score(self, X: Array, Y: Array) -> dict[str, float]:
        net = self.network
        z = get_engine("auto", net.spec).scores(net.spec, net.theta, X)
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
        return through("onnx", "to_onnx")(self, path, dtype=dtype)

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
