"""Targets of a classifier: labels in, the network's targets out, and the way back.

Four kinds, as scikit-learn tells them apart: binary (one sigmoid), multiclass (softmax),
multilabel-indicator (a sigmoid per label) and multiclass-multioutput (a softmax per column).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,  # scikit-learn's words for its errors
    check_classification_targets,
    type_of_target,
    unique_labels,
)

from deltarule.equations.activations import Activation, get_activation
from deltarule.equations.losses import Loss, get_loss
from deltarule.equations.params import Array


class ClassTargets:
    """The classes of y and their encoding.

    Parameters
    ----------
    y : (n,) or (n, m) array
        Labels, or a label indicator matrix, or one column of labels per output.
    apart : bool, default False
        y is a list of m arrays of labels, one per output.

    Attributes
    ----------
    classes : array, or list of m arrays for multiclass-multioutput
        In the order of the network's outputs.
    n_outputs : int
        Units of the output layer.
    groups : list of int or None
        Classes of each column of a multiclass-multioutput y; None for the other kinds.

    Raises
    ------
    ValueError
        "Unknown label type" for quantities, as scikit-learn.
    """

    def __init__(self, y: Any, *, apart: bool = False) -> None:
        self.groups: list[int] | None = None
        columns = y if apart else _columns(y)
        if columns is not None:
            self.binarizers = [LabelBinarizer().fit(column) for column in columns]
            self.classes: Any = [one.classes_ for one in self.binarizers]
            self.groups = [len(one) for one in self.classes]
            self.n_outputs = sum(self.groups)
        else:
            self.binarizers = [LabelBinarizer().fit(y)]
            self.classes = self.binarizers[0].classes_
            several = self.multilabel or len(self.classes) > 2
            self.n_outputs = len(self.classes) if several else 1

    @property
    def multilabel(self) -> bool:
        """Whether each output is a yes/no label of its own."""
        return bool(self.binarizers[0].y_type_.startswith("multilabel"))

    def require_columns(self, y: Any, known: str = "the network was fitted to {}") -> None:
        """Raise ValueError if y does not have one column for each output of classes."""
        several = self.multilabel or self.groups is not None
        expected = len(self.classes) if several else 1
        shape = y.shape if hasattr(y, "shape") else np.shape(y)
        found = shape[1] if len(shape) == 2 else 1
        if found != expected:
            columns = f"{found} column{'s' * (found != 1)}"
            raise ValueError(f"y has {columns} of labels, but {known.format(expected)}")

    def unknown(self, y: Any) -> list[Any]:
        """The classes of y that are not known."""
        columns = [y] if self.groups is None else [_column(y, j) for j in range(len(self.groups))]
        return [
            label
            for binarizer, column in zip(self.binarizers, columns, strict=True)
            for label in np.setdiff1d(unique_labels(column), binarizer.classes_).tolist()
        ]

    def require_same_classes(self, y: Any, *, exactly: bool) -> None:
        """Raise ValueError if y has classes that are not known, or, if `exactly`, lacks one."""
        self.require_columns(y)
        for j, binarizer in enumerate(self.binarizers):
            column = y if self.groups is None else _column(y, j)
            known, found = binarizer.classes_, unique_labels(column)
            where = "" if self.groups is None else f" in column {j}"
            if exactly and set(found) != set(known):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the "
                    f"previous call to fit. Previously got {known}, `y` has {found}{where}"
                )
            if len(np.setdiff1d(found, known, assume_unique=True)):
                raise ValueError(
                    "`y` has classes not in `self.classes_`. "
                    f"`self.classes_` has {known}. 'y' has {found}{where}."
                )

    def encode(self, y: Any) -> Array:
        """y as (n, n_outputs) of 0 and 1, bool."""
        if self.groups is None:
            return np.asarray(self.binarizers[0].transform(y)).astype(bool)
        known = [one.classes_ for one in self.binarizers]
        return np.hstack([_column(y, j)[:, None] == classes for j, classes in enumerate(known)])

    def smooth(self, Y: Array, amount: float) -> Array:
        """Y (n, n_outputs) with the share `amount` of each target spread over all its classes."""
        if self.multilabel or self.n_outputs == 1:
            return Y * (1 - amount) + amount / 2
        sizes = self.groups or [self.n_outputs]
        return np.asarray(
            Y * (1 - amount) + np.repeat([amount / k for k in sizes], sizes), dtype=Y.dtype
        )

    def decode(self, P: Array) -> Any:
        """The label of each row, from outputs P (n, n_outputs)."""
        if self.groups is None:
            if self.multilabel or len(self.classes) == 1:
                return self.binarizers[0].inverse_transform(P.ravel() if P.shape[1] == 1 else P)
            # the same as inverse_transform, whose checks take longer than most predictions
            return self.classes[P.argmax(axis=1) if P.shape[1] > 1 else (P[:, 0] > 0.5).astype(int)]
        columns = [
            known[part.argmax(axis=1)]
            for known, part in zip(self.classes, self.apart(P), strict=True)
        ]
        mixed = len({column.dtype.kind for column in columns}) > 1  # text keeps to its column
        return np.column_stack([c.astype(object) for c in columns] if mixed else columns)

    def apart(self, P: Array) -> list[Array]:
        """The columns (n, k_j) of P that belong to each output of a multiclass-multioutput y."""
        assert self.groups is not None
        return np.split(P, np.cumsum(self.groups)[:-1], axis=1)

    # -- what the network ends in ---------------------------------------------------------------

    def output(self) -> Activation:
        """The output layer's activation."""
        if self.multilabel or self.n_outputs == 1:
            return get_activation("sigmoid")
        return get_activation(self._grouped("softmax"))

    def loss(self, given: str | Loss) -> Loss:
        """The loss; "log_loss" means the one that suits the kind of y."""
        if given == "log_loss" and self.output().name != "sigmoid":
            return get_loss(self._grouped("cross_entropy"))
        return get_loss(given)

    def _grouped(self, name: str) -> str:
        return name if self.groups is None else f"{name}({','.join(map(str, self.groups))})"


