"""The column to predict: a class or a quantity, what a network is trained on, and the way back."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, DTypeLike, NDArray

from deltarule.errors import DataError, SpecError
from deltarule.tabular.columns import mean_and_scale, standardize
from deltarule.tabular.stored import Record
from deltarule.tabular.values import (
    Kind,
    as_text,
    clean_text,
    kind_of,
    missing_columns,
    numbers,
    place,
    quote,
)

Task = Literal["classify", "regress"]

_FORMAT, _VERSION = "deltarule.target", 1
#: Types that decoded values may have, by the name that is stored.
_DTYPES: dict[str, Any] = {
    str(dtype): dtype
    for dtype in (
        *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64),
        *(pl.Float32, pl.Float64, pl.Boolean, pl.String),
    )
}


class TargetColumn:
    """Turn the target column into what a network is trained on, and its answers back.

    Attributes
    ----------
    name : str
    task : "classify" or "regress"
    classes : list
        The classes in the order of their labels: sorted, numbers by size, texts by code point.
    mean, scale : float
        Of a regression target: the network is trained on (y - mean) / scale.

    Notes
    -----
    ``task="auto"``: text, booleans and categories are classified. Numbers are classified if all
    are whole and there are two distinct ones, or at most 20 and at most one for every ten rows;
    else they are regressed on.
    """

    name: str = ""
    task: Task = "regress"
    dtype: pl.DataType
    classes: list[Any]
    mean: float = 0.0
    scale: float = 1.0

    def fit(
        self,
        frame: pl.DataFrame,
        name: str,
        task: Literal["auto", "classify", "regress"] = "auto",
        *,
        rows: ArrayLike | None = None,
    ) -> Self:
        """Decide the task; collect the classes, or measure mean and standard deviation.

        Parameters
        ----------
        frame : polars.DataFrame
            As `read_table` gives it.
        name : str
            The target column.
        task : "auto", "classify" or "regress", default "auto"
        rows : integer array or None, default None
            The rows from which mean and standard deviation are taken (the training part); None
            takes all. Classes are always collected from all rows.

        Raises
        ------
        DataError
            No such column; missing values; fewer than two rows; a class with a single row; one
            class or value only; text to regress on; infinity.
        """
        if task not in ("auto", "classify", "regress"):
            raise SpecError(f"unknown task {task!r}. Known: auto, classify, regress")
        series = _column(frame, name)
        if series.len() < 2:
            raise DataError(
                f"the table has {series.len()} row{'s' * (series.len() != 1)}: at least 2 are "
                "needed, and many more to learn anything"
            )
        self.name, self.dtype = name, series.dtype
        self.task = _auto_task(series) if task == "auto" else task
        self.classes, self.mean, self.scale = [], 0.0, 1.0
        if self.task == "classify":
            self.classes = _classes(series, task)
        else:
            values = _quantities(series)
            part = values if rows is None else values[np.asarray(rows, dtype=np.int64)]
            if values.min() == values.max() or part.size == 0:
                raise DataError(
                    f"target {quote(name)}: every value is {values[0]:g}: there is nothing to learn"
                )
            self.mean, scale = mean_and_scale(part)
            self.scale = scale or 1.0
        return self

    @property
    def n_outputs(self) -> int:
        """How many output units a network needs: 1, or one per class if there are more than two."""
        return len(self.classes) if len(self.classes) > 2 else 1

    @property
    def loss(self) -> str:
        """The loss that suits: log_loss (two classes), cross_entropy, squared_error."""
        if self.task == "regress":
            return "squared_error"
        return "log_loss" if len(self.classes) == 2 else "cross_entropy"

    def labels(self, frame: pl.DataFrame) -> NDArray[np.int64] | None:
        """The class labels 0..k-1 of a table's rows, (n,); None when regressing.

        Raises
        ------
        DataError
            No such column; a missing value; a class that was not there in fitting, with its row.
        """
        if self.task == "regress":
            return None
        series = _column(frame, self.name)
        if self.dtype == pl.String:
            series = as_text(series)
        elif series.dtype != self.dtype:
            kind: Kind = "boolean" if self.dtype == pl.Boolean else "number"
            series = pl.Series(self.name, numbers(series, kind))
        values: pl.Series = pl.Series(self.classes, dtype=self.dtype)
        if series.dtype != self.dtype:
            values = values.cast(series.dtype)
        code = series.replace_strict(
            values,
            pl.Series(range(values.len()), dtype=pl.Int64),
            default=-1,
            return_dtype=pl.Int64,
        ).to_numpy()
        unseen = np.flatnonzero(code < 0)
        if unseen.size:
            row = int(unseen[0])
            raise DataError(
                f"target {quote(self.name)}, {place(row)}: class {quote(series[row])} is not one "
                f"that the model knows: {', '.join(map(quote, self.classes[:20]))}"
            )
        return np.asarray(code, dtype=np.int64)

    def transform(self, frame: pl.DataFrame, *, dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """What a network is trained on.

        Parameters
        ----------
        frame : polars.DataFrame
        dtype : float32 or float64, default float64

        Returns
        -------
        array
            Two classes: 0 and 1 (n, 1) in `dtype`. More: labels 0..k-1 (n,), int64. Regression:
            (y - mean) / scale (n, 1) in `dtype`.

        Raises
        ------
        DataError
            As `labels`; for regression also text and infinity.
        """
        labels = self.labels(frame)
        if labels is None:
            values = _quantities(_column(frame, self.name))
            return standardize(values, self.mean, self.scale).astype(dtype)[:, None]
        return labels if len(self.classes) > 2 else labels.astype(dtype)[:, None]

    def decode(self, answers: ArrayLike) -> pl.Series:
        """Labels (n,) as the classes they stand for, or standardized predictions (n,) or (n, 1) in
        the target's own unit (float64), under the target's name.

        Raises
        ------
        DataError
            Labels that are not whole numbers from 0 to k - 1.
        """
        values = np.asarray(answers)
        if self.task == "regress":
            unit = values.astype(np.float64).reshape(-1) * self.scale + self.mean
            return pl.Series(self.name, unit)
        values = values.reshape(-1)
        if not np.isin(values, np.arange(len(self.classes))).all():
            raise DataError(f"labels must be whole numbers from 0 to {len(self.classes) - 1}")
        classes = pl.Series(self.name, self.classes, dtype=self.dtype)
        return classes.gather(values.astype(np.int64))

    def to_dict(self) -> dict[str, Any]:
        """The target's decoding as plain JSON values."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "name": self.name,
            "task": self.task,
            "dtype": str(self.dtype) if self.task == "classify" else "Float64",
            "classes": list(self.classes),
            "mean": self.mean,
            "scale": self.scale,
        }

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """The target that `to_dict` stored.

        Raises
        ------
        ModelFileError
            Anything that `to_dict` would not write, or a newer version.
        """
        record = Record(value, "target")
        record.head(_FORMAT, _VERSION)
        target = cls()
        target.name = record.text("name")
        task: Any = record.text("task", among=("classify", "regress"))
        target.task = task
        target.dtype = _DTYPES[record.text("dtype", among=tuple(_DTYPES))]
        target.mean = record.number("mean")
        target.scale = record.number("scale", low=5e-324)
        classes = record.items("classes")
        if (len(classes) >= 2) != (target.task == "classify") or len(classes) == 1:
            record.fail("classes", f"{len(classes)} classes do not go with {target.task}")
        try:
            series = pl.Series(classes, dtype=target.dtype, strict=True)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            record.fail("classes", f"not all are {target.dtype} values")
        if series.null_count() or series.to_list() != classes or series.n_unique() < len(classes):
            record.fail("classes", f"distinct {target.dtype} values are needed")
        target.classes = classes
        return target

    def __repr__(self) -> str:
        if self.task == "classify":
            return f"TargetColumn({self.name!r}, classify, {len(self.classes)} classes)"
        return f"TargetColumn({self.name!r}, regress)"


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    """The target column without missing values: categories as text, odd types refused."""
    if name not in frame.columns:
        raise DataError(missing_columns([name], frame.columns, "the target column"))
    series = frame[name]
    if (kind := kind_of(series)) not in ("text", "number", "boolean"):
        raise DataError(f"target {quote(name)} holds {kind} values: make it a number or a class")
    if kind == "text":
        series = clean_text(series)
    elif isinstance(series.dtype, pl.Decimal) or series.dtype in (pl.Int128, pl.UInt128):
        series = series.cast(pl.Float64)
    if series.dtype.is_float():
        series = series.fill_nan(None)
    missing = series.is_null().arg_true().to_list()
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise DataError(
            f"target {quote(name)} is missing in {len(missing)} of {series.len()} rows: "
            f"{', '.join(map(place, missing[:3]))}{more}: fill in or remove these rows"
        )
    return series


