"""Our estimators inside what skl2onnx converts: a Pipeline, a search, a stack.

The same nodes as in our own files, added to skl2onnx's graph in place of ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from skl2onnx import update_registered_converter
from skl2onnx._parse import (  # the parsers that skl2onnx has for its own classifiers
    _parse_sklearn_classifier,
    _parse_sklearn_multi_output_classifier,
)
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    SequenceType,
    StringTensorType,
)

from deltarule.errors import SpecError
from deltarule.estimators import MLPClassifier, MLPRegressor
from deltarule.exchange.onnx.estimators import (
    classifier_nodes,
    classifier_shapes,
    label_classes,
    label_dtype,
    mean_output,
)
from deltarule.exchange.onnx.graph import Dtype, cast

_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],
}


def register() -> None:
    """Register both estimators with skl2onnx."""
    update_registered_converter(
        MLPClassifier,
        "DeltaruleMLPClassifier",
        _classifier_shapes,
        _convert_classifier,
        parser=_parse_classifier,
        options=_OPTIONS,
    )
    update_registered_converter(
        MLPRegressor, "DeltaruleMLPRegressor", _regressor_shapes, _convert_regressor
    )


class _Container:
    """skl2onnx's graph as a `Builder`."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def constant(self, values: NDArray[Any], name: str = "constant") -> str:
        name = str(self._scope.get_unique_variable_name(name))
        if values.dtype == object:
            listed = [text.encode() for text in values.ravel().tolist()]
            self._container.add_initializer(name, TensorProto.STRING, values.shape, listed)
        else:
            self._container.add_initializer(name, None, None, numpy_helper.from_array(values))
        return name

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = str(self._scope.get_unique_variable_name(op.lower()))
        own = self._scope.get_unique_operator_name(op)
        self._container.add_node(op, list(inputs), name, op_domain=domain, name=own, **attributes)
        return name

    def call(self, value: str, name: str) -> str:
        return value


def _parse_classifier(
    scope: Any, model: MLPClassifier, inputs: Any, custom_parsers: Any = None
) -> Any:
    if not isinstance(model.classes_, list):
        return _parse_sklearn_classifier(scope, model, inputs, custom_parsers)
    classes = model.classes_
    # skl2onnx takes text of 3 and of 4 letters for two types
    longest = np.result_type(*classes) if all(one.dtype.kind == "U" for one in classes) else None
    model.classes_ = [one if longest is None else one.astype(longest) for one in classes]
    try:
        return _parse_sklearn_multi_output_classifier(scope, model, inputs, custom_parsers)
    finally:
        model.classes_ = classes


def _dtype(operator: Any) -> Dtype:
    """float64 for such an input, float32 for all others, as skl2onnx computes its own MLP."""
    double = isinstance(operator.inputs[0].type, DoubleTensorType)
    return np.dtype(np.float64 if double else np.float32)


def _tensor(dtype: Dtype, shape: Any) -> Any:
    real = DoubleTensorType if dtype.itemsize == 8 else FloatTensorType
    return {"f": real, "O": StringTensorType, "i": Int64TensorType}[dtype.kind](shape)


def _classes(scope: Any, est: MLPClassifier) -> Any:
    """The classes under the option nocl (positions in place of names), as integers or text."""
    several = isinstance(est.classes_, list)
    found = label_classes(est) if several else [label_classes(est)]
    if scope.get_options(est, {"nocl": False})["nocl"]:
        found = [np.arange(len(one)) for one in found]
    elif found[0].dtype.kind in "bf":  # what skl2onnx and its ZipMap do with such classes
        if any((one != one.astype(np.int64)).any() for one in found):
            raise SpecError("skl2onnx needs classes that are whole numbers or text")
        found = [one.astype(np.int64) for one in found]
    return found if several else found[0]


def _classifier_shapes(operator: Any) -> None:
    est, n = operator.raw_operator, operator.inputs[0].get_first_dimension()
    label, p = classifier_shapes(est, n)
    classes = _classes(operator.scope_inst, est)
    operator.outputs[0].set_type(_tensor(label_dtype(est, classes), label))
    each = _tensor(_dtype(operator), p)
    several = isinstance(est.classes_, list)
    operator.outputs[1].set_type(SequenceType(each) if several else each)


def _regressor_shapes(operator: Any) -> None:
    n = operator.inputs[0].get_first_dimension()
    shape = [n, operator.raw_operator.n_outputs_]
    operator.outputs[0].set_type(_tensor(_dtype(operator), shape))


def _outputs(builder: _Container, operator: Any) -> str:
    dtype = _dtype(operator)
    X = operator.inputs[0].full_name
    if not isinstance(operator.inputs[0].type, DoubleTensorType | FloatTensorType):
        X = cast(builder, X, dtype)
    return mean_output(builder, operator.raw_operator.networks_, X, dtype)


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    builder, est = _Container(scope, container), operator.raw_operator
    a_L = _outputs(builder, operator)
    made = classifier_nodes(builder, est, a_L, _dtype(operator), _classes(scope, est))
    for value, output in zip(made, operator.outputs, strict=True):
        op = "SequenceConstruct" if isinstance(value, list) else "Identity"
        container.add_node(op, value, output.full_name)


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    a_L = _outputs(_Container(scope, container), operator)
    container.add_node("Identity", a_L, operator.outputs[0].full_name)
