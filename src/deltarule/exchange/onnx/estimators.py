"""Fitted MLPClassifier and MLPRegressor as ONNX: outputs named and shaped as skl2onnx has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from sklearn.utils.validation import check_is_fitted

from deltarule.errors import SpecError
from deltarule.estimators import MLPClassifier, MLPRegressor
from deltarule.exchange.onnx.answers import (
    first_of_largest,
    flat,
    label_values,
    picked,
    split_columns,
    two_columns,
    yes_or_no,
)
from deltarule.exchange.onnx.graph import Builder, Dimension, Dtype, Graph, scalar
from deltarule.exchange.onnx.network import network_metadata, network_output
from deltarule.network.network import Network


def export_estimator(est: MLPClassifier | MLPRegressor, dtype: Dtype | None) -> onnx.ModelProto:
    """Input "X" (n, features); outputs "label" and "probabilities", or "variable" (n, k)."""
    check_is_fitted(est, "coefs_")
    networks = est.networks_
    net = networks[0]
    dtype = dtype or net.dtype
    metadata = network_metadata(net)
    if "feature_names_in_" in vars(est):
        metadata["feature_names"] = json.dumps(est.feature_names_in_.tolist())
    graph = Graph()
    X = graph.input("X", dtype, [None, net.sizes[0]], "one row per sample")
    a_L = mean_output(graph, networks, X, dtype)
    if isinstance(est, MLPRegressor):
        graph.output(a_L, "variable", dtype, [None, net.sizes[-1]])
    else:
        classes = label_classes(est)
        label, p = classifier_nodes(graph, est, a_L, dtype, classes)
        label_shape, p_shape = classifier_shapes(est, None)
        graph.output(label, "label", label_dtype(est, classes), label_shape)
        if isinstance(p, list):
            graph.sequence_output(graph.node("SequenceConstruct", *p), "probabilities", dtype)
            metadata["classes"] = json.dumps([one.tolist() for one in classes])
        else:
            graph.output(p, "probabilities", dtype, p_shape)
            metadata["classes"] = json.dumps(classes.tolist())
    many = f"mean of {len(networks)} networks as " if len(networks) > 1 else ""
    kind = type(est).__name__
    return graph.finish(kind, f"{kind}: {many}{net!r}", metadata)


def mean_output(builder: Builder, networks: Sequence[Network], X: str, dtype: Dtype) -> str:
    """The mean of the outputs of all networks of an estimator, (n, n_outputs)."""
    if len(networks) == 1:
        return network_output(builder, networks[0], X, dtype)
    outputs = [
        network_output(builder, net, X, dtype, f"network_{i}_")
        for i, net in enumerate(networks, start=1)
    ]
    total = builder.node("Sum", *outputs)
    return builder.node("Div", total, scalar(builder, float(len(outputs)), dtype))


def multilabel(est: MLPClassifier) -> bool:
    """Whether each output is a yes/no label of its own."""
    return bool(est.n_outputs_ > 1 and est.out_activation_ == "logistic")


def label_classes(est: MLPClassifier) -> Any:
    """The label values of the classes, or a list of such arrays for a y of several columns.

    Raises SpecError for classes that ONNX cannot hold, or not in one array.
    """
    if not isinstance(est.classes_, list):
        return label_values(est.classes_)
    found = [label_values(one) for one in est.classes_]
    if len({one.dtype for one in found}) > 1:
        raise SpecError("the columns of y have classes of several types: ONNX needs one for all")
    return found


def label_dtype(est: MLPClassifier, classes: Any) -> Dtype:
    """Of the output "label"; for a multilabel y that is 0 or 1, whatever names the labels have."""
    if multilabel(est):
        return np.dtype(np.int64)
    dtype: Dtype = (classes[0] if isinstance(classes, list) else classes).dtype
    return dtype


def classifier_shapes(est: MLPClassifier, n: Dimension) -> tuple[list[Dimension], list[Dimension]]:
    """Of "label" and "probabilities" for n rows; of each part, if these are a sequence."""
    if isinstance(est.classes_, list):
        return [n, len(est.classes_)], [n, None]
    if multilabel(est):
        return [n, est.n_outputs_], [n, est.n_outputs_]
    return [n], [n, max(2, est.n_outputs_)]


def classifier_nodes(
    builder: Builder, est: MLPClassifier, a_L: str, dtype: Dtype, classes: Any
) -> tuple[str, str | list[str]]:
    """The label and the probabilities of each row, from a_L (n, n_outputs).

    `classes` are those of `label_classes`; the shapes are those of `classifier_shapes`. For a y of
    several columns the probabilities are a list, of which the caller makes a sequence.
    """
    if isinstance(classes, list):
        parts = split_columns(builder, a_L, [len(one) for one in classes])
        columns = [
            picked(builder, one, first_of_largest(builder, part, keepdims=1))
            for one, part in zip(classes, parts, strict=True)
        ]
        label = builder.node("Concat", *columns, axis=1)
        return label, parts
    if multilabel(est):
        return yes_or_no(builder, a_L, "Greater", dtype), a_L
    if est.n_outputs_ > 1:
        return picked(builder, classes, first_of_largest(builder, a_L)), a_L
    at = flat(builder, yes_or_no(builder, a_L, "Greater", dtype))
    if len(classes) == 1:  # fitted to one class alone: there is no second one to pick
        at = builder.node("Sub", at, at)
    return picked(builder, classes, at), two_columns(builder, a_L, dtype)
