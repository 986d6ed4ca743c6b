"""The command line: parse, call, print. Data goes to stdout, messages to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

import deltarule as dr
from deltarule.files import require_writable, write_atomically

app = typer.Typer(
    name="deltarule",
    help="Fully connected networks by back-propagation: train them on tables, and look inside.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, for machines.")]
Data = Annotated[
    str,
    typer.Argument(
        help="A CSV or Parquet file, or one of: digits, iris, wine, breast_cancer, diabetes."
    ),
]
Model = Annotated[Path, typer.Argument(help="A model file that `deltarule train` wrote.")]


class Task(StrEnum):
    """What to do with the target column."""

    auto = "auto"
    classify = "classify"
    regress = "regress"


def _fail(message: str) -> NoReturn:
    _err.print(f"error: {message}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


@contextmanager
def _reported() -> Iterator[None]:
    """Errors that were raised on purpose become a message on stderr and exit code 1."""
    try:
        yield
    except (dr.DeltaruleError, OSError) as error:
        _fail(str(error))


def _note(text: str) -> None:
    _err.print(f"note: {text}", style="yellow", markup=False, soft_wrap=True)


def _show(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False, default=str))


def _numbers(what: str, text: str, kind: Callable[[str], Any]) -> list[Any]:
    """A comma-separated list; the option and the odd part are named if it is none."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return [kind(part) for part in parts]
    except ValueError:
        _fail(f"{what} {text!r}: numbers separated by commas are needed, such as 64,64")


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


@app.command(
    epilog="Examples: [bold]deltarule train iris --target target[/bold] | "
    "[bold]deltarule train houses.csv --target price --hidden 128,128 -o houses.safetensors[/bold]"
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
    epochs: Annotated[int, typer.Option(help="Passes over the training rows, at most.")] = 200,
    patience: Annotated[
        int, typer.Option(help="Stop after so many epochs without a better validation loss.")
    ] = 15,
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
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    as_json: Json = False,
) -> None:
    """Train a network on a table, test it, and write one model file that takes raw rows."""
    with _reported():
        from deltarule.table_model import train_table

        for path in filter(None, (output, plot)):
            require_writable(path)
        sizes = _numbers("--hidden", hidden, int)
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
        done.model.save(output)
        if plot is not None:
            done.history.plot(plot)
    for text in done.notes:
        _note(text)
    if done.history.stopped == "interrupted":
        _note("interrupted: the best parameters so far are kept")
    if as_json:
        _show(
            {
                "model": str(output),
                "task": done.model.target.task,
                "rows": sum(len(rows) for rows in done.split),
                "features": done.model.encoder.width,
                "network": repr(done.model.network),
                **done.scores,
                "epochs": len(done.history),
                "best_epoch": done.history.best_epoch,
                "stopped": done.history.stopped,
                "seconds": round(done.seconds, 3),
                "plot": None if plot is None else str(plot),
                "notes": done.notes,
            }
        )
        return
    _print_training(done)
    _out.print(f"\nmodel            {output}", soft_wrap=True)
    if plot is not None:
        _out.print(f"learning curves  {plot}", soft_wrap=True)


def _batch(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        _fail(f"--batch-size {text!r}: a whole number or 'full' is needed")


def _print_training(done: Any) -> None:
    model, history, split = done.model, done.history, done.split
    _out.print(f"{model.network!r}", soft_wrap=True)
    best = f", best {history.best_epoch}" if history.best_epoch else ""
    _out.print(
        f"{len(history)} epochs{best} ({history.stopped}) in {done.seconds:.2f} s: "
        f"{len(split.train):,} training rows, {len(split.validation):,} validation, "
        f"{len(split.test):,} test",
        soft_wrap=True,
    )
    _out.print()
    _out.print(_score_table(done.scores))
    if done.confusions:
        part = "test" if len(split.test) else "validation" if len(split.validation) else "training"
        wrong = sum(rows for _, _, rows in done.confusions)
        _out.print(f"\nconfusions ({wrong} {part} rows wrong)")
        for true, said, rows in done.confusions[:6]:
            _out.print(f"  {rows:4d} x {true} taken for {said}", markup=False, soft_wrap=True)
        if len(done.confusions) > 6:
            _out.print(f"  and {len(done.confusions) - 6} more pairs")
    _out.print("\ngradient norm per layer (first batch of an epoch)")
    shown = sorted({0, len(history) // 2, len(history) - 1})
    table = _plain_table("layer", *(f"epoch {e + 1}" for e in shown))
    for l in range(len(model.network.weights)):
        table.add_row(str(l + 1), *(f"{history.gradient_norms[e][l]:.3g}" for e in shown))
    _out.print(table)


def _plain_table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), header_style="bold")
    for head in heads:
        table.add_column(head, justify="right")
    return table


def _score_table(scores: dict[str, dict[str, float]]) -> Table:
    names = list(next(iter(scores.values())))
    table = _plain_table("rows", *names)
    for part, values in scores.items():
        table.add_row(part, *(f"{values[name]:.4g}" for name in names))
    return table


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
    with _reported():
        from deltarule.table_model import TableModel

        if output is not None:
            require_writable(output)
        loaded = TableModel.load(model)
        frame = loaded.read(data)
        result = loaded.predict(frame).alias("prediction").to_frame()
        notes = list(loaded.notes)
        if proba:
            result = result.hstack(loaded.predict_proba(frame).get_columns())
        text = result.write_csv()
        if output is not None:
            write_atomically(output, text.encode())
    for note in notes:
        _note(note)
    if as_json:
        where = None if output is None else str(output)
        _show({"output": where, "rows": result.height, "predictions": result.to_dicts()})
    elif output is None:
        sys.stdout.write(text)
    else:
        _err.print(f"{result.height:,} predictions in {output}", soft_wrap=True)


@app.command(epilog="Example: [bold]deltarule evaluate model.safetensors labelled.csv[/bold]")
def evaluate(model: Model, data: Data, as_json: Json = False) -> None:
    """Test a model on a table whose target column is known."""
    with _reported():
        from deltarule.table_model import TableModel

        loaded = TableModel.load(model)
        frame = loaded.read(data)
        scores = loaded.evaluate(frame)
    for note in loaded.notes:
        _note(note)
    if as_json:
        _show({"rows": frame.height, "task": loaded.target.task} | scores)
    else:
        _out.print(_score_table({f"{frame.height:,}": scores}))


@app.command(epilog="Example: [bold]deltarule info model.safetensors[/bold]")
def info(model: Model, as_json: Json = False) -> None:
    """Show what a model file holds."""
    with _reported():
        from deltarule.saving import read
        from deltarule.table_model import TableModel

        net, sections = read(model)
        loaded = TableModel.load(model) if "table" in sections else None
    if as_json:
        _show(
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
    print(net.summary())
    if loaded is None:
        print("a bare network: no table encoding")
        return
    goal = loaded.target
    print(f"\npredicts {goal.name!r} ({goal.task})")
    if goal.task == "classify":
        print(f"classes  {', '.join(map(str, goal.classes))}")
    print("from")
    for column in loaded.encoder.columns:
        names = [f.removeprefix(f"{column.name}=") for f in column.features]
        one_hot = len(names) > 1 or names[0] != column.name
        print(f"  {column.name}" + (f": {', '.join(names)}" if one_hot else ""))


if __name__ == "__main__":
    app()
