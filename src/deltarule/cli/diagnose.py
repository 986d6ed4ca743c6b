"""`deltarule diagnose`: what happens to signal and gradient in every layer of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deltarule.cli.app import Json, Source, Table, app, require_apart, require_picture
from deltarule.cli.formats import Form, Format, Output, chosen, show
from deltarule.cli.output import err, fail, note, reported
from deltarule.document import json

_NO_SAMPLES = ("has no inputs and targets", "give a table")


@app.command(
    epilog="Examples:\n\n"
    "  [bold]deltarule diagnose model.safetensors houses.csv[/bold]\n\n"
    "  [bold]deltarule diagnose net.json data.csv --no-advice --plot layers.png[/bold]\n\n"
    "  [bold]deltarule diagnose yehoshua --json[/bold]"
)
def diagnose(
    model: Source,
    data: Table = None,
    l2: Annotated[
        float | None,
        typer.Option(help="The penalty l2/2 sum W^2 of its training. Default: the file's, or 0."),
    ] = None,
    advice: Annotated[
        bool, typer.Option("--advice/--no-advice", help="Try on copies what would help.")
    ] = True,
    rows: Annotated[int, typer.Option(help="Rows looked at, at most; 0 for all.")] = 1024,
    seed: Annotated[int, typer.Option(help="Of the rows and of what is tried.")] = 0,
    all_layers: Annotated[
        bool, typer.Option("--all-layers", help="Show every layer of a deep network.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Write a picture there (PNG, SVG or PDF).")
    ] = None,
    form: Form = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Measure every layer: delta, gradients, activations, saturated and dead units, underflow.

    What could help is tried on copies. Exit code 1 if a number is not finite, else 0.
    """
    form = chosen(form, output, as_json)
    with reported():
        from deltarule.explain.case import case_of
        from deltarule.explain.diagnose.report import diagnose as diagnosed
        from deltarule.explain.network_file import MODEL

        require_apart({"--plot": plot, "--output": output}, {"the model": model, "the table": data})
        if plot is not None:
            require_picture("--plot", plot)
        case = case_of(model, data)
        if case.X is None or case.Y is None:
            bare = Path(model).suffix.lower() == MODEL
            what = (
                "is a model: a table is needed"
                if bare
                else "has no inputs and targets: give a table"
            )
            fail(f"{model} {what}, deltarule diagnose {model} DATA")
        done = diagnosed(case, l2=l2, try_advice=advice, rows=rows or None, rng=seed)
        if plot is not None:
            done.plot(plot)
    for text in case.notes:
        note(text)
    most = None if all_layers else 12
    show(
        done,
        form,
        output,
        text=lambda: done.to_text(most),
        markdown=lambda: done.to_markdown(most),
        latex=lambda: done.to_latex(most, standalone=output is not None),
        json=lambda: json.write(done.to_dict() | {"plot": None if plot is None else str(plot)}),
    )
    if plot is not None and form is not Format.json:
        err.print(f"picture in {plot}", soft_wrap=True)
    if not done.finite:
        raise typer.Exit(1)
