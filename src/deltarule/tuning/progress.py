"""What long work on many trainings shows on stderr: a line per result, and below them one bar."""

from __future__ import annotations

import math
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from deltarule.training.callbacks import Callback, Progress
from deltarule.tuning.study import Trial


def new_bar(*, show: bool) -> RichProgress:
    """A bar of one line with the time elapsed and left, in a terminal only."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[now]}"),
        console=console,
        redirect_stdout=sys.stdout.isatty(),  # elsewhere stdout carries data: leave it alone
        transient=True,  # what counts stands in the lines above it
        disable=not (show and console.is_terminal),
    )


class TuningProgress(Callback):
    """Trials done, the best score, time elapsed and left.

    Parameters
    ----------
    scoring : str
    trials : float
        How many are planned; infinity if only the time ends the search.
    time_budget : float
        In seconds, or infinity.
    show : bool
        False: nothing is printed.
    """

    def __init__(self, scoring: str, trials: float, time_budget: float, *, show: bool) -> None:
        self._scoring, self._trials, self._budget = scoring, trials, time_budget
        self._start = time.monotonic()
        self._shown = show
        self._best = -math.inf
        self._number = 0
        self._bar = new_bar(show=show)
        self._task = self._bar.add_task("", total=1.0, now="")

    def __enter__(self) -> TuningProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, number: int) -> None:
        """A trial starts."""
        self._number = number
        of = f" of {self._trials:.0f}" if math.isfinite(self._trials) else ""
        self._update(f"trial {number}{of}", "")

    def on_epoch(self, progress: Progress) -> None:
        """Redraw within a long trial."""
        if self._shown:
            self._update(None, f"epoch {progress.epoch}")

    def end(self, trial: Trial, *, best: bool) -> None:
        """A trial has ended: print its line."""
        if best:
            self._best = trial.score
        score = "failed" if trial.failed else f"{self._scoring} {trial.score:.4f}"
        mark = "*" if best else " "
        self.say(f"trial {trial.number:>3} {mark} {score}  {trial.seconds:6.2f} s  {trial}")
        if trial.failed:
            self.say(f"            {trial.failed}")

    def say(self, text: str) -> None:
        """A line between those of the trials."""
        if self._shown:
            self._bar.print(text, soft_wrap=True)

    def _update(self, description: str | None, now: str) -> None:
        done = (time.monotonic() - self._start) / self._budget
        done = min(max(done, (self._number - 1) / self._trials), 1.0)
        if math.isfinite(self._best):
            now = f"best {self._scoring} {self._best:.4f}  {now}"
        self._bar.update(self._task, completed=done, now=now, description=description)
