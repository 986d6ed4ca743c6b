"""A model of a table as ONNX: raw columns in, all preprocessing inside, answers in their own unit.

Numbers are computed in float64 up to the encoded value, as `TableEncoder` does, so that years,
amounts and dates lose nothing before they are centred.
"""

from __future__ import annotations

import json

import numpy as np
import onnx

from deltarule.exchange.onnx.answers import (
    first_of_largest,
    flat,
    label_values,
    picked,
    two_columns,
    yes_or_no,
)
from deltarule.exchange.onnx.graph import ML, Dtype, Graph, cast, scalar
from deltarule.exchange.onnx.network import network_metadata, network_output
from deltarule.tabular import NumberColumn, TableEncoder, TargetColumn, TextColumn
from deltarule.tabular.columns import LIMIT, Floats
from deltarule.tabular.model import TableModel
from deltarule.tabular.values import MISSING

_DOUBLE = np.dtype(np.float64)
_TEXT = np.dtype(object)
_UNITS = {
    "number": "a number",
    "boolean": "1 for true, 0 for false",
    "date": "days since 1970-01-01",
    "datetime": "days since 1970-01-01 00:00",
    "duration": "days",
    "time": "days since midnight",
}


def export_table(model: TableModel, dtype: Dtype | None) -> onnx.ModelProto:
    """Each column (n, 1) to "label" and "probabilities", or to "variable"."""
    net, target = model.network, model.target
    dtype = dtype or net.dtype
    graph = Graph()
    X = _encoded(graph, model.encoder, dtype)
    a_L = network_output(graph, net, X, dtype)
    if target.task == "regress":
        unit = graph.node("Mul", cast(graph, a_L, _DOUBLE), scalar(graph, target.scale, _DOUBLE))
        unit = graph.node("Add", unit, scalar(graph, target.mean, _DOUBLE))
        graph.output(unit, "variable", _DOUBLE, [None, 1], target.name)
    else:
        _classify(graph, target, a_L, dtype)
    metadata = network_metadata(net) | {
        "target": target.name,
        "feature_names": json.dumps(model.encoder.feature_names),
    }
    return graph.finish("table", f"predicts {target.name!r}: {net!r}", metadata)


def _classify(graph: Graph, target: TargetColumn, a_L: str, dtype: Dtype) -> None:
    if target.n_outputs == 1:  # a probability of exactly 1/2 is the second class, as in predict
        at = flat(graph, yes_or_no(graph, a_L, "GreaterOrEqual", dtype))
        p = two_columns(graph, a_L, dtype)
    else:
        at, p = first_of_largest(graph, a_L), a_L
    classes = label_values(target.classes)
    graph.output(picked(graph, classes, at), "label", classes.dtype, [None], target.name)
    names = json.dumps([str(name) for name in target.classes])
    graph.output(p, "probabilities", dtype, [None, len(classes)], f"of the classes {names}")


def _encoded(graph: Graph, encoder: TableEncoder, dtype: Dtype) -> str:
    """All columns as numbers (n, width) of this dtype.

    Columns of numbers that are treated alike go through the same nodes, so that a table of many
    columns needs few; the last node puts all in the order of the encoder.
    """
    starts = np.cumsum([0, *(len(column.features) for column in encoder.columns)]).tolist()
    inputs = [_input(graph, column) for column in encoder.columns]  # first, to keep their names
    plain: list[tuple[NumberColumn, str, int]] = []
    bent: list[tuple[NumberColumn, str, int]] = []
    parts: list[str] = []
    places: list[int] = []
    for column, value, start in zip(encoder.columns, inputs, starts, strict=False):
        if isinstance(column, NumberColumn):
            (bent if column.unit else plain).append((column, value, start))
        else:
            parts.append(_one_hot(graph, column, value, dtype))
            places += range(start, start + len(column.features))
    for group in (plain, bent):
        if group:
            found, at = _numbers(graph, group, dtype)
            parts += found
            places += at
    X = parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=1)
    order = np.argsort(places)
    if not np.array_equal(order, np.arange(order.size)):
        X = graph.node("Gather", X, graph.constant(order.astype(np.int64), "order"), axis=1)
    return graph.call(X, "encoded")


