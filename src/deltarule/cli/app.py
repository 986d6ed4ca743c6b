"""What the files of commands share: the application, common arguments, checks before long work.

It stands apart so that `python -m deltarule.cli` and the installed program fill one application,
whichever file a command is in.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from deltarule.cli.output import fail
from deltarule.files import require_writable

app = typer.Typer(
    name="deltarule",
    help="Fully connected networks by back-propagation: train them on tables, and look inside.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_PICTURES = (".png", ".svg", ".pdf")

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, for machines.")]
Data = Annotated[
    str,
    typer.Argument(
        help="A CSV or Parquet file, or one of: digits, iris, wine, breast_cancer, diabetes."
    ),
]
Model = Annotated[Path, typer.Argument(help="A model file that `deltarule train` wrote.")]
Source = Annotated[
    str,
    typer.Argument(
        help="A model file (.safetensors), a network file (.json, .toml, .yaml), or yehoshua, "
        "mazur, gashler."
    ),
]
Table = Annotated[
    str | None,
    typer.Argument(
        help="A table: CSV, Parquet or a data set's name. For a network without a table's "
        "encoding: the inputs' columns, then the targets'. Default: the network file's samples."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]


class Task(StrEnum):
    """What to do with the target column."""

    auto = "auto"
    classify = "classify"
    regress = "regress"


def require_apart(written: dict[str, Path | None], read: dict[str, str | Path | None]) -> None:
    """Refuse to write a file over one that is read, or two files to one place."""
    from deltarule.tabular import DATASETS  # Polars is slow to import

    seen = {
        os.path.realpath(path): what
        for what, path in read.items()
        if path is not None and path not in DATASETS
    }
    for what, path in written.items():
        if path is None:
            continue
        other = seen.setdefault(os.path.realpath(path), what)
        if other != what:
            fail(f"{what} {path} is {other} as well: it would be overwritten; give another name")
        require_writable(path)


def require_picture(option: str, path: Path) -> None:
    """Fail before long work, not after it, if its picture cannot be drawn."""
    if path.suffix.lower() not in _PICTURES:
        kinds = ", ".join(_PICTURES)
        fail(f"{option} {path}: the name must end in {kinds}, for the kind of picture")
    try:
        import matplotlib.figure  # noqa: F401  # only whether it is there
    except ImportError:
        fail(f"{option} needs matplotlib: pip install 'deltarule[plot]'")


def numbers(option: str, text: str, kind: Callable[[str], Any]) -> list[Any]:
    """A comma-separated list; the option is named if it is none."""
    parts = text.split(",") if text.strip() else []
    try:
        return [kind(part) for part in parts]
    except ValueError:
        fail(f"{option} {text!r}: whole numbers separated by commas are needed, such as 64,64")
