"""A network with its numbers from one small file: what `trace`, `check` and `derive` start from.

JSON, TOML or YAML:

    network: {sizes: [2, 2, 1], activations: sigmoid, loss: squared_error, bias: true}
    weights: [[[0.1, 0.2], [0.3, null]], [[0.5], [0.6]]]   W_l[i][j]: unit i to j; null: no edge
    biases: [[0.1, 0.2], [0.3]]                            null for a layer without
    inputs: [[1, 0]]        targets: [[1]]        learning_rate: 0.5        trainable_biases: true

The last four are optional. TOML has no null: write "null" there. A model that `dr.save` wrote
(.safetensors) is a network without the rest. What is wrong is said with its place in the file.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.params import Array
from deltarule.errors import DataError, SpecError, unknown_name
from deltarule.network.data import check_targets
from deltarule.network.network import Network
from deltarule.network.saving import load

Edges = list[NDArray[np.bool_]]

#: What a file may hold; the last row belongs to worksheets and to whoever reads them.
KEYS = (
    *("network", "weights", "biases", "inputs", "targets", "learning_rate", "trainable_biases"),
    *("name", "document", "source", "note", "claims", "known_errors", "exact"),
)
_NETWORK_KEYS = ("sizes", "activations", "loss", "bias")
_MOST_SHOWN = 60


#: Worked examples that others have published, as they printed them.
PUBLISHED = ("yehoshua", "mazur", "gashler")


def published(name: str) -> Path:
    """The file of a published example. Raises SpecError for an unknown name."""
    if name not in PUBLISHED:
        raise unknown_name("published example", name, PUBLISHED)
    return Path(__file__).parent / "published" / f"{name}.json"


@dataclass(frozen=True, eq=False)
class NetworkFile:
    """What `read_network` gives.

    Attributes
    ----------
    net : Network
        In float64; an absent edge is a weight of 0.
    edges : list of L bool arrays (n_{l-1}, n_l), or None
        Which edges there are; None if all. An absent edge is never used and never updated.
    X : (n, n_0) array, or None
    Y : (n, n_L) array, or None
    learning_rate : float, or None
    trainable_biases : bool
    raw : dict
        The file as it was parsed; empty for a model file.
    """

    net: Network
    edges: Edges | None = None
    X: Array | None = None
    Y: Array | None = None
    learning_rate: float | None = None
    trainable_biases: bool = True
    raw: dict[str, Any] = field(default_factory=dict)


def read_network(
    source: str | Path | Mapping[str, Any], more_keys: Collection[str] = ()
) -> NetworkFile:
    """A network and, where they are given, its edges, inputs, targets and learning rate.

    Parameters
    ----------
    source : path, name or dict
        A .json, .toml, .yaml, .yml or .safetensors file; the name of a published example that
        comes with the package ("yehoshua", "mazur", "gashler"); or what such a file holds.
    more_keys : collection of str
        Keys at the top that the caller reads itself, besides `KEYS`.

    Raises
    ------
    SpecError
        Not readable as its kind of file, or something in it is not as it must be: the message
        gives the place (`weights[1][0][2]`, counted from 0) and what was expected.
    DataError
        Inputs or targets that do not fit the network or its loss.
    ModelFileError
        A .safetensors file that is not a model.
    FileNotFoundError
    """
    if isinstance(source, Mapping):
        return _Reader("", _plain(source)).read(more_keys)
    path = published(source) if isinstance(source, str) and source in PUBLISHED else Path(source)
    if path.suffix.lower() == ".safetensors":
        return NetworkFile(load(path))
    return _Reader(f"{path}: ", parse_file(path)).read(more_keys)


# -- kinds of files -------------------------------------------------------------------------------


def parse_file(path: Path) -> dict[str, Any]:
    """What a JSON, TOML or YAML file holds, as JSON's kinds of values.

    Raises SpecError (with line and column where the parser knows them) or FileNotFoundError.
    """
    parsers: dict[str, Callable[[str], Any]] = {
        ".json": _parse_json,
        ".toml": _parse_toml,
        ".yaml": _parse_yaml,
        ".yml": _parse_yaml,
    }
    parse = parsers.get(path.suffix.lower())
    if parse is None:
        raise SpecError(
            f"{path}: a network is read from .json, .toml, .yaml or .safetensors, by the name's end"
        )
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        value = parse(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise SpecError(f"{path}: nested too deeply") from None
    except ValueError as error:  # of JSON, TOML and of UTF-8
        raise SpecError(f"{path}: not a {path.suffix[1:].upper()} file: {error}") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    if not isinstance(value, dict):
        raise SpecError(f"{path}: an object with 'network' and 'weights' is needed, {_got(value)}")
    return value


def _parse_json(text: str) -> Any:
    def no_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not a number that JSON knows")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the key {twice!r} stands twice in one object")
        return found

    return json.loads(text, parse_constant=no_constant, object_pairs_hook=once)


def _parse_toml(text: str) -> Any:
    import tomllib  # only a TOML file needs it

    def with_null(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: with_null(item) for key, item in value.items()}
        if isinstance(value, list):
            return [with_null(item) for item in value]
        return None if value == "null" else value

    return with_null(tomllib.loads(text))


def _parse_yaml(text: str) -> Any:
    try:
        yaml: Any = import_module("yaml")  # optional, and only a YAML file needs it
    except ImportError:
        raise SpecError(
            "a YAML file needs PyYAML: pip install pyyaml, or write the file as JSON or TOML"
        ) from None

    def construct_mapping(loader: Any, node: Any, deep: bool = False) -> Any:
        keys = [key for key, _ in node.value]
        for i, key in enumerate(keys):
            if any(other.value == key.value for other in keys[:i]):
                line = key.start_mark.line + 1
                raise ValueError(f"the key {key.value!r} stands twice in one object, line {line}")
        return yaml.SafeLoader.construct_mapping(loader, node, deep)

    once = type("Once", (yaml.SafeLoader,), {"construct_mapping": construct_mapping})
    try:
        return yaml.load(text, once)  # a SafeLoader: values only, nothing is executed
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).replace('"<unicode string>",', "").split())) from None


# -- what a file says -----------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """A dict of a caller's as a file would hold it: arrays and tuples become lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _got(value: Any) -> str:
    if value is None or isinstance(value, dict):
        return "got nothing" if value is None else "got an object"
    if isinstance(value, list):
        return f"got a list of {len(value)}"
    text = repr(value)
    return f"got {text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + '...'}"