def _input(graph: Graph, column: NumberColumn | TextColumn) -> str:
    if isinstance(column, NumberColumn):
        doc = f"{_UNITS[column.kind]}; NaN where missing"
        return graph.input(column.name, _DOUBLE, [None, 1], doc)
    tokens = ", ".join(map(repr, MISSING))
    doc = f"text without surrounding blanks; {tokens} are missing"
    return graph.input(column.name, _TEXT, [None, 1], doc)


def _one_hot(graph: Graph, column: TextColumn, value: str, dtype: Dtype) -> str:
    """A 0/1 column per category, then (other), then (missing), where the encoding has them."""
    k = len(column.categories)
    codes = {category: i for i, category in enumerate(column.categories)}
    codes |= dict.fromkeys(MISSING, k + column.other if column.flagged else -1)
    code = graph.node(
        "LabelEncoder",
        value,
        domain=ML,
        keys_strings=list(codes),
        values_int64s=list(codes.values()),
        default_int64=k if column.other else -1,
    )
    levels = graph.constant(np.arange(len(column.features)), "levels")
    return cast(graph, graph.node("Equal", code, levels), dtype)


def _numbers(
    graph: Graph, group: list[tuple[NumberColumn, str, int]], dtype: Dtype
) -> tuple[list[str], list[int]]:
    """Scaled values and flags of some columns of numbers, and their places in the encoding."""
    columns = [column for column, _, _ in group]
    x = group[0][1]
    if len(group) > 1:
        x = graph.node("Concat", *(value for _, value, _ in group), axis=1)
    missing = graph.node("IsNaN", x)
    z = x
    if columns[0].unit:
        bend = [np.array([c.center for c in columns]), np.array([c.unit for c in columns])]
        z = _asinh(graph, _standardized(graph, z, *bend))
    # A constant column has no scale: every number in it becomes 0.
    scales = np.array([c.scale or np.inf for c in columns])
    z = _standardized(graph, z, np.array([c.mean for c in columns]), scales)
    z = graph.node("Clip", z, scalar(graph, -LIMIT, _DOUBLE), scalar(graph, LIMIT, _DOUBLE))
    fill = graph.constant(np.array([c.fill for c in columns]), "fill")
    z = graph.node("Where", missing, fill, z)
    parts, places = [cast(graph, z, dtype)], [start for _, _, start in group]
    flagged = [i for i, column in enumerate(columns) if column.flagged]
    if flagged:
        if len(flagged) < len(columns):
            at = graph.constant(np.array(flagged, dtype=np.int64), "flagged")
            missing = graph.node("Gather", missing, at, axis=1)
        parts.append(cast(graph, missing, dtype))
        places += [group[i][2] + 1 for i in flagged]
    return parts, places


def _standardized(graph: Graph, x: str, means: Floats, scales: Floats) -> str:
    """(x - mean) / scale, halved first so that the difference cannot overflow."""
    half = graph.node("Mul", x, scalar(graph, 0.5, _DOUBLE))
    difference = graph.node("Sub", half, graph.constant(means / 2, "half_mean"))
    return graph.node("Div", difference, graph.constant(scales / 2, "half_scale"))


def _asinh(graph: Graph, x: str) -> str:
    """asinh in float64, for which ONNX Runtime has no operator: sign(x) log(|x| + sqrt(x^2 + 1)).

    Above 1e8 it is log(2 |x|) to the last bit, and the square would overflow later on.
    """
    size = graph.node("Abs", x)
    large = scalar(graph, 1e8, _DOUBLE)
    bounded = graph.node("Min", size, large)
    one = scalar(graph, 1.0, _DOUBLE)
    root = graph.node("Sqrt", graph.node("Add", graph.node("Mul", bounded, bounded), one))
    near = graph.node("Log", graph.node("Add", bounded, root))
    far = graph.node("Log", graph.node("Div", graph.node("Max", size, large), large))
    return graph.node("Mul", graph.node("Sign", x), graph.node("Add", near, far))
