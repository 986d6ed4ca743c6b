"""What training recorded, epoch by epoch, and its picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from deltarule.document import Document, Lines, Shown, Table, Title
from deltarule.document.figures import new_figure, save_figure

_MOST_EPOCHS = 12  # in a table; to_dict has all


@dataclass
class History(Shown):
    """One entry per finished epoch in every list.

    Attributes
    ----------
    loss : list of float
        Mean of J over the epoch's batches, each before its update; penalties not included.
    validation_loss : list of float
        Mean of J over the validation rows after the epoch (empty without validation).
    metrics : dict of lists of float
        On the validation rows: "accuracy", or "r2" and "rmse".
    learning_rate : list of float
        Of the epoch's last step.
    gradient_norms : list of lists of L floats
        Norm of dC/d(W_l, b_l) of the epoch's first batch.
    seconds : list of float
        Wall time of each epoch, validation included.
    best_epoch : int or None
        Counted from 1: the epoch whose parameters early stopping restored.
    stopped : str
        Why training ended: "epochs", "early stopping", "interrupted" or what a callback said; of
        L-BFGS also "converged" (one of its tolerances is met), "max_evaluations" or "no further
        decrease" (the loss falls along no step that it tries: as a rule the minimum to the last
        bit).
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    learning_rate: list[float] = field(default_factory=list)
    gradient_norms: list[list[float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    stopped: str = "epochs"

    def __len__(self) -> int:
        return len(self.loss)

    def extend(self, later: History) -> None:
        """Append the epochs of a later run, as by partial_fit; `stopped` is the later one.

        What only some of the runs have, such as a metric, is NaN in the epochs of the others.
        """
        absent, later_absent = [math.nan] * len(self), [math.nan] * len(later)
        for name in later.metrics:
            self.metrics.setdefault(name, absent.copy())
        for name, values in self.metrics.items():
            values += later.metrics.get(name, later_absent)
        if self.validation_loss or later.validation_loss:
            self.validation_loss = (self.validation_loss or absent) + (
                later.validation_loss or later_absent
            )
        self.loss += later.loss
        self.learning_rate += later.learning_rate
        self.gradient_norms += later.gradient_norms
        self.seconds += later.seconds
        if later.best_epoch is not None:
            self.best_epoch = len(self) - len(later) + later.best_epoch
        self.stopped = later.stopped

    def series(self, name: str) -> list[float]:
        """The list called "loss", "validation_loss" or by the name of a metric."""
        if name in ("loss", "validation_loss"):
            return list(getattr(self, name))
        return self.metrics.get(name, [])

    # -- for people ---------------------------------------------------------------------------

    def document(self) -> Document:
        """How training ended, some of its epochs, and gradient norms of three."""
        ended = Lines([self.outcome(sum(self.seconds))], tight=True)
        return Document([Title("Training"), ended, self._epochs(), self.norms()])

    def outcome(self, seconds: float) -> str:
        """How many epochs there were, which is the best, why they ended, in one line."""
        epochs = f"{len(self)} epoch{'s' * (len(self) != 1)}"
        best = f", best {self.best_epoch}" if self.best_epoch else ""
        return f"{epochs}{best} ({self.stopped}) in {seconds:.2f} s"

    def _epochs(self) -> Table:
        """Losses and metrics: all epochs, or some evenly spaced and the best."""
        count = len(self)
        spaced = np.linspace(1, max(count, 1), _MOST_EPOCHS).round().astype(int).tolist()
        shown = sorted({*spaced, self.best_epoch or 1}) if count > _MOST_EPOCHS else None
        columns = {"loss": self.loss, "validation loss": self.validation_loss, **self.metrics}
        columns["learning rate"] = self.learning_rate
        known = {name: values for name, values in columns.items() if values}
        rows = [
            (f"{epoch}", *(f"{values[epoch - 1]:.4g}" for values in known.values()))
            for epoch in shown or range(1, count + 1)
        ]
        caption = f"{len(shown)} of {count:,} epochs" if shown else ""
        return Table(("epoch", *known), rows, "r" * (1 + len(known)), caption=caption)

    def norms(self) -> Table:
        """Gradient norms of each layer in the first epoch, one halfway, and the last."""
        count = len(self.gradient_norms)
        shown = sorted({0, count // 2, count - 1}) if count else []
        by_layer = zip(*(self.gradient_norms[e] for e in shown), strict=True)
        return Table(
            ("layer", *(f"epoch {e + 1}" for e in shown)),
            [(f"{l}", *(f"{norm:.3g}" for norm in of)) for l, of in enumerate(by_layer, start=1)],
            "l" + "r" * len(shown),
            caption="gradient norm per layer (first batch of an epoch)",
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> History:
        """The inverse of `to_dict`."""
        return cls(**values)

    def __repr__(self) -> str:
        if not self.loss:
            return f"History(no epoch finished, stopped: {self.stopped})"
        parts = [f"{len(self)} epochs", f"loss {self.loss[-1]:.4g}"]
        if self.validation_loss:
            parts.append(f"validation loss {self.validation_loss[-1]:.4g}")
        parts += [f"{name} {values[-1]:.4g}" for name, values in self.metrics.items() if values]
        if self.best_epoch is not None:
            parts.append(f"best epoch {self.best_epoch}")
        return f"History({', '.join(parts)}, stopped: {self.stopped})"

    def plot(self, path: str | Path | None = None) -> Any:
        """Learning curves: losses, metrics, gradient norms per layer, one panel each.

        Returns the matplotlib Figure; with `path` it is also written there (PNG, SVG or PDF by its
        ending). Needs the extra "plot": without it, DeltaruleError. OutputError if the file cannot
        be written.
        """
        shown = [name for name in self.metrics if name != "rmse"]
        figure, axes = new_figure("History.plot", panels=2 + bool(shown))
        epochs = np.arange(1, len(self) + 1)
        marker = "o" if len(self) == 1 else ""  # one point makes no line
        axes[0].plot(epochs, self.loss, marker=marker, label="training")
        if self.validation_loss:
            axes[0].plot(epochs, self.validation_loss, marker=marker, label="validation")
        positive = [v for v in (*self.loss, *self.validation_loss) if v > 0 and np.isfinite(v)]
        if positive and len(positive) == len(self.loss) + len(self.validation_loss):
            axes[0].set_yscale("log")
        axes[0].set_title("loss")
        for name in shown:
            axes[1].plot(epochs, self.metrics[name], marker=marker, label=f"validation {name}")
            axes[1].set_title(name)
        norms = np.array(self.gradient_norms)
        layers = norms.shape[1] if norms.ndim == 2 else 0
        for l in range(layers):
            color = (0.1 + 0.8 * l / max(layers - 1, 1), 0.3, 0.9 - 0.8 * l / max(layers - 1, 1))
            label = f"layer {l + 1}" if layers <= 8 or l in (0, layers - 1) else None
            shown_norms = np.where(norms[:, l] > 0, norms[:, l], np.nan)
            axes[-1].plot(epochs, shown_norms, marker=marker, label=label, color=color)
        axes[-1].set_title("gradient norm per layer")
        if (norms > 0).any():
            axes[-1].set_yscale("log")
        for axis in axes:
            axis.set_xlabel("epoch")
            axis.xaxis.get_major_locator().set_params(integer=True)
            if self.best_epoch is not None:
                axis.axvline(self.best_epoch, color="0.6", linestyle=":", label="best epoch")
            if axis.get_legend_handles_labels()[0]:
                axis.legend()
        if path is not None:
            save_figure(figure, path)
        return figure
