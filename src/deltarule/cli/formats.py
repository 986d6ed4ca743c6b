"""In which format a command writes its result, and where to: the same two options everywhere."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deltarule.cli.output import err, fail, printing, reported
from deltarule.document import Formats
from deltarule.files import write_atomically


class Format(StrEnum):
    """How a result is written."""

    text = "text"
    markdown = "markdown"
    html = "html"
    latex = "latex"
    json = "json"


_BY_SUFFIX = {
    ".json": Format.json,
    ".html": Format.html,
    ".htm": Format.html,
    ".md": Format.markdown,
    ".txt": Format.text,
    ".tex": Format.latex,
}
Form = Annotated[
    Format | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="text, markdown, html, latex or json; else what the output's name ends in.",
    ),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of stdout.")]


def chosen(form: Format | None, output: Path | None, as_json: bool = False) -> Format:
    """The format asked for, or that of the file's name; text for stdout and a name without an end.

    Ends with a message for a name that ends in something else.
    """
    if as_json:
        return Format.json
    if form is not None:
        return form
    suffix = "" if output is None else output.suffix.lower()
    if suffix and suffix not in _BY_SUFFIX:
        known = ", ".join(_BY_SUFFIX)
        fail(f"--output {output}: the name must end in {known}; --format says else what to write")
    return _BY_SUFFIX.get(suffix, Format.text)


def show(result: Formats, form: Format, output: Path | None, **own: Callable[[], str]) -> None:
    """Write a result, to stdout or into a file.

    LaTeX in a file is a whole document, on stdout a part of one. `own` are the ways of formats, by
    their names, that take options of the command.
    """
    ways: dict[str, Callable[[], str]] = {
        "text": result.to_text,
        "markdown": result.to_markdown,
        "html": result.to_html,
        "latex": lambda: result.to_latex(standalone=output is not None),
        "json": lambda: result.to_json(None),
    }
    with reported():
        text = (ways | own)[form]().rstrip("\n") + "\n"
        if output is not None:
            write_atomically(output, text.encode())
    if output is None:
        with printing():
            print(text, end="")
    else:
        err.print(f"{form} in {output}", soft_wrap=True)
