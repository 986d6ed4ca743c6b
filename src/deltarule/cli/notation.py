"""`deltarule notation`: the dictionary between the documents' notations, ours and the code."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deltarule.cli.app import app
from deltarule.cli.output import err, printing, reported
from deltarule.files import write_atomically


class Format(StrEnum):
    """How the table is written."""

    text = "text"
    markdown = "markdown"
    html = "html"
    latex = "latex"


_BY_SUFFIX = {
    ".html": Format.html,
    ".htm": Format.html,
    ".md": Format.markdown,
    ".tex": Format.latex,
    ".txt": Format.text,
}


@app.command(
    epilog="Examples:\n\n"
    "  [bold]deltarule notation[/bold]\n\n"
    "  [bold]deltarule notation --layers 5 --layer 1 -o notation.html[/bold]"
)
def notation(
    layers: Annotated[int, typer.Option(help="Of the network whose symbols are shown.")] = 3,
    layer: Annotated[int, typer.Option(help="The hidden layer shown; 0 is the inputs.")] = 2,
    form: Annotated[
        Format | None, typer.Option("--format", help="text, or what the output's name ends in.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file instead of stdout.")
    ] = None,
) -> None:
    """Show how documents A to D and the code write the same thing: symbols, indices, signs.

    LaTeX in a file is a whole document, on stdout only its tables.
    """
    if form is None:
        form = _BY_SUFFIX.get(output.suffix.lower(), Format.text) if output else Format.text
    with reported():
        from deltarule.explain.notation_table import notation_table

        table = notation_table(layers, layer)
        if form is Format.latex:
            text = table.to_latex(standalone=output is not None)
        else:
            write = {
                Format.text: table.to_text,
                Format.markdown: table.to_markdown,
                Format.html: table.to_html,
            }
            text = write[form]()
        text = text.rstrip("\n") + "\n"
        if output is not None:
            write_atomically(output, text.encode())
    if output is None:
        with printing():
            print(text, end="")
    else:
        err.print(f"{form} in {output}", soft_wrap=True)
