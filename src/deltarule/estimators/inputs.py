"""Checks of X and y: scikit-learn's, in its words, with row and column added where one is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

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
    try:
        with np.errstate(over="ignore"):  # too large for float32: refused below as infinite
            return validate_data(est, X, *y, accept_sparse="csr", order="C", **options)
    except ValueError as error:
        known = "contains" in str(error)
        where = _place_of_bad_value(X, np.dtype(np.ravel(options["dtype"])[0])) if known else ""
        if not where:
            raise
        raise ValueError(f"{error}\n{where}") from None


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
    if not len(bad) or values.ndim > 2 or (rows is None and values.ndim != 2):
        return ""
    at = tuple(int(i) for i in bad[0])
    row, column = at if rows is None else (int(rows.row[at[0]]), int(rows.col[at[0]]))
    names = getattr(X, "columns", None)
    name = "" if names is None else f" ({names[column]!r})"
    what = "NaN" if np.isnan(values[at]) else "infinity"
    if np.isfinite(values[at]):
        what = f"{values[at]:g}, too large for {dtype},"
    more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
    return f"First: {what} at row {row}, column {column}{name}, counted from 0{more}."
