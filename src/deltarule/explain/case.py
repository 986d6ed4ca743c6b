"""A case: a network with all that an explanation starts from, read and checked in one place.

    source, and what the arguments say  --case_of-->  Case  -->  trace, derive, diagnose, ...

A source is a `Network`; a `TableModel` or fitted estimator; a model file (.safetensors) or network
file (.json, .toml, .yaml: `network_file.py`) by its path; what such a file holds, as a dict; the
name of a published example; or any of these already read (`NetworkFile`, `Case`). What a source
says holds where the arguments do not.

Samples are X and Y, one of them flat if it likes; or a table in their place: raw rows with their
target column for a table's model, else columns of numbers, the inputs and then the targets.
Everything above this file takes checked arrays and checks none of them again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from deltarule import options
from deltarule.equations.losses import shares
from deltarule.equations.params import Array
from deltarule.errors import DataError, SpecError
from deltarule.explain.network_file import MODEL, PUBLISHED, Edges, NetworkFile, read_network
from deltarule.network.data import check_inputs, check_sample_weight, check_targets, is_sparse
from deltarule.network.network import Network
from deltarule.network.saving import read

if TYPE_CHECKING:
    from deltarule.estimators.base import BaseMLP
    from deltarule.tabular.model import TableModel

#: What every function of `explain` takes for its network.
Source: TypeAlias = (
    "Network | TableModel | BaseMLP | NetworkFile | Case | str | Path | Mapping[str, Any]"
)
#: What a network file may say that not every explanation can heed.
OPTIONS = ("reduction", "l2")


@dataclass(frozen=True, eq=False)
class Case:
    """A network, samples, and how a step is taken, checked.

    Attributes
    ----------
    net : Network
        As it was given, or a copy whose absent edges have a weight of 0.
    X : (n, n_0) array or CSR matrix, or None
    Y : (n, n_L) array, or None
    sample_weight : (n,) array, or None
    edges : list of L bool arrays (n_{l-1}, n_l), or None
        Which edges there are; None if all. An absent edge is never used and never updated.
    learning_rate : float > 0, or None
    reduction : "mean" or "sum"
    l2 : float >= 0
        Of the penalty l2/2 sum W^2.
    trainable_biases : bool
    name : str
        Of the file it was read from; empty for what was no file.
    notes : tuple of str
        What was unusual about the table.
    said : tuple of str
        Those of `OPTIONS` that the source said.
    """

    net: Network
    X: Any = None
    Y: Any = None
    sample_weight: Any = None
    edges: Edges | None = None
    learning_rate: float | None = None
    reduction: str = "mean"
    l2: float = 0.0
    trainable_biases: bool = True
    name: str = ""
    notes: tuple[str, ...] = ()
    said: tuple[str, ...] = field(default=(), repr=False)

    @property
    def share(self) -> Array:
        """share_i (n,) in C = sum_i share_i J_i, in float64. SpecError for another reduction."""
        return shares(len(self.Y), self.sample_weight, self.reduction, np.float64)

    @property
    def dense(self) -> Array:
        """X (n, n_0) as an array, also where it is sparse."""
        X: Array = self.X.toarray() if is_sparse(self.X) else self.X
        return X

    def only(self, rows: Array) -> Case:
        """The case with those of its samples alone; X as an array, also where it is sparse."""
        X = self.X[rows].toarray() if is_sparse(self.X) else self.X[rows]
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return replace(self, X=X, Y=self.Y[rows], sample_weight=weight)

    def samples(self, doing: str, names: tuple[str, str] = ("X", "Y")) -> tuple[Any, Array]:
        """X and Y. Raises SpecError where one is missing; `doing` is what needs it."""
        given = zip(("inputs", "targets"), names, (self.X, self.Y), strict=True)
        missing = [f"{kind} {name}" for kind, name, value in given if value is None]
        if missing:
            raise SpecError(
                f"{doing} needs {' and '.join(missing)}: give them, or put them into the network's "
                "file"
            )
        return self.X, self.Y

    def with_samples(
        self, X: Any, Y: Any, names: tuple[str, str] = ("X", "Y"), dtype: Any = None
    ) -> Case:
        """The case with these samples, checked, with its sample weights; Y may still be missing.

        Raises DataError for what does not fit: says row and column.
        """
        net, dtype = self.net, self.net.dtype if dtype is None else np.dtype(dtype)
        if X is None:
            return replace(self, X=None, Y=Y)
        X = check_inputs(_rows(X, net.sizes[0]), net.sizes[0], dtype, names[0])
        n = int(X.shape[0])
        if Y is not None:
            Y = check_targets(net.loss, _targets(net, n, Y), n, net.sizes[-1], dtype, names[1])
        weight = check_sample_weight(self.sample_weight, n, dtype)
        return replace(self, X=X, Y=Y, sample_weight=weight)


def case_of(
    source: Source,
    X: Any = None,
    Y: Any = None,
    *,
    heeds: Collection[str] = OPTIONS,
    names: tuple[str, str] = ("X", "Y"),
    dtype: Any = None,
    sample_weight: Any = None,
    edges: Sequence[Any] | None = None,
    learning_rate: float | None = None,
    reduction: str | None = None,
    l2: float | None = None,
    trainable_biases: bool | None = None,
) -> Case:
    """The case that a source and the arguments of an explanation describe.

    Parameters
    ----------
    source : see the file's head
    X : (n, n_0), or (n_0,) for one sample; or a table in place of X and Y
        A table is a file or a data set's name; for a table's model also a DataFrame.
    Y : (n, n_L), (n_L,) for one sample, (n,) for one output; for cross_entropy also labels
        For an estimator its own y: class labels, or quantities.
    heeds : collection of str, default all of `OPTIONS`
        What of those the caller goes by; a source that says one of the others is refused.
    names : (str, str), default ("X", "Y")
        What X and Y are called in messages.
    dtype : optional
        Of X, Y and weights; by default the network's.
    sample_weight, edges, learning_rate, reduction, l2, trainable_biases : optional
        As in `Case`; where they are None, the source's, or the attributes' defaults.

    Raises
    ------
    SpecError
        Not a source, a file that cannot be read (with the place in it), options or edges that do
        not fit.
    DataError
        Samples that do not fit the network: says row and column.
    ModelFileError
        A .safetensors file that is no model.
    FileNotFoundError
    """
    if learning_rate is not None:
        options.positive(None, learning_rate=learning_rate)
    if l2 is not None:
        options.not_negative(None, l2=l2)
    case, X, Y = _read(source, X, Y)
    for key in case.said:
        if key not in heeds:
            where = f"{case.name}: " if case.name else ""
            raise SpecError(f"{where}{key}: it has no part in this; leave it out of the file")
    there = case.edges if edges is None else checked_edges(case.net, edges)
    case = replace(
        case,
        net=_without_absent(case.net, there),
        sample_weight=case.sample_weight if sample_weight is None else sample_weight,
        edges=there,
        learning_rate=case.learning_rate if learning_rate is None else float(learning_rate),
        reduction=case.reduction if reduction is None else reduction,
        l2=case.l2 if l2 is None else float(l2),
        trainable_biases=(
            case.trainable_biases if trainable_biases is None else bool(trainable_biases)
        ),
    )
    if X is not None and Y is None and case.Y is not None:  # whose they are, if they do not fit
        names = (names[0], f"{names[1]} of {case.name or 'the network file'}")
    return case.with_samples(
        case.X if X is None else X, case.Y if Y is None else Y, names=names, dtype=dtype
    )


def case_or_none(value: Any) -> Case | None:
    """The case of what is (or names) a network; None for a number of layers or a list of sizes."""
    known = isinstance(value, Network | NetworkFile | Case | str | Path | Mapping)
    return case_of(value) if known or _is_model(value) or _is_estimator(value) else None


# -- sources -------------------------------------------------------------------------------------


def _is_model(value: Any) -> bool:
    """Whether it is a `TableModel`, told without the module, which loads Polars."""
    return hasattr(value, "network") and hasattr(value, "encoder")


def _is_estimator(value: Any) -> bool:
    """Whether it is an estimator of this package, told without scikit-learn."""
    return hasattr(type(value), "network_")


def _read(source: Any, X: Any, Y: Any) -> tuple[Case, Any, Any]:
    """What a source says by itself; X and Y as its network takes them."""
    name, model = "", source if _is_model(source) else None
    if isinstance(source, str | Path) and Path(source).suffix.lower() == MODEL:
        name = str(source)
        source, sections = read(source)
        if "table" in sections and _is_table(X):
            from deltarule.tabular.model import TableModel  # Polars is slow to import

            model = TableModel.load(name)
    if model is not None:
        case = Case(model.network, name=name)
        return _of_rows(case, model, X, Y) if _is_table(X) else (case, X, Y)
    if _is_estimator(source):
        return _of_estimator(source, X, Y)
    if isinstance(source, str | Path | Mapping):
        source = read_network(source)
    if isinstance(source, NetworkFile):
        case = _of_file(source)
    elif isinstance(source, Network | Case):
        case = source if isinstance(source, Case) else Case(source, name=name)
    else:
        raise SpecError(
            "a Network, a TableModel, a fitted estimator, a model or network file, a dict or one "
            f"of the published names ({', '.join(PUBLISHED)}) is needed, got {source!r:.60}"
        )
    if isinstance(X, str | Path):
        X, Y = _columns(case.net, X, Y)
    return case, X, Y


def _of_file(file: NetworkFile) -> Case:
    return Case(
        file.net,
        file.X,
        file.Y,
        edges=file.edges,
        learning_rate=file.learning_rate,
        reduction=file.reduction or "mean",
        l2=file.l2 or 0.0,
        trainable_biases=file.trainable_biases,
        name=file.name,
        said=tuple(key for key in OPTIONS if getattr(file, key) is not None),
    )


def _of_rows(case: Case, model: TableModel, table: Any, Y: Any) -> tuple[Case, Any, Any]:
    """The raw rows of a table, encoded as its model does."""
    _require_alone(Y)
    X, Y = model.encoded(table)
    return replace(case, notes=tuple(model.notes)), X, Y


def _of_estimator(est: BaseMLP, X: Any, y: Any) -> tuple[Case, Any, Any]:
    """The first of its networks; X and y checked and encoded in scikit-learn's ways."""
    from deltarule.estimators.inputs import checked  # scikit-learn is slow to import

    if "coefs_" not in vars(est):
        raise SpecError(f"this {type(est).__name__} is not fitted: call its fit first")
    net = est.network_
    if isinstance(X, str | Path):
        X, y = _columns(net, X, y)
        y = y[:, 0] if y.shape[1] == 1 else y
    try:
        if X is not None:
            X = checked(est, _rows(X, net.sizes[0]))
        if y is not None:
            y = est._encoded([y] if _dimensions(y) == 0 else y)
    except (TypeError, ValueError, OverflowError) as error:  # scikit-learn's, in its words
        raise DataError(str(error)) from None
    return Case(net), X, y


