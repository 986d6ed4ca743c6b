"""What the command line prints: data on stdout, messages on stderr, tables of 80 columns."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import rich.table
import typer
from rich.console import Console

from deltarule.document import Document, Notes, Table, json, text
from deltarule.errors import DeltaruleError

if TYPE_CHECKING:
    from deltarule.tabular.model import TableModel

# What is printed holds names from tables and paths: no [bold] or :smile: in them means anything.
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


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


def note(sentence: str) -> None:
    """Something a reader should know, on stderr."""
    err.print(f"note: {sentence}", style="yellow", soft_wrap=True)


def show_json(value: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    with printing():
        print(json.write(value))


def show_document(document: Document) -> None:
    """A document on stdout: as its text, but tables fit the terminal and their heads are bold.

    Its notes are said on stderr, before it.
    """
    for block, lines, apart in text.laid_out(document):
        if isinstance(block, Notes):
            continue
        if apart:
            out.print()
        if not isinstance(block, Table):
            out.print("\n".join(lines), soft_wrap=True)
            continue
        if block.caption:
            out.print(text.phrase(block.caption), soft_wrap=True)
        out.print(_fitted(block))
        if block.more:
            out.print(block.more, soft_wrap=True)


def _fitted(of: Table) -> rich.table.Table:
    """A table without lines whose cells break where the terminal ends."""
    fitted = rich.table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head, side in zip(of.head, of.align, strict=True):
        fitted.add_column(text.phrase(head), justify="left" if side == "l" else "right")
    for row in of.shown:
        fitted.add_row(*map(text.phrase, row))
    return fitted


def print_encoding(model: TableModel) -> None:
    """What a model predicts, and from which columns."""
    from deltarule.tabular import TextColumn  # Polars is slow to import
    from deltarule.tabular.wording import goal_line, label

    def some(names: Sequence[object], limit: int = 20) -> str:
        more = f" and {len(names) - limit} more" if len(names) > limit else ""
        return ", ".join(map(label, names[:limit])) + more

    out.print(f"\n{goal_line(model.target)}", soft_wrap=True)
    if model.target.task == "classify":
        out.print(f"classes: {some(model.target.classes)}")
    rows = []
    for column in model.encoder.columns:
        if isinstance(column, TextColumn):
            levels = [f.removeprefix(f"{column.name}=") for f in column.features]
            rows.append((label(column.name), some(levels)))
        else:
            flag = ", missing flagged" if column.flagged else ""
            rows.append((label(column.name), f"{column.kind}{flag}"))
    out.print()
    show_document(Document([Table(("column", "encoded as"), rows, "ll")]))