def _quantities(series: pl.Series) -> NDArray[np.float64]:
    """The target as numbers; the first cell that is none is named."""
    try:
        return numbers(series, "number")
    except DataError as error:
        raise DataError(f"target to regress on: {error}") from None


def _auto_task(series: pl.Series) -> Task:
    if not series.dtype.is_numeric():
        return "classify"
    values = numbers(series, "number")
    if not np.all(values == np.floor(values)):
        return "regress"
    distinct = np.unique(values).size
    few = distinct <= 2 or (distinct <= 20 and 10 * distinct <= values.size)
    return "classify" if few else "regress"


def _classes(series: pl.Series, asked: str) -> list[Any]:
    """The classes in order; DataError for one class, or for a class with a single row."""
    name = quote(series.name)
    if series.dtype.is_float():
        numbers(series, "number")  # refuses infinity
    counts = series.alias("class").value_counts(name="n").sort("class")
    if counts.height == 1:
        raise DataError(
            f"target {name} has one class only, {quote(counts['class'][0])}: there is nothing to "
            "learn"
        )
    single = counts.filter(pl.col("n") == 1)["class"]
    if single.len():
        row = int(series.eq(single[0]).arg_true()[0])
        more = f", and {single.len() - 1} more such classes" if single.len() > 1 else ""
        regress = ' (or predict it as a quantity: task "regress")' * series.dtype.is_numeric()
        raise DataError(
            f"target {name}: class {quote(single[0])} has a single sample, {place(row)}{more}: it "
            f"cannot be in both the training and the test part: remove or merge it{regress}"
        )
    return counts["class"].to_list()
