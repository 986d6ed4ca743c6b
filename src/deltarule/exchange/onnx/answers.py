"""From a network's outputs to labels and probabilities, as ONNX nodes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import SpecError
from deltarule.exchange.onnx.graph import Builder, Dtype, cast, scalar

_INTEGER = np.dtype(np.int64)


def label_values(classes: Any) -> NDArray[Any]:
    """Classes as ONNX holds them: whole numbers as int64, others as float64, text as str objects.

    Raises SpecError for classes of several types, or of one that ONNX does not have.
    """
    listed = np.asarray(classes).tolist()
    kinds = {type(one) for one in listed}
    values = np.array(listed, dtype=object if kinds == {str} else None)
    if kinds not in ({str}, {int}, {float}, {bool}) or (kinds == {int} and values.dtype == object):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise SpecError(f"classes of type {names}: ONNX needs all whole numbers or all text")
    return values


def picked(builder: Builder, classes: NDArray[Any], at: str) -> str:
    """The class at each position (an int64 value), in the shape of `at`."""
    return builder.node("Gather", builder.constant(classes, "classes"), at)


def first_of_largest(builder: Builder, p: str, keepdims: int = 0) -> str:
    """The position of the largest of each row, the first one of several: (n,), or (n, 1)."""
    return builder.node("ArgMax", p, axis=1, keepdims=keepdims)


def yes_or_no(builder: Builder, p: str, comparison: str, dtype: Dtype) -> str:
    """1 where p is "Greater" (or "GreaterOrEqual") than 1/2, else 0, as int64, in p's shape."""
    return cast(builder, builder.node(comparison, p, scalar(builder, 0.5, dtype)), _INTEGER)


def flat(builder: Builder, value: str) -> str:
    """(n, 1) as (n,)."""
    return builder.node("Reshape", value, builder.constant(np.array([-1]), "shape"))


def two_columns(builder: Builder, p: str, dtype: Dtype) -> str:
    """The probabilities (n, 2) of both classes, from that of the second (n, 1)."""
    return builder.node("Concat", builder.node("Sub", scalar(builder, 1.0, dtype), p), p, axis=1)


def split_columns(builder: Builder, a: str, sizes: Sequence[int]) -> list[str]:
    """The parts (n, size) of a (n, sum of sizes), side by side."""
    axis = builder.constant(np.array([1]), "axis")
    return [
        builder.node(
            "Slice",
            a,
            builder.constant(np.array([start]), "start"),
            builder.constant(np.array([end]), "end"),
            axis,
        )
        for start, end in itertools.pairwise(itertools.accumulate(sizes, initial=0))
    ]
