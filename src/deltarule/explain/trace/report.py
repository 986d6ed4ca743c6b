"""Every number of a few steps of gradient descent: forward, loss, backward, update, forward again.

A trace reads the reference equations (backprop.py) in float64 and keeps all that they give. It is
shown as text, Markdown or a page (`trace_text.py`, `trace_html.py`), or given to programs as JSON
(`trace.schema.json`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltarule import options
from deltarule.equations.params import Array
from deltarule.errors import SpecError
from deltarule.explain.case import Edges, NetworkFile, read_network
from deltarule.explain.trace.data import as_dict
from deltarule.explain.trace.page import frame, page
from deltarule.explain.trace.selection import Wanted, markdown, text
from deltarule.explain.trace.steps import Traced, Tracer
from deltarule.network.data import check_inputs, check_targets, is_sparse
from deltarule.network.network import Network


@dataclass(frozen=True, eq=False)
class Trace(Traced):
    """What `trace` gives: `print(t)` or `t.to_text()`, `to_markdown`, `to_html`, `to_json`."""

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
        wanted = Wanted(layer, neuron, sample, step, max_lines)
        return text(self, wanted, notation=notation, digits=digits, max_terms=max_terms)

    def to_markdown(
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
        """The same as Markdown, one table per formula; parameters as for `to_text`."""
        wanted = Wanted(layer, neuron, sample, step, max_lines)
        return markdown(self, wanted, notation=notation, digits=digits, max_terms=max_terms)

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
            self, notation=notation, digits=digits, max_lines=max_lines, max_terms=max_terms
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, as `trace_schema()` describes it: lists, all digits, null for no edge."""
        return as_dict(self)

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON; every number reads back as the same float, null stands for NaN."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        counts = ((len(self.X), "sample"), (len(self.steps), "step"))
        size = ", ".join(f"{count} {name}{'s' * (count > 1)}" for count, name in counts)
        losses = f"loss {self.steps[0].before.loss:.6g} -> {self.steps[-1].after.loss:.6g}"
        return f"Trace({self.net!r}, {size}, {losses})"

    def _repr_html_(self) -> str:
        return frame(self.to_html(max_lines=300))


def trace(
    net: Network | NetworkFile | str | Path | Mapping[str, Any],
    x: Any = None,
    y: Any = None,
    learning_rate: float | None = None,
    steps: int = 1,
    *,
    edges: Sequence[Any] | None = None,
    trainable_biases: bool | None = None,
    reduction: str = "mean",
) -> Trace:
    """Take steps of plain gradient descent on a copy, and keep every number of them.

    Parameters
    ----------
    net : Network, or a network file (see `read_network`) by path, as a dict, or read
        It is not changed. What a file says holds where the arguments below do not.
    x : (n, n_0), or (n_0,) for one sample
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
    file = net if isinstance(net, NetworkFile) else None
    if isinstance(net, str | Path | Mapping):
        file = read_network(net)
    if file is not None:
        x, y = file.X if x is None else x, file.Y if y is None else y
        learning_rate = file.learning_rate if learning_rate is None else learning_rate
        edges = file.edges if edges is None else edges
        if trainable_biases is None:
            trainable_biases = file.trainable_biases
    network = net if isinstance(net, Network) else None if file is None else file.net
    if network is None:
        raise SpecError(f"a Network or a network file is needed, got {net!r:.60}")
    learning_rate = 0.5 if learning_rate is None else learning_rate
    options.positive(None, learning_rate=learning_rate)
    options.count(None, steps=steps)
    X, Y = _samples(network, x, y)
    there = _checked_edges(network, edges)
    tracer = Tracer(network, X, Y, float(learning_rate), reduction, there, trainable_biases)
    return Trace(
        network.copy(),
        X,
        Y,
        float(learning_rate),
        reduction,
        there,
        trainable_biases is not False,
        tracer.run(steps),
    )


def _samples(net: Network, x: Any, y: Any) -> tuple[Array, Array]:
    """x and y as (n, n_0) and (n, n_L); one sample may come flat."""
    if x is None or y is None:
        missing = "inputs x" if x is None else "targets y"
        raise SpecError(f"a trace needs {missing}: give them, or put them into the network's file")
    x = x.toarray() if is_sparse(x) else x
    X = check_inputs([x] if _dimensions(x) == 1 else x, net.sizes[0], np.float64, "x")
    of_one = len(X) == 1 and _dimensions(y) == 1
    if _dimensions(y) == 0 or (of_one and len(y) in (net.sizes[-1], len(net.loss.groups))):
        y = [y]
    return X, check_targets(net.loss, y, len(X), net.sizes[-1], np.float64, "y")


def _dimensions(values: Any) -> int:
    """How deep an array or a nest of lists is; -1 for a nest that is not rectangular."""
    try:
        return int(np.ndim(values))
    except ValueError:
        return -1


def _checked_edges(net: Network, edges: Sequence[Any] | None) -> Edges | None:
    if edges is None:
        return None
    shapes = [W.shape for W, _ in net.layout.matrices(net.theta)]
    if len(edges) != len(shapes):
        raise SpecError(f"edges: one array per layer ({len(shapes)}) is needed, got {len(edges)}")
    arrays = [np.asarray(edge, dtype=bool) for edge in edges]
    for l, (edge, shape) in enumerate(zip(arrays, shapes, strict=True), start=1):
        if edge.shape != shape:
            raise SpecError(f"edges of layer {l} need shape {shape}, got {edge.shape}")
    return None if all(edge.all() for edge in arrays) else arrays
