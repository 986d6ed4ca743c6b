"""Which rows train, which stop the training, which judge it: each row has one part, by a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltarule.errors import DataError, SpecError

Rows = NDArray[np.int64]


class Split(NamedTuple):
    """The rows of each part, ascending; together they are 0..n-1, and no two share a row."""

    train: Rows
    validation: Rows
    test: Rows


def split_rows(
    n: int,
    labels: ArrayLike | None = None,
    *,
    test: float = 0.2,
    validation: float = 0.1,
    rng: int | np.random.Generator = 0,
) -> Split:
    """Split n rows at random into training, validation and test rows.

    Parameters
    ----------
    n : int
        The number of rows.
    labels : array (n,) or None, default None
        Class labels: every part then has each class in its share of the table (to one row), and
        every class has at least one training row.
    test, validation : float, default 0.2 and 0.1
        Shares of all n rows, rounded to whole rows, at least one; 0 leaves the part empty.
    rng : int or numpy.random.Generator, default 0
        The same seed gives the same split.

    Raises
    ------
    DataError
        Too few rows: says how many are needed.
    SpecError
        Shares that are negative or leave nothing to train on; labels not of length n.
    """
    if not (0 <= test < 1 and 0 <= validation < 1 and test + validation < 1):
        raise SpecError(
            f"test={test} and validation={validation} are shares of the rows: each must be at "
            "least 0, and both together less than 1"
        )
    if labels is None:
        classes = np.zeros(n, dtype=np.int64)
    else:
        classes = np.unique(np.asarray(labels), return_inverse=True)[1].reshape(-1)
    if classes.size != n:
        raise SpecError(f"{classes.size} labels were given for {n} rows")
    counts = np.bincount(classes)
    n_test, n_validation = (max(round(n * share), int(share > 0)) for share in (test, validation))
    needed = max(counts.size, 1) + n_test + n_validation
    if n < needed:
        each = f" for each of {counts.size} classes" * (counts.size > 1)
        raise DataError(
            f"a table of {n} row{'s' * (n != 1)} is too small to split: one training row{each}, "
            f"{n_validation} validation and {n_test} test rows make {needed}: give more "
            "rows, or smaller shares"
        )
    gen = np.random.default_rng(rng)
    test_counts = _shares(counts, n_test, counts - 1)
    validation_counts = _shares(counts, n_validation, counts - 1 - test_counts)
    order = gen.permutation(n)
    order = order[np.argsort(classes[order], kind="stable")]
    # The place of each row among those of its class: the first are test rows, then validation.
    rank = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    in_test = rank < np.repeat(test_counts, counts)
    in_validation = ~in_test & (rank < np.repeat(test_counts + validation_counts, counts))
    return Split(
        np.sort(order[~in_test & ~in_validation]),
        np.sort(order[in_validation]),
        np.sort(order[in_test]),
    )


def _shares(counts: Rows, total: int, most: Rows) -> Rows:
    """Divide `total` among classes in proportion to `counts`, none above `most`: whole parts first,
    then one each to the largest remainders (Hamilton's method)."""
    quota = counts * (total / max(counts.sum(), 1))
    shares: Rows = np.minimum(np.floor(quota).astype(np.int64), most)
    while (left := total - int(shares.sum())) > 0:
        open_classes = np.flatnonzero(shares < most)
        by_remainder = np.argsort((shares - quota)[open_classes], kind="stable")
        shares[open_classes[by_remainder[:left]]] += 1
    return shares
