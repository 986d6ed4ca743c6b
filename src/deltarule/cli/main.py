"""The command line: parse, call, print. Data goes to stdout, messages to stderr."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

import deltarule as dr
from deltarule.cli.app import (
    Data,
    Json,
    Model,
    Quiet,
    Task,
    app,
    numbers,
    require_apart,
    require_picture,
)
from deltarule.cli.output import (
    err,
    fail,
    note,
    out,
    print_encoding,
    printing,
    reported,
    show_document,
    show_json,
)
from deltarule.document import Document
from deltarule.files import write_atomically


def _version(asked: bool) -> None:
    if asked:
        print(dr.__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Fully connected networks by back-propagation: train them on tables, and look inside."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that it cannot encode must not end all
        sys.stdout.reconfigure(errors="backslashreplace")


@app.command(
    epilog="Examples:\n\n"
    "  [bold]deltarule train iris --target target[/bold]\n\n"
    "  [bold]deltarule train houses.csv --target price -o houses.safetensors[/bold]\n\n"
    "  [bold]deltarule train houses.csv --target price --json > report.json[/bold]"
)
def train(
    data: Data,
    target: Annotated[str, typer.Option(help="The column to predict.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write the model.")
    ] = Path("model.safetensors"),
    task: Annotated[Task, typer.Option(help="Classes or quantities.")] = Task.auto,
    hidden: Annotated[str, typer.Option(help="Units of the hidden layers; '' for none.")] = "64,64",
    activation: Annotated[str, typer.Option(help="Of the hidden layers.")] = "relu",
    batch_size: Annotated[str, typer.Option(help="A number, or full.")] = "32",
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the training rows, at most (200, more on small tables)."),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after so many epochs without a better validation loss (epochs / 10)."
        ),
    ] = None,
    optimizer: Annotated[
        str, typer.Option(help="sgd, adagrad, rmsprop, adam, adamw or lbfgs.")
    ] = "adam",
    learning_rate: Annotated[
        float | None, typer.Option(help="Instead of the optimizer's own.")
    ] = None,
    schedule: Annotated[
        str,
        typer.Option(help="constant, step, invscaling, adaptive, cosine, one_cycle or warmup."),
    ] = "constant",
    l2: Annotated[float, typer.Option(help="Penalty l2/2 sum W^2.")] = 1e-3,
    dropout: Annotated[float, typer.Option(help="Share of hidden units left out.")] = 0.0,
    validation: Annotated[
        float, typer.Option(help="Share of rows that decides when to stop.")
    ] = 0.1,
    test: Annotated[float, typer.Option(help="Share of rows kept for the final test.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of split, weights and orders.")] = 0,
    plot: Annotated[
        Path | None, typer.Option(help="Write the learning curves there (PNG, SVG or PDF).")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a network on a table, test it, and write one model file that takes raw rows."""
    with reported():
        from deltarule.tabular.training import train_table

        require_apart({"--output": output, "--plot": plot}, {"the table": data})
        if plot is not None:
            require_picture("--plot", plot)
        sizes = numbers("--hidden", hidden, int)
        batch: int | str = "full" if batch_size == "full" else _batch(batch_size)
        done = train_table(
            data,
            target,
            task=task.value,
            hidden=sizes,
            activation=activation,
            test=test,
            validation=validation,
            patience=patience,
            epochs=epochs,
            seed=seed,
            batch_size=batch,
            optimizer=optimizer,
            learning_rate=learning_rate,
            schedule=schedule,
            l2=l2,
            dropout=dropout,
            progress=not (quiet or as_json),
        )
        for text in done.notes:
            note(text)
        if not len(done.history):
            fail("interrupted before the first epoch ended: nothing was written")
        done.model.save(output)
        if done.history.stopped == "interrupted":
            note(f"interrupted: {output} holds the best parameters so far")
        if plot is not None:
            done.history.plot(plot)
    if as_json:
        told = done.to_dict()
        del told["history"], told["confusions"]
        last = {"plot": None if plot is None else str(plot), "notes": told.pop("notes")}
        show_json({"model": str(output)} | told | last)
        return
    with printing():
        show_document(done.document())
        out.print(f"\nmodel            {output}", soft_wrap=True)
        if plot is not None:
            out.print(f"learning curves  {plot}", soft_wrap=True)


def _batch(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        fail(f"--batch-size {text!r}: a whole number or 'full' is needed")


@app.command(
    epilog="Example: [bold]deltarule predict model.safetensors new.csv --proba -o out.csv[/bold]"
)
def predict(
    model: Model,
    data: Data,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A CSV file instead of stdout.")
    ] = None,
    proba: Annotated[bool, typer.Option("--proba", help="Add each class's probability.")] = False,
    as_json: Json = False,
) -> None:
    """Predict the target of every row of a table, as CSV."""
    with reported():
        from deltarule.tabular.model import TableModel

        require_apart({"--output": output}, {"the model": model, "the table": data})
        loaded = TableModel.load(model)
        frame = loaded.read(data)
        result = loaded.predict(frame).alias("prediction").to_frame()
        notes = list(loaded.notes)
        if proba:
            result = result.hstack(loaded.predict_proba(frame).get_columns())
        csv = result.write_csv()
        if output is not None:
            write_atomically(output, csv.encode())
    for text in notes:
        note(text)
    if as_json:
        where = None if output is None else str(output)
        show_json({"output": where, "rows": result.height, "predictions": result.to_dicts()})
    elif output is None:
        with printing():
            typer.echo(csv.encode(), nl=False)  # UTF-8, as in a file, whatever the terminal's is
    else:
        err.print(f"{result.height:,} prediction{'s' * (result.height != 1)} in {output}")


@app.command(epilog="Example: [bold]deltarule evaluate model.safetensors labelled.csv[/bold]")
def evaluate(model: Model, data: Data, as_json: Json = False) -> None:
    """Test a model on a table whose target column is known."""
    with reported():
        from deltarule.tabular.model import TableModel
        from deltarule.tabular.wording import score_table

        loaded = TableModel.load(model)
        frame = loaded.read(data)
        scores = loaded.evaluate(frame)
    for text in loaded.notes:
        note(text)
    if as_json:
        show_json({"rows": frame.height, "task": loaded.target.task} | scores)
    else:
        with printing():
            show_document(Document([score_table({"": (frame.height, scores)})]))


@app.command(epilog="Example: [bold]deltarule info model.safetensors[/bold]")
def info(model: Model, as_json: Json = False) -> None:
    """Show what a model file holds."""
    with reported():
        from deltarule.network.saving import read
        from deltarule.tabular.model import TableModel

        net, sections = read(model)
        loaded = TableModel.load(model) if "table" in sections else None
    if as_json:
        show_json(
            {
                "sizes": list(net.sizes),
                "activations": [f.name for f in net.activations],
                "loss": net.loss.name,
                "bias": list(net.bias),
                "dtype": str(net.dtype),
                "parameters": net.theta.size,
                "target": None if loaded is None else loaded.target.to_dict(),
                "features": None if loaded is None else loaded.encoder.feature_names,
            }
        )
        return
    with printing():
        print(net.summary())
        if loaded is None:
            print("a bare network: no table encoding")
        else:
            print_encoding(loaded)
