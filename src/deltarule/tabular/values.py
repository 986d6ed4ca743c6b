"""What a table cell means, decided once: which text is a missing value, which column is a number.

Reading, encoding and the target all ask here, so that a table and the next one are read alike.
"""

from __future__ import annotations

import difflib
from collections import Counter
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deltarule.errors import DataError

#: How a column is understood; all but "text" become numbers.
Kind = Literal["number", "boolean", "date", "datetime", "duration", "time", "text"]

#: Cells that stand for "no value", once surrounding blanks are gone.
MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None")

_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_DATETIMES = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")
# Polars' unit of time -> how many make a day.
_PER_DAY = {"ms": 86_400e3, "us": 86_400e6, "ns": 86_400e9}


def place(row: int) -> str:
    """How messages name a row: counted from 1 without the header, and the line it has in a CSV."""
    return f"row {row + 1} (line {row + 2} if it is a CSV file)"


def quote(value: object, limit: int = 60) -> str:
    """A cell for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def name_some(names: list[str], limit: int = 10) -> str:
    """Column names for a message: the first few, then how many more."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(map(quote, names[:limit])) + more


def check_names(names: list[str], where: str) -> list[str]:
    """Column names with blanks removed and empty ones numbered; DataError if two are equal."""
    names = [name.strip() or f"unnamed_{i}" for i, name in enumerate(names, 1)]
    refuse_twins(names, where)
    return names


