"""How one column of a table becomes columns of numbers, and what has to be stored for that.

A number column is centred and scaled; a text column is one-hot. Both know their missing values.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deltarule.tabular.stored import Record
from deltarule.tabular.values import Kind, as_text, numbers, quote

OTHER, MISSING_LEVEL = "(other)", "(missing)"
#: A column whose largest value lies farther out than this many standard deviations is bent.
HEAVY_TAIL = 10.0
#: The largest |z| among the values that a column was fitted to.
FARTHEST = 4.0
#: Encoded numbers are held within this range, so that one wild cell cannot overflow a network.
LIMIT = 1e4
#: A standard deviation below this is none: dividing by it would leave the range of float64.
SMALLEST = 1e-290

Floats = NDArray[np.float64]


def mean_and_scale(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation (divisor n) without overflow; scale 0 for a constant column.

    Parameters
    ----------
    values : array (n,), n >= 1, finite
    """
    largest = float(np.max(np.abs(values)))
    if values.min() == values.max() or largest < SMALLEST:
        return float(values[0]), 0.0
    unit = 2.0 ** (math.frexp(largest)[1] - 1)  # a power of 2, so that dividing is exact
    part = values / unit
    mean, scale = float(part.mean()) * unit, float(part.std()) * unit
    return mean, scale if scale >= SMALLEST else 0.0


def standardize(values: Floats, mean: float, scale: float) -> Floats:
    """(values - mean) / scale, halved first so that the difference cannot overflow."""
    if scale == 0.0:
        return np.where(np.isnan(values), np.nan, 0.0)
    with np.errstate(over="ignore"):  # a wild cell may give infinity, which `LIMIT` then holds
        return (values / 2 - mean / 2) / (scale / 2)


@dataclass(frozen=True)
class NumberColumn:
    """Numbers, booleans (0 and 1) and dates (days): z = (x - mean) / scale.

    Where the tail is heavy (some |z| > 10, as an income of which nearly all are 0), x is first bent
    by asinh((x - center) / unit), a signed logarithm that is linear near the center: center is the
    median, unit the mean distance from it. Then, if the farthest value still has |z| > 4, scale is
    raised so that it has 4: in a nearly constant column the few other values would else drown all
    other columns.

    Attributes
    ----------
    name : str
    kind : Kind, not "text"
    center, unit : float
        Of the bend; unit 0 means none.
    mean, scale : float
        scale 0 is a constant column, which becomes 0.
    fill : float
        The encoded value of a missing cell: 0, or for booleans the share of true.
    flagged : bool
        Whether a second column says where values are missing.
    """

    name: str
    kind: Kind
    center: float
    unit: float
    mean: float
    scale: float
    fill: float
    flagged: bool

    @classmethod
    def fit(cls, name: str, kind: Kind, values: Floats) -> NumberColumn:
        """Measure a column; `values` (n,) has NaN where missing and at least one number."""
        present = values[~np.isnan(values)]
        flagged = present.size < values.size
        if kind == "boolean":
            return cls(name, kind, 0.0, 0.0, 0.0, 1.0, float(present.mean()), flagged)
        center = unit = 0.0
        mean, scale = mean_and_scale(present)
        if float(np.max(np.abs(standardize(present, mean, scale)))) > HEAVY_TAIL:
            largest = float(np.max(np.abs(present)))
            center = float(np.median(present / largest)) * largest
            unit = float(np.abs(present / largest - center / largest).mean()) * largest
            present = np.arcsinh(standardize(present, center, unit))
            mean, scale = mean_and_scale(present)
        farthest = float(np.max(np.abs(standardize(present, mean, scale))))
        scale *= max(1.0, farthest / FARTHEST)
        return cls(name, kind, center, unit, mean, scale, 0.0, flagged)

    @property
    def features(self) -> tuple[str, ...]:
        """A readable name for each encoded column."""
        return (self.name, f"{self.name} missing") if self.flagged else (self.name,)

    def encode(self, values: Floats, out: Any) -> int:
        """Write `values` (n,), NaN where missing, into `out` (n, width); count missing values
        that no flag column marks."""
        bent = np.arcsinh(standardize(values, self.center, self.unit)) if self.unit else values
        z = np.clip(standardize(bent, self.mean, self.scale), -LIMIT, LIMIT)
        missing = np.isnan(values)
        out[:, 0] = np.where(missing, self.fill, z)
        if self.flagged:
            out[:, 1] = missing
            return 0
        return int(missing.sum())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"type": "number", **asdict(self)}

    @classmethod
    def from_dict(cls, record: Record) -> NumberColumn:
        """The column back, checked."""
        kinds = tuple(kind for kind in get_args(Kind) if kind != "text")
        return cls(
            name=record.text("name"),
            kind=record.text("kind", among=kinds),  # type: ignore[arg-type]  # `among` checks it
            center=record.number("center"),
            unit=_scale(record, "unit"),
            mean=record.number("mean"),
            scale=_scale(record, "scale"),
            fill=record.number("fill", low=0.0),
            flagged=record.flag("flagged"),
        )