# -- samples -------------------------------------------------------------------------------------


def _is_table(X: Any) -> bool:
    """Whether it is a table of raw rows, and no array of a network's inputs."""
    return not (X is None or isinstance(X, list | tuple | np.ndarray) or is_sparse(X))


def _require_alone(Y: Any) -> None:
    if Y is not None:
        raise SpecError("a table holds its targets itself: leave Y away, or give X as numbers")


def _columns(net: Network, data: str | Path, Y: Any) -> tuple[Array, Array]:
    """The inputs and targets of a network without an encoding: the columns as they stand."""
    from deltarule.tabular import read_table  # Polars is slow to import

    _require_alone(Y)
    values = read_table(data).to_numpy()
    n_in, n_out = net.sizes[0], net.sizes[-1]
    labels = len(net.loss.groups) or 1
    wide = {n_in + n_out} | ({n_in + labels} if net.loss.targets == "distribution" else set())
    if values.shape[1] not in wide:
        needed = " or ".join(map(str, sorted(wide)))
        raise DataError(
            f"{data} has {values.shape[1]} columns: {n_in} inputs, then targets: {needed} in all"
        )
    return values[:, :n_in], values[:, n_in:]


def _rows(X: Any, n_inputs: int) -> Any:
    """X with one row per sample; one sample may come flat."""
    flat = _dimensions(X) == 1 and (n_inputs > 1 or len(X) == 1)
    return [X] if flat else X