def as_number(value: Any) -> float | None:
    """The number that a value is, or says as text ("0.50"); None if it is none, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(plain_minus(value) if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and "_" not in str(value) else None


def plain_minus(text: str) -> str:
    """The text with hyphens for the minus signs that are copied out of documents."""
    return text.replace("\N{MINUS SIGN}", "-")


class _Reader:
    """One file: every check knows the place that it is at."""

    def __init__(self, prefix: str, raw: dict[str, Any]) -> None:
        self.prefix = prefix
        self.raw = raw

    def wrong(self, place: str, need: str) -> NoReturn:
        raise SpecError(f"{self.prefix}{place}: {need}")

    def read(self, more_keys: Collection[str]) -> NetworkFile:
        self.only(self.raw, (*KEYS, *more_keys), "")
        net = self.network()
        edges = self.weights(net)
        X, Y = self.samples(net)
        rate = self.raw.get("learning_rate")
        learning_rate = None if rate is None else as_number(rate)
        if rate is not None and (learning_rate is None or not learning_rate > 0):
            self.wrong("learning_rate", f"a number > 0 is needed, {_got(rate)}")
        trainable = self.raw.get("trainable_biases", True)
        if not isinstance(trainable, bool):
            self.wrong("trainable_biases", f"true or false is needed, {_got(trainable)}")
        return NetworkFile(net, edges, X, Y, learning_rate, trainable, self.raw)

    def only(self, found: Mapping[str, Any], known: Collection[str], place: str) -> None:
        """A misspelt key would be passed over in silence, and give other numbers."""
        for key in found:
            if key not in known:
                near = difflib.get_close_matches(str(key), list(known), n=1, cutoff=0.6)
                hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
                self.wrong(f"{place}{key}", f"not a key that is known here{hint}")

    def network(self) -> Network:
        """The network with all weights 0, built when the weights have the shapes of its sizes."""
        described = self.raw.get("network")
        if not isinstance(described, dict):
            self.wrong("network", f"an object with {', '.join(_NETWORK_KEYS)} is needed")
        self.only(described, _NETWORK_KEYS, "network.")
        for key in ("sizes", "activations", "loss"):
            if described.get(key) is None:
                self.wrong(f"network.{key}", "missing")
        sizes = self.items(described["sizes"], "network.sizes", None, "such as [2, 3, 1]")
        for l, n in enumerate(sizes):
            if isinstance(n, bool) or not isinstance(n, int) or n < 1:
                self.wrong(f"network.sizes[{l}]", f"a whole number >= 1 is needed, {_got(n)}")
        L = len(sizes) - 1
        if L < 1:
            self.wrong("network.sizes", "inputs and outputs at least, such as [2, 1]")
        self.shapes(sizes)
        biases, bias = self.raw.get("biases"), described.get("bias")
        if biases is not None:
            self.items(biases, "biases", L, f"one entry per layer ({L}), null for a layer without")
        if bias is None:  # then a layer has a bias where one is given
            bias = [b is not None for b in biases or [None] * L]
        try:
            return Network(
                sizes, described["activations"], described["loss"], bias, initializer="zeros"
            )
        except SpecError as error:
            self.wrong("network", str(error))

    def shapes(self, sizes: list[int]) -> None:
        """That the weights have the shapes of those sizes, before such a network is allocated."""
        L = len(sizes) - 1
        layers = self.items(self.raw.get("weights"), "weights", L, f"one matrix per layer ({L})")
        for l, (W, n_in, n_out) in enumerate(zip(layers, sizes, sizes[1:], strict=False)):
            turned = (
                n_in != n_out
                and isinstance(W, list)
                and len(W) == n_out
                and all(isinstance(row, list) and len(row) == n_in for row in W)
            )
            hint = " (this is its transpose)" if turned else ""
            what = f"one row per unit of layer {l} ({n_in}), each of {n_out} numbers{hint}"
            for i, row in enumerate(self.items(W, f"weights[{l}]", n_in, what)):
                self.items(row, f"weights[{l}][{i}]", n_out, f"{n_out} numbers (null: no edge)")

    def weights(self, net: Network) -> Edges | None:
        """Fill in the weights and biases. Which edges there are, or None if all."""
        edges = [np.ones(W.shape, dtype=bool) for W in net.weights]
        for l, W in enumerate(net.weights):
            for (i, j), _ in np.ndenumerate(W):
                value = self.raw["weights"][l][i][j]
                edges[l][i, j] = value is not None
                if value is not None:
                    W[i, j] = self.number(value, f"weights[{l}][{i}][{j}]", " (or null: no edge)")
        given = self.raw.get("biases") or [None] * len(net.biases)
        for l, (b, values) in enumerate(zip(net.biases, given, strict=True)):
            place = f"biases[{l}]"
            if b is None:
                if values is not None:
                    self.wrong(place, "null is needed: network.bias is false there")
                continue
            for j, value in enumerate(self.items(values, place, b.size, f"{b.size} numbers")):
                b[j] = self.number(value, f"{place}[{j}]")
        return None if all(edge.all() for edge in edges) else edges

    def samples(self, net: Network) -> tuple[Array | None, Array | None]:
        """Inputs (n, n_0) and targets (n, n_L); one sample may be one flat list."""
        inputs, targets = self.raw.get("inputs"), self.raw.get("targets")
        X = None if inputs is None else self.table(inputs, "inputs", net.sizes[0])
        if targets is None:
            return X, None
        labels = net.loss.targets == "distribution" or net.sizes[-1] == 1
        flat = isinstance(targets, list) and not any(isinstance(row, list) for row in targets)
        if flat and labels and targets and len(targets) == (1 if X is None else len(X)):
            values = [self.number(value, f"targets[{i}]") for i, value in enumerate(targets)]
            Y: Any = np.array(values)
        else:
            k, groups = net.sizes[-1], len(net.loss.groups)
            rows = targets if isinstance(targets, list) else []
            if groups > 1 and all(isinstance(row, list) and len(row) == groups for row in rows):
                k = groups  # a label for each group of outputs
            Y = self.table(targets, "targets", k)
        if X is not None and len(X) != len(Y):
            raise DataError(
                f"{self.prefix}targets: one row per row of inputs ({len(X)}) is needed, "
                f"got {len(Y)}"
            )
        what = f"{self.prefix}targets"
        return X, check_targets(net.loss, Y, len(Y), net.sizes[-1], net.dtype, what)

    def table(self, value: Any, place: str, width: int) -> Array:
        rows = self.items(value, place, None, f"rows of {width} numbers")
        if not rows:
            raise DataError(f"{self.prefix}{place}: one row of {width} numbers at least")
        if not any(isinstance(row, list) for row in rows) and len(rows) == width:
            return np.array([[self.number(v, f"{place}[{k}]") for k, v in enumerate(rows)]])
        return np.array(
            [
                [
                    self.number(v, f"{place}[{i}][{k}]")
                    for k, v in enumerate(
                        self.items(row, f"{place}[{i}]", width, f"{width} numbers")
                    )
                ]
                for i, row in enumerate(rows)
            ]
        )

    def items(self, value: Any, place: str, count: int | None, what: str) -> list[Any]:
        """A list, of `count` entries if that is given."""
        if not isinstance(value, list) or (count is not None and len(value) != count):
            self.wrong(place, f"a list is needed, {what}; {_got(value)}")
        return value

    def number(self, value: Any, place: str, also: str = "") -> float:
        number = as_number(value)
        if number is None:
            self.wrong(place, f"a finite number{also} is needed, {_got(value)}")
        return number
