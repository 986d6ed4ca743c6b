"""What of a trace is shown, and what is left out of a long one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from deltarule import options
from deltarule.errors import SpecError
from deltarule.explain.trace.calculation import Line
from deltarule.explain.trace.lines import Group, Lines
from deltarule.explain.trace.steps import Traced

_MOST_DIGITS = 17  # a float64 has no more


@dataclass(frozen=True)
class Wanted:
    """What of a trace is to be shown, and how: see `Trace.to_text`."""

    layer: int | None = None
    neuron: int | None = None
    sample: int | None = None
    step: int | None = None
    digits: int | None = 6
    notation: str = "canonical"
    max_lines: int | None = 250
    max_terms: int | None = 12


class Shown(NamedTuple):
    """A group of lines to show, of a step, and how many more lines it has."""

    step: int
    group: Group
    lines: list[Line]
    more: int


class Selection:
    """The groups of a trace that are wanted, cut down to about the lines wanted at most.

    First steps (but the first and the last) and samples (but the first ones) are left out, then
    lines of each group, then layers between the first and the last ones. `left_out` says which.
    """

    def __init__(self, trace: Traced, lines: Lines, wanted: Wanted) -> None:
        self.trace, self.lines, self.wanted = trace, lines, wanted
        _check(trace, wanted)
        L, n, count = len(trace.net.activations), len(trace.X), len(trace.steps)
        layers = list(range(L + 1)) if wanted.layer is None else [wanted.layer]
        samples = list(range(1, n + 1)) if wanted.sample is None else [wanted.sample]
        steps = list(range(1, count + 1)) if wanted.step is None else [wanted.step]
        self.layers, self.samples, self.steps, self.most = layers, samples, steps, 0
        choices = (
            (_ends(layers, m), most, samples[:s], _first_and_last(steps, t))
            for m in (len(layers), 4, 2, 1)
            for most in (0, 12, 6, 3)
            for s, t in ((n, count), (n, 2), (3, 2), (1, 2), (1, 1))
        )
        for choice in choices:
            self.layers, self.most, self.samples, self.steps = choice
            if wanted.max_lines is None or self._fits(wanted.max_lines):
                break
        self.left_out = [
            _named(name, [one for one in whole if one not in kept])
            for name, whole, kept in (
                ("layer", layers, self.layers),
                ("sample", samples, self.samples),
                ("step", steps, self.steps),
            )
            if len(kept) < len(whole)
        ]

    def _groups(self, step: int) -> Iterator[tuple[Group, int, int]]:
        """Each group of a step, with the numbers of its lines that are shown and that are not."""
        after = self.wanted.step is not None
        for group in self.lines.groups(step, self.layers, self.samples, after):
            if self.wanted.neuron is not None and group.quantity == "loss":
                continue
            neuron = self.wanted.neuron
            size = len(group.entries if neuron is None else group.of_neuron(neuron - 1))
            shown = min(size, self.most) if self.most else size
            if size:
                yield group, shown, size - shown

    def _fits(self, max_lines: int) -> bool:
        total = 0
        for step in self.steps:
            for _, shown, _ in self._groups(step):
                total += shown + 1
                if total > max_lines:
                    return False
        return True

    def __iter__(self) -> Iterator[Shown]:
        for step in self.steps:
            for group, shown, more in self._groups(step):
                neuron = self.wanted.neuron
                entries = group.entries if neuron is None else group.of_neuron(neuron - 1)
                yield Shown(step, group, group.lines(entries[:shown]), more)


def _check(trace: Traced, wanted: Wanted) -> None:
    L = len(trace.net.activations)
    if wanted.layer is not None and not 0 <= wanted.layer <= L:
        raise SpecError(f"layer {wanted.layer}: the layers are 0 (the inputs) to {L}")
    if wanted.neuron is not None:
        if wanted.layer is None:
            raise SpecError(f"neuron {wanted.neuron} of which layer? Give the layer as well")
        size = trace.net.sizes[wanted.layer]
        if not 1 <= wanted.neuron <= size:
            raise SpecError(f"neuron {wanted.neuron}: layer {wanted.layer} has 1 to {size}")
    if wanted.sample is not None and not 1 <= wanted.sample <= len(trace.X):
        raise SpecError(f"sample {wanted.sample}: there are 1 to {len(trace.X)}")
    if wanted.step is not None and not 1 <= wanted.step <= len(trace.steps):
        raise SpecError(f"step {wanted.step}: there are 1 to {len(trace.steps)}")
    if wanted.max_lines is not None:
        options.count(None, max_lines=wanted.max_lines)


def check_digits(wanted: Wanted) -> None:
    """Raise SpecError for digits or terms that cannot be shown."""
    digits = wanted.digits
    if digits is not None and (
        isinstance(digits, bool) or digits not in range(1, _MOST_DIGITS + 1)
    ):
        raise SpecError(f"digits must be 1 to {_MOST_DIGITS}, or None for all, got {digits!r}")
    if wanted.max_terms is not None:
        options.count(None, max_terms=wanted.max_terms)


def _ends(values: Sequence[int], many: int) -> list[int]:
    """The first and the last ones."""
    return list(values) if len(values) <= 2 * many else [*values[:many], *values[-many:]]


def _first_and_last(values: list[int], many: int) -> list[int]:
    """All, the first and the last, or the first one."""
    return values if many >= len(values) else [values[0], values[-1]][:many]


def _named(name: str, values: list[int]) -> str:
    """Consecutive numbers of something: "layer 3", "layers 3 to 98"."""
    if len(values) == 1:
        return f"{name} {values[0]}"
    return f"{name}s {values[0]} to {values[-1]}"
