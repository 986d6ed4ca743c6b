"""What the command line prints: data on stdout, messages on stderr, tables of 80 columns."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from deltarule.document import json
from deltarule.errors import DeltaruleError

if TYPE_CHECKING:
    from deltarule.tabular.model import TableModel
    from deltarule.tabular.training import TableTraining

# What is printed holds names from tables and paths: no [bold] or :smile: in them means anything.
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)
#: Heads of columns that hold names, not numbers.
_NAMES = (
    "",
    "layer",
    "true",
    "predicted",
    "column",
    "encoded as",
    "name",
    "type",
    "shape",
    "parameters",
)
_PARTS = {"train": "training", "validation": "validation", "test": "test"}


def complain(message: str) -> None:
    """Say on stderr what went wrong, and go on."""
    err.print(f"error: {message}", style="red", soft_wrap=True)


def fail(message: str) -> NoReturn:
    """Say what went wrong on stderr, and end with exit code 1."""
    complain(message)
    raise typer.Exit(1)


@contextmanager
def reported() -> Iterator[None]:
    """Errors that were raised on purpose become a message on stderr and exit code 1."""
    try:
        yield
    except (DeltaruleError, OSError) as error:
        fail(str(error))
    except MemoryError as error:
        fail(f"not enough memory ({error}): use smaller layers or fewer rows")


@contextmanager
def printing() -> Iterator[None]:
    """Data goes to stdout; a reader that has gone away (`| head -1`) is no error to talk about."""
    try:
        yield
        print(end="", flush=True)
    except OSError as error:
        # What is left in the buffer must not fail a second time when the interpreter ends.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(1) from None
        fail(f"cannot write to stdout: {error.strerror or error}")


def note(text: str) -> None:
    """Something a reader should know, on stderr."""
    err.print(f"note: {text}", style="yellow", soft_wrap=True)


def show_json(value: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    with printing():
        print(json.write(value))


def label(name: object, limit: int = 30) -> str:
    """A name from a table on one line: control characters escaped, a long end cut off."""
    text = str(name).lower() if isinstance(name, bool) else str(name)
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= limit else f"{text[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"


def print_training(done: TableTraining) -> None:
    """Scores, confusions and gradient norms of a finished training."""
    model, history = done.model, done.history
    out.print(goal_line(model), soft_wrap=True)
    out.print(f"{model.network!r}", soft_wrap=True)
    epochs = f"{len(history)} epoch{'s' * (len(history) != 1)}"
    best = f", best {history.best_epoch}" if history.best_epoch else ""
    out.print(f"{epochs}{best} ({history.stopped}) in {done.seconds:.2f} s\n", soft_wrap=True)
    rows = done.split._asdict()
    out.print(score_table({_PARTS[part]: (len(rows[part]), s) for part, s in done.scores.items()}))
    if model.target.task == "classify":
        _print_confusions(done.confusions, *_judged(rows))
    out.print("\ngradient norm per layer (first batch of an epoch)")
    shown = sorted({0, len(history) // 2, len(history) - 1})
    table = plain_table("layer", *(f"epoch {e + 1}" for e in shown))
    for l in range(len(model.network.weights)):
        table.add_row(str(l + 1), *(f"{history.gradient_norms[e][l]:.3g}" for e in shown))
    out.print(table)


def goal_line(model: TableModel) -> str:
    """What a model predicts, in one line."""
    goal = model.target
    kind = f"one of {len(goal.classes)} classes" if goal.task == "classify" else "a quantity"
    return f"predicts {label(goal.name, 60)!r} ({goal.task}: {kind})"


def _judged(rows: dict[str, Any]) -> tuple[str, int]:
    """The part on which confusions were counted, and its number of rows."""
    part = next(part for part in ("test", "validation", "train") if len(rows[part]))
    return _PARTS[part], len(rows[part])


def _print_confusions(confusions: list[tuple[Any, Any, int]], part: str, rows: int) -> None:
    wrong = sum(count for _, _, count in confusions)
    out.print(f"\nconfusions: {wrong:,} of {rows:,} {part} rows")
    if not confusions:
        return
    table = plain_table("true", "predicted", "rows")
    for true, predicted, count in confusions[:6]:
        table.add_row(label(true), label(predicted), f"{count:,}")
    out.print(table)
    if len(confusions) > 6:
        others = sum(count for _, _, count in confusions[6:])
        out.print(f"and {len(confusions) - 6} more pairs ({others:,} rows)")


def plain_table(*heads: str) -> Table:
    """A table without lines: numbers to the right, names to the left."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads:
        table.add_column(head, justify="left" if head in _NAMES else "right")
    return table


def score_table(scores: dict[str, tuple[int, dict[str, float]]]) -> Table:
    """Rows and scores of each part of a table."""
    names = list(next(iter(scores.values()))[1])
    table = plain_table("", "rows", *names)
    for part, (rows, values) in scores.items():
        shown = (
            f"{values[n]:.4f}" if n in ("accuracy", "r2") else f"{values[n]:.4g}" for n in names
        )
        table.add_row(part, f"{rows:,}", *shown)
    return table


def print_encoding(model: TableModel) -> None:
    """What a model predicts, and from which columns."""
    from deltarule.tabular import TextColumn  # Polars is slow to import

    out.print(f"\n{goal_line(model)}", soft_wrap=True)
    if model.target.task == "classify":
        out.print(f"classes: {_some(model.target.classes)}")
    table = plain_table("column", "encoded as")
    for column in model.encoder.columns:
        if isinstance(column, TextColumn):
            levels = [f.removeprefix(f"{column.name}=") for f in column.features]
            table.add_row(label(column.name), _some(levels))
        else:
            flag = ", missing flagged" if column.flagged else ""
            table.add_row(label(column.name), f"{column.kind}{flag}")
    out.print()
    out.print(table)


def _some(names: Sequence[object], limit: int = 20) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(map(label, names[:limit])) + more
