"""Files that are no models, damaged or hostile: a ModelFileError, without much memory."""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import deltarule as dr
from support.memory import peak_kib


@contextmanager
def cheap() -> Iterator[None]:
    """The block takes less than 200 MB of memory at its peak, beyond what is in use.

    So what is declared is not read.
    """
    before = peak_kib()
    yield
    assert peak_kib() - before < 200_000


def refuse(path: Path, content: bytes | None = None, match: str | None = None) -> None:
    if content is not None:
        path.write_bytes(content)
    with cheap(), pytest.raises(dr.ModelFileError, match=match) as caught:
        dr.load(path)
    assert str(path) in str(caught.value)


def header(declared: dict[str, Any], data: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(declared).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


DESCRIPTION: dict[str, Any] = {
    "sizes": [2, 3, 1],
    "activations": ["relu", "identity"],
    "loss": "squared_error",
    "own_activations": [],
    "own_loss": False,
    "bias": [True, True],
    "dtype": "float64",
    "folded": False,
}
TENSORS: dict[str, Any] = {
    "W_1": np.ones((2, 3)),
    "b_1": np.ones(3),
    "W_2": np.ones((3, 1)),
    "b_2": np.ones(1),
}


def model(
    tensors: dict[str, Any] | None = None, meta: dict[str, str] | None = None, **changes: Any
) -> bytes:
    """A model file with some parts changed (None takes a part out)."""
    described = {k: v for k, v in (DESCRIPTION | changes).items() if v is not None}
    metadata = {"format": "deltarule", "format_version": "1", "network": json.dumps(described)}
    parts = {k: v for k, v in (TENSORS | (tensors or {})).items() if v is not None}
    return safetensors.numpy.save(parts, metadata | (meta or {}))


def test_the_parts_above_make_a_model(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(model())
    net = dr.load(tmp_path / "m")
    assert net.sizes == (2, 3, 1)
    assert (net.theta == 1).all()


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no model file"):
        dr.load(tmp_path / "none")
    refuse(tmp_path, match="a folder")


@pytest.mark.skipif(os.name != "posix", reason="named pipes")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refuse(tmp_path / "pipe", match="device or pipe")
    refuse(Path("/dev/zero"), match="device or pipe")


def test_cut_off_anywhere(tmp_path: Path) -> None:
    dr.Network([5, 7, 3], loss="cross_entropy", rng=0).save(tmp_path / "m")
    whole = (tmp_path / "m").read_bytes()
    for cut in {*range(0, len(whole), 7), *range(24), len(whole) - 1}:
        refuse(tmp_path / "m", whole[:cut])
    refuse(tmp_path / "m", whole + b"\0")


def test_flipped_bits_are_refused_or_another_model_but_never_a_crash(tmp_path: Path) -> None:
    dr.Network([5, 7, 3], loss="cross_entropy", rng=0).save(tmp_path / "m")
    whole, chance = (tmp_path / "m").read_bytes(), random.Random(0)
    head = 8 + struct.unpack("<Q", whole[:8])[0]
    refused = 0
    for place in [*range(8), *(chance.randrange(8, head) for _ in range(400))]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << chance.randrange(8)
        (tmp_path / "m").write_bytes(flipped)
        try:
            dr.load(tmp_path / "m")
        except dr.ModelFileError:
            refused += 1
    assert refused > 350


@pytest.mark.parametrize(
    "content",
    [
        b"a,b,c\n1,2,3\n",
        "Über Netze\n".encode() * 100,
        b"\x80\x04\x95" + pickle.dumps({"a": 1}),
        b"PK\x03\x04" + bytes(200),
        bytes(1000),
        b"\xff" * 1000,
    ],
)
def test_other_kinds_of_files(tmp_path: Path, content: bytes) -> None:
    refuse(tmp_path / "m", content, "not a deltarule model, or is damaged")


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**40, 10**8, 0])
def test_lies_about_the_length_of_the_header(tmp_path: Path, length: int) -> None:
    refuse(tmp_path / "m", header({}, length=length))


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F64", "shape": [10**9, 10**9], "data_offsets": [0, 8]},
        {"dtype": "F64", "shape": [2**62, 4], "data_offsets": [0, 8]},
        {"dtype": "F64", "shape": [1], "data_offsets": [0, 2**60]},
        {"dtype": "F64", "shape": [1], "data_offsets": [8, 0]},
        {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]},
        {"dtype": "F65", "shape": [1], "data_offsets": [0, 8]},
        {"dtype": "F64", "shape": [0, 10**18], "data_offsets": [0, 0]},
    ],
)
def test_lies_about_shapes_and_offsets(tmp_path: Path, entry: dict[str, Any]) -> None:
    metadata = {"format": "deltarule", "format_version": "1", "network": json.dumps(DESCRIPTION)}
    refuse(tmp_path / "m", header({"__metadata__": metadata, "W_1": entry}, bytes(8)))


def test_foreign_safetensors(tmp_path: Path) -> None:
    tensors = {"layer.weight": np.ones((3, 3))}
    refuse(tmp_path / "m", safetensors.numpy.save(tensors), "not a deltarule model")
    refuse(tmp_path / "m", safetensors.numpy.save(tensors, {"format": "pt"}), "not a deltarule")
    refuse(tmp_path / "m", safetensors.numpy.save({}), "not a deltarule")


