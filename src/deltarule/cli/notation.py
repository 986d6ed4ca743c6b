"""`deltarule notation`: the dictionary between the documents' notations, ours and the code."""

from __future__ import annotations

from typing import Annotated

import typer

from deltarule.cli.app import app
from deltarule.cli.formats import Form, Output, chosen, show
from deltarule.cli.output import reported


@app.command(
    epilog="Examples:\n\n"
    "  [bold]deltarule notation[/bold]\n\n"
    "  [bold]deltarule notation --layers 5 --layer 1 -o notation.html[/bold]"
)
def notation(
    layers: Annotated[int, typer.Option(help="Of the network whose symbols are shown.")] = 3,
    layer: Annotated[int, typer.Option(help="The hidden layer shown; 0 is the inputs.")] = 2,
    form: Form = None,
    output: Output = None,
) -> None:
    """Show how documents A to D and the code write the same thing: symbols, indices, signs.

    LaTeX in a file is a whole document, on stdout only its tables.
    """
    form = chosen(form, output)
    with reported():
        from deltarule.explain.notation_table import notation_table

        table = notation_table(layers, layer)
    show(table, form, output)
