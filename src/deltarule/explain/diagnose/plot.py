"""Pictures of diagnoses: of one by layer, and of several along the epochs of a training."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deltarule.errors import DeltaruleError
from deltarule.explain.diagnose.diagnosed import Diagnosed
from deltarule.files import write_atomically


def plot_diagnosis(d: Diagnosed, path: str | Path | None) -> Any:
    """See `Diagnosis.plot`."""
    figure = _figure(15)
    deltas, activations, units = figure.subplots(1, 3)
    layers = [one.layer for one in d.layers]
    marker = "o" if len(layers) <= 20 else ""
    _logarithmic(deltas, layers, [one.delta_rms for one in d.layers], "rms of delta", marker)
    gradients = [one.weight_gradient_norm for one in d.layers]
    _logarithmic(deltas, layers, gradients, "norm of dC/dW", marker)
    if d.l2:
        penalties = [one.l2_gradient_norm for one in d.layers]
        _logarithmic(deltas, layers, penalties, "norm of the L2 term", marker)
    if d.zero_in_float32_at is not None:
        deltas.axvspan(0.5, d.zero_in_float32_at + 0.5, alpha=0.15, label="delta 0 in float32")
    deltas.set_title("backward")
    activations.plot(layers, [one.activation_mean for one in d.layers], marker=marker, label="mean")
    deviations = [one.activation_std for one in d.layers]
    activations.plot(layers, deviations, marker=marker, label="deviation")
    rows = [np.nan if one.over_rows is None else one.over_rows for one in d.layers]
    activations.plot(layers, rows, marker=marker, label="deviation over rows")
    activations.set_title("activations")
    saturated = [len(one.saturated or ()) / one.units for one in d.layers]
    units.plot(layers, saturated, marker=marker, label="saturated")
    units.plot(layers, [len(one.dead) / one.units for one in d.layers], marker=marker, label="dead")
    lost = [np.nan if one.float32 is None else one.float32.delta_lost for one in d.layers]
    if np.isfinite(lost).any():
        units.plot(layers, lost, marker=marker, label="delta lost in float32")
    units.set_ylim(-0.03, 1.03)
    units.set_title("shares")
    return _finished(figure, "layer", path)


def plot_records(records: Sequence[Diagnosed], path: str | Path | None) -> Any:
    """See `Diagnose.plot`."""
    figure = _figure(10)
    deltas, units = figure.subplots(1, 2)
    epochs = [d.epoch for d in records]
    L = len(records[0].layers)
    for l in range(L):
        color = (0.1 + 0.8 * l / max(L - 1, 1), 0.3, 0.9 - 0.8 * l / max(L - 1, 1))
        label = f"layer {l + 1}" if L <= 8 or l in (0, L - 1) else None
        sizes = [d.layers[l].delta_rms for d in records]
        _logarithmic(deltas, epochs, sizes, label, "o", color=color)
    deltas.set_title("rms of delta")
    for name in ("saturated", "dead"):
        shares = [
            sum(len(getattr(one, name) or ()) for one in d.layers) / sum(o.units for o in d.layers)
            for d in records
        ]
        units.plot(epochs, shares, marker="o", label=name)
    units.set_ylim(-0.03, 1.03)
    units.set_title("shares of all units")
    return _finished(figure, "epoch", path)


def _figure(width: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise DeltaruleError("a plot needs matplotlib: pip install 'deltarule[plot]'") from None
    return Figure(figsize=(width, 4), layout="constrained")


def _logarithmic(
    axis: Any, x: Sequence[Any], y: Sequence[float], label: str | None, marker: str, **more: Any
) -> None:
    """A line of what is positive and finite, on a logarithmic scale if there is any of it."""
    values = np.asarray(y, dtype=np.float64)
    shown = np.isfinite(values) & (values > 0)
    axis.plot(x, np.where(shown, values, np.nan), marker=marker, label=label, **more)
    if shown.any():
        axis.set_yscale("log")


def _finished(figure: Any, unit: str, path: str | Path | None) -> Any:
    for axis in figure.axes:
        axis.set_xlabel(unit)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        axis.legend()
    if path is not None:
        picture = io.BytesIO()
        figure.savefig(picture, dpi=120, format=Path(path).suffix[1:] or "png")
        write_atomically(path, picture.getvalue())
    return figure
