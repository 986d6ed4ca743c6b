"""A derivation as text, LaTeX, a page or Markdown; one by itself or two side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import partial
from itertools import zip_longest

from deltarule.document import html as pages
from deltarule.explain.derive.steps import Derived, Step
from deltarule.explain.derive.task import Task
from deltarule.formula.expression import Expression
from deltarule.formula.fold import COLUMN, aligned, folded, unbroken, width
from deltarule.formula.latex import Latex, unknown
from deltarule.formula.mathml import BREAK, MathML
from deltarule.formula.text import Text
from deltarule.formula.value import evaluated
from deltarule.formula.writer import TIED, Writer

#: Rows of an `aligned`, in which no page can break.
_PAGE = 14
#: In em: a longer formula does not stand well in half a page.
_LONG = 56.0

#: Beside the style sheet of all pages.
_STYLE = """
.derivation ol { list-style: none; margin: 0; padding: 0; } .derivation li { margin: 0 0 1.1em; }
.derivation .number { color: var(--soft); display: inline-block; min-width: 2em; }
.derivation .rule { font-weight: 600; } .derivation .why { opacity: .85; }
.derivation .formula { margin: 0; overflow-y: hidden; padding: .3em 0 .1em 3.4em;
  box-sizing: border-box; text-indent: -1.4em; line-height: 1.9; }
.derivation math { font-size: 1.1em; text-indent: 0; } .derivation .formula math { margin: .2em 0; }
.derivation table { width: 100%; table-layout: fixed; }
.derivation td, .derivation th { padding: .4em .8em .4em 0; }
@media (max-width: 48em) { .derivation .formula { padding-left: 2.4em; }
  .derivation table, .derivation tbody, .derivation tr, .derivation td, .derivation th {
    display: block; }
  .deltarule .derivation :is(td, th) { max-width: none; font-size: inherit; }
  .derivation td:not(:last-child) { border-bottom: none; } }