def _scale(record: Record, key: str) -> float:
    """A stored standard deviation: 0, or large enough to divide by."""
    value = record.number(key, low=0.0)
    if 0.0 < value < SMALLEST:
        record.fail(key, f"{value} is too small")
    return value


@dataclass(frozen=True)
class TextColumn:
    """Text, one-hot: a 0/1 column per category.

    Attributes
    ----------
    name : str
    categories : tuple of str, sorted
    other : bool
        Whether a column (other) takes rare categories and those not seen in fitting. Without it
        (nothing was rare) an unseen one is all zeros: a weight never trained would be noise.
    flagged : bool
        Whether a column (missing) takes missing cells; without it they are all zeros.
    """

    name: str
    categories: tuple[str, ...]
    other: bool
    flagged: bool

    @classmethod
    def fit(cls, text: pl.Series, min_count: int, max_categories: int) -> TextColumn | None:
        """Choose the categories of cleaned `text` (n,); None where the column says nothing.

        It says nothing if (nearly) every value is distinct, an identifier or free text, and none
        is missing; where some are missing, only that is encoded.
        """
        present = text.drop_nulls()
        flagged = present.len() < text.len()
        counts = present.alias("level").value_counts(name="n")  # a column may itself be called n
        counts = counts.sort(["n", "level"], descending=[True, False])
        common = counts.filter(pl.col("n") >= min_count)["level"][:max_categories]
        if counts.height > 0.9 * present.len() and present.len() > 1:
            common = common[:0]
        if common.len() == 0 and not flagged:
            return None
        other = common.len() < counts.height
        return cls(text.name, tuple(sorted(common.to_list())), other, flagged)

    @property
    def features(self) -> tuple[str, ...]:
        """A readable name for each encoded column."""
        levels = [*self.categories, *[OTHER] * self.other, *[MISSING_LEVEL] * self.flagged]
        return tuple(f"{self.name}={level}" for level in levels)

    def encode(self, text: pl.Series, out: Any) -> tuple[int, int]:
        """Write cleaned `text` (n,) into `out` (n, width); count unmarked missing and unseen."""
        k = len(self.categories)
        code = text.replace_strict(
            pl.Series(self.categories, dtype=pl.String),
            pl.Series(range(k), dtype=pl.Int64),
            default=-1,
            return_dtype=pl.Int64,
        ).to_numpy()
        missing = text.is_null().to_numpy()
        unseen = (code < 0) & ~missing
        rows = np.flatnonzero(~missing & ~unseen)
        out[:] = 0
        out[rows, code[rows]] = 1
        if self.other:
            out[unseen, k] = 1
        if self.flagged:
            out[missing, k + self.other] = 1
        return (
            0 if self.flagged else int(missing.sum()),
            0 if self.other else int(unseen.sum()),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"type": "text", **asdict(self), "categories": list(self.categories)}

    @classmethod
    def from_dict(cls, record: Record) -> TextColumn:
        """The column back, checked."""
        return cls(
            name=record.text("name"),
            categories=record.texts("categories"),
            other=record.flag("other"),
            flagged=record.flag("flagged"),
        )


def encode_series(column: NumberColumn | TextColumn, series: pl.Series, out: Any) -> list[str]:
    """Encode `series` (n,) into `out` (n, width); what a reader should be told about it.

    Raises
    ------
    DataError
        A cell that is not of the column's kind, or infinite, with its row and column.
    """
    if isinstance(column, NumberColumn):
        unmarked, unseen = column.encode(numbers(series, column.kind), out), 0
    else:
        unmarked, unseen = column.encode(as_text(series), out)
    notes = []
    put_in = "the mean was put in" if isinstance(column, NumberColumn) else "no category was set"
    if unmarked:
        notes.append(
            f"column {quote(column.name)}: {unmarked} missing values, though none was missing in "
            f"training: {put_in}"
        )
    if unseen:
        notes.append(f"column {quote(column.name)}: {unseen} values not seen in training: {put_in}")
    return notes