@pytest.mark.parametrize("version", ["2", "999", "", "-1", "1.5", "x", "1" * 5000, "²", "0"])
def test_other_versions(tmp_path: Path, version: str) -> None:
    refuse(tmp_path / "m", model(meta={"format_version": version}), "format version")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"sizes": [2, 10**9, 1]}, "W_1 is F64 .2, 3., but its network needs"),
        ({"sizes": [10**9] * 3}, "W_1"),
        ({"sizes": [2, 10**30, 1]}, "makes no sense"),
        ({"sizes": [2, -3, 1]}, "makes no sense"),
        ({"sizes": [2, 3.0, 1]}, "makes no sense"),
        ({"sizes": [2, True, 1]}, "makes no sense"),
        ({"sizes": [1] * 200_000}, "makes no sense"),
        ({"sizes": [2]}, "makes no sense"),
        ({"sizes": "231"}, "makes no sense"),
        ({"sizes": None}, "makes no sense"),
        ({"sizes": [2, 3, 3, 1]}, "makes no sense"),
        ({"activations": ["relu"]}, "entries"),
        ({"activations": [3, 4]}, "makes no sense"),
        ({"activations": ["rellu", "identity"]}, "Did you mean 'relu'"),
        ({"activations": ["softmax", "identity"]}, "only the output"),
        ({"activations": ["elu(-1)", "identity"]}, "alpha must be >= 0"),
        ({"activations": ["leaky_relu(1e999)", "identity"]}, "finite"),
        ({"activations": None}, "makes no sense"),
        ({"loss": "cross_entropy"}, "cross_entropy"),
        ({"loss": ["squared_error"]}, "makes no sense"),
        ({"activations": ["relu", "softmax(3,2)"]}, "but the output layer has 1 units"),
        ({"activations": ["relu", "softmax(1e308,1e308)"]}, "but the output layer has 1 units"),
        ({"loss": "__import__('os')"}, "unknown loss"),
        ({"bias": [1, 0]}, "makes no sense"),
        ({"bias": True}, "makes no sense"),
        ({"dtype": "float16"}, "makes no sense"),
        ({"dtype": ["float64"]}, "makes no sense"),
        ({"dtype": "float32"}, "W_1 is F64"),
        ({"own_activations": "relu"}, "makes no sense"),
        ({"own_activations": ["relu"]}, "own functions relu"),
        ({"own_loss": True}, "own functions squared_error"),
    ],
)
def test_descriptions_that_make_no_sense(
    tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    refuse(tmp_path / "m", model(**changes), match)


@pytest.mark.parametrize(
    ("tensors", "match"),
    [
        ({"W_1": None}, "missing or not called for: W_1"),
        ({"b_2": None}, "b_2"),
        ({"W_3": np.ones((1, 1))}, "W_3"),
        ({"W_1": np.ones((3, 2))}, r"W_1 is F64 \[3, 2\], but its network needs F64 \[2, 3\]"),
        ({"W_1": np.ones(6)}, "W_1"),
        ({"b_2": np.array(1.0)}, "b_2"),
        ({"W_1": np.ones((2, 3), np.float32)}, "W_1 is F32"),
        ({"W_1": np.ones((2, 3), np.int64)}, "W_1 is I64"),
        ({"W_1": np.ones((2, 3), bool)}, "W_1 is BOOL"),
        ({"W_1": np.full((2, 3), np.nan)}, "NaN or infinite"),
        ({"b_1": np.array([1, np.inf, 1])}, "NaN or infinite"),
    ],
)
def test_wrong_tensors(tmp_path: Path, tensors: dict[str, Any], match: str) -> None:
    refuse(tmp_path / "m", model(tensors), match)


def test_types_that_numpy_does_not_know(tmp_path: Path) -> None:
    metadata = {"format": "deltarule", "format_version": "1", "network": json.dumps(DESCRIPTION)}
    declared: dict[str, Any] = {"__metadata__": metadata}
    start = 0
    for name, array in TENSORS.items():
        end = start + 2 * array.size
        declared[name] = {"dtype": "BF16", "shape": array.shape, "data_offsets": [start, end]}
        start = end
    refuse(tmp_path / "m", header(declared, bytes(start)), "BF16")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 100_000 + "]" * 100_000,
        "[]",
        "null",
        "3",
        "{",
        "",
        "1" * 10_000,
        '{"sizes": [' + "1" * 10_000 + "]}",
        "NaN",
    ],
)
def test_json_bombs_and_rubble(tmp_path: Path, text: str) -> None:
    refuse(tmp_path / "m", model(meta={"network": text}))
    refuse(tmp_path / "m", model(meta={"network": "{}", "table": text}))


def test_a_model_without_a_description(tmp_path: Path) -> None:
    metadata = {"format": "deltarule", "format_version": "1"}
    refuse(tmp_path / "m", safetensors.numpy.save(TENSORS, metadata), "does not describe")


def test_hostile_descriptions_of_many_layers_are_cheap(tmp_path: Path) -> None:
    L = 20_000
    changes = {
        "sizes": [1] * (L + 1),
        "activations": [f"leaky_relu({i})" for i in range(L)],
        "own_activations": [f"f{i}" for i in range(L)],
        "bias": [True] * L,
    }
    refuse(tmp_path / "m", model(**changes), "missing")


def test_loading_runs_no_code_of_the_file(tmp_path: Path) -> None:
    """Not even the modules that could: pickle's loader is never called."""
    script = (
        "import sys, pickle, deltarule as dr\n"
        "def fail(*a, **k): raise SystemExit('unpickled')\n"
        "pickle.load = pickle.loads = pickle.Unpickler = fail\n"
        "dr.load(sys.argv[1])\n"
    )
    dr.Network([2, 1], rng=0).save(tmp_path / "m")
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "m")], check=True, timeout=300)
