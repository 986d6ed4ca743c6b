"""`deltarule grade`: someone's code for back-propagation, checked in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deltarule.cli.app import Json, app, numbers
from deltarule.cli.output import err, fail, printing, reported, show_json


@app.command(
    epilog="Examples:\n\n"
    "  [bold]deltarule grade backprop.py[/bold]\n\n"
    "  [bold]deltarule grade submissions/*.py --function gradients > grades.csv[/bold]"
)
def grade(
    submissions: Annotated[
        list[Path], typer.Argument(metavar="SUBMISSION...", help="Python files.")
    ],
    function: Annotated[
        str, typer.Option(help="The function: (weights, biases, X, Y) -> two lists of gradients.")
    ] = "backprop",
    sizes: Annotated[str, typer.Option(help="Units of every layer.")] = "4,5,3,2",
    activation: Annotated[str, typer.Option(help="Of the hidden layers.")] = "tanh",
    loss: Annotated[str, typer.Option(help="The loss.")] = "squared_error",
    output_activation: Annotated[
        str | None, typer.Option(help="Of the output layer, instead of the loss's own.")
    ] = None,
    bias: Annotated[bool, typer.Option(help="Whether layers have biases.")] = True,
    step: Annotated[
        bool | None,
        typer.Option(help="Whether it takes a learning rate too and returns new parameters."),
    ] = None,
    reduction: Annotated[
        str | None, typer.Option(help="mean or sum, if only one of them is meant.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Limit of time for each file.")] = 30.0,
    megabytes: Annotated[float, typer.Option(help="Limit of memory for each file.")] = 4096,
    as_json: Json = False,
) -> None:
    """Check someone's code: the first wrong number, and the mistake that explains it.

    One file gives a report; several give a table as CSV. Exit code 1 if any is not right. Each file
    runs in a process of its own with limits, but with your rights: see docs/explain/grade.md.
    """
    with reported():
        from deltarule.explain.check.grade import grade as graded
        from deltarule.explain.check.grade import grade_table

        settings = {
            "sizes": numbers("--sizes", sizes, int),
            "activation": activation,
            "loss": loss,
            "output_activation": output_activation,
            "bias": bias,
            "step": step,
            "reduction": reduction,
        }
        for one in submissions:
            if not one.is_file():  # before the first is run
                fail(f"{one}: there is no such file")
        grades = []
        for one in submissions:
            grades.append(graded(one, function, seconds=seconds, megabytes=megabytes, **settings))
            if len(submissions) > 1:
                err.print(f"{one}: {grades[-1].verdict}", soft_wrap=True, highlight=False)
    if as_json:
        show_json({"grades": [one.to_dict() for one in grades]})
    else:
        with printing():
            if len(grades) > 1:
                print(grade_table(grades), end="")
            else:
                print(grades[0].text or f"{grades[0].file}: {grades[0].message}")
    if not all(one.ok for one in grades):
        raise typer.Exit(1)
