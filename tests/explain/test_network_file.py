"""Networks from small files: kinds of file, absent edges, and what is wrong with its place."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.explain.network_file import read_network
from support.oracles import example

SMALL = {
    "network": {"sizes": [2, 2, 1], "activations": ["tanh", "sigmoid"], "loss": "log_loss"},
    "weights": [[[0.1, "0.20"], [-3e-1, None]], [[0.5], [0.6]]],
    "biases": [[0.1, 0.2], None],
    "inputs": [[1, 0]],
    "targets": [[1]],
    "learning_rate": 0.5,
}
TOML = """
learning_rate = 0.5
weights = [[[0.1, "0.20"], [-3e-1, "null"]], [[0.5], [0.6]]]
biases = [[0.1, 0.2], "null"]
inputs = [[1, 0]]
targets = [[1]]
[network]
sizes = [2, 2, 1]
activations = ["tanh", "sigmoid"]
loss = "log_loss"
"""
YAML = """
network: {sizes: [2, 2, 1], activations: [tanh, sigmoid], loss: log_loss}
weights: [[[0.1, "0.20"], [-3e-1, null]], [[0.5], [0.6]]]   # -3e-1 is text in YAML 1.1
biases: [[0.1, 0.2], ~]
inputs: [[1, 0]]
targets: [[1]]
learning_rate: 5e-1
"""


def small(**changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps(SMALL)) | changes


def is_small(read: Any) -> None:
    assert read.net.sizes == (2, 2, 1)
    assert [f.name for f in read.net.activations] == ["tanh", "sigmoid"]
    assert read.net.loss.name == "log_loss"
    assert read.net.bias == (True, False)
    assert read.net.weights[0].tolist() == [[0.1, 0.2], [-0.3, 0.0]]
    assert read.net.weights[1].tolist() == [[0.5], [0.6]]
    assert read.net.biases[0].tolist() == [0.1, 0.2]
    assert [edge.tolist() for edge in read.edges] == [
        [[True, True], [True, False]],
        [[True], [True]],
    ]
    assert read.X.tolist() == [[1.0, 0.0]]
    assert read.Y.tolist() == [[1.0]]
    assert read.learning_rate == 0.5
    assert read.trainable_biases


@pytest.mark.parametrize(
    ("name", "text"),
    [("net.json", json.dumps(SMALL)), ("net.toml", TOML), ("net.yaml", YAML), ("NET.YML", YAML)],
)
def test_every_kind_of_file_says_the_same(name: str, text: str, tmp_path: Path) -> None:
    if name.lower().endswith(("yaml", "yml")):
        pytest.importorskip("yaml")
    (tmp_path / name).write_text(text)
    is_small(read_network(tmp_path / name))
    is_small(read_network(str(tmp_path / name)))


def test_a_dict_may_hold_arrays_and_tuples() -> None:
    W = np.array([[0.1, 0.2], [-0.3, None]], dtype=object)
    is_small(
        read_network(
            small(
                weights=[W, np.array([[0.5], [0.6]])],
                biases=(np.array([0.1, 0.2]), None),
                inputs=np.array([[1, 0]]),
                learning_rate=np.float32(0.5),
            )
        )
    )


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(json.dumps(SMALL), encoding="utf-8-sig")
    is_small(read_network(tmp_path / "net.json"))


@pytest.mark.parametrize("name", ["yehoshua", "mazur", "gashler"])
def test_published_examples_are_read(name: str) -> None:  # C13
    case = example(name)
    read = read_network(case)
    for l, rows in enumerate(case["weights"]):
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                assert read.net.weights[l][i, j] == (value or 0)
                assert (read.edges is None) or read.edges[l][i, j] == (value is not None)
    assert (read.edges is not None) == (name == "yehoshua")
    assert read.trainable_biases == (name != "mazur")
    assert read.learning_rate == case["learning_rate"]
    assert read.raw["claims"] == case["claims"]


def test_a_model_file_is_a_network_without_the_rest(tmp_path: Path) -> None:
    net = dr.Network([3, 2], dtype="float32", rng=1)
    net.save(tmp_path / "model.safetensors")
    read = read_network(tmp_path / "model.safetensors")
    assert read.net.theta.tolist() == net.theta.tolist()
    assert (read.edges, read.X, read.Y, read.learning_rate, read.raw) == (None,) * 4 + ({},)


def test_what_is_not_given_is_none_and_biases_follow_the_file() -> None:
    read = read_network(
        {
            "network": {"sizes": [1, 1], "activations": "relu", "loss": "squared_error"},
            "weights": [[[2]]],
        }
    )
    assert read.net.bias == (False,)
    assert read.net.activations[0].name == "identity"  # one name is for hidden layers
    assert (read.edges, read.X, read.Y, read.learning_rate) == (None, None, None, None)


@pytest.mark.parametrize(
    ("changes", "X", "Y"),
    [
        ({"inputs": [1, 0], "targets": [1]}, [[1, 0]], [[1]]),
        ({"inputs": [[1, 0], [0, 1]], "targets": [1, 0]}, [[1, 0], [0, 1]], [[1], [0]]),
        ({"inputs": [[1, 0], [0, 1]], "targets": [[1], ["0"]]}, [[1, 0], [0, 1]], [[1], [0]]),
    ],
)
def test_one_sample_may_be_a_flat_list(changes: dict[str, Any], X: Any, Y: Any) -> None:
    read = read_network(small(**changes))
    assert read.X.tolist() == X
    assert read.Y.tolist() == Y


@pytest.mark.parametrize(
    ("targets", "Y"),
    [([2, 0], [[0, 0, 1], [1, 0, 0]]), ([[0, 0, 1], [1, 0, 0]], [[0, 0, 1], [1, 0, 0]])],
)
def test_classes_may_be_labels(targets: Any, Y: Any) -> None:
    read = read_network(
        {
            "network": {"sizes": [1, 3], "activations": ["softmax"], "loss": "cross_entropy"},
            "weights": [[[1, 2, 3]]],
            "inputs": [[1], [2]],
            "targets": targets,
        }
    )
    assert read.Y.tolist() == Y


@pytest.mark.parametrize("targets", [[[2, 0], [0, 1]], [[0, 0, 1, 1, 0], [1, 0, 0, 0, 1]]])
def test_groups_of_outputs_may_have_a_label_each(targets: Any) -> None:
    read = read_network(
        {
            "network": {
                "sizes": [1, 5],
                "activations": ["softmax(3,2)"],
                "loss": "cross_entropy(3,2)",
            },
            "weights": [[[1, 2, 3, 4, 5]]],
            "inputs": [[1], [2]],
            "targets": targets,
        }
    )
    assert read.Y.tolist() == [[0, 0, 1, 1, 0], [1, 0, 0, 0, 1]]


def put(*place: Any) -> Callable[[Any], dict[str, Any]]:
    """A small file with the last argument at the place that the others give."""
    *keys, value = place
    changed: Any = json.loads(json.dumps(SMALL))
    inner = changed
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return changed


WRONG = [
    (put("weights", 0, 1, 0, "x"), r"weights\[0\]\[1\]\[0\]: a finite number.*got 'x'"),
    (put("weights", 0, 1, 0, True), r"weights\[0\]\[1\]\[0\]: .*got True"),
    (put("weights", 0, 1, 0, float("nan")), r"weights\[0\]\[1\]\[0\]: .*got nan"),
    (put("weights", 0, 1, 0, 10**400), r"weights\[0\]\[1\]\[0\]: a finite number"),
    (put("weights", 0, 1, 0, "1_000"), r"weights\[0\]\[1\]\[0\]: a finite number"),
    (put("weights", 0, 1, [1]), r"weights\[0\]\[1\]: a list is needed, 2 numbers.*a list of 1"),
    (put("weights", 0, {}), r"weights\[0\]: a list is needed, one row per unit.*an object"),
    (put("weights", 1, [[0.5, 0.6]]), r"weights\[1\]: .*layer 1 \(2\).*this is its transpose"),
    (put("weights", []), r"weights: a list is needed, one matrix per layer \(2\)"),
    (put("weights", None), r"weights: .*got nothing"),
    (put("biases", 0, 1, None), r"biases\[0\]\[1\]: a finite number is needed, got nothing"),
    (put("biases", 0, [1]), r"biases\[0\]: a list is needed, 2 numbers"),
    (put("biases", [None]), r"biases: a list is needed, one entry per layer \(2\)"),
    (put("network", "bias", True), r"biases\[1\]: a list is needed, 1 number"),
    (put("network", "bias", False), r"biases\[0\]: null is needed: network.bias"),
    (put("network", "bias", "yes"), r"network: bias must be a bool"),
    (put("network", "sizes", [2, 0, 1]), r"network.sizes\[1\]: a whole number >= 1 .*got 0"),
    (put("network", "sizes", [2]), r"network.sizes: inputs and outputs"),
    (put("network", "sizes", 3), r"network.sizes: a list is needed.*got 3"),
    (put("network", "sizes", [2, 10**9, 1]), r"weights\[0\]\[0\]: a list is needed, 1000000000"),
    (put("network", "activations", "tahn"), r"network: unknown activation 'tahn'.*'tanh'"),
    (put("network", "activations", None), r"network.activations: missing"),
    (put("network", "loss", "absolut_error"), r"network: unknown loss.*absolute_error"),
    (put("network", "activation", "relu"), r"network.activation: not a key.*'activations'"),
    (put("network", [1]), r"network: an object with sizes, activations, loss, bias is needed"),
    (put("learning_rate", 0), r"learning_rate: a number > 0 is needed, got 0"),
    (put("learning_rate", [1]), r"learning_rate: a number > 0 is needed, got a list of 1"),
    (put("learningrate", 1), r"learningrate: not a key.*'learning_rate'"),
    (put("trainable_biases", 1), r"trainable_biases: true or false is needed, got 1"),
    (
        put("inputs", 0, 1, "a" * 99),
        r"inputs\[0\]\[1\]: a finite number is needed, got 'aaa.*\.\.\.",
    ),
    (put("inputs", 0, [1]), r"inputs\[0\]: a list is needed, 2 numbers; got a list of 1"),
    (put("inputs", []), r"inputs: one row of 2 numbers at least"),
    (put("targets", 0, 0, None), r"targets\[0\]\[0\]: a finite number is needed"),
    (put("targets", [[1], [0]]), r"targets: one row per row of inputs \(1\)"),
    (put("targets", [[2]]), r"targets holds 2 at row 0, column 0; for log_loss"),
]


@pytest.mark.parametrize(("raw", "message"), WRONG)
def test_what_is_wrong_is_said_with_its_place(
    raw: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises((dr.SpecError, dr.DataError), match=message):
        read_network(raw)
    if "nan" not in message:  # which JSON does not know
        (tmp_path / "net.json").write_text(json.dumps(raw))
        with pytest.raises((dr.SpecError, dr.DataError), match=f"net.json: {message}"):
            read_network(tmp_path / "net.json")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("net.json", "{", "not a JSON file.*line 1 column 2"),
        ("net.json", "[1]", "an object with 'network' and 'weights' is needed, got a list of 1"),
        ("net.json", '{"weights": [[[NaN]]]}', "NaN is not a number that JSON knows"),
        ("net.json", '{"weights": 1, "weights": 2}', "'weights' stands twice"),
        ("net.json", "[" * 100_000, "nested too deeply"),
        ("net.toml", "weights = ]", "not a TOML file.*line 1"),
        ("net.yaml", "weights: [1", "not a YAML file.*line 1"),
        ("net.yaml", "name: a\nname: b", "the key 'name' stands twice in one object, line 2"),
        ("net.txt", "{}", "a network is read from .json, .toml, .yaml or .safetensors"),
    ],
)
def test_what_is_not_its_kind_of_file(name: str, text: str, message: str, tmp_path: Path) -> None:
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    (tmp_path / name).write_text(text)
    with pytest.raises(dr.SpecError, match=message):
        read_network(tmp_path / name)


def test_other_ways_to_fail(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_network(tmp_path / "none.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(dr.SpecError, match="cannot be read: Is a directory"):
        read_network(tmp_path / "folder.json")
    (tmp_path / "latin.json").write_bytes(b'{"name": "\xe9"}')
    with pytest.raises(dr.SpecError, match="not a JSON file: 'utf-8'"):
        read_network(tmp_path / "latin.json")
    (tmp_path / "x.safetensors").write_bytes(b"no")
    with pytest.raises(dr.ModelFileError):
        read_network(tmp_path / "x.safetensors")


def test_without_pyyaml_a_yaml_file_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "net.yaml").write_text(YAML)
    with pytest.raises(dr.SpecError, match="needs PyYAML: pip install pyyaml, or"):
        read_network(tmp_path / "net.yaml")


def test_more_keys_are_the_callers() -> None:
    assert read_network(small(verdict=1), more_keys=["verdict"]).raw["verdict"] == 1
    with pytest.raises(dr.SpecError, match="verdict: not a key"):
        read_network(small(verdict=1))