def refuse_twins(names: list[str], where: str) -> None:
    """DataError that names what occurs twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{where}: duplicated column names: {name_some(twice)}: rename them")


def unique(names: list[str]) -> list[str]:
    """Names with (2), (3), ... after those that are taken: "age missing" may also be a column."""
    taken: set[str] = set()
    for i, name in enumerate(names):
        n = 1
        while names[i] in taken:
            n += 1
            names[i] = f"{name} ({n})"
        taken.add(names[i])
    return names


def missing_columns(absent: list[str], known: list[str], what: str = "columns") -> str:
    """The message for columns that a table lacks, with the nearest names that it has."""
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(absent[0].casefold(), folded, n=1, cutoff=0.6)
    hint = f" Did you mean {quote(folded[near[0]])}?" if near else ""
    has = name_some(known, 40) or "none"
    return f"the table lacks {what}: {name_some(absent)}.{hint} It has: {has}"


def clean_text(series: pl.Series) -> pl.Series:
    """Text without surrounding blanks, and null where the cell stands for a missing value."""
    text = series.cast(pl.String).str.strip_chars()
    return text.set(text.is_in(MISSING), None)


def clean(series: pl.Series) -> pl.Series:
    """A column with one sign for missing (null): blanks and tokens in text, NaN in floats."""
    if series.dtype in (pl.String, pl.Categorical, pl.Enum):
        return clean_text(series)
    return series.fill_nan(None) if series.dtype.is_float() else series


def as_text(series: pl.Series) -> pl.Series:
    """Any single-valued column as cleaned text; whole floats as integers, so that 1.0 is "1"."""
    if series.dtype.is_float():
        whole = series.cast(pl.Int64, strict=False)
        if (whole.cast(pl.Float64) == series.cast(pl.Float64)).all():
            series = whole
    return clean_text(series)


def infer(text: pl.Series, decimal_comma: bool = False) -> pl.Series:
    """Type a cleaned text column by all of its values: integer, float, boolean, date or text.

    Integers written with leading zeros (postal codes, labels such as 007) stay text: as numbers
    they could not be written back.
    """
    missing = text.null_count()
    if missing == text.len():
        return text
    if decimal_comma and text.str.contains(r"^[+-]?\d*,\d+$").any():
        dotted = text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
        if dotted.null_count() == missing:
            return dotted
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() == missing:
        if text.str.contains(r"^[+-]?0\d+$").any():
            return text
        whole = text.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == missing else numbers.fill_nan(None)
    return next((s for s in (_booleans(text), *_dates(text)) if s.null_count() == missing), text)


def _booleans(text: pl.Series) -> pl.Series:
    return text.replace_strict(
        [*_TRUE, *_FALSE], [True] * 3 + [False] * 3, default=None, return_dtype=pl.Boolean
    )


def _dates(text: pl.Series) -> list[pl.Series]:
    """ISO 8601 only: the order of 03/04/2025 cannot be known, so it stays text."""
    if not text.drop_nulls()[:1].str.contains(r"^\d{4}-\d{2}-\d{2}").any():
        return []
    stamps = [text.str.to_datetime(f, strict=False, time_unit="us") for f in _DATETIMES]
    zoned = text.str.to_datetime("%+", strict=False, time_unit="us")
    return [text.str.to_date("%Y-%m-%d", strict=False), *stamps, zoned]


def kind_of(series: pl.Series) -> Kind:
    """How a column is understood by its type; DataError for one that no row of numbers can hold."""
    dtype = series.dtype
    if dtype.is_numeric():
        return "number"
    if dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return "text"
    simple: dict[Any, Kind] = {pl.Boolean: "boolean", pl.Date: "date", pl.Time: "time"}
    simple |= {pl.Datetime: "datetime", pl.Duration: "duration"}
    if (kind := simple.get(dtype.base_type())) is not None:
        return kind
    raise DataError(
        f"column {quote(series.name)} holds {dtype} cells, which are not single values: "
        "turn it into columns of numbers or text, or leave it out"
    )


def numbers(series: pl.Series, kind: Kind) -> NDArray[np.float64]:
    """A column as float64, NaN where missing; dates and times in days.

    Parameters
    ----------
    series : polars.Series, length n
    kind : Kind
        How the column is to be understood: its own kind, or the one it had when it was fitted.
        Text is parsed; DataError names the first cell that cannot be.

    Raises
    ------
    DataError
        A cell that is not of this kind, or infinite, with its row and column.
    """
    found = kind_of(series)
    if found == "text":
        series, found = _parse(clean_text(series), kind), kind
    family = {"boolean": "number", "date": "datetime"}
    if family.get(found, found) != family.get(kind, kind):
        raise DataError(
            f"column {quote(series.name)} held {kind} values when the encoding was fitted, "
            f"but now holds {found} values"
        )
    per_day = 1.0
    if isinstance(series.dtype, (pl.Datetime, pl.Duration)):
        per_day = _PER_DAY[series.dtype.time_unit or "us"]
    elif series.dtype == pl.Time:
        per_day = _PER_DAY["ns"]
    if not series.dtype.is_numeric():  # a decimal's physical value lacks its point
        series = series.to_physical()
    values = np.array(series.cast(pl.Float64).to_numpy(), dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise DataError(
            f"column {quote(series.name)}, {place(int(infinite[0]))}: {values[infinite[0]]} is "
            f"not a finite number ({infinite.size} such rows): correct it, or leave it empty"
        )
    return values / per_day


def _parse(text: pl.Series, kind: Kind) -> pl.Series:
    """Text as the given kind, or the first cell that is none."""
    if kind == "number":
        parsed = text.cast(pl.Float64, strict=False)
    elif kind == "boolean":
        parsed = _booleans(text).cast(pl.Float64)
        parsed = parsed.zip_with(parsed.is_not_null(), text.cast(pl.Float64, strict=False))
    else:
        options = _dates(text) if kind in ("date", "datetime") else []
        parsed = min(options, key=pl.Series.null_count, default=text.clear(text.len()))
        if parsed.dtype == pl.Datetime:
            parsed = parsed.dt.replace_time_zone(None)
    bad = (parsed.is_null() & text.is_not_null()).arg_true()
    if bad.len():
        raise DataError(
            f"column {quote(text.name)}, {place(int(bad[0]))}: {quote(text[int(bad[0])])} is not "
            f"a {kind} ({bad.len()} such rows): correct it, or leave it empty"
        )
    return parsed
