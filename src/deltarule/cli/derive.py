"""`deltarule derive`: the chain rule for one weight, bias, input or activation, step by step."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from deltarule.cli.app import app, require_apart
from deltarule.cli.formats import Form, Output, chosen, show
from deltarule.cli.output import err, fail, note, reported


@app.command(
    epilog="Examples:\n\n"
    "  [bold]deltarule derive --layers 5 --weight 1,7,3 --cached[/bold]\n\n"
    "  [bold]deltarule derive --layers 5 --input 5 --notation index,delta -o both.html[/bold]\n\n"
    "  [bold]deltarule derive --numbers net.json --x 1,0 --y 1 --weight 1,2,1 --verify[/bold]"
)
def derive(
    layers: Annotated[
        int | None, typer.Option(help="Layers of the network, without the inputs.")
    ] = None,
    weight: Annotated[
        str | None, typer.Option(help="LAYER,NODE,NODE BEFORE, such as 1,7,3.")
    ] = None,
    bias: Annotated[str | None, typer.Option(help="LAYER,NODE.")] = None,
    input: Annotated[int | None, typer.Option(help="Which input, from 1.")] = None,
    activation: Annotated[str | None, typer.Option(help="LAYER,NODE; layer 0: inputs.")] = None,
    notation: Annotated[
        str, typer.Option(help="index, delta, row or column; two with a comma: side by side.")
    ] = "index",
    loss: Annotated[str | None, typer.Option(help="With --layers; squared_error.")] = None,
    biases: Annotated[
        bool | None, typer.Option(help="Whether layers have biases, with --layers.")
    ] = None,
    cached: Annotated[
        bool, typer.Option("--cached", help="Go on to the cached error terms.")
    ] = False,
    network: Annotated[
        str | None,
        typer.Option(
            "--numbers",
            help="In place of --layers: a model file (.safetensors), a network file (.json, .toml, "
            ".yaml), or yehoshua, mazur, gashler.",
        ),
    ] = None,
    x: Annotated[str | None, typer.Option(help="Inputs, such as 1,0. Default: the file's.")] = None,
    y: Annotated[str | None, typer.Option(help="Targets, in the same way.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every step on 20 random networks.")
    ] = False,
    width: Annotated[int | None, typer.Option(help="Of lines of text.")] = None,
    form: Form = None,
    output: Output = None,
) -> None:
    """Derive the gradient of the error by one weight, bias, input or activation, step by step.

    LaTeX and HTML are whole documents. Exit code 1 if --verify finds a step that does not hold.
    """
    form = chosen(form, output)
    names = [one.strip() for one in notation.split(",")]
    if len(names) > 2:
        fail(f"--notation {notation!r}: one name, or two with a comma between them")
    checks = []
    with reported():
        from deltarule.explain.derive.report import derive as derived

        if output is not None:
            require_apart({"--output": output}, {} if network is None else {"--numbers": network})
        asked: dict[str, Any] = {
            "weight": _whole("--weight", weight),
            "bias": _whole("--bias", bias),
            "input": input,
            "activation": _whole("--activation", activation),
            "loss": loss,
            "biases": biases,
            "cached": cached,
        }
        known: dict[str, Any] = {} if network is None else _numbers(network, x, y)
        if (layers is None) == (network is None):
            what = "neither" if layers is None else "both"
            fail(f"give either --layers, how many there are, or --numbers, a network; got {what}")
        if network is not None and (loss, biases) != (None, None):
            fail("--loss and --biases go with --layers: the network of --numbers has its own")
        if network is None and (x, y) != (None, None):
            fail("--x and --y are numbers for a network that exists: give --numbers too")
        done = [derived(layers, notation=name, **asked, **known) for name in names]
        checks = [one.verify() for one in done] if verify else []
        shown = done[0] if len(done) == 1 else done[0].beside(done[1])
    show(
        shown,
        form,
        output,
        text=lambda: shown.to_text(width),
        latex=lambda: shown.to_latex(standalone=True),
    )
    for name, check in zip(names, checks, strict=False):
        err.print(f"{name}: {check}", soft_wrap=True)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def _numbers(network: str, x: str | None, y: str | None) -> dict[str, Any]:
    """The network of a file, with the sample given or the file's first one."""
    from deltarule.explain.case import case_of

    case = case_of(network)
    sample: dict[str, Any] = {"x": _row("--x", x), "y": _row("--y", y)}
    if x is None and y is None and case.X is not None and case.Y is not None and len(case.Y) > 1:
        note(f"the first of the {len(case.Y)} samples of {network} is taken")
    return {"net": case, **sample}


def _row(option: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        fail(f"{option} {text!r}: numbers separated by commas are needed, such as 1,0")


def _whole(option: str, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        fail(f"{option} {text!r}: whole numbers separated by commas are needed, such as 1,7,3")
