"""A diagnosis as text: two tables of the layers, the findings, and what was tried."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from deltarule.explain.diagnose.advice import ROWS, STEPS, Trial
from deltarule.explain.diagnose.diagnosed import Diagnosed
from deltarule.explain.diagnose.measure import LayerDiagnosis

_WIDTH = 100


def diagnosis_text(d: Diagnosed, max_layers: int | None) -> str:
    """See `Diagnosis.to_text`."""
    when = "" if d.epoch is None else f" after epoch {d.epoch}"
    lines = [
        f"{d.network}{when}",
        f"{len(d.rows):,} row{'s' * (len(d.rows) != 1)}, loss {number(d.loss)}"
        + (f", l2 {d.l2:g}" if d.l2 else ""),
        "",
        *_tables(d, _shown(d, max_layers)),
    ]
    if d.findings:
        lines += ["findings", *(_item(one.sentence) for one in d.findings)]
    else:
        lines.append("Nothing unusual was found.")
    if d.advice:
        lines += ["", *_advice(d)]
    if d.notes:
        lines += ["", *(textwrap.fill(f"Note: {note}", _WIDTH) for note in d.notes)]
    return "\n".join(lines) + "\n"


def number(value: float | None) -> str:
    """Three significant digits; "-" for what is not there."""
    return "-" if value is None else f"{value:.3g}"


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return "-" if value is None else "0" if value == 0 else f"{100 * value:.3g}%"


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = ()) -> str:
    """A table: columns to the right, those in `left` to the left."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i in left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    )


def _item(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="- ", subsequent_indent="  ")


def _shown(d: Diagnosed, most: int | None) -> list[LayerDiagnosis]:
    """All layers, or those at which something happens and some evenly spaced."""
    L = len(d.layers)
    if most is None or most >= L:
        return d.layers
    marks = [1, L]
    for at in (d.vanishes_at, d.explodes_at, d.zero_in_float32_at):
        marks += [] if at is None else [at, min(at + 1, L)]
    spaced = np.linspace(1, L, max(2, most - len(set(marks)) + 2)).round().astype(int).tolist()
    return [d.layers[l - 1] for l in sorted({*marks, *spaced})]


def _tables(d: Diagnosed, shown: list[LayerDiagnosis]) -> list[str]:
    lines = []
    if len(shown) < len(d.layers):
        lines += [f"{len(shown)} of {len(d.layers)} layers:", ""]
    down = ["layer", "rms delta", "to next", "to top", "|dC/dW|", "|dC/db|"]
    up = ["layer", "activation", "units", "mean", "std", "over rows", "saturated", "dead"]
    singles = any(one.float32 is not None for one in shown)
    jacobians = any(one.jacobian is not None for one in shown)
    if d.l2:
        down += ["|l2 W|", "L2/data"]
    if singles:
        down += ["float32 lost", "subnormal"]
    if jacobians:
        up += ["Jacobian max", "geo. mean", "min"]
    lower, upper = [], []
    for one in shown:
        row = [one.delta_rms, one.delta_to_next, one.delta_to_top, one.weight_gradient_norm]
        row += [one.bias_gradient_norm]
        row += [one.l2_gradient_norm, one.l2_ratio] if d.l2 else []
        cells = [str(one.layer), *map(number, row)]
        if singles:
            f = one.float32
            cells += map(percent, (f.delta_lost, f.delta_subnormal) if f else (None, None))
        lower.append(cells)
        saturated = None if one.saturated is None else len(one.saturated) / one.units
        cells = [str(one.layer), one.activation, str(one.units)]
        cells += map(number, (one.activation_mean, one.activation_std, one.over_rows))
        cells += [percent(saturated), percent(len(one.dead) / one.units)]
        if jacobians:
            j = one.jacobian
            cells += map(number, (j.largest, j.geometric_mean, j.smallest) if j else (None,) * 3)
        upper.append(cells)
    return [*lines, aligned(down, lower), "", aligned(up, upper, left=(1,)), ""]


def _advice(d: Diagnosed) -> list[str]:
    before = d.advice[0].before
    rows = [["as it is", *_trial(before), ""]]
    rows += [
        [one.code, *_trial(one.after), "helps" if one.helped else "tried, did not help"]
        for one in d.advice
    ]
    head = ["change", "delta 1/L", "loss", f"after {STEPS} steps", ""]
    helped = [one for one in d.advice if one.helped]
    best = ["Nothing that was tried helped."]
    if helped:
        best = [
            textwrap.fill(f"What helped most: {helped[0].sentence}. In Python:", _WIDTH),
            f"    {helped[0].how}",
        ]
    return [
        f"tried on copies ({len(d.trial_rows):,} row{'s' * (len(d.trial_rows) != 1)}, at most "
        f"{ROWS}; {STEPS} steps of Adam; seed {d.seed})",
        aligned(head, rows, left=(0, 4)),
        *best,
    ]


def _trial(one: Trial) -> list[str]:
    end = "diverged" if one.loss_end != one.loss_end else number(one.loss_end)
    return [number(one.delta_ratio), number(one.loss_start), end]