.deltarule:not(.page) .formula { background: none; }
"""


def heading(task: Task) -> tuple[str | Expression, ...]:
    """What is derived, with its symbols as expressions."""
    n = f"{task.L} layer{'s' * (task.L != 1)}"
    return (task.wanted, f" of a network of {n}, {task.notation.name} notation")


def title(task: Task) -> str:
    """The same as plain text."""
    return task.writer(Text).sentence(heading(task)).replace(TIED, " ")


def _rule(step: Step) -> str:
    return f"{step.rule[0].upper()}{step.rule[1:]}."


# -- text -------------------------------------------------------------------------------------


def text(derivation: Derived, width: int) -> str:
    """Unicode in lines of at most `width`, where the formulas let them break."""
    task = derivation.task
    lines = [*textwrap.wrap(title(task), width), ""]
    for step in derivation.steps:
        lines += step_lines(step, width, derivation.values.get(step.number))
    return "\n".join(lines) + "\n"


def step_lines(step: Step, width: int, value: float | None = None) -> list[str]:
    """One step."""
    writer = step.task.writer(Text)
    said = f"{step.number:3d}. {_rule(step)} {writer.sentence(step.reason)}"
    lines = textwrap.wrap(said, width, subsequent_indent=" " * 5, break_on_hyphens=False)
    lines = [line.replace(TIED, " ") for line in lines]
    for name in step.names:
        first = f"     {writer.plain(name.symbol)} = "
        end = f" = {writer.number(evaluated(name.expression, {}))}" if step.numeric else ""
        lines += writer.wrapped(name.expression, width, first, " " * 9, end)
    sign = "" if step.number == 1 else "= "
    lines += writer.wrapped(step.expression, width, "     " + sign, " " * 9)
    return lines if value is None else [*lines, f"     = {value + 0.0:.6g}"]


# -- LaTeX and Markdown -----------------------------------------------------------------------


def _formulas(writer: Writer, step: Step, value: float | None, gap: str = "") -> list[str]:
    """The terms that a step names, what it comes to, and its value; a line may break at a gap."""
    equal = writer.relation("=")
    lines = [
        f"{writer.write(one.symbol)}{equal}{writer.write(one.expression)}" for one in step.names
    ]
    if step.numeric:
        ends = [writer.number(evaluated(one.expression, {})) for one in step.names]
        lines = [f"{line}{equal}{end}" for line, end in zip(lines, ends, strict=True)]
    left = writer.write(step.equal_to) + gap if step.number == 1 else ""
    lines.append(f"{left}{equal}{writer.write(step.expression)}".lstrip())
    return lines if value is None else [*lines, f"{equal}{writer.number(value)}".lstrip()]


def _latex_lines(step: Step, value: float | None) -> list[str]:
    return _formulas(step.task.writer(partial(Latex, breaks=True)), step, value)


def latex(derivation: Derived, standalone: bool) -> str:
    """An enumeration whose formulas break between factors; a document if `standalone`."""
    task = derivation.task
    writer = task.writer(Latex)
    lines = [r"\begin{enumerate}"]
    for step in derivation.steps:
        why = writer.sentence(step.reason)
        lines.append(rf"\item \textbf{{{_rule(step)}}} {why}")
        for line in _latex_lines(step, derivation.values.get(step.number)):
            lines.append(rf"\\ $\displaystyle {line}$")
    lines = [r"{\raggedright\sloppy", *lines, r"\end{enumerate}}"]
    return _document(lines, writer.sentence(heading(task))) if standalone else _ended(lines)


def _document(lines: Sequence[str], title: str) -> str:
    return _ended(
        [
            r"\documentclass[11pt,a4paper]{article}",
            r"\usepackage{amsmath}",
            r"\setlength{\textwidth}{16cm}\setlength{\oddsidemargin}{0cm}",
            r"\raggedright\sloppy\setlength{\lineskip}{4pt}\setlength{\lineskiplimit}{3pt}",
            *unknown("".join([title, *lines])),
            r"\begin{document}",
            rf"\noindent {title}",
            *lines,
            r"\end{document}",
        ]
    )


def _ended(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


def display(derivation: Derived) -> str:
    """Aligned formulas, for a notebook, each short enough for a page."""
    writer = derivation.task.writer(Latex)
    left = writer.write(derivation.steps[0].equal_to)
    formulas: list[list[str]] = []
    for step in derivation.steps:
        lines = _latex_lines(step, derivation.values.get(step.number))
        for line in lines[: len(step.names)]:
            first, *more = folded(line)
            formulas.append([rf"& \quad \text{{where }} {first}", *more])
        for line in lines[len(step.names) :]:
            first, *more = folded(line.partition("= ")[2], COLUMN - width(left))
            formulas.append([f"&= {first}", *more])
    pages = _in_pages(formulas)
    for number, page in enumerate(pages):  # in all of them the same room on the left
        page[0][0] = (rf"\phantom{{{left}}} " if number else f"{left} ") + page[0][0]
    return "\n\n".join(f"$${aligned(rows)}$$" for rows in pages)


def _in_pages(formulas: list[list[str]]) -> list[list[list[str]]]:
    """The formulas in groups of at most _PAGE rows; one that has more itself is taken apart."""
    groups: list[list[list[str]]] = []
    room = 0
    for formula in formulas:
        for start in range(0, len(formula), _PAGE):
            rows = formula[start : start + _PAGE]
            if start:
                rows[0] = rf"& \quad {rows[0]}"
            if len(rows) > room:
                groups.append([])
                room = _PAGE
            groups[-1].append(rows)
            room -= len(rows)
    return groups


def markdown(derivation: Derived) -> str:
    """A list whose formulas are display mathematics between double dollars."""
    task = derivation.task
    writer = task.writer(Latex)
    lines = [f"**{writer.sentence(heading(task))}**", ""]
    for step in derivation.steps:
        why = "".join(
            _markdown(one) if isinstance(one, str) else f"${writer.write(one)}$"
            for one in step.reason
        )
        lines += [f"{step.number}. **{_rule(step)}** {why}", ""]
        for line in _latex_lines(step, derivation.values.get(step.number)):
            lines += [f"    $${_markdown_display(line)}$$", ""]
    return "\n".join(lines)


def _markdown_display(line: str) -> str:
    first, *more = folded(line)
    return aligned([[f"& {first}", *more]]).replace("\n", " ") if more else first


def _markdown(plain: str) -> str:
    return "".join(f"\\{one}" if one in "\\`*_{}[]<>#|$" else one for one in plain)


# -- pages ------------------------------------------------------------------------------------


def _html_step(step: Step, value: float | None) -> str:
    writer = step.task.writer(MathML)
    formulas = "".join(
        f'<div class="scroll formula">{writer.formula(line)}</div>'
        for line in _formulas(writer, step, value, gap=BREAK)
    )
    return (
        f'<span class="number">{step.number}</span> <span class="rule">{_rule(step)}</span> '
        f'<span class="why">{writer.sentence(step.reason)}</span>{formulas}'
    )


def fragment(derivation: Derived) -> str:
    """The steps with their style, for a notebook."""
    return pages.styled(_steps(derivation), style=_STYLE)


def page(derivation: Derived) -> str:
    """A whole page; it loads nothing."""
    task = derivation.task
    head = task.writer(MathML).sentence(heading(task))
    return _page(title(task), head, _steps(derivation))


def _page(plain: str, head: str, content: str) -> str:
    return pages.page(plain, f"<h1>{head}</h1>\n{content}", style=_STYLE)


def _steps(derivation: Derived) -> str:
    """The steps as a list."""
    items = "".join(
        f"<li>{_html_step(step, derivation.values.get(step.number))}</li>\n"
        for step in derivation.steps
    )
    return f'<div class="derivation">\n<ol>\n{items}</ol>\n</div>'


# -- side by side -----------------------------------------------------------------------------

Pair = tuple[Step | None, Step | None]


def paired(first: Derived, second: Derived) -> list[Pair]:
    """Steps that say the same side by side: by phase, and in it by their order."""
    phases = list(dict.fromkeys(step.phase for one in (first, second) for step in one.steps))
    phases.sort(key=_order)
    pairs: list[Pair] = []
    for phase in phases:
        left, right = ([s for s in one.steps if s.phase == phase] for one in (first, second))
        pairs.extend(zip_longest(left, right))
    return pairs


def _order(phase: str) -> tuple[int, int]:
    name, _, layer = phase.partition(" ")
    return ("given", "derive", "cache", "result", "numbers").index(name), -int(layer or 0)


def text_beside(first: Derived, second: Derived, width: int) -> str:
    """Two columns, or one under the other where a line is too narrow for two."""
    half = (width - 3) // 2
    columns = (first, second)
    titles = [title(one.task) for one in columns]
    rows = [[textwrap.wrap(title, half) for title in titles], [["-" * half]] * 2]
    for pair in paired(first, second):
        rows.append([_column(step, one, half) for step, one in zip(pair, columns, strict=True)])
    lines = [
        f"{left:<{half}} | {right}".rstrip()
        for row in rows
        for left, right in zip_longest(*row, fillvalue="")
    ]
    return _ended(lines)


def _column(step: Step | None, of: Derived, width: int) -> list[str]:
    return [] if step is None else step_lines(step, width, of.values.get(step.number))


def fragment_beside(first: Derived, second: Derived) -> str:
    """A table of two columns with its style, for a notebook."""
    return pages.styled(_columns(first, second), style=_STYLE)


def page_beside(first: Derived, second: Derived) -> str:
    """A page with a table of two columns."""
    plain = f"{first.task.notation.name} and {second.task.notation.name} notation"
    return _page(plain, f"One derivation in {plain}", _columns(first, second))


def _columns(first: Derived, second: Derived) -> str:
    columns = (first, second)
    titles = [one.task.writer(MathML).sentence(heading(one.task)) for one in columns]
    rows = ["".join(f"<th>{title}</th>" for title in titles)]
    for pair in paired(first, second):
        cells = [
            "" if step is None else _html_step(step, one.values.get(step.number))
            for step, one in zip(pair, columns, strict=True)
        ]
        rows.append("".join(f"<td>{cell}</td>" for cell in cells))
    table = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="derivation">\n<table>\n{table}\n</table>\n</div>'


def latex_beside(first: Derived, second: Derived, standalone: bool) -> str:
    """Each pair of steps in two columns, long ones below each other; a document if `standalone`."""
    lines: list[str] = []
    for pair in paired(first, second):
        cells = [
            "" if step is None else _latex_cell(step, one.values.get(step.number))
            for step, one in zip(pair, (first, second), strict=True)
        ]
        if any(width(line) > _LONG for cell in cells for line in cell.splitlines()[1:]):
            lines += [
                rf"{{\par\noindent\raggedright {cell}\par\medskip}}" for cell in cells if cell
            ]
            continue
        box = r"\begin{minipage}[t]{0.48\textwidth}\raggedright "
        minipages = [f"{box}{cell}\\end{{minipage}}" for cell in cells]
        lines += [r"\par\noindent " + "\\hfill\n".join(minipages) + r"\par\medskip"]
    names = f"{first.task.notation.name} and {second.task.notation.name}"
    return _document(lines, f"One derivation in {names} notation") if standalone else _ended(lines)


def _latex_cell(step: Step, value: float | None) -> str:
    why = step.task.writer(Latex).sentence(step.reason)
    lines = [rf"{step.number}. \textbf{{{_rule(step)}}} {why}"]
    lines += [rf"\\ $\displaystyle {line}$" for line in _latex_lines(step, value)]
    return "\n".join(lines)


def markdown_beside(first: Derived, second: Derived) -> str:
    """A table of two columns."""
    names = [one.task.notation.name for one in (first, second)]
    lines = [f"| {names[0]} | {names[1]} |", "|---|---|"]
    for pair in paired(first, second):
        cells = []
        for step, one in zip(pair, (first, second), strict=True):
            if step is None:
                cells.append("")
                continue
            shown = _latex_lines(step, one.values.get(step.number))
            formulas = " ".join(f"${unbroken(line)}$" for line in shown).replace("|", r"\vert ")
            cells.append(f"{step.number}. **{step.rule}** {formulas}")
        lines.append(f"| {cells[0]} | {cells[1]} |")
    return _ended(lines)
