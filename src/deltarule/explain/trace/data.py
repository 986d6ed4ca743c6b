"""A trace for programs: lists of numbers with all their digits, as trace.schema.json describes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deltarule.document.json import plain
from deltarule.equations.params import Array
from deltarule.explain.trace.steps import Traced, TracedStep

FORMAT = "deltarule.trace"
VERSION = 1


def trace_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what `Trace.to_json` writes."""
    text = Path(__file__).with_name("trace.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def as_dict(trace: Traced) -> dict[str, Any]:
    """What `Trace.to_dict` gives."""
    net = trace.net
    absent: list[Array | None] = [None] * len(net.activations)
    if trace.edges is not None:
        absent = [~edge for edge in trace.edges]
    value: dict[str, Any] = plain(
        {
            "format": FORMAT,
            "format_version": VERSION,
            "network": {
                "sizes": list(net.sizes),
                "activations": [f.name for f in net.activations],
                "loss": net.loss.name,
                "bias": list(net.bias),
            },
            "inputs": trace.X,
            "targets": trace.Y,
            "learning_rate": trace.learning_rate,
            "reduction": trace.reduction,
            "trainable_biases": trace.trainable_biases,
            "steps": [_step_dict(step, absent) for step in trace.steps],
        }
    )
    return value


def _without(values: list[Array], absent: Sequence[Array | None]) -> list[Array]:
    """An array per layer, NaN where there is no edge."""
    return [
        value if gone is None else np.where(gone, np.nan, value)
        for value, gone in zip(values, absent, strict=True)
    ]


def _step_dict(step: TracedStep, absent: Sequence[Array | None]) -> dict[str, Any]:
    before, after = step.before, step.after
    return {
        "weights": _without(before.weights, absent),
        "biases": before.biases,
        "z": before.z,
        "a": before.a[1:],
        "sample_losses": before.sample_losses,
        "loss": before.loss,
        "delta": step.delta,
        "activation_gradients": step.activation_gradients[1:],
        "input_gradients": step.input_gradients,
        "weight_gradients": _without(step.weight_gradients, absent),
        "bias_gradients": step.bias_gradients,
        "weight_updates": _without(step.weight_updates, absent),
        "bias_updates": step.bias_updates,
        "new_weights": _without(after.weights, absent),
        "new_biases": after.biases,
        "z_after": after.z,
        "a_after": after.a[1:],
        "output_after": after.output,
        "sample_losses_after": after.sample_losses,
        "loss_after": after.loss,
    }
