"""The progress bar of training, on stderr."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from deltarule.training.callbacks import Callback, Progress


class ProgressBar(Callback):
    """Epochs done, losses and the validation metric, redrawn in place in a terminal."""

    def __init__(self, epochs: int, done: int) -> None:
        self._bar = RichProgress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=Console(stderr=True),
            redirect_stdout=sys.stdout.isatty(),  # elsewhere stdout carries data: leave it alone
        )
        self._task = self._bar.add_task("train", total=epochs, completed=done, numbers="")

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_epoch(self, progress: Progress) -> None:
        history = progress.history
        shown = [("loss", history.loss), ("validation", history.validation_loss)]
        shown += list(history.metrics.items())
        numbers = "  ".join(f"{name} {values[-1]:.4g}" for name, values in shown if values)
        self._bar.update(self._task, completed=progress.epoch, numbers=numbers)
