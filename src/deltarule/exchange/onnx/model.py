"""Export to ONNX: a network, an estimator, or a model of a table with all of its preprocessing.

onnx is loaded when one of these functions is called; it is the optional extra "onnx".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import DataError, DeltaruleError, SpecError
from deltarule.files import write_atomically
from deltarule.network.network import Network

if TYPE_CHECKING:
    from onnx import ModelProto

    from deltarule.tabular.model import TableModel


def to_onnx(model: Any, path: str | Path | None = None, *, dtype: str | None = None) -> ModelProto:
    """Export a model to ONNX, and write it to a file if `path` is given.

    Parameters
    ----------
    model : Network, MLPClassifier, MLPRegressor or TableModel
        What is exported computes what its ``predict`` (and ``predict_proba``) computes.
    path : path, optional
        The file, written whole or not at all.
    dtype : "float32" or "float64", optional
        Of the network's weights and arithmetic; None (default) keeps its own. Many runtimes for
        GPUs and telephones know float32 alone.

    Returns
    -------
    onnx.ModelProto
        Opset 17 (ai.onnx.ml 3), checked by `onnx.checker`; it runs on ONNX Runtime 1.18 and later.
        n is the number of rows:

        - Network: input "X" (n, n_0), output "output" (n, n_L), the values a_L.
        - MLPClassifier: "X" (n, features) to "label" and "probabilities", as skl2onnx has them
          without ZipMap: label (n,), int64 or string; probabilities (n, k), for two classes two
          columns. Multilabel: label (n, k) of 0 and 1. Several multiclass targets: label
          (n, targets), and probabilities a sequence of arrays, one per target.
        - MLPRegressor: "X" (n, features) to "variable" (n, k), also for k = 1.
        - TableModel: one input (n, 1) for each column that it uses, under the column's name; text
          as strings, all else as float64 (`table_inputs` makes them from a table). Classes come
          out as "label" (n,) and "probabilities" (n, k), quantities as "variable" (n, 1) in
          float64, in the target's own unit. An output gives way to a column of its name
          ("label_2").

    Raises
    ------
    SpecError
        What ONNX cannot express (an own activation, with its layer); NaN in the parameters; 2 GiB
        of them.
    DeltaruleError
        onnx is not installed.
    OutputError
        The file cannot be written.
    """
    require_onnx()
    made = _export(model, _dtype(dtype))
    if path is not None:
        write_atomically(path, made.SerializeToString(deterministic=True))
    return made


def table_inputs(model: TableModel, data: Any) -> dict[str, NDArray[Any]]:
    """A table as the inputs of the model that `to_onnx` makes of a TableModel.

    Parameters
    ----------
    model : TableModel
    data : path, name of a data set, or DataFrame, as `TableModel.predict` takes it

    Returns
    -------
    dict of arrays (n, 1), by column
        float64 with NaN where missing (booleans 0 and 1, dates in days since 1970-01-01, times and
        durations in days), or str objects with "" where missing.

    Raises DataError as `TableModel.predict`.
    """
    from deltarule.tabular import NumberColumn
    from deltarule.tabular.values import as_text, missing_columns, numbers

    frame = model.read(data)
    absent = [c.name for c in model.encoder.columns if c.name not in frame.columns]
    if absent:
        what = "columns that the model was trained on"
        raise DataError(missing_columns(absent, frame.columns, what))
    inputs = {}
    for column in model.encoder.columns:
        cells = frame[column.name]
        if isinstance(column, NumberColumn):
            inputs[column.name] = numbers(cells, column.kind)[:, None]
        else:
            text = as_text(cells).fill_null("").to_list()
            inputs[column.name] = np.array(text, dtype=object)[:, None]
    return inputs


def signature(model: ModelProto) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The inputs and the outputs of an ONNX model.

    Returns
    -------
    (inputs, outputs)
        Of each: "name"; "type", such as "float", "double", "int64", "string" or
        "sequence(float)"; "shape", a list with None where a size is not fixed.
    """
    from deltarule.exchange.onnx.graph import described

    graph = model.graph
    return [described(one) for one in graph.input], [described(one) for one in graph.output]


def register_skl2onnx() -> None:
    """Teach skl2onnx our MLPClassifier and MLPRegressor, alone or in a Pipeline.

    After it `skl2onnx.to_onnx` and `skl2onnx.convert_sklearn` convert them as they do
    scikit-learn's own, with the options zipmap, nocl and output_class_labels. Calling it twice does
    no harm. Raises DeltaruleError if skl2onnx is not installed.
    """
    try:
        import skl2onnx  # noqa: F401  # only whether it is there
    except ImportError:
        raise DeltaruleError("this needs skl2onnx: pip install skl2onnx") from None
    from deltarule.exchange.onnx.sklearn import register

    register()


def require_onnx() -> None:
    """Raise DeltaruleError with what to install if onnx is not there."""
    try:
        import onnx  # noqa: F401  # only whether it is there
    except ImportError:
        raise DeltaruleError("export to ONNX needs onnx: pip install 'deltarule[onnx]'") from None


def _export(model: Any, dtype: np.dtype[Any] | None) -> ModelProto:
    if isinstance(model, Network):
        from deltarule.exchange.onnx.network import export_network

        return export_network(model, dtype)
    from deltarule.tabular.model import TableModel  # Polars is slow to import

    if isinstance(model, TableModel):
        from deltarule.exchange.onnx.table import export_table

        return export_table(model, dtype)
    from deltarule.estimators import MLPClassifier, MLPRegressor  # so is scikit-learn

    if isinstance(model, MLPClassifier | MLPRegressor):
        from deltarule.exchange.onnx.estimators import export_estimator

        return export_estimator(model, dtype)
    raise SpecError(
        "to_onnx takes a Network, an MLPClassifier, an MLPRegressor or a TableModel, not "
        f"{type(model).__name__}{_instead(model)}"
    )


def _instead(model: Any) -> str:
    """What to do with a model of scikit-learn, "" for anything else."""
    if not type(model).__module__.startswith("sklearn."):
        return ""
    if type(model).__name__ in ("MLPClassifier", "MLPRegressor"):
        return " of scikit-learn: convert it first, dr.from_sklearn(...)"
    return " of scikit-learn: call register_skl2onnx() of this module, then skl2onnx.to_onnx(...)"


def _dtype(name: str | None) -> np.dtype[Any] | None:
    if name is None:
        return None
    if str(name) not in ("float32", "float64"):
        raise SpecError(f'dtype must be "float32", "float64" or None, got {name!r}')
    return np.dtype(name)
