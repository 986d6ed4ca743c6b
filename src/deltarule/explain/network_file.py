"""Network files: a network with its numbers, small enough to be written by hand.

JSON, TOML or YAML:

    network: {sizes: [2, 2, 1], activations: sigmoid, loss: squared_error, bias: true}
    weights: [[[0.1, 0.2], [0.3, null]], [[0.5], [0.6]]]   W_l[i][j]: unit i to j; null: no edge
    biases: [[0.1, 0.2], [0.3]]                            null for a layer without
    inputs: [[1, 0]]        targets: [[1]]        learning_rate: 0.5        trainable_biases: true
    reduction: mean         l2: 0.01

All but the first two are optional. TOML has no null: write "null" there. A model that `dr.save`
wrote (.safetensors) is a network without the rest. What is wrong is said with its place in the
file. Worksheets (`check/worksheet.py`) are network files with claims; all are parsed here alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.params import Array
from deltarule.errors import DataError, SpecError, unknown_name
from deltarule.explain.small_files import PARSERS, Placed, as_number, got, parse_file, plain
from deltarule.network.data import check_targets
from deltarule.network.network import Network
from deltarule.network.saving import load

Edges = list[NDArray[np.bool_]]

#: What a file may hold; the last row belongs to worksheets and to whoever reads them.
KEYS = (
    *("network", "weights", "biases", "inputs", "targets", "learning_rate", "trainable_biases"),
    *("reduction", "l2"),
    *("name", "document", "source", "note", "claims", "known_errors", "exact"),
)
_NETWORK_KEYS = ("sizes", "activations", "loss", "bias")


#: Worked examples that others have published, as they printed them.
PUBLISHED = ("yehoshua", "mazur", "gashler")
#: How the name of a file that `dr.save` wrote ends.
MODEL = ".safetensors"


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
    reduction : "mean" or "sum", or None
        How the error C is made of the samples' losses J.
    l2 : float, or None
        Of the penalty l2/2 sum W^2.
    name : str
        What messages about its contents begin with: the file; empty for a dict.
    raw : dict
        The file as it was parsed; empty for a model file.
    """

    net: Network
    edges: Edges | None = None
    X: Array | None = None
    Y: Array | None = None
    learning_rate: float | None = None
    trainable_biases: bool = True
    reduction: str | None = None
    l2: float | None = None
    name: str = ""
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
        return _Reader("", plain(source)).read(more_keys)
    if not isinstance(source, str | Path):
        raise SpecError(f"a network file, a dict or a published name is needed, got {source!r:.60}")
    path = published(source) if isinstance(source, str) and source in PUBLISHED else Path(source)
    if path.suffix.lower() == MODEL:
        return NetworkFile(load(path), name=str(path))
    if path.suffix.lower() not in PARSERS:
        near = difflib.get_close_matches(str(path).lower(), PUBLISHED, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SpecError(
            f"{path}: a network is read from .json, .toml, .yaml or {MODEL}, by the name's end, or "
            f"is one of {', '.join(PUBLISHED)}{hint}"
        )
    return _Reader(str(path), parse_file(path)).read(more_keys)


class _Reader(Placed):
    """The network of a file and what is told about it."""

    def read(self, more_keys: Collection[str]) -> NetworkFile:
        self.only(self.raw, (*KEYS, *more_keys), "")
        net = self.network()
        edges = self.weights(net)
        X, Y = self.samples(net)
        rate = self.raw.get("learning_rate")
        learning_rate = None if rate is None else as_number(rate)
        if rate is not None and (learning_rate is None or not learning_rate > 0):
            self.wrong("learning_rate", f"a number > 0 is needed, {got(rate)}")
        trainable = self.raw.get("trainable_biases", True)
        if not isinstance(trainable, bool):
            self.wrong("trainable_biases", f"true or false is needed, {got(trainable)}")
        reduction, l2 = self.choice("reduction", ("mean", "sum")), self.not_negative("l2")
        name = self.prefix.removesuffix(": ")
        return NetworkFile(
            net, edges, X, Y, learning_rate, trainable, reduction, l2, name, self.raw
        )

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
                self.wrong(f"network.sizes[{l}]", f"a whole number >= 1 is needed, {got(n)}")
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
            self.wrong(place, f"a list is needed, {what}; {got(value)}")
        return value

    def number(self, value: Any, place: str, also: str = "") -> float:
        number = as_number(value)
        if number is None:
            self.wrong(place, f"a finite number{also} is needed, {got(value)}")
        return number