def _columns(y: Any) -> list[Any] | None:
    """The columns of a multiclass-multioutput y, each of its own kind; None for the others."""
    array = np.asarray(y)
    if array.dtype == object and array.ndim == 2 and array.shape[1] > 1:
        columns = [_column(array, j) for j in range(array.shape[1])]
        if any(column.dtype.kind not in "biuf" for column in columns):
            return columns
        y = array = np.column_stack(columns)
    kind = type_of_target(y, input_name="y")
    if kind == "continuous-multioutput":
        check_classification_targets(y)  # raises: quantities are no classes
    return list(array.T) if kind == "multiclass-multioutput" else None


def _column(y: Any, j: int) -> Any:
    """Column j of y as an array of its own kind: a frame may hold text beside numbers."""
    column = np.asarray(y)[:, j]
    if column.dtype != object:
        return column
    if len({isinstance(label, str) for label in column}) > 1:
        raise ValueError(f"y holds text and other labels in column {j}: make all of them text")
    return np.array(column.tolist())


def all_classes_told(est: Any, y: Any, classes: Any) -> ClassTargets | None:
    """The targets that a first partial_fit is told of by `classes`; None at later calls.

    Raises ValueError for classes that are missing at the first call or differ at a later one.
    """
    listed = isinstance(classes, list | tuple | np.ndarray)
    columns = listed and len(classes) and np.ndim(classes[0]) == 1
    if not columns:
        if not _check_partial_fit_first_call(est, classes):
            return None
        told = ClassTargets(y if type_of_target(y).startswith("multilabel") else classes)
        told.require_columns(y, "`classes` is of {}: give a list with the classes of each column")
        return told
    told = ClassTargets(list(classes), apart=True)
    if not hasattr(est, "classes_"):
        told.require_columns(y, "`classes` is of {}")
        return told
    same = len(told.classes) == len(est.classes_)
    if not same or not all(map(np.array_equal, told.classes, est.classes_)):
        raise ValueError(
            f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
            f"{est.classes_!r}"
        )
    return None
