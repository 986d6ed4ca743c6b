"""The picture of a traced network: which units and edges are drawn where, and their numbers.

Large layers and deep networks are drawn collapsed. The drawing itself is SVG; the numbers of every
step and sample come beside it, so that a page can show one after the other.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from deltarule.explain.trace import Trace, TracedPass, TracedStep
from deltarule.explain.trace_lines import Group, Lines
from deltarule.explain.trace_text import layer_name
from deltarule.explain.trace_write import Line
from deltarule.explain.typeset import MINUS
from deltarule.explain.typeset import html as typeset
from deltarule.params import Array

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

    def __init__(self, trace: Trace, lines: Lines) -> None:
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

    # -- numbers ------------------------------------------------------------------------------

    def views(self) -> list[dict[str, Any]]:
        """For each step, and for the pass after the last one: numbers and lines of everything."""
        found = []
        for step in self.steps:
            found.append(self._view(f"Step {step}", step, after=False))
        found.append(self._view("After the update", self.steps[-1], after=True))
        return found

    def _view(self, label: str, number: int, after: bool) -> dict[str, Any]:
        step = self.trace.steps[number - 1]
        done = step.after if after else step.before
        groups = {
            (group.phase, group.quantity, group.layer, group.sample): group
            for group in self.lines.groups(number, self.layers, self.samples)
            if (group.phase == "after") == after
        }
        largest_a, largest_d = _largest(done.a), _largest([*step.delta, step.input_gradients])
        return {
            "label": label,
            "after": after,
            "samples": [
                {
                    "loss": self._loss(done, s),
                    "units": {
                        spot.name: self._unit(
                            groups, step, done, spot, s, after, largest_a, largest_d
                        )
                        for spot in self.spots
                    },
                }
                for s in self.samples
            ],
            "wires": self._wires(groups, step, done, after),
        }

    def _loss(self, done: TracedPass, s: int) -> str:
        n, symbols = self.lines.write.n, self.lines.symbols
        text = f"{symbols.C} = {n(done.loss)}"
        if len(self.trace.X) > 1:
            text += f", sample {s}: {symbols.J} = {n(done.sample_losses[s - 1])}"
        return text

    def _unit(
        self,
        groups: dict[tuple[str, str, int, int | None], Group],
        step: TracedStep,
        done: TracedPass,
        spot: Spot,
        s: int,
        after: bool,
        largest_a: float,
        largest_d: float,
    ) -> dict[str, Any]:
        l, j = spot.l, spot.j
        delta = step.input_gradients if l == 0 else step.delta[l - 1]
        phase = "after" if after else "forward"
        forward = [("z", phase, s), ("a", phase, s)]
        backward = [
            ("activation_gradients", "gradients" if l == 0 else "backward", s),
            ("delta", "backward", s),
            ("bias_gradients", "gradients", None),
            ("new_biases", "update", None),
        ]
        lines = [
            [
                self._line(groups[phase, quantity, l, sample], j)
                for quantity, phase, sample in wanted
                if (phase, quantity, l, sample) in groups
            ]
            for wanted in (forward, [] if after else backward)
        ]
        if l == 0:
            value = float(done.a[0][s - 1, j])
            lines[0] = [self._given(self.lines.symbols.a(0, j + 1), value)]
        result = {
            "a": _short(done.a[l][s - 1, j]),
            "as": _share(done.a[l][s - 1, j], largest_a),
            "f": lines[0],
        }
        if not after:
            sign = self.lines.notation.sign if l else 1
            result |= {
                "d": _short(sign * delta[s - 1, j]),
                "ds": _share(sign * delta[s - 1, j], largest_d),
                "b": lines[1],
            }
        if l == len(self.trace.net.activations):
            target = _short(self.trace.Y[s - 1, j])
            result["y"] = f"{self.lines.notation.y.letter} {target}"
        return result

    def _wires(
        self,
        groups: dict[tuple[str, str, int, int | None], Group],
        step: TracedStep,
        done: TracedPass,
        after: bool,
    ) -> dict[str, Any]:
        largest_w, largest_g = _largest(done.weights), _largest(step.weight_gradients)
        found = {}
        for wire in self.wires:
            l, at = wire.end.l, (wire.start.j, wire.end.j)
            w, g = float(done.weights[l - 1][at]), step.weight_gradients[l - 1][at]
            name = self.lines.symbols.W(l, at[0] + 1, at[1] + 1)
            one = {
                "n": typeset(name),
                "w": _short(w),
                "ws": _share(w, largest_w),
                "f": [self._given(name, w)],
            }
            if not after:
                one |= {
                    "g": _short(g),
                    "gs": _share(g, largest_g),
                    "b": [
                        self._line(groups[phase, quantity, l, None], *at)
                        for quantity, phase in (
                            ("weight_gradients", "gradients"),
                            ("new_weights", "update"),
                        )
                    ],
                }
            found[wire.name] = one
        return found

    def _line(self, group: Group, *at: int) -> list[str]:
        (line,) = group.lines(np.array([at]))
        return [typeset(group.formula), " ".join(calculation(self.lines, line))]

    def _given(self, name: str, value: float) -> list[str]:
        """A number that is not calculated."""
        return ["", " ".join(calculation(self.lines, Line(name, "", value)))]


def calculation(lines: Lines, line: Line) -> tuple[str, str]:
    """A line as HTML: its symbol, and the calculation with its value."""
    middle = f"{typeset(line.arrow)} {typeset(line.numbers)} " if line.numbers else ""
    return typeset(line.symbol), f"{middle}= <b>{typeset(lines.write.n(line.value))}</b>"


def _rows(size: int) -> list[int | None]:
    """The units of a layer that are drawn; None for those that are not."""
    if size <= _MOST_UNITS:
        return list(range(size))
    return [*range(_FIRST), None, *range(size - _LAST, size)]


def _within_budget(trace: Trace, units: int, wires: int) -> tuple[list[int], list[int]]:
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
