"""Every number of a few steps of gradient descent: forward, loss, backward, update, forward again.

A trace reads the reference equations (backprop.py) in float64 and keeps all that they give. It is
shown as text, Markdown, LaTeX (`layout.py`) or a page (`page.py`), or given to programs as JSON
(`trace.schema.json`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deltarule import options
from deltarule.document import Document, Shown, json, latex
from deltarule.explain.case import Source, case_of
from deltarule.explain.trace import layout
from deltarule.explain.trace.data import as_dict
from deltarule.explain.trace.page import frame, page
from deltarule.explain.trace.selection import Wanted
from deltarule.explain.trace.steps import Traced, Tracer


@dataclass(frozen=True, eq=False)
class Trace(Traced, Shown):
    """What `trace` gives: `print` it, or any format of `Shown`."""

    def document(self, **shown: Any) -> Document:
        """The result, and a table for each formula; parameters as for `to_text`."""
        return layout.document(self, Wanted(**shown))

    def to_text(
        self,
        *,
        layer: int | None = None,
        neuron: int | None = None,
        sample: int | None = None,
        step: int | None = None,
        digits: int | None = 6,
        notation: str = "canonical",
        max_lines: int | None = 250,
        max_terms: int | None = 12,
    ) -> str:
        """The numbers by phase, each with its formula and the numbers put in.

        Parameters
        ----------
        layer, neuron, sample, step : int, optional
            Show only these: layers 1..L (0: the inputs); units, samples, steps counted from 1.
        digits : int or None, default 6
            Significant digits shown, 1 to 17; None for all. Nothing is computed from them.
        notation : {"canonical", "index", "delta", "row", "column"}
        max_lines, max_terms : int or None
            About how many lines at most, and terms of a sum; what is left out is said.

        Raises SpecError if there is no such layer, neuron, sample, step or notation.
        """
        return layout.text(
            self, Wanted(layer, neuron, sample, step, digits, notation, max_lines, max_terms)
        )

    def to_markdown(self, **shown: Any) -> str:
        """The same as Markdown, one table per formula; parameters as for `to_text`."""
        return layout.markdown(self, Wanted(**shown))

    def to_html(
        self,
        *,
        digits: int | None = 6,
        notation: str = "canonical",
        max_lines: int | None = 1000,
        max_terms: int | None = 12,
    ) -> str:
        """One self-contained page: the network drawn, and the tables; parameters as `to_text`."""
        return page(
            self,
            Wanted(digits=digits, notation=notation, max_lines=max_lines, max_terms=max_terms),
        )

    def to_latex(self, *, standalone: bool = False, **shown: Any) -> str:
        """For a LaTeX document, or a whole one; other parameters as for `to_text`."""
        return latex.write(self.document(**shown), standalone)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as `trace_schema()` describes it: lists, all digits, null for no edge."""
        return as_dict(self)

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON; every number reads back as the same float, null stands for NaN."""
        return json.write(self.to_dict(), indent)

    def __repr__(self) -> str:
        counts = ((len(self.X), "sample"), (len(self.steps), "step"))
        size = ", ".join(f"{count} {name}{'s' * (count > 1)}" for count, name in counts)
        losses = f"loss {self.steps[0].before.loss:.6g} -> {self.steps[-1].after.loss:.6g}"
        return f"Trace({self.net!r}, {size}, {losses})"

    def _repr_html_(self) -> str:
        return frame(self.to_html(max_lines=300))


def trace(
    net: Source,
    x: Any = None,
    y: Any = None,
    learning_rate: float | None = None,
    steps: int = 1,
    *,
    edges: Sequence[Any] | None = None,
    trainable_biases: bool | None = None,
    reduction: str | None = None,
) -> Trace:
    """Take steps of plain gradient descent on a copy, and keep every number of them.

    Parameters
    ----------
    net : Network, TableModel, fitted estimator, path, dict or published name
        The path of a model file (.safetensors) or network file (.json, .toml, .yaml), what such a
        file holds, or "yehoshua", "mazur", "gashler". It is not changed. What a file says holds
        where the arguments below do not.
    x : (n, n_0), or (n_0,) for one sample; or a table in place of x and y
        A file or data set's name: of a table's model (also a DataFrame) raw rows with their target
        column, else columns of numbers, the inputs and then the targets.
    y : (n, n_L), or (n_L,) for one sample; for cross_entropy also labels (n,)
    learning_rate : float, default 0.5
    steps : int, default 1
        All samples take part in each step, and momentum or other optimizers in none.
    edges : list of L bool arrays (n_{l-1}, n_l), optional
        False where there is no edge: its weight is 0, is never used and never updated.
    trainable_biases : bool, default True
    reduction : "mean" (default) or "sum"
        How the error C is made of the samples' losses J.

    Raises
    ------
    SpecError
        A file, an option or edges that do not fit.
    DataError
        x or y that do not fit the network or its loss, or are missing.
    """
    options.count(None, steps=steps)
    names = ("x", "y")
    case = case_of(
        net,
        x,
        y,
        heeds=["reduction"],
        names=names,
        dtype=np.float64,
        edges=edges,
        learning_rate=learning_rate,
        reduction=reduction,
        trainable_biases=trainable_biases,
    )
    _, Y = case.samples("a trace", names)
    rate = 0.5 if case.learning_rate is None else case.learning_rate
    return Trace(
        case.net.copy(),
        case.dense,
        Y,
        rate,
        case.reduction,
        case.edges,
        case.trainable_biases,
        Tracer(case, rate).run(steps),
    )
