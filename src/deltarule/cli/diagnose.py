"""`deltarule diagnose`: what happens to signal and gradient in every layer of a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltarule.cli.app import Json, app, require_apart, require_picture
from deltarule.cli.output import err, fail, note, printing, reported, show_json

if TYPE_CHECKING:
    from deltarule.explain.case import NetworkFile
    from deltarule.network.network import Network


@app.command(
    epilog="Examples:\n\n"
    "  [bold]deltarule diagnose model.safetensors houses.csv[/bold]\n\n"
    "  [bold]deltarule diagnose net.json data.csv --no-advice --plot layers.png[/bold]\n\n"
    "  [bold]deltarule diagnose yehoshua --json[/bold]"
)
def diagnose(
    model: Annotated[
        str,
        typer.Argument(
            help="A model file, a network file (.json, .toml, .yaml), or yehoshua, mazur, gashler."
        ),
    ],
    data: Annotated[
        str | None,
        typer.Argument(
            help="A table: CSV, Parquet or a data set's name. For a network without a table's "
            "encoding: the inputs' columns, then the targets'. Default: the network file's samples."
        ),
    ] = None,
    l2: Annotated[float, typer.Option(help="The penalty l2/2 sum W^2 of its training.")] = 0.0,
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
    as_json: Json = False,
) -> None:
    """Measure every layer: delta, gradients, activations, saturated and dead units, underflow.

    What could help is tried on copies. Exit code 1 if a number is not finite, else 0.
    """
    with reported():
        from deltarule.explain.diagnose.report import diagnose as diagnosed

        read: dict[str, str | Path] = {"the model": model}
        require_apart({"--plot": plot}, read | ({} if data is None else {"the table": data}))
        if plot is not None:
            require_picture("--plot", plot)
        net, X, Y, notes = _read(model, data)
        done = diagnosed(net, X, Y, l2=l2, try_advice=advice, rows=rows or None, rng=seed)
        if plot is not None:
            done.plot(plot)
    for text in notes:
        note(text)
    if as_json:
        show_json(done.to_dict() | {"plot": None if plot is None else str(plot)})
    else:
        with printing():
            print(done.to_text(None if all_layers else 12), end="")
        if plot is not None:
            err.print(f"picture in {plot}", soft_wrap=True)
    if not done.finite:
        raise typer.Exit(1)


def _read(model: str, data: str | None) -> tuple[Network | NetworkFile, Any, Any, list[str]]:
    """The network, its inputs and targets (None: those of the network file), and notes."""
    from deltarule.explain.case import read_network

    if Path(model).suffix.lower() != ".safetensors":
        source = read_network(model)
        if data is not None:
            return source, *_columns(source.net, data), []
        if source.X is None or source.Y is None:
            fail(
                f"{model} has no inputs and targets: give a table, deltarule diagnose {model} DATA"
            )
        return source, None, None, []
    from deltarule.network.saving import read
    from deltarule.tabular.model import TableModel

    net, sections = read(model)
    if data is None:
        fail(f"{model} is a model: a table is needed, deltarule diagnose {model} DATA")
    if "table" not in sections:
        return net, *_columns(net, data), []
    loaded = TableModel.load(model)
    frame = loaded.read(data)
    Y = loaded.target.transform(frame, dtype=loaded.network.dtype)
    X, notes = loaded.encoder.encode(frame.drop(loaded.target.name), dtype=loaded.network.dtype)
    return loaded.network, X, Y, notes


def _columns(net: Network, data: str) -> tuple[Any, Any]:
    """The inputs and targets of a network without an encoding: the columns as they stand."""
    from deltarule.tabular import read_table

    values = read_table(data).to_numpy()
    n_in, n_out = net.sizes[0], net.sizes[-1]
    labels = len(net.loss.groups) or 1
    wide = {n_in + n_out} | ({n_in + labels} if net.loss.targets == "distribution" else set())
    if values.shape[1] not in wide:
        needed = " or ".join(map(str, sorted(wide)))
        fail(f"{data} has {values.shape[1]} columns: {n_in} inputs, then targets: {needed} in all")
    return values[:, :n_in], values[:, n_in:]
