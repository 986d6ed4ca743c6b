"""Pictures: a figure in the look that all share, and its file; matplotlib loads here only."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from deltarule.errors import DeltaruleError
from deltarule.files import write_atomically


def new_figure(what: str, panels: int = 1) -> tuple[Any, Any]:
    """A matplotlib Figure and its axes, a list if there are several panels side by side.

    Raises DeltaruleError without the extra "plot"; `what` needed it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        message = f"{what} needs matplotlib: pip install 'deltarule[plot]'"
        raise DeltaruleError(message) from None
    figure = Figure(figsize=(7 if panels == 1 else 5 * panels, 4), layout="constrained")
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    for axis in axes:
        axis.grid(alpha=0.3)
    return figure, axes[0] if panels == 1 else axes


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a figure, whole or not at all; its kind is the ending's. Raises OutputError."""
    picture = io.BytesIO()
    figure.savefig(picture, dpi=120, format=Path(path).suffix[1:] or "png")
    write_atomically(path, picture.getvalue())