def _targets(net: Network, n: int, Y: Any) -> Any:
    """Y with one row per sample; that of one sample may come flat, or as a label."""
    of_one = n == 1 and _dimensions(Y) == 1
    one = of_one and len(Y) in (net.sizes[-1], len(net.loss.groups))
    return [Y] if one or _dimensions(Y) == 0 else Y


def _dimensions(values: Any) -> int:
    """How deep an array or a nest of lists is; -1 for a nest that is not rectangular."""
    if is_sparse(values):
        return 2
    try:
        return int(np.ndim(values))
    except ValueError:
        return -1


# -- edges ---------------------------------------------------------------------------------------


def checked_edges(net: Network, edges: Sequence[Any]) -> Edges | None:
    """Which edges there are, as bool arrays of the weights' shapes; None if all.

    Raises SpecError for another number of layers, or another shape of one.
    """
    shapes = [W.shape for W, _ in net.layout.matrices(net.theta)]
    try:
        arrays = [np.asarray(edge, dtype=bool) for edge in edges]
    except (TypeError, ValueError):
        arrays = []
    if len(arrays) != len(shapes):
        got = len(arrays) or f"{edges!r:.60}"
        raise SpecError(f"edges: one bool array per layer ({len(shapes)}) is needed, got {got}")
    for l, (edge, shape) in enumerate(zip(arrays, shapes, strict=True), start=1):
        if edge.shape != shape:
            raise SpecError(f"edges of layer {l} need shape {shape}, got {edge.shape}")
    return None if all(edge.all() for edge in arrays) else arrays


def _without_absent(net: Network, edges: Edges | None) -> Network:
    """The network, or a copy in which absent edges have a weight of 0."""
    if edges is None:
        return net
    pairs = zip(net.layout.matrices(net.theta), edges, strict=True)
    if not any(W[~edge].any() for (W, _), edge in pairs):
        return net
    copy = net.copy()
    for (W, _), edge in zip(copy.layout.matrices(copy.theta), edges, strict=True):
        W[~edge] = 0
    return copy
