"""`deltarule trace`: every number of a few steps of gradient descent, as text, page or JSON."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from deltarule.cli.app import Json, Source, Table, app, require_apart
from deltarule.cli.formats import Form, Format, Output, chosen, show
from deltarule.cli.output import fail, note, reported


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
    reduction: Annotated[
        Reduction | None, typer.Option(help="Of the samples' losses. Default: the file's, or mean.")
    ] = None,
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
    form: Form = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Show every number of a step: forward, loss, backward, gradients, update, forward again.

    Each line has its formula and the numbers put in. Steps are gradient descent on all samples.
    """
    form = chosen(form, output, as_json)
    if form in (Format.json, Format.html) and (layer, neuron, sample, step) != (None,) * 4:
        choice = "--layer, --neuron, --sample and --step"
        fail(f"{choice} choose lines of text, markdown or latex; {form} holds all")
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
            reduction=None if reduction is None else reduction.value,
        )
        most = {Format.html: 1000}.get(form, 250) if max_lines is None else max_lines or None
        shown: dict[str, Any] = {
            "digits": _digits(digits),
            "notation": notation.value,
            "max_lines": most,
            "max_terms": max_terms or None,
        }
    for one in case.notes:
        note(one)
    chosen_lines = shown | {"layer": layer, "neuron": neuron, "sample": sample, "step": step}
    show(
        done,
        form,
        output,
        text=lambda: done.to_text(**chosen_lines),
        markdown=lambda: done.to_markdown(**chosen_lines),
        html=lambda: done.to_html(**shown),
        latex=lambda: done.to_latex(standalone=output is not None, **chosen_lines),
    )


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
