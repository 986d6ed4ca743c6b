"""A graph of ONNX nodes under construction, and the finished, checked model made of it.

The rest of the export says what is computed; only this file knows the protocol buffers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from deltarule._version import __version__
from deltarule.errors import SpecError

#: Operators of 2022, so that runtimes of some years ago load the files too.
OPSET, ML_OPSET, IR_VERSION = 17, 3, 8
ML = "ai.onnx.ml"
#: Protocol buffers end at 2 GiB; a little is left for all that is not weights.
_MOST_BYTES = 2**31 - 2**20

Dtype = np.dtype[Any]
#: A size, or None for the number of rows.
Dimension = int | None
_ROWS = "n"


class Builder(Protocol):
    """What the equations need from a graph: constants and nodes, each known by a value's name."""

    def constant(self, values: NDArray[Any], name: str = "constant") -> str:
        """A constant tensor; its name."""
        ...

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node with one output; the name of that output."""
        ...

    def call(self, value: str, name: str) -> str:
        """Give a value a name that people will read, where that is possible; `value` itself."""
        ...


class Graph:
    """A `Builder` that becomes a model of its own.

    Inputs are named as they are asked for, and come first; every other name gives way to those
    that are taken.
    """

    def __init__(self) -> None:
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._nodes: list[Any] = []
        self._tensors: list[Any] = []
        self._taken: set[str] = set()
        self._called: dict[str, str] = {}
        self._scalars: dict[tuple[str, bytes], str] = {}
        self._bytes = 0

    def input(self, name: str, dtype: Dtype, shape: Sequence[Dimension], doc: str = "") -> str:
        """An input of the model."""
        info = helper.make_tensor_value_info(name, onnx_type(dtype), _named(shape), doc)
        self._inputs.append(info)
        self._taken.add(name)
        return name

    def constant(self, values: NDArray[Any], name: str = "constant") -> str:
        """A constant tensor, or the same one again where it is a single number."""
        if values.ndim == 0:
            key = (str(values.dtype), values.tobytes())
            if key not in self._scalars:
                self._scalars[key] = self._tensor(values, name)
            return self._scalars[key]
        return self._tensor(values, name)

    def _tensor(self, values: NDArray[Any], name: str) -> str:
        name = self._unique(name)
        self._bytes += values.nbytes
        if self._bytes < _MOST_BYTES:  # a model that is too large is refused when it is finished
            self._tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node with one output, which bears its name."""
        name = self._unique(op)
        made = helper.make_node(op, inputs, [name], name=name, domain=domain, **attributes)
        self._nodes.append(made)
        return name

    def call(self, value: str, name: str) -> str:
        """Give the output of a node another name."""
        self._called[value] = self._unique(name)
        return value

    def output(
        self, value: str, name: str, dtype: Dtype, shape: Sequence[Dimension], doc: str = ""
    ) -> None:
        """An output of the model."""
        name = self._called[value] = self._unique(name)
        made = helper.make_tensor_value_info(name, onnx_type(dtype), _named(shape), doc)
        self._outputs.append(made)

    def sequence_output(self, value: str, name: str, dtype: Dtype, doc: str = "") -> None:
        """An output that is a sequence of matrices of several widths."""
        name = self._called[value] = self._unique(name)
        shape = [_ROWS, None]
        made = helper.make_tensor_sequence_value_info(name, onnx_type(dtype), shape, doc)
        self._outputs.append(made)

    def finish(self, name: str, description: str, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The model, checked in full.

        Raises SpecError if it is too large for the format.
        """
        if self._bytes >= _MOST_BYTES:
            raise SpecError(
                f"the parameters take {self._bytes / 2**30:.1f} GiB, and an ONNX file holds less "
                'than 2: export with dtype="float32" if they are float64, or use smaller layers'
            )
        for node in self._nodes:
            node.input[:] = [self._called.get(value, value) for value in node.input]
            node.output[:] = [self._called.get(value, value) for value in node.output]
            node.name = node.output[0]
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, self._tensors, description
        )
        domains = {"": OPSET, ML: ML_OPSET}
        used = {"", *(node.domain for node in self._nodes)}
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(d, v) for d, v in domains.items() if d in used],
            ir_version=IR_VERSION,
            producer_name="deltarule",
            producer_version=__version__,
            doc_string=description,
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model

    def _unique(self, name: str) -> str:
        """The name, with a number behind it where it is taken."""
        n, free = 1, name
        while free in self._taken:
            n += 1
            free = f"{name}_{n}"
        self._taken.add(free)
        return free


def _named(shape: Sequence[Dimension]) -> list[str | int]:
    return [_ROWS if size is None else size for size in shape]


def onnx_type(dtype: Dtype) -> int:
    """The element type of ONNX for a dtype of NumPy; text of any kind is STRING."""
    return TensorProto.STRING if dtype.kind in "OUS" else helper.np_dtype_to_tensor_dtype(dtype)


def scalar(builder: Builder, value: float, dtype: Dtype) -> str:
    """One number as a constant."""
    return builder.constant(np.array(value, dtype=dtype))


def cast(builder: Builder, value: str, dtype: Dtype) -> str:
    """A value converted to another dtype."""
    return builder.node("Cast", value, to=onnx_type(dtype))


def described(info: Any) -> dict[str, Any]:
    """Name, type and shape of an input or output, None for the number of rows."""
    kind, of = info.type, "{}"
    if kind.HasField("sequence_type"):
        kind, of = kind.sequence_type.elem_type, "sequence({})"
    tensor = kind.tensor_type
    name = of.format(TensorProto.DataType.Name(tensor.elem_type).lower())
    shape = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    return {"name": info.name, "type": name, "shape": shape}
