"""A trace for programs: lists of numbers with all their digits, as trace.schema.json describes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

from deltarule.equations.params import Array
from deltarule.explain.trace.steps import Traced, TracedStep

FORMAT = "deltarule.trace"
VERSION = 1


def trace_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what `Trace.to_json` writes."""
    text = resources.files(__package__).joinpath("trace.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def as_dict(trace: Traced) -> dict[str, Any]:
    """What `Trace.to_dict` gives."""
    net = trace.net
    absent: list[Array | None] = [None] * len(net.activations)
    if trace.edges is not None:
        absent = [~edge for edge in trace.edges]
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "network": {
            "sizes": list(net.sizes),
            "activations": [f.name for f in net.activations],
            "loss": net.loss.name,
            "bias": list(net.bias),
        },
        "inputs": _listed(trace.X),
        "targets": _listed(trace.Y),
        "learning_rate": trace.learning_rate,
        "reduction": trace.reduction,
        "trainable_biases": trace.trainable_biases,
        "steps": [_step_dict(step, absent) for step in trace.steps],
    }


def _listed(values: Any) -> Any:
    """Nested lists of floats; None for what is NaN or infinite, which JSON does not know."""
    array = np.asarray(values, dtype=np.float64)
    if np.isfinite(array).all():
        return array.tolist()
    listed = array.astype(object)
    listed[~np.isfinite(array)] = None
    return listed.tolist()


def _without(values: list[Array], absent: Sequence[Array | None]) -> list[Any]:
    """One list per layer, None where there is no edge."""
    lists = []
    for value, gone in zip(values, absent, strict=True):
        lists.append(_listed(value if gone is None else np.where(gone, np.nan, value)))
    return lists


def _each(values: Sequence[Array | None]) -> list[Any]:
    return [None if value is None else _listed(value) for value in values]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _step_dict(step: TracedStep, absent: Sequence[Array | None]) -> dict[str, Any]:
    before, after = step.before, step.after
    return {
        "weights": _without(before.weights, absent),
        "biases": _each(before.biases),
        "z": _each(before.z),
        "a": _each(before.a[1:]),
        "sample_losses": _listed(before.sample_losses),
        "loss": _number(before.loss),
        "delta": _each(step.delta),
        "activation_gradients": _each(step.activation_gradients[1:]),
        "input_gradients": _listed(step.input_gradients),
        "weight_gradients": _without(step.weight_gradients, absent),
        "bias_gradients": _each(step.bias_gradients),
        "weight_updates": _without(step.weight_updates, absent),
        "bias_updates": _each(step.bias_updates),
        "new_weights": _without(after.weights, absent),
        "new_biases": _each(after.biases),
        "z_after": _each(after.z),
        "a_after": _each(after.a[1:]),
        "output_after": _listed(after.output),
        "sample_losses_after": _listed(after.sample_losses),
        "loss_after": _number(after.loss),
    }
