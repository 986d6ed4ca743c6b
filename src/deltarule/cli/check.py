"""`deltarule check FILE...`: someone's worked numbers; `check gradients`: those of a network."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from deltarule.cli.app import Json, Source, Table, app, require_apart
from deltarule.cli.formats import Form, Output, chosen, show
from deltarule.cli.output import complain, err, fail, note, reported
from deltarule.files import write_atomically

_DEFAULT = "worksheets"


class _FilesOrCommand(TyperGroup):
    """A group whose first argument may be a file: then it is `check worksheets FILE...`.

    A file that is called as a command is reached by `./gradients`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *self.get_help_option_names(ctx)):
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


class Which(StrEnum):
    """Whose gradients."""

    all = "all"
    reference = "reference"
    native = "native"


check = typer.Typer(cls=_FilesOrCommand, no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(check, name="check")


@check.callback(
    subcommand_metavar="FILE... | gradients NETWORK [DATA]",
    epilog="Examples:\n\n"
    "  [bold]deltarule check worksheet.json[/bold]\n\n"
    "  [bold]deltarule check homework/*.yaml --json > report.json[/bold]\n\n"
    "  [bold]deltarule check gradients network.json[/bold]",
)
def main() -> None:
    """Check worked numbers (FILE...), or the gradients of a network.

    Exit code 1 if anything is wrong. A file called gradients is ./gradients here.
    """


@check.command(
    _DEFAULT,
    epilog="Example: [bold]deltarule check worksheet.json[/bold], where worksheets goes without "
    "saying.",
)
def worksheets(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Worksheets (.json, .toml, .yaml), or yehoshua, mazur, gashler.",
        ),
    ],
    html: Annotated[
        Path | None, typer.Option(help="Write the report of one file as a page there.")
    ] = None,
    form: Form = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Check worked numbers: the first wrong one, and the mistake that explains it.

    Of several files those that cannot be read are told on stderr; the others are checked.
    """
    from deltarule.cli.checked import Checked

    form = chosen(form, output, as_json)
    if html is not None and len(files) > 1:
        fail("--html writes the report of one file")
    if html is not None or output is not None:
        alone = len(files) == 1
        read = {"the worksheet" if alone else f"worksheet {file}": file for file in files}
        require_apart({"--html": html, "--output": output}, {**read})
    checked = Checked.of(files)
    if len(files) == 1 and checked.errors:
        fail(checked.errors[0])
    for error in checked.errors:
        complain(error)
    if html is not None:
        with reported():
            write_atomically(html, checked.to_html().encode())
    show(checked, form, output)
    if html is not None:
        err.print(f"page in {html}", soft_wrap=True)
    if not checked.ok:
        raise typer.Exit(1)


@check.command(
    epilog="Examples:\n\n"
    "  [bold]deltarule check gradients network.json[/bold]\n\n"
    "  [bold]deltarule check gradients model.safetensors houses.csv --html report.html[/bold]"
)
def gradients(
    network: Source,
    data: Table = None,
    samples: Annotated[
        int, typer.Option(help="Samples drawn at random, where there are no inputs.")
    ] = 8,
    seed: Annotated[int, typer.Option(help="Of samples, targets and directions.")] = 0,
    engine: Annotated[Which, typer.Option(help="Whose gradients.")] = Which.all,
    full: Annotated[
        bool, typer.Option("--full", help="Number by number also in a large network.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write the report as a page there.")] = None,
    form: Form = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Compare a network's gradients with slopes measured from values of its loss alone.

    Every weight, bias and input is moved, after a few random directions. Exit code 1 if any
    is wrong.
    """
    form = chosen(form, output, as_json)
    with reported():
        from deltarule.explain.case import case_of
        from deltarule.explain.gradients.check import check_gradients

        if html is not None or output is not None:
            written = {"--html": html, "--output": output}
            require_apart(written, {"the network": network, "the table": data})
        case = case_of(network, data)
        report = check_gradients(
            case,
            engine=engine.value,
            full=full or None,
            samples=samples,
            rng=seed,
        )
        if html is not None:
            write_atomically(html, report.to_html().encode())
    for text in case.notes:
        note(text)
    show(report, form, output)
    if html is not None:
        err.print(f"page in {html}", soft_wrap=True)
    if not report.ok:
        raise typer.Exit(1)
