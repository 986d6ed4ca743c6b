"""A network as one safetensors file: description as JSON, parameters as tensors, no pickle.

Layout: tensors "W_l" (n_{l-1}, n_l) and "b_l" (n_l,) for l = 1..L; metadata "format",
"format_version", "network" (JSON: sizes, activations, loss, which of these are the user's own,
bias, dtype, folded) and, for other parts of the package, more sections of JSON (the encoding of a
table, for one).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from deltarule.equations.activations import Activation
from deltarule.equations.losses import Loss
from deltarule.equations.params import Array
from deltarule.equations.spec import Spec
from deltarule.errors import ModelFileError, SpecError
from deltarule.files import write_atomically

FORMAT = "deltarule"
VERSION = 1
_LARGEST_LAYER = 2**31
_MOST_LAYERS = 100_000


def write_model(
    spec: Spec, theta: Array, path: str | Path, sections: Mapping[str, Any] | None = None
) -> None:
    """Write a description and its parameters to `path`, whole or not at all.

    Own activations and losses are saved by name; Reading it then needs them in `custom`.

    Raises
    ------
    OutputError
        The file cannot be written.
    SpecError
        It could not be loaded again: NaN or infinite parameters, or two own activations that have
        one name.
    """
    kinds = set(spec.activations)
    if len({f.name for f in kinds}) < len(kinds):
        raise SpecError("own activations are saved by name: give each one a name of its own")
    for l, layer in enumerate(spec.layers(theta), start=1):
        if not all(np.isfinite(p).all() for p in (layer.W, layer.b) if p is not None):
            raise SpecError(f"layer {l} has parameters that are NaN or infinite: not saved")
    description = {
        "sizes": list(spec.sizes),
        "activations": [f.name for f in spec.activations],
        "loss": spec.loss.name,
        "own_activations": sorted(f.name for f in kinds if not f.registered),
        "own_loss": not spec.loss.registered,
        "bias": list(spec.bias),
        "dtype": str(spec.dtype),
        "folded": spec.folded,
    }
    metadata = {
        "format": FORMAT,
        "format_version": str(VERSION),
        "network": json.dumps(description),
    } | {name: json.dumps(value) for name, value in (sections or {}).items()}
    tensors = {}
    for l, (W, b) in enumerate(spec.layout.matrices(theta), start=1):
        tensors[f"W_{l}"] = np.ascontiguousarray(W)
        if b is not None:
            tensors[f"b_{l}"] = np.ascontiguousarray(b)
    write_atomically(path, _with_sorted_metadata(safetensors.numpy.save(tensors, metadata)))


def _with_sorted_metadata(content: bytes) -> bytes:
    """The file with its metadata in one order, so that the same network gives the same bytes.

    safetensors writes them in an order that changes from process to process.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + content[end:]


def read_model(
    path: str | Path, custom: Sequence[Activation | Loss] = ()
) -> tuple[Spec, Array, dict[str, Any]]:
    """The description, the parameters and the other JSON sections of the file; see `load`."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no model file {path}")
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a device or pipe"
        raise ModelFileError(f"{path} is {kind}, not a model file")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ModelFileError(f"{path} is a safetensors file, but not a deltarule model")
            sections = _sections(path, metadata)
            spec = _describe(path, sections.pop("network"), custom)
            _require_tensors(path, spec, {n: file.get_slice(n) for n in file.keys()})  # noqa: SIM118  # not iterable
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not iterable
    except SafetensorError as error:
        raise ModelFileError(f"{path} is not a deltarule model, or is damaged: {error}") from error
    layers = range(1, len(spec.sizes))
    pieces = spec.layout.join(
        [tensors[f"W_{l}"] for l in layers], [tensors.get(f"b_{l}") for l in layers]
    )
    theta: Array = np.concatenate(pieces)
    if not np.isfinite(theta).all():
        raise ModelFileError(f"{path} holds parameters that are NaN or infinite")
    return spec, theta, sections


def _sections(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    version = metadata.get("format_version", "")
    if version != str(VERSION):
        raise ModelFileError(
            f"{path} has format version {version!r:.20}; this deltarule reads {VERSION}: "
            "a newer one may read it"
        )
    texts = {k: v for k, v in metadata.items() if k not in ("format", "format_version")}
    try:
        sections = {name: json.loads(text) for name, text in texts.items()}
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: damaged description ({error})") from error
    if not isinstance(sections.get("network"), dict):
        raise ModelFileError(f"{path} does not describe its network")
    return sections


def _describe(path: Path, described: dict[str, Any], custom: Sequence[Activation | Loss]) -> Spec:
    """The description, made only after every number has been looked at."""
    sizes, bias = described.get("sizes"), described.get("bias")
    names, loss = described.get("activations"), described.get("loss")
    if not (
        isinstance(sizes, list)
        and 2 <= len(sizes) <= _MOST_LAYERS
        and all(type(n) is int and 1 <= n < _LARGEST_LAYER for n in sizes)
        and isinstance(bias, list)
        and len(bias) == len(sizes) - 1
        and all(type(flag) is bool for flag in bias)
        and isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and isinstance(loss, str)
        and isinstance(described.get("own_activations", []), list)
        and described.get("dtype") in ("float64", "float32")
    ):
        raise ModelFileError(f"{path}: the description of its network makes no sense")
    own_names = {str(name) for name in described.get("own_activations", [])}
    given = {one.name: one for one in custom if isinstance(one, Activation)}
    given_losses = {one.name: one for one in custom if isinstance(one, Loss)}
    own_activations = {name: given.get(name) for name in names if name in own_names}
    own_loss = given_losses.get(loss) if described.get("own_loss") else None
    missing = [name for name, one in own_activations.items() if one is None]
    missing += [loss] if described.get("own_loss") and own_loss is None else []
    if missing:
        raise ModelFileError(
            f"{path} needs its own functions {', '.join(missing)}: dr.load(path, custom=[...])"
        )
    try:
        return Spec.of(  # what the file declares is not allocated yet
            sizes,
            [own_activations.get(name) or name for name in names],
            own_loss or loss,
            bias,
            described["dtype"],
            folded=described.get("folded") is True,
        )
    except SpecError as error:
        raise ModelFileError(f"{path}: {error}") from error


def _require_tensors(path: Path, spec: Spec, found: Mapping[str, Any]) -> None:
    """Every tensor that the description needs is there, with its shape and dtype; none besides."""
    pairs = zip(spec.sizes, spec.sizes[1:], strict=False)
    expected: dict[str, list[int]] = {}
    for l, (n_in, n_out) in enumerate(pairs, start=1):
        expected[f"W_{l}"] = [n_in, n_out]
        if spec.bias[l - 1]:
            expected[f"b_{l}"] = [n_out]
    if set(found) != set(expected):
        odd = sorted(set(found) ^ set(expected))
        raise ModelFileError(f"{path}: tensors missing or not called for: {', '.join(odd[:8])}")
    kind = {"float64": "F64", "float32": "F32"}[str(spec.dtype)]
    for name, shape in expected.items():
        if found[name].get_shape() != shape or found[name].get_dtype() != kind:
            raise ModelFileError(
                f"{path}: {name} is {found[name].get_dtype()} {found[name].get_shape()}, but its "
                f"network needs {kind} {shape}"
            )
