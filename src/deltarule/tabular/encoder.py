"""A whole table as one array of numbers, by an encoding that is stored with the model.

The encoding is fitted on the training rows alone; rows to predict then need only be raw cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, DTypeLike, NDArray

from deltarule.errors import DataError, ModelFileError, SpecError
from deltarule.tabular.columns import NumberColumn, TextColumn, encode_series
from deltarule.tabular.stored import MAX_ITEMS, Record
from deltarule.tabular.values import (
    as_text,
    kind_of,
    missing_columns,
    name_some,
    numbers,
    place,
    quote,
    refuse_twins,
    unique,
)

_FORMAT, _VERSION = "deltarule.table", 1
# Names under which a column that counts the rows is a row number, not a quantity.
_ROW_NAMES = ("id", "index", "no", "nr", "number", "row", "row_id", "rowid", "rownames", "row_nr")


class Encoded(NamedTuple):
    """An encoded table, and what a reader should be told about it.

    Attributes
    ----------
    X : array (n, width)
    notes : list of str
    """

    X: NDArray[Any]
    notes: list[str]


class TableEncoder:
    """Turn the columns of a table into numbers: scale numbers, one-hot encode text, flag missing.

    Parameters
    ----------
    max_categories : int, default 100
        The most categories of one text column; the rest share the column "(other)".
    min_count : int or None, default None
        How often a category must occur to have its own column. None: 0.1 % of the rows, but at
        least 5, or in a table of fewer than 250 rows n / 50, but at least 2.

    Attributes
    ----------
    columns : tuple of NumberColumn or TextColumn
        In the order of the encoded array.
    dropped : tuple of str
        Columns that were given but say nothing (identifiers, free text).
    notes : list of str
        What `fit` decided and a reader should know.

    Notes
    -----
    Numbers get mean 0 and standard deviation 1 (a heavy tail is bent first, see `NumberColumn`),
    booleans 0 and 1, dates and times are numbers of days. Missing values become the mean and are
    flagged by a column of their own; missing text is a category "(missing)".
    """

    def __init__(self, *, max_categories: int = 100, min_count: int | None = None) -> None:
        if max_categories < 1 or (min_count is not None and min_count < 1):
            raise SpecError(
                "max_categories and min_count count categories and rows: they must be at least 1, "
                f"not {max_categories} and {min_count}"
            )
        self.max_categories = max_categories
        self.min_count = min_count
        self.columns: tuple[NumberColumn | TextColumn, ...] = ()
        self.dropped: tuple[str, ...] = ()
        self.notes: list[str] = []

    def fit(
        self,
        frame: pl.DataFrame,
        columns: Sequence[str] | None = None,
        *,
        rows: ArrayLike | None = None,
    ) -> Self:
        """Measure the columns of a table.

        Parameters
        ----------
        frame : polars.DataFrame
            As `read_table` gives it.
        columns : sequence of str or None, default None
            The columns to encode; None takes all.
        rows : integer array or None, default None
            The rows to measure (the training part); None takes all. Messages count the rows of
            the whole frame.

        Raises
        ------
        DataError
            No rows; unknown or repeated columns; a column that is missing throughout, or holds
            infinity or cells that are not single values; no column left.
        """
        names = list(frame.columns if columns is None else columns)
        refuse_twins(names, "columns to encode")
        _require(frame, names)
        index = np.arange(frame.height) if rows is None else np.asarray(rows, dtype=np.int64)
        if index.size == 0:
            raise DataError("the table has no rows to fit an encoding to")
        kept: list[NumberColumn | TextColumn] = []
        dropped, self.notes = [], []
        for name in names:
            column = self._fit_column(frame[name], index)
            if column is None:
                dropped.append(name)
            else:
                kept.append(column)
        if not kept:
            raise DataError(
                "no column is left to learn from: " + "; ".join(self.notes or ["none was given"])
            )
        self.columns, self.dropped = tuple(kept), tuple(dropped)
        return self

    def _fit_column(
        self, series: pl.Series, index: NDArray[np.int64]
    ) -> NumberColumn | TextColumn | None:
        """One column's encoding, or None and a note."""
        name, kind = series.name, kind_of(series)
        if kind != "text":
            values = numbers(series, kind)
            _require_values(name, np.isnan(values[index]))
            counts_rows = series.dtype.is_integer() and _counts_rows(values)
            if counts_rows and (name.lower() in _ROW_NAMES or name.startswith("unnamed_")):
                self.notes.append(f"column {quote(name)} numbers the rows: dropped")
                return None
            if counts_rows:
                self.notes.append(
                    f"column {quote(name)} counts the rows in their order: leave it out if it is "
                    "only their number"
                )
            return NumberColumn.fit(name, kind, values[index])
        text = as_text(series)
        _require_values(name, text.gather(index).is_null().to_numpy())
        self._note_stray_text(text)
        fitted = TextColumn.fit(
            text.gather(index),
            self._min_count(index.size) if self.min_count is None else self.min_count,
            self.max_categories,
        )
        if fitted is None:
            self.notes.append(
                f"column {quote(name)}: hardly a value occurs twice (an identifier or free text): "
                "dropped"
            )
        elif not fitted.categories:
            self.notes.append(
                f"column {quote(name)}: hardly a value occurs twice (an identifier or free text): "
                "only whether it is missing is used"
            )
        return fitted

    @staticmethod
    def _min_count(n: int) -> int:
        return max(min(5, max(2, n // 50)), math.ceil(n / 1000))

    def _note_stray_text(self, text: pl.Series) -> None:
        """A column of numbers with a few words in it is read as text: say which cell did that."""
        is_number = text.cast(pl.Float64, strict=False).is_not_null()
        stray = (text.is_not_null() & ~is_number).arg_true()
        present = text.len() - text.null_count()
        if 0 < stray.len() <= 0.1 * present:
            row = int(stray[0])
            self.notes.append(
                f"column {quote(text.name)} is text because of {quote(text[row])} in {place(row)} "
                f"({stray.len()} such of {present}; the rest are numbers): correct these cells, "
                "or leave them empty, to have it as numbers"
            )

    def encode(
        self, frame: pl.DataFrame, *, dtype: DTypeLike = np.float64, strict: bool = False
    ) -> Encoded:
        """Encode a table, and say what was unusual about it.

        Parameters
        ----------
        frame : polars.DataFrame
            As `read_table` gives it; columns in any order.
        dtype : float32 or float64, default float64
        strict : bool, default False
            Whether a column that the encoding does not know is an error; otherwise it is ignored
            and noted.

        Returns
        -------
        Encoded
            X of shape (n, len(feature_names)), and notes.

        Raises
        ------
        DataError
            No rows; columns that are missing (all are named); a cell that is not of its column's
            kind, or infinite, with its row and column.
        """
        if not self.columns:
            raise SpecError("the encoder has not been fitted: call fit first")
        _require(
            frame, [column.name for column in self.columns], "columns that the model was trained on"
        )
        if frame.height == 0:
            raise DataError("the table has no rows")
        notes = []
        known = {column.name for column in self.columns} | set(self.dropped)
        extra = [name for name in frame.columns if name not in known]
        if extra:
            message = f"columns that the model does not know: {name_some(extra)}"
            if strict:
                raise DataError(f"{message}: remove them")
            notes.append(f"{message}: ignored")
        widths = [len(column.features) for column in self.columns]
        X = np.empty((frame.height, sum(widths)), dtype=dtype)
        start = 0
        for column, width in zip(self.columns, widths, strict=True):
            notes += encode_series(column, frame[column.name], X[:, start : start + width])
            start += width
        return Encoded(X, notes)

    def transform(
        self, frame: pl.DataFrame, *, dtype: DTypeLike = np.float64, strict: bool = False
    ) -> NDArray[Any]:
        """The array of `encode`, (n, width), without its notes."""
        return self.encode(frame, dtype=dtype, strict=strict).X

    @property
    def feature_names(self) -> list[str]:
        """One readable and unique name per encoded column: age, age missing, workclass=Private."""
        return unique([name for column in self.columns for name in column.features])

    @property
    def width(self) -> int:
        """The number of encoded columns."""
        return len(self.feature_names)

    @property
    def text_columns(self) -> list[str]:
        """The columns encoded as text: pass them to `read_table(..., text=)` when predicting."""
        return [column.name for column in self.columns if isinstance(column, TextColumn)]

    def to_dict(self) -> dict[str, Any]:
        """The encoding as plain JSON values; `from_dict` gives an encoder of the same bits."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "max_categories": self.max_categories,
            "min_count": self.min_count,
            "columns": [column.to_dict() for column in self.columns],
            "dropped": list(self.dropped),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """The encoder that `to_dict` stored.

        Raises
        ------
        ModelFileError
            Anything that `to_dict` would not write, or a newer version.
        """
        record = Record(value, "table encoding")
        record.head(_FORMAT, _VERSION)
        min_count = None if record.is_null("min_count") else record.whole("min_count", 1)
        encoder = cls(max_categories=record.whole("max_categories", 1), min_count=min_count)
        columns: list[NumberColumn | TextColumn] = []
        for i, item in enumerate(record.items("columns"), 1):
            part = Record(item, f"table encoding, column {i}")
            of_text = part.text("type", among=("number", "text")) == "text"
            columns.append((TextColumn if of_text else NumberColumn).from_dict(part))
        names = [column.name for column in columns]
        if not names or len(set(names)) < len(names):
            record.fail("columns", "at least one is needed, each of its own name")
        if sum(len(column.features) for column in columns) > MAX_ITEMS:
            raise ModelFileError(f"table encoding: more than {MAX_ITEMS} encoded columns")
        encoder.columns = tuple(columns)
        encoder.dropped = record.texts("dropped")
        encoder.notes = list(record.texts("notes", distinct=False))
        return encoder

    def __repr__(self) -> str:
        if not self.columns:
            return "TableEncoder(not fitted)"
        return f"TableEncoder({len(self.columns)} columns -> {self.width} numbers)"


def _require(frame: pl.DataFrame, names: Sequence[str], what: str = "columns") -> None:
    """DataError that names the columns which the frame lacks."""
    absent = [name for name in names if name not in set(frame.columns)]
    if absent:
        raise DataError(missing_columns(absent, frame.columns, what))


def _require_values(name: str, missing: NDArray[np.bool_]) -> None:
    """DataError for a column without any value."""
    if missing.all():
        raise DataError(
            f"column {quote(name)} holds no value: all {missing.size} rows are missing: drop the "
            "column, or leave it out"
        )


def _counts_rows(values: NDArray[np.float64]) -> bool:
    """Whether a column is 0..n-1 or 1..n in order, n >= 10 (fewer may be so by chance)."""
    n = values.size
    return n >= 10 and values[0] in (0.0, 1.0) and bool(np.all(np.diff(values) == 1.0))
