"""The picture of a traced network: which units and edges are drawn where, and their numbers.

Large layers and deep networks are drawn collapsed. The drawing itself is SVG; the numbers of every
step and sample come beside it, so that a page can show one after the other.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from deltarule.equations.params import Array
from deltarule.explain.trace.calculation import Line
from deltarule.explain.trace.layout import calculated, layer_name
from deltarule.explain.trace.lines import Lines
from deltarule.explain.trace.steps import Traced
from deltarule.formula.expression import Expression
from deltarule.formula.inline import MINUS, Html

_DX, _DY, _R = 116, 64, 26  # distances of layers and units, radius of a unit
_TOP, _SIDE = 62, 48
_MOST_UNITS, _FIRST, _LAST = 8, 4, 2  # of a layer that is drawn collapsed
_MOST_LAYERS = 10
_MOST_NUMBERS = 1_500  # of units and edges, over all steps and samples


class Spot(NamedTuple):
    """A unit that is drawn: layer and unit (from 0), and where."""

    l: int
    j: int
    x: float
    y: float

    @property
    def name(self) -> str:
        """What the page calls it."""
        return f"{self.l}-{self.j}"


class Wire(NamedTuple):
    """An edge that is drawn."""

    start: Spot
    end: Spot

    @property
    def name(self) -> str:
        """What the page calls it."""
        return f"{self.end.l}-{self.start.j}-{self.end.j}"


class Picture:
    """What is drawn of a trace.

    Attributes
    ----------
    layers : list of int
        The layers that are drawn, 0..L.
    spots, wires : lists
    steps, samples : lists of int
        Counted from 1: those whose numbers the picture has.
    left_out : str
        What is not there, in words; "" if all is.
    """

    def __init__(self, trace: Traced, lines: Lines) -> None:
        self.trace, self.lines = trace, lines
        sizes, L = trace.net.sizes, len(trace.net.activations)
        self.layers = list(range(L + 1))
        if L + 1 > _MOST_LAYERS:
            half = _MOST_LAYERS // 2
            self.layers = [*self.layers[:half], *self.layers[-half:]]
        rows = {l: _rows(sizes[l]) for l in self.layers}
        tallest = max(len(units) for units in rows.values())
        self.height = _TOP + tallest * _DY + 10
        self.spots: list[Spot] = []
        self.marks: list[tuple[float, float, str]] = []  # of units that are not drawn
        self.gap: float | None = None
        x = float(_SIDE)
        for k, l in enumerate(self.layers):
            if k and l != self.layers[k - 1] + 1:
                self.gap = x
                x += _DX
            y = _TOP + (tallest - len(rows[l])) * _DY / 2 + _DY / 2
            for j in rows[l]:
                if j is None:
                    self.marks.append((x, y, f"{sizes[l] - _FIRST - _LAST} more"))
                else:
                    self.spots.append(Spot(l, j, x, y))
                y += _DY
            x += _DX
        self.width = x - _DX + _SIDE + 24
        by_layer = {l: [spot for spot in self.spots if spot.l == l] for l in self.layers}
        self.wires = [
            Wire(start, end)
            for l in self.layers
            for start in by_layer.get(l - 1, [])
            for end in (by_layer[l] if l else [])
            if trace.edges is None or trace.edges[l - 1][start.j, end.j]
        ]
        self.steps, self.samples = _within_budget(trace, len(self.spots), len(self.wires))
        self.left_out = self._left_out(rows)

    def _left_out(self, rows: dict[int, list[int | None]]) -> str:
        trace, parts = self.trace, []
        if any(None in units for units in rows.values()):
            parts.append("units of large layers")
        if self.gap is not None:
            parts.append(f"{len(trace.net.sizes) - _MOST_LAYERS} layers in the middle")
        if len(self.steps) < len(trace.steps):
            parts.append(f"steps between {self.steps[-2]} and {self.steps[-1]}")
        if len(self.samples) < len(trace.X):
            parts.append(f"samples after {self.samples[-1]}")
        return ", ".join(parts)

    # -- drawing ------------------------------------------------------------------------------

    def svg(self) -> str:
        """The drawing, without numbers: the page puts them in."""
        parts = [
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="group" '
            f'style="--w:{self.width:g}" aria-label="The network, inputs on the left">',
            *self._heads(),
            '<g class="wires">',
            *(
                f'<g class="wire" data-id="{wire.name}">'
                + "".join(
                    f'<line class="{kind}" x1="{wire.start.x:g}" y1="{wire.start.y:g}" '
                    f'x2="{wire.end.x:g}" y2="{wire.end.y:g}"/>'
                    for kind in ("hit", "line")
                )
                + "</g>"
                for wire in self.wires
            ),
            "</g>",
        ]
        for spot in self.spots:
            parts.append(
                f'<g class="unit" data-id="{spot.name}" data-l="{spot.l}" '
                f'data-name="{layer_name(self.trace, spot.l)}, unit {spot.j + 1}" '
                f'role="button" tabindex="-1" transform="translate({spot.x:g} {spot.y:g})">'
                f'<circle class="back" r="{_R}"/><circle class="front" r="{_R}"/>'
                f'<text class="value" dy=".35em"></text>'
                f'<text class="number" x="{-_R + 1}" y="{-_R + 5}">{spot.j + 1}</text>'
                + (
                    f'<text class="target" x="{_R + 5}" dy=".35em"></text>'
                    if spot.l == len(self.trace.net.activations)
                    else ""
                )
                + "</g>"
            )
        for x, y, text in self.marks:
            parts.append(
                f'<text class="more" x="{x:g}" y="{y - 8:g}">&#8942;</text>'
                f'<text class="more" x="{x:g}" y="{y + 12:g}">{text}</text>'
            )
        return "".join([*parts, "</svg>"])

    def _heads(self) -> Iterator[str]:
        """Above each layer, what it is and its activation."""
        net, trace = self.trace.net, self.trace
        at = {spot.l: spot.x for spot in self.spots}
        for l, x in at.items():
            below = f"{net.sizes[l]} units" if l == 0 else net.activations[l - 1].name
            yield (
                f'<text class="head" x="{x:g}" y="18">{layer_name(trace, l)}</text>'
                f'<text class="subhead" x="{x:g}" y="34">{html.escape(below)}</text>'
            )
        if self.gap is not None:
            hidden = f"{len(net.sizes) - _MOST_LAYERS} layers"
            y = (_TOP + self.height) / 2
            yield f'<text class="more" x="{self.gap:g}" y="{y:g}">&#8230;</text>'
            yield f'<text class="more" x="{self.gap:g}" y="{y + 18:g}">{hidden}</text>'

    def views(self) -> list[dict[str, Any]]:
        """For each step, and for the pass after the last one: numbers and lines of everything."""
        shown = [(f"Step {step}", step, False) for step in self.steps]
        shown.append(("After the update", self.steps[-1], True))
        return [
            {"label": label, "after": after} | _View(self.lines, step, after, self.layers).of(self)
            for label, step, after in shown
        ]


class _View:
    """The numbers of one step, or of the pass after it, as the page's script takes them.

    a, d, w, g: value, delta, weight, gradient as short text, with s: how strongly it is drawn;
    f, b: the lines [formula, calculation] that are shown forward and backward; y: target; n: name.
    """

    def __init__(self, lines: Lines, number: int, after: bool, layers: Sequence[int]) -> None:
        self.lines, self.trace, self.after = lines, lines.trace, after
        self.step = self.trace.steps[number - 1]
        self.done = self.step.after if after else self.step.before
        self.groups = {
            (group.phase, group.quantity, group.layer, group.sample): group
            for group in lines.groups(number, layers)
            if (group.phase == "after") == after
        }
        self.largest = {
            "a": _largest(self.done.a),
            "d": _largest([*self.step.delta, self.step.input_gradients]),
            "w": _largest(self.done.weights),
            "g": _largest(self.step.weight_gradients),
        }

    def of(self, picture: Picture) -> dict[str, Any]:
        """All that is drawn."""
        return {
            "samples": [
                {
                    "loss": self.loss(s),
                    "units": {spot.name: self.unit(spot, s) for spot in picture.spots},
                }
                for s in picture.samples
            ],
            "wires": {wire.name: self.wire(wire) for wire in picture.wires},
        }

    def loss(self, s: int) -> str:
        """C, and J of the sample."""
        n, notation = self.lines.n, self.lines.notation
        text = f"{notation.C} = {n(self.done.loss)}"
        if len(self.trace.X) > 1:
            text += f", sample {s}: {notation.J} = {n(self.done.sample_losses[s - 1])}"
        return text

    def unit(self, spot: Spot, s: int) -> dict[str, Any]:
        """One unit for a sample."""
        l, j = spot.l, spot.j
        value, phase = float(self.done.a[l][s - 1, j]), "after" if self.after else "forward"
        result = self._number("a", value)
        result["f"] = self._lines(l, (j,), ("z", phase, s), ("a", phase, s))
        if l == 0:
            result["f"] = [self._given(self.lines.symbols.a(0, j + 1), value)]
        if l == len(self.trace.net.activations):
            target = _short(self.trace.Y[s - 1, j])
            result["y"] = f"{self.lines.notation.y.letter} {target}"
        if self.after:
            return result
        if l == 0:
            result |= self._number("d", float(self.step.input_gradients[s - 1, j]))
        else:
            delta = self.lines.notation.sign * self.step.delta[l - 1][s - 1, j]
            result |= self._number("d", float(delta))
        result["b"] = self._lines(
            l,
            (j,),
            ("activation_gradients", "gradients" if l == 0 else "backward", s),
            ("delta", "backward", s),
            ("bias_gradients", "gradients", None),
            ("new_biases", "update", None),
        )
        return result

    def wire(self, wire: Wire) -> dict[str, Any]:
        """One edge."""
        l, at = wire.end.l, (wire.start.j, wire.end.j)
        w = float(self.done.weights[l - 1][at])
        name = self.lines.symbols.W(l, at[0] + 1, at[1] + 1)
        shown = {"n": self.lines.written(name, Html), "f": [self._given(name, w)]}
        result = self._number("w", w) | shown
        if self.after:
            return result
        result |= self._number("g", float(self.step.weight_gradients[l - 1][at]))
        of = ("weight_gradients", "gradients", None), ("new_weights", "update", None)
        result["b"] = self._lines(l, at, *of)
        return result

    def _number(self, kind: str, value: float) -> dict[str, Any]:
        return {kind: _short(value), f"{kind}s": _share(value, self.largest[kind])}

    def _lines(
        self, l: int, at: tuple[int, ...], *wanted: tuple[str, str, int | None]
    ) -> list[list[str]]:
        """The lines of quantities in a phase for a sample, as far as there are such."""
        found = []
        for quantity, phase, sample in wanted:
            group = self.groups.get((phase, quantity, l, sample))
            if group is not None:
                (line,) = group.lines(np.array([at]))
                found.append([self.lines.written(group.equation, Html), self._written(line)])
        return found

    def _given(self, name: Expression, value: float) -> list[str]:
        """A number that is not calculated."""
        return ["", self._written(Line(name, None, value))]

    def _written(self, line: Line) -> str:
        return " ".join(part.html() for part in calculated(self.lines, line))


def _rows(size: int) -> list[int | None]:
    """The units of a layer that are drawn; None for those that are not."""
    if size <= _MOST_UNITS:
        return list(range(size))
    return [*range(_FIRST), None, *range(size - _LAST, size)]


def _within_budget(trace: Traced, units: int, wires: int) -> tuple[list[int], list[int]]:
    """The steps and samples of which there is room for all numbers: some samples, then steps."""
    steps, n = list(range(1, len(trace.steps) + 1)), len(trace.X)
    room = _MOST_NUMBERS // (min(n, 3) * units + wires)
    if room < len(steps):
        steps = [*steps[: max(room - 1, 1)], steps[-1]]
    many = (_MOST_NUMBERS // len(steps) - wires) // units
    return steps, list(range(1, min(n, max(many, 1)) + 1))


def _largest(arrays: Sequence[Array]) -> float:
    """The largest finite magnitude."""
    with np.errstate(all="ignore"):
        return max(float(np.nan_to_num(np.abs(a), posinf=0).max(initial=0)) for a in arrays)


def _share(value: float, largest: float) -> float:
    """How strongly a number is drawn, -1 to 1: the root of its share of the largest one."""
    if not np.isfinite(value) or largest == 0:
        return 0.0
    return round(float(np.sign(value) * np.sqrt(min(abs(value) / largest, 1.0))), 2)


def _short(value: float) -> str:
    """A number that fits into a unit."""
    for digits in (4, 3, 2, 1):
        text = f"{value:.{digits}g}"
        mantissa, e, exponent = text.partition("e")
        text = mantissa + (f"e{int(exponent)}" if e else "")
        if len(text) <= 7:
            break
    return "0" if text == "-0" else text.replace("-", MINUS)
