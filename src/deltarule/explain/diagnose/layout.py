"""What a diagnosis says: two tables of the layers, the findings, and what was tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from deltarule.document import Document, Heading, Item, Items, Lines, Listing, Table, Title
from deltarule.document.blocks import Block
from deltarule.explain.diagnose.advice import ROWS, STEPS, Trial
from deltarule.explain.diagnose.diagnosed import Diagnosed
from deltarule.explain.diagnose.measure import LayerDiagnosis

_WIDTH = 100
Columns = dict[str, Callable[[LayerDiagnosis], str]]


def document(d: Diagnosed, max_layers: int | None) -> Document:
    """All of it; of more than `max_layers` layers those at which something happens."""
    when = "" if d.epoch is None else f" after epoch {d.epoch}"
    rows = f"{len(d.rows):,} row{'s' * (len(d.rows) != 1)}, loss {number(d.loss)}"
    blocks: list[Block] = [Title(f"{d.network}{when}")]
    blocks.append(Lines([rows + (f", l2 {d.l2:g}" if d.l2 else "")], tight=True))
    shown = _shown(d, max_layers)
    if len(shown) < len(d.layers):
        blocks.append(Lines([f"{len(shown)} of {len(d.layers)} layers:"]))
    blocks += [_gradients(d, shown), _activations(shown)]
    if d.findings:
        items = [Item(one.sentence) for one in d.findings]
        blocks += [Heading("findings"), Items(items, width=_WIDTH)]
    else:
        blocks.append(Lines(["Nothing unusual was found."]))
    if d.advice:
        blocks += _advice(d)
    return Document([*blocks, Lines([f"Note: {note}" for note in d.notes], width=_WIDTH)])


def number(value: float | None) -> str:
    """Three significant digits; "-" for what is not there."""
    return "-" if value is None else f"{value:.3g}"


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return "-" if value is None else "0" if value == 0 else f"{100 * value:.3g}%"


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


def _gradients(d: Diagnosed, shown: Sequence[LayerDiagnosis]) -> Table:
    """What goes down: deltas and gradients."""
    columns: Columns = {
        "layer": lambda one: f"{one.layer}",
        "rms delta": lambda one: number(one.delta_rms),
        "to next": lambda one: number(one.delta_to_next),
        "to top": lambda one: number(one.delta_to_top),
        "|dC/dW|": lambda one: number(one.weight_gradient_norm),
        "|dC/db|": lambda one: number(one.bias_gradient_norm),
    }
    if d.l2:
        columns["|l2 W|"] = lambda one: number(one.l2_gradient_norm)
        columns["L2/data"] = lambda one: number(one.l2_ratio)
    if any(one.float32 for one in shown):
        columns["float32 lost"] = _part("float32", "delta_lost", percent)
        columns["subnormal"] = _part("float32", "delta_subnormal", percent)
    return _table(columns, shown)


def _activations(shown: Sequence[LayerDiagnosis]) -> Table:
    """What goes up: sizes of activations, saturated and dead units, Jacobians."""
    columns: Columns = {
        "layer": lambda one: f"{one.layer}",
        "activation": lambda one: one.activation,
        "units": lambda one: f"{one.units}",
        "mean": lambda one: number(one.activation_mean),
        "std": lambda one: number(one.activation_std),
        "over rows": lambda one: number(one.over_rows),
        "saturated": lambda one: percent(_share(one.saturated, one)),
        "dead": lambda one: percent(_share(one.dead, one)),
    }
    if any(one.jacobian for one in shown):
        of_jacobian = {"Jacobian max": "largest", "geo. mean": "geometric_mean", "min": "smallest"}
        for head, name in of_jacobian.items():
            columns[head] = _part("jacobian", name, number)
    return _table(columns, shown)


def _part(
    part: str, name: str, write: Callable[[float | None], str]
) -> Callable[[LayerDiagnosis], str]:
    """A column of what is not measured in every layer."""
    return lambda one: write(getattr(getattr(one, part), name, None))


def _share(units: Sequence[int] | None, of: LayerDiagnosis) -> float | None:
    return None if units is None else len(units) / of.units


def _table(columns: Columns, layers: Sequence[LayerDiagnosis]) -> Table:
    align = "".join("l" if head == "activation" else "r" for head in columns)
    return Table(list(columns), [[cell(one) for cell in columns.values()] for one in layers], align)


def _advice(d: Diagnosed) -> list[Block]:
    rows = [["as it is", *_trial(d.advice[0].before), ""]]
    rows += [
        [one.code, *_trial(one.after), "helps" if one.helped else "tried, did not help"]
        for one in d.advice
    ]
    caption = (
        f"tried on copies ({len(d.trial_rows):,} row{'s' * (len(d.trial_rows) != 1)}, at most "
        f"{ROWS}; {STEPS} steps of Adam; seed {d.seed})"
    )
    head = ("change", "delta 1/L", "loss", f"after {STEPS} steps", "")
    table = Table(head, rows, "lrrrl", caption=caption)
    helped = [one for one in d.advice if one.helped]
    if not helped:
        return [table, Lines(["Nothing that was tried helped."], tight=True)]
    best = f"What helped most: {helped[0].sentence}. In Python:"
    return [table, Lines([best], width=_WIDTH, tight=True), Listing([helped[0].how], tight=True)]


def _trial(one: Trial) -> list[str]:
    end = "diverged" if one.loss_end != one.loss_end else number(one.loss_end)
    return [number(one.delta_ratio), number(one.loss_start), end]
