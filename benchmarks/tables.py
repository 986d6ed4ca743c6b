"""The real tables of the estimators' benchmark: what ships with scikit-learn, and CSV files.

The files (adult, letter, energy, concrete, kin8nm) are public; whoever has none gets the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.preprocessing import OneHotEncoder, StandardScaler

FOLDER_VARIABLE = "DELTARULE_DATA"
"""Names the folder of the CSV files, unless the command line does."""


@dataclass(frozen=True)
class Table:
    """A table before anything is scaled or encoded.

    Attributes
    ----------
    numbers : (n, p) float64
    texts : (n, q) object
        Columns of categories; a missing value is a category.
    y : (n,)
        Labels of classes, or float64 targets.
    classifies : bool
    """

    name: str
    numbers: NDArray[np.float64]
    texts: NDArray[Any]
    y: NDArray[Any]
    classifies: bool

    def fold(
        self, train: NDArray[np.int64], test: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """X of the training and the test rows: scaled, and encoded, by the training rows alone."""
        parts = []
        if self.numbers.shape[1]:
            scaler = StandardScaler().fit(self.numbers[train])
            parts.append([scaler.transform(self.numbers[rows]) for rows in (train, test)])
        if self.texts.shape[1]:
            encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
            encoder.fit(self.texts[train])
            parts.append([encoder.transform(self.texts[rows]) for rows in (train, test)])
        return np.hstack([p[0] for p in parts]), np.hstack([p[1] for p in parts])


_SHIPPED: dict[str, tuple[Callable[..., Any], bool]] = {
    "iris": (datasets.load_iris, True),
    "wine": (datasets.load_wine, True),
    "breast_cancer": (datasets.load_breast_cancer, True),
    "digits": (datasets.load_digits, True),
    "diabetes": (datasets.load_diabetes, False),
}
_FILES: dict[str, tuple[str, bool]] = {  # the column to predict, and whether it holds classes
    "energy": ("target", False),
    "concrete": ("target", False),
    "kin8nm": ("target", False),
    "letter": ("letter", True),
    "adult": ("classification", True),
}
NAMES = (*_SHIPPED, *_FILES)


def load(name: str, folder: Path | None) -> Table | None:
    """The table of that name; None if it is a file that is not there."""
    if name in _SHIPPED:
        source, classifies = _SHIPPED[name]
        X, y = source(return_X_y=True)
        return Table(name, X, np.empty((len(X), 0), dtype=object), y, classifies)
    target, classifies = _FILES[name]
    path = None if folder is None else folder / f"{name}.csv"
    if path is None or not path.exists():
        return None
    frame = pl.read_csv(path)
    inputs = frame.drop(target)
    numeric = [c for c, kind in inputs.schema.items() if kind.is_numeric()]
    other = [c for c in inputs.columns if c not in numeric]
    y = frame[target].to_numpy()
    return Table(
        name,
        inputs.select(pl.col(numeric).cast(pl.Float64)).to_numpy(),
        inputs.select(other).to_numpy().astype(object).reshape(len(frame), len(other)),
        y if classifies else y.astype(np.float64),
        classifies,
    )


def default_folder() -> Path | None:
    """The folder that the environment names, if it does."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else None
