"""`deltarule export`: a model file as an ONNX file, and what goes in and comes out of it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from deltarule.cli.app import Json, Model, app, require_apart
from deltarule.cli.output import out, printing, reported, show_document, show_json
from deltarule.document import Document, Table


class Dtype(StrEnum):
    """In what the exported network computes."""

    float32 = "float32"
    float64 = "float64"


@app.command(
    epilog="Examples:\n\n"
    "  [bold]deltarule export model.safetensors -o model.onnx[/bold]\n\n"
    "  [bold]deltarule export model.safetensors --json > signature.json[/bold]"
)
def export(
    model: Model,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write the ONNX file.")
    ] = Path("model.onnx"),
    dtype: Annotated[
        Dtype | None, typer.Option(help="Of the network's arithmetic, instead of its own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model as one ONNX file: raw columns in, answers out (a bare network: numbers)."""
    with reported():
        from deltarule.exchange.onnx.model import signature, to_onnx
        from deltarule.network.saving import read
        from deltarule.tabular.model import TableModel
        from deltarule.tabular.wording import label

        require_apart({"--output": output}, {"the model": model})
        net, sections = read(model)
        loaded = TableModel.load(model) if "table" in sections else net
        made = to_onnx(loaded, output, dtype=dtype)
    inputs, outputs = signature(made)
    opsets = {one.domain or "ai.onnx": one.version for one in made.opset_import}
    if as_json:
        found = {"output": str(output), "bytes": made.ByteSize(), "opsets": opsets}
        show_json(found | {"inputs": inputs, "outputs": outputs})
        return
    with printing():
        rows = [
            (kind, label(value["name"]), value["type"], _shape(value["shape"]))
            for kind, values in (("input", inputs), ("output", outputs))
            for value in values
        ]
        show_document(Document([Table(("", "name", "type", "shape"), rows, "llll")]))
        versions = ", ".join(f"{domain} {version}" for domain, version in opsets.items())
        out.print(f"\n{made.ByteSize():,} bytes, operators of {versions}", soft_wrap=True)
        out.print(f"model  {output}", soft_wrap=True)


def _shape(shape: list[Any]) -> str:
    sizes = ["n" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' * (len(sizes) == 1)})"
