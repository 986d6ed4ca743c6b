"""Diagnoses during training: quick ones, every so many epochs, on the same few rows.

It stands here and not in `callbacks.py`, which training itself imports: imports fall, and what
looks at a network stands above what trains it. `deltarule.callbacks` gives it by name all the same.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from deltarule import options
from deltarule.document import Document, Shown, Table, Title, text
from deltarule.equations.params import Array
from deltarule.errors import SpecError
from deltarule.explain.case import Case
from deltarule.explain.diagnose.findings import find
from deltarule.explain.diagnose.layout import number, percent
from deltarule.explain.diagnose.measure import measure
from deltarule.explain.diagnose.report import Diagnosis, diagnosis_of, draw_rows
from deltarule.training.callbacks import Callback, Progress


class Diagnose(Callback, Shown):
    """Look at every layer each so many epochs of a training, at the price of a few rows.

    A record is a `Diagnosis` in the network's own precision, without the comparison with float32,
    Jacobians and advice. The first is of the network before training, the last of that after it
    (of the best one, if early stopping restores it). Training sees nothing of it: the rows and all
    results are the same with and without.

    Parameters
    ----------
    every : int >= 1, default 10
        Epochs from one record to the next.
    rows : int >= 1, default 256
        At most so many of the training rows, drawn once.
    rng : int, default 0
        Of the rows.
    """

    def __init__(self, every: int = 10, rows: int = 256, rng: int = 0) -> None:
        options.count(self, every=every, rows=rows)
        self.every, self.rows, self.rng = int(every), int(rows), rng
        self._records: list[Diagnosis] = []
        self._chosen: Array = np.arange(0)

    @property
    def records(self) -> list[Diagnosis]:
        """The diagnoses so far, in order; `epoch` tells after how many epochs each was made."""
        return self._records

    def on_start(self, progress: Progress) -> None:
        """Draw the rows; the first record."""
        self._records = []
        self._chosen = draw_rows(len(progress.Y), self.rows, options.generator(self.rng))
        self._record(progress)

    def on_epoch(self, progress: Progress) -> None:
        """A record, every so many epochs."""
        if progress.epoch % self.every == 0:
            self._record(progress)

    def on_end(self, progress: Progress) -> None:
        """The last record, of the parameters that are kept."""
        epoch = len(progress.history)
        best = progress.history.best_epoch
        if best is not None and best != epoch:
            self._record(progress, best)
        elif self._records[-1].epoch != epoch:
            self._record(progress)

    def _record(self, progress: Progress, epoch: int | None = None) -> None:
        whole = Case(progress.net, progress.X, progress.Y, progress.sample_weight, l2=progress.l2)
        case = whole.only(self._chosen)
        if case.sample_weight is not None and not case.sample_weight.any():
            case = replace(case, sample_weight=None)  # they say nothing about these rows
        measured = measure(case, quick=True)
        self._records.append(
            diagnosis_of(
                progress.net,
                measured,
                find(measured, progress.net.dtype == np.float32),
                l2=progress.l2,
                rows=self._chosen,
                epoch=len(progress.history) if epoch is None else epoch,
            )
        )

    def document(self) -> Document:
        """One row a record: loss, gradient from end to end, saturated and dead units, findings."""
        return Document([Title("Diagnoses during training"), self._table()])

    def to_text(self) -> str:
        """The rows of `document`."""
        return "\n".join(text.table(self._table())) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """What was asked for, and every record as `Diagnosis.to_dict` gives it."""
        records = [one.to_dict() for one in self._records]
        return {"every": self.every, "rows": self.rows, "rng": self.rng, "records": records}

    def _table(self) -> Table:
        head = ("epoch", "loss", "delta 1", "delta L", "1/L", "saturated", "dead", "found")
        rows = []
        for d in self._records:
            first, last = d.layers[0], d.layers[-1]
            units = sum(one.units for one in d.layers)
            saturated = sum(len(one.saturated or ()) for one in d.layers)
            dead = sum(len(one.dead) for one in d.layers)
            rows.append(
                [
                    str(d.epoch),
                    *map(number, (d.loss, first.delta_rms, last.delta_rms, first.delta_to_top)),
                    percent(saturated / units),
                    percent(dead / units),
                    ", ".join(f"{one.code} ({one.layer})" for one in d.findings) or "nothing",
                ]
            )
        return Table(head, rows, "rrrrrrrl")

    def plot(self, path: str | Path | None = None) -> Any:
        """Along the epochs: rms of delta of each layer, shares of saturated and dead units.

        Returns the matplotlib Figure; with `path` it is also written there. Raises SpecError before
        a training, and as `Diagnosis.plot`.
        """
        if not self._records:
            raise SpecError("there is nothing to plot before a training")
        from deltarule.explain.diagnose.plot import plot_records

        return plot_records(self._records, path)

    def __repr__(self) -> str:
        return f"Diagnose(every={self.every}, rows={self.rows}, {len(self._records)} records)"
