"""A trace as text and as Markdown, and as blocks for LaTeX and pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from deltarule.document import Document, Heading, Item, Items, Marked, Phrase, Table, Title
from deltarule.document import Lines as Sentences
from deltarule.document.blocks import Block
from deltarule.equations.params import Array
from deltarule.explain.trace.calculation import Line
from deltarule.explain.trace.lines import PHASES, Group, Lines
from deltarule.explain.trace.selection import Selection, Shown, Wanted, check_shown
from deltarule.explain.trace.steps import Traced
from deltarule.formula.expression import Expression
from deltarule.formula.inline import Html, InlineLatex
from deltarule.formula.plain import Plain

_SHORT = 16  # so many inputs and targets are shown in one line
_TITLE = "Trace of back-propagation"


# -- what all have in common ----------------------------------------------------------------------


def facts(trace: Traced, digits: int | None) -> list[str]:
    """What a trace is of, in a few sentences."""
    n, steps = len(trace.X), len(trace.steps)
    samples = "1 sample" if n == 1 else f"{n} samples, the {trace.reduction} of their losses"
    shown = "all digits" if digits is None else f"{digits} significant digits"
    lines = [repr(trace.net)]
    if trace.X.size + trace.Y.size <= _SHORT:
        x, y = (", ".join(_row(row) for row in rows) for rows in (trace.X, trace.Y))
        lines.append(f"x = {x}; y = {y}")
    lines += [
        f"{samples}; {steps} step{'s' * (steps > 1)} of gradient descent, learning rate "
        f"{trace.learning_rate:g}; numbers to {shown}",
    ]
    if trace.edges is not None:
        absent = sum(int((~edge).sum()) for edge in trace.edges)
        lines.append(f"{absent} edge{'s are' if absent > 1 else ' is'} absent: not used or updated")
    if not trace.trainable_biases:
        lines.append("the biases are not trained")
    return lines


def _row(values: Array) -> str:
    return f"({', '.join(f'{v:.6g}' for v in values)})"


def results(trace: Traced, lines: Lines) -> list[tuple[str, str]]:
    """The loss and, where there is one output of one sample, that: before and after each step.

    Each is `= 0.5`: the letter of the loss belongs before it.
    """
    n = lines.n
    passes = [trace.steps[0].before, *(step.after for step in trace.steps)]
    rows = []
    for k, done in enumerate(passes):
        name = "before" if k == 0 else f"after step {k}"
        output = f", output {n(done.output[0, 0])}" if done.output.size == 1 else ""
        rows.append((name, f" = {n(done.loss)}{output}"))
    if len(rows) > 12:
        rows = [*rows[:6], ("...", ""), *rows[-5:]]
    return rows


def heading(trace: Traced, shown: Shown) -> str:
    """The phase, and the step if there are several."""
    step = f"Step {shown.step}: " if len(trace.steps) > 1 else ""
    return step + (PHASES[shown.group.phase].lower() if step else PHASES[shown.group.phase])


def place(trace: Traced, group: Group) -> str:
    """The layer and the sample of a group, as far as they are not plain."""
    sample = f", sample {group.sample}" if group.sample and len(trace.X) > 1 else ""
    return ("loss" if group.quantity == "loss" else layer_name(trace, group.layer)) + sample


def layer_name(trace: Traced, l: int) -> str:
    """What a layer is called in every notation: some documents count the inputs as layer 1."""
    if l in (0, len(trace.net.activations)):
        return "inputs" if l == 0 else "output layer"
    return f"hidden layer {l}"


def left_out(selection: Selection) -> str:
    """What is not shown, and how to see it."""
    return (
        f"Left out: {', '.join(selection.left_out)}. "
        "Ask for one with layer, neuron, sample or step, or for more lines."
    )


# -- text -----------------------------------------------------------------------------------------


def text(
    trace: Traced, wanted: Wanted, *, notation: str, digits: int | None, max_terms: int | None
) -> str:
    """What `Trace.to_text` gives."""
    check_shown(digits, max_terms)
    lines = Lines(trace, notation, digits, max_terms)
    selection = Selection(trace, lines, wanted)
    out = [*facts(trace, digits)]
    if notation != "canonical":
        out.append(f"notation: {lines.symbols.notation.document}")
    last = ""
    for shown in selection:
        head = heading(trace, shown)
        if head != last:
            out += ["", head, "-" * len(head)]
            last = head
        out.append(f"{place(trace, shown.group)}: {lines.written(shown.group.equation, Plain)}")
        out += _aligned(shown.lines, lines)
        if shown.more:
            out.append(f"  ... {shown.more} more")
    rows, C = results(trace, lines), lines.written(lines.symbols.C, Plain)
    width = max(len(name) for name, _ in rows)
    out += ["", "Result", "------"]
    out += [f"{name:{width}}  {C + what if what else ''}".rstrip() for name, what in rows]
    if selection.left_out:
        out += ["", left_out(selection)]
    return "\n".join(out)


def _aligned(lines: Sequence[Line], of: Lines) -> list[str]:
    """Symbols, calculations and values below one another, signs of values apart."""
    rows = [_written(line, of) for line in lines]
    symbol = max(len(row.symbol) for row in rows)
    numbers = min(max(len(row.numbers) for row in rows), 72)
    pad = any(row.value.startswith("-") for row in rows)
    return [
        f"  {row.symbol:{symbol}} {row.arrow} {row.numbers:{numbers}} = "
        + (" " * (pad and not row.value.startswith("-")))
        + row.value
        for row in rows
    ]


class _Row(NamedTuple):
    symbol: str
    arrow: str
    numbers: str
    value: str


def _written(line: Line, of: Lines) -> _Row:
    """A line in plain text."""
    out = of.form(Plain)
    numbers = "" if line.numbers is None else out.write(line.numbers)
    return _Row(out.write(line.symbol), line.arrow, numbers, of.n(line.value))


# -- Markdown -------------------------------------------------------------------------------------


def markdown(
    trace: Traced, wanted: Wanted, *, notation: str, digits: int | None, max_terms: int | None
) -> str:
    """What `Trace.to_markdown` gives."""
    check_shown(digits, max_terms)
    lines = Lines(trace, notation, digits, max_terms)
    selection = Selection(trace, lines, wanted)
    out = ["# Trace", "", *(f"- {fact}" for fact in facts(trace, digits))]
    if notation != "canonical":
        out.append(f"- notation: {lines.symbols.notation.document}")
    last = ""
    for shown in selection:
        head = heading(trace, shown)
        if head != last:
            out += ["", f"## {head}"]
            last = head
        out += [
            "",
            f"{place(trace, shown.group)}: `{lines.written(shown.group.equation, Plain)}`",
            "",
        ]
        out += ["| | calculation | value |", "|---|---|---:|"]
        for line in shown.lines:
            arrow = "" if line.arrow == "=" else f" {line.arrow}"
            row = _written(line, lines)
            out.append(f"| `{row.symbol}{arrow}` | `{row.numbers}` | {row.value} |")
        if shown.more:
            out.append(f"| | ... {shown.more} more | |")
    out += ["", "## Result", "", "| | |", "|---|---|"]
    C = lines.written(lines.symbols.C, Plain)
    rows = results(trace, lines)
    out += [f"| {name} | {C + what if what else ''} |" for name, what in rows]
    if selection.left_out:
        out += ["", left_out(selection)]
    return "\n".join(out) + "\n"


# -- blocks, for LaTeX and pages ------------------------------------------------------------------


def document(
    trace: Traced, wanted: Wanted, *, notation: str, digits: int | None, max_terms: int | None
) -> Document:
    """What `Trace.document` gives: title and facts, the result, and a table for each formula."""
    check_shown(digits, max_terms)
    lines = Lines(trace, notation, digits, max_terms)
    selection = Selection(trace, lines, wanted)
    known = facts(trace, digits)
    if notation != "canonical":
        known.append(f"notation: {lines.symbols.notation.document}")
    C = Formula(lines.symbols.C, lines)
    result: list[tuple[Phrase, Phrase]] = [
        (name, (C, what) if what else "") for name, what in results(trace, lines)
    ]
    blocks: list[Block] = [Title(_TITLE), Items([Item(fact) for fact in known], "")]
    blocks += [Heading("Result"), Table((), result, "ll"), *_tables(trace, lines, selection)]
    if selection.left_out:
        blocks.append(Sentences([left_out(selection)]))
    return Document(blocks)


def _tables(trace: Traced, lines: Lines, selection: Selection) -> Iterator[Block]:
    last = ""
    for shown in selection:
        head = heading(trace, shown)
        if head != last:
            yield Heading(head)
            last = head
        rows: list[tuple[Phrase, Phrase]] = [calculated(lines, line) for line in shown.lines]
        if shown.more:
            rows.append(("", Marked(f"{shown.more} more", "soft")))
        caption = (f"{place(trace, shown.group)}: ", Formula(shown.group.equation, lines))
        yield Table((), rows, "ll", caption=caption)


def calculated(lines: Lines, line: Line) -> tuple[Formula, Calculation]:
    """A line as its symbol and its calculation with its value."""
    return Formula(line.symbol, lines), Calculation(line, lines)


@dataclass(frozen=True, eq=False)
class Formula:
    """A formula of a trace, in its notation and digits."""

    tree: Expression
    of: Lines

    def text(self) -> str:
        """In plain text."""
        return self.of.written(self.tree, Plain)

    def html(self) -> str:
        """Set for a page."""
        return self.of.written(self.tree, Html)

    def latex(self) -> str:
        """For math mode."""
        return self.of.written(self.tree, InlineLatex)


@dataclass(frozen=True, eq=False)
class Calculation:
    """What a number comes from, and what it comes to: `= 0.5*3 = 1.5`."""

    line: Line
    of: Lines

    def text(self) -> str:
        """In one line."""
        numbers, value = self._parts(Plain)
        return f"{numbers}= {value}"

    def html(self) -> str:
        """With the value in bold."""
        numbers, value = self._parts(Html)
        return f"{numbers}= <b>{value}</b>"

    def latex(self) -> str:
        """For math mode; a line may break in it."""
        numbers, value = self._parts(InlineLatex)
        return f"{numbers}= {value}"

    def _parts(self, form: type[Plain]) -> tuple[str, str]:
        """The arrow and the numbers, if there are any; and the value."""
        out, line = self.of.form(form), self.line
        value = out.number(line.value)
        if line.numbers is None:
            return "", value
        return f"{out.relation(line.arrow).strip()} {out.write(line.numbers)} ", value
