"""`deltarule trace`: every number of a few steps of gradient descent, as text, page or JSON."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from deltarule.cli.app import Json, Source, Table, app, require_apart
from deltarule.cli.output import err, fail, note, printing, reported
from deltarule.files import write_atomically


class Format(StrEnum):
    """How a trace is written."""

    text = "text"
    json = "json"
    html = "html"
    markdown = "markdown"


class Notation(StrEnum):
    """Whose symbols and indices."""

    CANONICAL = "canonical"
    INDEX = "index"  # not `index`, which is a method of str
    DELTA = "delta"
    ROW = "row"
    COLUMN = "column"


class Reduction(StrEnum):
    """How the error is made of the samples' losses."""

    mean = "mean"
    sum = "sum"


_BY_SUFFIX = {
    ".json": Format.json,
    ".html": Format.html,
    ".htm": Format.html,
    ".md": Format.markdown,
    ".txt": Format.text,
}


@app.command(
    epilog="Examples:\n\n"
    "  [bold]deltarule trace yehoshua --digits 4[/bold]\n\n"
    "  [bold]deltarule trace net.json --x 1,0 --y 1 --learning-rate 0.5 -o trace.html[/bold]\n\n"
    "  [bold]deltarule trace model.safetensors houses.csv --sample 3 --layer 1[/bold]"
)
def trace(
    network: Source,
    data: Table = None,
    x: Annotated[
        str | None,
        typer.Option(help="Inputs, such as 1,0; samples separated by ';'. Default: the file's."),
    ] = None,
    y: Annotated[str | None, typer.Option(help="Targets, in the same way.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The file's, or 0.5.")] = None,
    steps: Annotated[int, typer.Option(help="Steps of gradient descent.")] = 1,
    reduction: Annotated[Reduction, typer.Option(help="Of the samples' losses.")] = Reduction.mean,
    layer: Annotated[int | None, typer.Option(help="Only this layer; 0 is the inputs.")] = None,
    neuron: Annotated[int | None, typer.Option(help="Only this unit of the layer.")] = None,
    sample: Annotated[int | None, typer.Option(help="Only this sample.")] = None,
    step: Annotated[int | None, typer.Option(help="Only this step.")] = None,
    digits: Annotated[str, typer.Option(help="Significant digits shown, 1 to 17, or all.")] = "6",
    notation: Annotated[
        Notation, typer.Option(help="Whose symbols: see docs/explain/trace.md.")
    ] = Notation.CANONICAL,
    max_lines: Annotated[
        int | None, typer.Option(help="About how many lines at most; 0 for all (250, pages 1000).")
    ] = None,
    max_terms: Annotated[
        int, typer.Option(help="Terms of a sum that are written out; 0 for all.")
    ] = 12,
    form: Annotated[
        Format | None, typer.Option("--format", help="text, or what the output's name ends in.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file instead of stdout.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show every number of a step: forward, loss, backward, gradients, update, forward again.

    Each line has its formula and the numbers put in. Steps are gradient descent on all samples.
    """
    if as_json:
        form = Format.json
    if form is None:
        form = _by_name(output)
    if form in (Format.json, Format.html) and (layer, neuron, sample, step) != (None,) * 4:
        choice = "--layer, --neuron, --sample and --step"
        fail(f"{choice} choose lines of text or markdown; {form} holds all")
    with reported():
        from deltarule.explain.case import case_of
        from deltarule.explain.trace.report import trace as traced

        if data is not None and (x, y) != (None, None):
            fail("--x and --y are samples in place of a table: give one of the two")
        if output is not None:
            require_apart({"--output": output}, {"the network": network, "the table": data})
        case = case_of(network, data, dtype="float64")
        done = traced(
            case,
            _numbers("--x", x),
            _numbers("--y", y),
            learning_rate,
            steps,
            reduction=reduction.value,
        )
        most = {Format.html: 1000}.get(form, 250) if max_lines is None else max_lines or None
        shown: dict[str, Any] = {
            "digits": _digits(digits),
            "notation": notation.value,
            "max_lines": most,
            "max_terms": max_terms or None,
        }
        if form is Format.json:
            text = done.to_json()
        elif form is Format.html:
            text = done.to_html(**shown)
        else:
            write = done.to_text if form is Format.text else done.to_markdown
            text = write(layer=layer, neuron=neuron, sample=sample, step=step, **shown)
        text = text.rstrip("\n") + "\n"
        if output is not None:
            write_atomically(output, text.encode())
    for one in case.notes:
        note(one)
    if output is None:
        with printing():
            print(text, end="")
    else:
        err.print(f"{form} in {output}", soft_wrap=True)


def _by_name(output: Path | None) -> Format:
    """The format that a file's name ends in; text for stdout and for a name without an end."""
    suffix = "" if output is None else output.suffix.lower()
    if suffix and suffix not in _BY_SUFFIX:
        known = ", ".join(_BY_SUFFIX)
        fail(f"--output {output}: the name must end in {known}; --format says else what to write")
    return _BY_SUFFIX.get(suffix, Format.text)


def _numbers(option: str, text: str | None) -> list[list[float]] | None:
    """Rows of numbers: "1,0;0,1"."""
    if text is None:
        return None
    try:
        return [[float(part) for part in row.split(",")] for row in text.split(";")]
    except ValueError:
        fail(f"{option} {text!r}: numbers separated by commas are needed, such as 1,0 or 1,0;0,1")


def _digits(text: str) -> int | None:
    if text == "all":
        return None
    try:
        return int(text)
    except ValueError:
        fail(f"--digits {text!r}: a whole number from 1 to 17 is needed, or all")
