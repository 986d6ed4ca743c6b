"""What happens to the numbers of a network on their way up and down, measured (SPEC A6, C14).

Norms of delta, gradients and activations, saturated and dead units, underflow, the part of the L2
term, layer Jacobians, numbers that are not finite; and what would help, each advice tried.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltarule import options
from deltarule.document import Document, Shown, html, json, latex, markdown, text
from deltarule.equations.params import Array
from deltarule.errors import DataError
from deltarule.explain.case import Source, case_of
from deltarule.explain.diagnose.advice import ROWS as TRIAL_ROWS
from deltarule.explain.diagnose.advice import advise
from deltarule.explain.diagnose.diagnosed import Diagnosed
from deltarule.explain.diagnose.findings import Finding, find
from deltarule.explain.diagnose.layout import document
from deltarule.explain.diagnose.measure import Measured, measure
from deltarule.explain.diagnose.plot import plot_diagnosis
from deltarule.network.network import Network

FORMAT = "deltarule.diagnosis"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Diagnosis(Diagnosed, Shown):
    """What `diagnose` gives: `print` it, `plot`, or any format of `Shown`."""

    def document(self, max_layers: int | None = 12) -> Document:
        """Tables of the layers, the findings and the advice.

        Of more than `max_layers` layers (None: no limit) those are shown between which something
        happens, and some evenly spaced.
        """
        return document(self, max_layers)

    def to_text(self, max_layers: int | None = 12) -> str:
        """As plain text; see `document`."""
        return text.write(self.document(max_layers)) + "\n"

    def to_markdown(self, max_layers: int | None = 12) -> str:
        """As Markdown; see `document`."""
        return markdown.write(self.document(max_layers))

    def to_html(self, max_layers: int | None = None) -> str:
        """As one page that needs nothing else; see `document`."""
        return html.write(self.document(max_layers))

    def to_latex(self, max_layers: int | None = 12, *, standalone: bool = False) -> str:
        """For a LaTeX document, or a whole one; see `document`."""
        return latex.write(self.document(max_layers), standalone)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it: None for NaN, infinity and what was not measured."""
        layers = []
        for one in self.layers:
            layer = asdict(one)
            if one.jacobian is not None:
                layer["jacobian"]["condition"] = one.jacobian.condition
            layers.append(layer)
        value = {
            "format": FORMAT,
            "version": VERSION,
            "network": self.network,
            "dtype": self.dtype,
            "epoch": self.epoch,
            "rows": len(self.rows),
            "loss": self.loss,
            "l2": self.l2,
            "finite": self.finite,
            "vanishes_at": self.vanishes_at,
            "explodes_at": self.explodes_at,
            "zero_in_float32_at": self.zero_in_float32_at,
            "layers": layers,
            "findings": [asdict(one) for one in self.findings],
            "non_finite": [asdict(one) for one in self.non_finite],
            "advice": [asdict(one) | {"helped": one.helped} for one in self.advice],
            "trial_rows": len(self.trial_rows),
            "seed": self.seed,
            "notes": self.notes,
        }
        plain: dict[str, Any] = json.plain(value)
        return plain

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as text."""
        return json.write(self.to_dict(), indent)

    def plot(self, path: str | Path | None = None) -> Any:
        """By layer: rms of delta, size of the activations, shares of saturated and dead units.

        Returns the matplotlib Figure; with `path` it is also written there (PNG, SVG or PDF by its
        ending). Needs the extra "plot": without it, DeltaruleError. OutputError if the file cannot
        be written.
        """
        return plot_diagnosis(self, path)

    def __repr__(self) -> str:
        codes = ", ".join(one.code for one in self.findings) or "nothing found"
        return f"Diagnosis({self.network}, {len(self.rows):,} rows: {codes})"


def diagnose(
    net: Source,
    X: Any = None,
    Y: Any = None,
    *,
    l2: float | None = None,
    sample_weight: Any = None,
    try_advice: bool = True,
    rows: int | None = 1024,
    rng: Any = 0,
) -> Diagnosis:
    """Measure what happens to signal and gradient in every layer, and try what would help.

    The network is left as it is.

    Parameters
    ----------
    net : Network, TableModel, fitted estimator, path, dict or published name
        The path of a model file (.safetensors) or network file (.json, .toml, .yaml), what such a
        file holds, or "yehoshua", "mazur", "gashler". What a file says holds where the arguments
        below do not.
    X : (n, n_0) array or sparse matrix, or (n_0,) for one sample; or a table in place of X and Y
        A file or data set's name: of a table's model (also a DataFrame) raw rows with their target
        column, else columns of numbers, the inputs and then the targets.
    Y : (n, n_L), or (n,) for one output; for cross_entropy also labels
    l2 : float >= 0, default 0
        As in `dr.train`: the term l2 W_l of the gradient is told apart from the data's.
    sample_weight : (n,), optional
    try_advice : bool, default True
        Whether what could help is tried on copies: 100 steps of Adam each, on at most 256 rows.
    rows : int or None, default 1024
        At most so many rows are looked at, drawn with `rng`; None for all.
    rng : None, int, SeedSequence or Generator, default 0
        Of the rows drawn, the Jacobians' rows, and new weights. An int is also the `rng` of the
        networks that are tried.

    Returns
    -------
    Diagnosis

    Raises
    ------
    DataError
        Bad X, Y or weights: says row and column.
    SpecError
        Options that do not fit, or a network file that cannot be read.
    """
    if rows is not None:
        options.count(None, rows=rows)
    seed, generator = _seed(rng)
    case = case_of(net, X, Y, heeds=["l2"], sample_weight=sample_weight, l2=l2)
    case.samples("a diagnosis")
    n, notes, weight = len(case.Y), [], case.sample_weight
    chosen = draw_rows(n, rows, generator)
    if len(chosen) < n:
        notes.append(f"{len(chosen):,} of {n:,} rows were looked at, drawn at random.")
    if weight is not None and not weight[chosen].any():
        raise DataError("sample_weight is 0 for every row that was drawn: pass rows=None")
    measured = measure(case.only(chosen), rng=generator)
    findings = find(measured, case.net.dtype == np.float32)
    trial_rows, advice = chosen[:0], []
    if try_advice and case.edges is not None:
        notes.append("No advice was tried: training would give the network its absent edges.")
    elif try_advice:
        trial_rows = draw_rows(n, TRIAL_ROWS, generator)
        if weight is None or weight[trial_rows].any():
            advice = advise(case.only(trial_rows), seed, findings)
    return diagnosis_of(
        case.net,
        measured,
        findings,
        l2=case.l2,
        advice=advice,
        notes=notes,
        rows=chosen,
        trial_rows=trial_rows if advice else trial_rows[:0],
        seed=seed,
    )


def diagnosis_of(
    net: Network, measured: Measured, findings: list[Finding], **more: Any
) -> Diagnosis:
    """The Diagnosis of what was measured of a network."""
    return Diagnosis(
        network=repr(net),
        dtype=str(net.dtype),
        loss=measured.loss,
        layers=measured.layers,
        findings=findings,
        non_finite=measured.non_finite,
        **more,
    )


def draw_rows(n: int, most: int | None, rng: np.random.Generator) -> Array:
    """All of n rows, or `most` of them at random, in ascending order."""
    if most is None or n <= most:
        return np.arange(n)
    return np.sort(rng.choice(n, most, replace=False))


def _seed(rng: Any) -> tuple[int, np.random.Generator]:
    """The seed of networks that are tried, and the generator of all else."""
    generator = options.generator(rng)
    if isinstance(rng, int | np.integer):
        return int(rng), generator
    return int(generator.integers(2**31)), generator
