"""A trace as text and as Markdown, and as blocks for LaTeX and pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from deltarule.document import Document, Heading, Item, Items, Marked, Phrase, Table, Title
from deltarule.document import Lines as Sentences
from deltarule.document.blocks import Block
from deltarule.document.formulas import Tree
from deltarule.document.text import aligned
from deltarule.equations.params import Array
from deltarule.explain.trace.calculation import Line
from deltarule.explain.trace.lines import PHASES, Lines
from deltarule.explain.trace.selection import Selection, Shown, Wanted, check_digits
from deltarule.explain.trace.steps import Traced
from deltarule.formula.inline import Inline
from deltarule.formula.plain import Plain

_SHORT = 16  # so many inputs and targets are shown in one line
_TITLE = "Trace of back-propagation"


# -- what all have in common ----------------------------------------------------------------------


class Layout:
    """What every format shows of a trace.

    Attributes
    ----------
    writers : Inline
    C : Expression
        The loss.
    facts : list of str
        What the trace is of.
    results : list of (str, str)
        The loss and, where there is one output of one sample, that: before and after each step.
        Each is ` = 0.5`: the letter of the loss belongs before it.
    left_out : str
        What is not shown, and how to see it; empty if all is.

    Raises SpecError for what cannot be shown.
    """

    def __init__(self, trace: Traced, wanted: Wanted) -> None:
        check_digits(wanted)
        self.trace = trace
        self.lines = Lines(trace, wanted.notation, wanted.digits, wanted.max_terms)
        self.writers, self.C = self.lines.writers, self.lines.symbols.C
        self.selection = Selection(trace, self.lines, wanted)
        self.facts = _facts(trace, wanted.digits)
        if wanted.notation != "canonical":
            self.facts.append(f"notation: {self.lines.notation.document}")
        self.results = _results(trace, self.lines)
        left_out = ", ".join(self.selection.left_out)
        how = "Ask for one with layer, neuron, sample or step, or for more lines."
        self.left_out = f"Left out: {left_out}. {how}" if left_out else ""

    def phases(self) -> Iterator[tuple[str, Iterator[Shown]]]:
        """The groups that are shown, under their headings."""
        return groupby(self.selection, self._heading)

    def _heading(self, shown: Shown) -> str:
        """The phase, and the step if there are several."""
        phase = PHASES[shown.group.phase]
        return f"Step {shown.step}: {phase.lower()}" if len(self.trace.steps) > 1 else phase

    def place(self, shown: Shown) -> str:
        """The layer and the sample of a group, as far as they are not plain."""
        group, several = shown.group, len(self.trace.X) > 1
        sample = f", sample {group.sample}" if group.sample and several else ""
        loss = group.quantity == "loss"
        return ("loss" if loss else layer_name(self.trace, group.layer)) + sample


def _facts(trace: Traced, digits: int | None) -> list[str]:
    """What a trace is of, in a few sentences."""
    n, steps = len(trace.X), len(trace.steps)
    samples = "1 sample" if n == 1 else f"{n} samples, the {trace.reduction} of their losses"
    shown = "all digits" if digits is None else f"{digits} significant digits"
    lines = [repr(trace.net)]
    if trace.X.size + trace.Y.size <= _SHORT:
        x, y = (", ".join(_row(row) for row in rows) for rows in (trace.X, trace.Y))
        lines.append(f"x = {x}; y = {y}")
    lines.append(
        f"{samples}; {steps} step{'s' * (steps > 1)} of gradient descent, learning rate "
        f"{trace.learning_rate:g}; numbers to {shown}"
    )
    if trace.edges is not None:
        absent = sum(int((~edge).sum()) for edge in trace.edges)
        lines.append(f"{absent} edge{'s are' if absent > 1 else ' is'} absent: not used or updated")
    if not trace.trainable_biases:
        lines.append("the biases are not trained")
    return lines


def _row(values: Array) -> str:
    return f"({', '.join(f'{v:.6g}' for v in values)})"


def _results(trace: Traced, lines: Lines) -> list[tuple[str, str]]:
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


def layer_name(trace: Traced, l: int) -> str:
    """What a layer is called in every notation: some documents count the inputs as layer 1."""
    if l in (0, len(trace.net.activations)):
        return "inputs" if l == 0 else "output layer"
    return f"hidden layer {l}"


# -- text -----------------------------------------------------------------------------------------


def text(trace: Traced, wanted: Wanted) -> str:
    """What `Trace.to_text` gives."""
    laid = Layout(trace, wanted)
    plain = laid.writers.plain
    out = [*laid.facts]
    for heading, groups in laid.phases():
        out += ["", heading, "-" * len(heading)]
        for shown in groups:
            out.append(f"{laid.place(shown)}: {plain.write(shown.group.equation)}")
            out += _aligned([_written(line, plain) for line in shown.lines])
            if shown.more:
                out.append(f"  ... {shown.more} more")
    C = plain.write(laid.C)
    results = aligned([(name, C + what if what else "") for name, what in laid.results], "ll")
    out += ["", "Result", "------", *results]
    if laid.left_out:
        out += ["", laid.left_out]
    return "\n".join(out)


def _aligned(rows: list[tuple[str, str, str, str]]) -> list[str]:
    """Symbols, calculations and values below one another, signs of values apart."""
    symbols, _, numbers, values = zip(*rows, strict=True)
    symbol = max(map(len, symbols))
    width = min(max(map(len, numbers)), 72)
    pad = any(value.startswith("-") for value in values)
    return [
        f"  {name:{symbol}} {arrow} {calculation:{width}} = "
        + " " * (pad and not value.startswith("-"))
        + value
        for name, arrow, calculation, value in rows
    ]


def _written(line: Line, plain: Plain) -> tuple[str, str, str, str]:
    """The symbol, the arrow, the calculation and the value of a line."""
    numbers = "" if line.numbers is None else plain.write(line.numbers)
    return plain.write(line.symbol), line.arrow, numbers, plain.number(line.value)


# -- Markdown -------------------------------------------------------------------------------------


def markdown(trace: Traced, wanted: Wanted) -> str:
    """What `Trace.to_markdown` gives."""
    laid = Layout(trace, wanted)
    plain = laid.writers.plain
    out = ["# Trace", "", *(f"- {fact}" for fact in laid.facts)]
    for heading, groups in laid.phases():
        out += ["", f"## {heading}"]
        for shown in groups:
            out += ["", f"{laid.place(shown)}: `{plain.write(shown.group.equation)}`", ""]
            out += ["| | calculation | value |", "|---|---|---:|"]
            for line in shown.lines:
                symbol, arrow, numbers, value = _written(line, plain)
                symbol += "" if arrow == "=" else f" {arrow}"
                out.append(f"| `{symbol}` | `{numbers}` | {value} |")
            if shown.more:
                out.append(f"| | ... {shown.more} more | |")
    C = plain.write(laid.C)
    out += ["", "## Result", "", "| | |", "|---|---|"]
    out += [f"| {name} | {C + what if what else ''} |" for name, what in laid.results]
    if laid.left_out:
        out += ["", laid.left_out]
    return "\n".join(out) + "\n"


# -- blocks, for LaTeX and pages ------------------------------------------------------------------


def document(trace: Traced, wanted: Wanted) -> Document:
    """What `Trace.document` gives: title and facts, the result, and a table for each formula."""
    laid = Layout(trace, wanted)
    C = Tree(laid.C, laid.writers)
    result: list[tuple[Phrase, Phrase]] = [
        (name, (C, what) if what else "") for name, what in laid.results
    ]
    blocks: list[Block] = [Title(_TITLE), Items([Item(fact) for fact in laid.facts], "")]
    blocks += [Heading("Result"), Table((), result, "ll")]
    for heading, groups in laid.phases():
        blocks += [Heading(heading), *(_table(laid, shown) for shown in groups)]
    return Document([*blocks, Sentences([laid.left_out] if laid.left_out else [])])


def _table(laid: Layout, shown: Shown) -> Table:
    rows: list[tuple[Phrase, Phrase]] = [calculated(line, laid.writers) for line in shown.lines]
    if shown.more:
        rows.append(("", Marked(f"{shown.more} more", "soft")))
    caption = (f"{laid.place(shown)}: ", Tree(shown.group.equation, laid.writers))
    return Table((), rows, "ll", caption=caption)


def calculated(line: Line, writers: Inline) -> tuple[Tree, Calculation]:
    """A line as its symbol and its calculation with its value."""
    return Tree(line.symbol, writers), Calculation(line, writers)


@dataclass(frozen=True, eq=False)
class Calculation:
    """What a number comes from, and what it comes to: `= 0.5*3 = 1.5`."""

    line: Line
    writers: Inline

    def text(self) -> str:
        """In one line."""
        return "= ".join(self._parts(self.writers.plain))

    def html(self) -> str:
        """With the value in bold."""
        numbers, value = self._parts(self.writers.html)
        return f"{numbers}= <b>{value}</b>"

    def latex(self) -> str:
        """For math mode; a line may break in it."""
        return "= ".join(self._parts(self.writers.latex))

    def _parts(self, out: Plain) -> tuple[str, str]:
        """The arrow and the numbers, if there are any; and the value."""
        line, value = self.line, out.number(self.line.value)
        if line.numbers is None:
            return "", value
        return f"{out.relation(line.arrow).strip()} {out.write(line.numbers)} ", value
