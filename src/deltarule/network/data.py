"""Checks of X, Y and sample weights: what comes in is a clean array, or an error saying where."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.groups import Groups, apart
from deltarule.equations.losses import Loss
from deltarule.equations.params import Array
from deltarule.errors import DataError


def is_sparse(X: Any) -> bool:
    """Whether X is a SciPy sparse matrix or array, without importing SciPy."""
    return hasattr(X, "tocsr") and hasattr(X, "nnz")


def _as_numbers(values: Any, dtype: Any, what: str) -> Array:
    if np.ma.is_masked(values):
        raise DataError(f"{what} has masked values; fill them or drop their rows")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{what} is not a rectangular array: {error}") from None
    if array.dtype.kind in "OUS":
        array = _parse_objects(array.astype(object), what)
    _require_real(array.dtype, what)
    with np.errstate(over="ignore"):  # a number too large for the dtype is reported as infinite
        return np.ascontiguousarray(array, dtype=dtype)


def _require_real(dtype: np.dtype[Any], what: str) -> None:
    if dtype.kind == "c":
        raise DataError(f"{what} holds complex numbers; a network takes real ones")
    if dtype.kind not in "biuf":
        raise DataError(f"{what} has dtype {dtype}; numbers are needed")


def _parse_objects(array: NDArray[Any], what: str) -> Array:
    """An object array as floats if every element is a number; else say which one is not."""
    for index, value in np.ndenumerate(array):
        if isinstance(value, int | float | np.number | np.bool_):
            continue
        if type(value).__name__ in ("NoneType", "NAType", "NaTType"):  # the last two: pandas
            raise DataError(f"{what} has no value ({value}) at {_place(index)}; fill or drop it")
        raise DataError(
            f"{what} holds {value!r} ({type(value).__name__}) at {_place(index)}, not a number; "
            "encode text columns first (deltarule train does that for tables)"
        )
    try:
        return array.astype(np.float64)
    except OverflowError:
        raise DataError(f"{what} holds a whole number too large for a float64") from None


def _place(index: tuple[int, ...]) -> str:
    names = ("row", "column")
    return ", ".join(f"{name} {i}" for name, i in zip(names, index, strict=False)) or "the value"


def _require_finite(array: Array, what: str) -> None:
    with np.errstate(all="ignore"):
        total = array.sum()
    if np.isfinite(total):  # one fast pass; only a bad or huge sum needs a look
        return
    bad = ~np.isfinite(array)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        value = "NaN" if np.isnan(array[index]) else "infinity"
        more = int(bad.sum()) - 1
        also = f" (and {more} more)" if more else ""
        raise DataError(
            f"{what} holds {value} at {_place(index)}{also}, counted from 0, as {array.dtype}; "
            "fill or drop it"
        )


def check_inputs(X: Any, n_inputs: int, dtype: Any, what: str = "X") -> Any:
    """X as a C-contiguous (n, n_inputs) array of `dtype`, or as CSR if it is sparse.

    Raises DataError for a wrong shape, no rows, text, NaN or infinity (with row and column).
    """
    if is_sparse(X):
        _check_width(X.shape, n_inputs, what)
        _require_real(X.dtype, what)
        with np.errstate(over="ignore"):
            X = X.tocsr().astype(dtype)
        try:
            X.check_format(full_check=True)  # the compiled engine trusts these indices
        except ValueError as error:
            raise DataError(f"{what} is not a valid sparse matrix: {error}") from None
        if not np.isfinite(X.data).all():
            entry = int(np.flatnonzero(~np.isfinite(X.data))[0])
            row = int(np.searchsorted(X.indptr, entry, side="right")) - 1
            raise DataError(
                f"{what} holds NaN or infinity at row {row}, column {int(X.indices[entry])}, "
                f"counted from 0, as {X.dtype}; fill or drop it"
            )
        return X
    array = _as_numbers(X, dtype, what)
    _check_width(array.shape, n_inputs, what)
    _require_finite(array, what)
    return array


def _check_width(shape: tuple[int, ...], n_inputs: int, what: str) -> None:
    if len(shape) == 1:
        raise DataError(
            f"{what} is one-dimensional ({shape[0]} numbers); rows are samples: use "
            f"{what}.reshape(1, -1) for one sample or {what}.reshape(-1, 1) for one feature"
        )
    if len(shape) != 2:
        raise DataError(
            f"{what} has {len(shape)} dimensions; an array (samples, {n_inputs}) is needed"
        )
    if shape[0] == 0:
        raise DataError(f"{what} has no rows")
    if shape[1] != n_inputs:
        raise DataError(f"{what} has {shape[1]} columns, but the network has {n_inputs} inputs")


def check_targets(loss: Loss, Y: Any, n: int, n_outputs: int, dtype: Any, what: str = "Y") -> Array:
    """Y as a C-contiguous (n, n_outputs) array of `dtype`, as the loss needs it.

    For targets of kind "distribution", labels (n,) of integers 0..k-1 become one-hot rows; with m
    groups of outputs labels (n, m), each one-hot in its group.

    Raises DataError for a wrong shape, NaN or infinity, or a value that the loss cannot take.
    """
    # in float64, so that nothing is lost before it is checked, unless it comes as it will be used
    array = _as_numbers(Y, dtype if getattr(Y, "dtype", None) == dtype else np.float64, what)
    several = len(loss.groups) > 1
    labels_given = not several and (
        array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1 and n_outputs > 1)
    )
    if len(array) != n or array.ndim not in (1, 2):
        raise DataError(
            f"{what} has shape {array.shape}, but there are {n} samples with "
            f"{n_outputs} output{'s' if n_outputs > 1 else ''}"
        )
    _require_finite(array, what)
    if loss.targets == "distribution":
        if labels_given:
            return _one_hot(array.reshape(-1, 1), (n_outputs,), dtype, what)
        if several and array.shape == (n, len(loss.groups)):
            return _one_hot(array, loss.groups, dtype, what)
    if array.ndim == 1 and n_outputs == 1:
        array = array.reshape(-1, 1)
    if array.shape != (n, n_outputs):
        labels = f", or labels ({n}, {len(loss.groups)})" if several else ""
        raise DataError(
            f"{what} has shape {array.shape}, but {loss.name} with {n_outputs} "
            f"output{'s' if n_outputs > 1 else ''} needs ({n}, {n_outputs}){labels}"
        )
    if loss.targets != "real":
        _check_values(loss, array, what)
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(array, dtype=dtype)
    _require_finite(result, what)  # a float64 may be too large for float32
    return result


def _one_hot(labels: Array, sizes: Groups, dtype: Any, what: str) -> Array:
    """One-hot rows from labels (n, m), one for each group of outputs."""
    bad = (labels != np.floor(labels)) | (labels < 0) | (labels >= sizes)
    if bad.any():
        row, j = (int(i) for i in np.argwhere(bad)[0])
        place = _place((row, j)) if len(sizes) > 1 else _place((row,))
        group = f" in group {j}" if len(sizes) > 1 else ""
        raise DataError(
            f"{what} holds the label {labels[row, j]:g} at {place}; with {sizes[j]} outputs{group} "
            f"a label is a whole number from 0 to {sizes[j] - 1}"
        )
    first = np.cumsum([0, *sizes[:-1]])
    Y = np.zeros((len(labels), sum(sizes)), dtype=dtype)
    Y[np.arange(len(labels))[:, None], first + labels.astype(np.int64)] = 1
    return Y


def _check_values(loss: Loss, array: Array, what: str) -> None:
    lowest = {"count": 0.0, "unit": 0.0, "distribution": 0.0}.get(loss.targets, -np.inf)
    highest = {"unit": 1.0, "distribution": 1.0}.get(loss.targets, np.inf)
    bad = (array < lowest) | (array > highest)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        need = "a number >= 0" if highest == np.inf else "between 0 and 1"
        raise DataError(
            f"{what} holds {array[index]:g} at {_place(index)}; for {loss.name} a target is {need}"
        )
    if loss.targets == "distribution":
        parts = apart(array, loss.groups)
        for j, part in enumerate(parts):
            total = part.sum(axis=1, dtype=np.float64)
            wrong = np.abs(total - 1) > 1e-5
            if not wrong.any():
                continue
            row = int(np.flatnonzero(wrong)[0])
            group, each = (f", group {j}", "group") if len(parts) > 1 else ("", "sample")
            raise DataError(
                f"{what}: row {row}{group} sums to {total[row]:g}; for {loss.name} a row is "
                f"one-hot or holds probabilities that sum to 1 (or give labels, one per {each})"
            )


def check_sample_weight(weight: Any, n: int, dtype: Any) -> Array | None:
    """Sample weights as an (n,) array, or None. Raises DataError if negative, not finite, all 0."""
    if weight is None:
        return None
    array = _as_numbers(weight, dtype, "sample_weight")
    if array.shape != (n,):
        raise DataError(f"sample_weight has shape {array.shape}; one per sample is ({n},)")
    _require_finite(array, "sample_weight")
    if (array < 0).any():
        row = int(np.flatnonzero(array < 0)[0])
        raise DataError(f"sample_weight is negative ({array[row]:g}) at row {row}")
    if not array.any():
        raise DataError("sample_weight is 0 for every sample")
    return array
