"""Checks of X and y: scikit-learn's, in its words, with row and column added where one is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import (
    _check_sample_weight,  # scikit-learn's words for its errors
    validate_data,
)

_DTYPES = (np.float64, np.float32)


def checked(est: Any, X: Any) -> Any:
    """X of a fitted estimator's method, as an array or CSR matrix of its network's dtype."""
    return _validated(est, X, dtype=est.network_.dtype, reset=False)


def checked_both(est: Any, X: Any, y: Any, *, reset: bool, y_numeric: bool) -> tuple[Any, Any]:
    """X and y of fit; X keeps float32 and float64, anything else becomes float64."""
    if not reset:
        dtype: Any = est.network_.dtype
    else:
        dtype = _DTYPES if est.dtype is None else [np.dtype(est.dtype)]
    X, y = _validated(est, X, y, dtype=dtype, reset=reset, multi_output=True, y_numeric=y_numeric)
    return X, y


def _validated(est: Any, X: Any, *y: Any, **options: Any) -> Any:
    if y:
        _require_labels(y[0], quantities=options["y_numeric"])
    try:
        with np.errstate(over="ignore"):  # too large for float32: refused below as infinite
            return validate_data(est, X, *y, accept_sparse="csr", order="C", **options)
    except ValueError as error:
        dtype = np.dtype(np.ravel(options["dtype"])[0])
        if "could not convert string" in str(error):
            where = _place_of_text(X)
        elif "Input y contains" in str(error):
            where = _place_of_bad_value(y[0], np.dtype(np.float64))
        else:
            where = _place_of_bad_value(X, dtype) if "Input X contains" in str(error) else ""
        if not where:
            raise
        raise ValueError(f"{error}\n{where}") from None


def checked_weight(weight: Any, X: Any) -> Any:
    """Sample weights (n,) in the dtype of X. Raises ValueError as scikit-learn, with the row."""
    try:
        return _check_sample_weight(weight, X, dtype=X.dtype)
    except ValueError as error:
        where = _place_of_bad_value(weight, X.dtype) if "contains" in str(error) else ""
        if not where:
            raise
        raise ValueError(f"{error}\n{where}") from None


def _require_labels(y: Any, *, quantities: bool) -> None:
    """Raise ValueError for labels that cannot be sorted: missing ones, text beside numbers.

    scikit-learn would say "'<' not supported between instances of 'NoneType' and 'str'".
    """
    if hasattr(y, "tocsr") or getattr(getattr(y, "dtype", None), "kind", "O") != "O":
        return
    try:
        labels = np.asarray(y)
    except ValueError:  # ragged: scikit-learn says so
        return
    if labels.dtype != object or not labels.ndim:
        return
    for index, label in np.ndenumerate(labels):
        missing = label is None or type(label).__name__ in ("NAType", "NaTType")  # of pandas
        if missing or (isinstance(label, float) and np.isnan(label)):
            name = "NaN" if isinstance(label, float) else str(label)
            place = _place(y, labels.ndim, *index)
            raise ValueError(f"Input y contains {name}.\nFirst: {name} at {place}.")
    if labels.ndim == 1 and not quantities and len({isinstance(one, str) for one in labels}) > 1:
        raise ValueError("y holds text and other labels: make all of them text")


def _place_of_text(X: Any) -> str:
    """Where the first cell of X stands that is no number; "" if it cannot be told."""
    cells = np.asarray(X, dtype=object)
    if cells.ndim not in (1, 2):
        return ""
    for index, cell in np.ndenumerate(cells):
        try:
            float(cell)
        except (TypeError, ValueError):
            return f"First: {cell!r} at {_place(X, cells.ndim, *index)}; encode text as numbers."
    return ""


def _place_of_bad_value(X: Any, dtype: np.dtype[Any]) -> str:
    """Where the first NaN or infinity (as `dtype`) of X stands; "" if it cannot be told."""
    rows = X.tocoo() if hasattr(X, "tocoo") else None
    try:
        if hasattr(X, "iloc"):  # pandas, whose NA NumPy does not take
            values = X.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            values = np.asarray(X if rows is None else rows.data, dtype=np.float64)
    except (TypeError, ValueError):
        return ""
    with np.errstate(over="ignore"):
        bad = np.argwhere(~np.isfinite(values.astype(dtype)))
    if not len(bad) or values.ndim not in (1, 2):
        return ""
    at = tuple(int(i) for i in bad[0])
    place = at if rows is None else (int(rows.row[at[0]]), int(rows.col[at[0]]))
    what = "NaN" if np.isnan(values[at]) else "infinity"
    if np.isfinite(values[at]):
        what = f"{values[at]:g}, too large for {dtype},"
    more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
    return f"First: {what} at {_place(X, len(place), *place)}{more}."


def _place(data: Any, ndim: int, row: int, column: int = 0) -> str:
    """A row, and the column with its name where there are several."""
    if ndim == 1:
        return f"row {row}, counted from 0"
    names = getattr(data, "columns", None)
    name = "" if names is None else f" ({names[column]!r})"
    return f"row {row}, column {column}{name}, counted from 0"
