"""What is derived, of which network."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from deltarule.equations.losses import Loss, get_loss
from deltarule.errors import SpecError
from deltarule.formula.expression import Derivative, Expression, Index, Symbol, Total
from deltarule.formula.notation import Notation
from deltarule.network.network import Network

Form = TypeVar("Form")

#: With their canonical output activations these have the delta o - y (SPEC C10).
FUSED = ("squared_error", "log_loss", "cross_entropy", "poisson")


MOST_LAYERS = 100


#: Letters for the units of each layer, from the outputs: document D's, without those it needs else.
_LETTERS = "ijklmnprsu"


@dataclass(frozen=True)
class Task:
    """What is derived, of which network.

    Attributes
    ----------
    notation : Notation
    L : int
        Layers, without the inputs.
    loss : Loss
    target : Symbol
        The weight, bias or activation; its units are numbers.
    biases : tuple of L bools
    mixes : bool
        Whether the output activation mixes its units (softmax).
    fused : bool
        Whether delta_L is o - y.
    cached : bool
    net : Network or None
    absent : set of Symbol
        The weights of edges that the net does not have: they are 0.
    """

    notation: Notation
    L: int
    loss: Loss
    target: Symbol
    biases: tuple[bool, ...]
    mixes: bool
    fused: bool
    cached: bool
    net: Network | None = None
    absent: frozenset[Expression] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether it is written in whole layers, not in units."""
        return self.notation.name in ("row", "column")

    @property
    def wanted(self) -> Derivative:
        """The derivative that every step is equal to: in whole layers, that of the whole array."""
        target = Symbol(self.target.kind, self.target.layer) if self.whole else self.target
        return Derivative(Total(), target)

    @property
    def set_apart(self) -> bool:
        """Whether indices are separated by commas, as some may have two digits."""
        known = [one for one in self.target.indices if isinstance(one, int)]
        sizes = (max(self.net.sizes),) if self.net is not None and self.net_is_small else ()
        return max(self.L + self.whole, *known, *sizes) > 9

    def writer(self, form: Callable[[Notation, bool], Form]) -> Form:
        """What writes its formulas in a format."""
        return form(self.notation, self.set_apart)

    @property
    def net_is_small(self) -> bool:
        """Whether sums over the net's units may be written out."""
        return self.net is not None and max(self.net.sizes) <= 12

    def lacks_edges(self, l: int) -> bool:
        """Whether layer l lacks edges from the layer before."""
        return any(isinstance(one, Symbol) and one.layer == l for one in self.absent)

    def letter(self, l: int) -> str:
        """The index letter of layer l: i for the outputs, then j, k, ..."""
        if len(_LETTERS) > self.L:
            return _LETTERS[self.L - l]
        return f"j{l}"

    def a(self, l: int, j: Index) -> Symbol:
        """The activation of a unit."""
        return Symbol("a", l, (j,))

    def z(self, l: int, j: Index) -> Symbol:
        """The net input of a unit."""
        return Symbol("z", l, (j,))

    def w(self, l: int, j: Index, i: Index) -> Symbol:
        """The weight to unit j of layer l from unit i of the layer before."""
        return Symbol("w", l, (j, i))

    def delta(self, l: int, j: Index) -> Symbol:
        """The cached term of a unit."""
        return Symbol("delta", l, (j,))

    def y(self, j: Index) -> Symbol:
        """The target of an output."""
        return Symbol("y", self.L, (j,))


def make_task(
    notation: Notation,
    layers: Any,
    net: Network | None,
    loss: Any,
    biases: Any,
    cached: bool,
    wanted: dict[str, Any],
    edges: Any = None,
) -> Task:
    """The task that the arguments of `derive` describe. Raises SpecError where they do not fit."""
    L, record = _network(layers, net, loss)
    target = _target(wanted, L, None if net is None else net.sizes)
    if net is not None:
        if biases is not None:
            raise SpecError("net= says itself which layers have biases; leave biases away")
        with_bias, output = net.bias, net.activations[-1]
        mixes = output.jacobian_product is not None
        linked = record.links(output)
    else:
        with_bias = (target.kind == "b" if biases is None else bool(biases),) * L
        mixes = record.link.partition("(")[0] == "softmax"
        linked = record.link != "identity"  # else f_L is left open, as in document D
    absent = _absent(net, edges)
    if target in absent:
        l, (j, i) = target.layer, target.indices
        before = f"input {i}" if l == 1 else f"unit {i} of layer {l - 1}"
        raise SpecError(
            f"weight={(l, j, i)}: the network has no edge from {before} to unit {j} of layer {l}"
        )
    if target.kind == "b" and not with_bias[target.layer - 1]:
        raise SpecError(f"layer {target.layer} has no biases: derive a weight, or give it biases")
    fused = linked and record.registered and record.name.partition("(")[0] in FUSED
    return Task(notation, L, record, target, with_bias, mixes, fused, bool(cached), net, absent)


def _network(layers: Any, net: Network | None, loss: Any) -> tuple[int, Loss]:
    if (layers is None) == (net is None):
        what = "neither" if net is None else "both"
        raise SpecError(f"give either layers=, how many there are, or net=; got {what}")
    if net is not None:
        if loss is not None:
            raise SpecError("net= has a loss of its own; leave loss away")
        if len(net.sizes) - 1 > MOST_LAYERS:
            raise SpecError(f"a derivation is written for at most {MOST_LAYERS} layers")
        return len(net.sizes) - 1, net.loss
    if not _is_whole(layers) or not 1 <= layers <= MOST_LAYERS:
        raise SpecError(f"layers must be a whole number from 1 to {MOST_LAYERS}, got {layers!r}")
    return int(layers), get_loss("squared_error" if loss is None else loss)


def _absent(net: Network | None, edges: Any) -> frozenset[Expression]:
    if edges is None:
        return frozenset()
    if net is None:
        raise SpecError("edges are those of a network that exists: give net= too")
    return frozenset(
        Symbol("w", l, (int(j) + 1, int(i) + 1))
        for l, one in enumerate(edges, start=1)
        for i, j in np.argwhere(~one)
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


_SHAPES = {
    "weight": "(layer, node, node before), such as (1, 7, 3)",
    "bias": "(layer, node), such as (1, 7)",
    "activation": "(layer, node), such as (2, 4); layer 0 is the inputs",
    "input": "the number of an input, from 1",
}


def _target(wanted: dict[str, Any], L: int, sizes: Sequence[int] | None) -> Symbol:
    given = {kind: value for kind, value in wanted.items() if value is not None}
    if len(given) != 1:
        what = " and ".join(given) if given else "none of them"
        raise SpecError(f"give one of weight, bias, input and activation; got {what}")
    ((kind, value),) = given.items()
    parts = [0, value] if kind == "input" else value
    length = 3 if kind == "weight" else 2
    fits = not isinstance(parts, str) and hasattr(parts, "__len__") and len(parts) == length
    if not fits or not all(_is_whole(one) for one in parts):
        raise SpecError(f"{kind} must be {_SHAPES[kind]}; got {value!r}")
    l, *units = (int(one) for one in parts)
    least = 0 if kind == "activation" or kind == "input" else 1
    if not least <= l <= L:
        inputs = "; layer 0 is the inputs and has none" if l == 0 else ""
        raise SpecError(
            f"{kind}={value!r}: there is no layer {l} among layers {least} to {L}{inputs}"
        )
    for j, layer in zip(units, (l, l - 1), strict=False):
        what = f"input {j}" if layer == 0 else f"unit {j} in layer {layer}"
        if j < 1:
            raise SpecError(f"{kind}={value!r}: units are counted from 1, so there is no {what}")
        if sizes is not None and j > sizes[layer]:
            raise SpecError(
                f"{kind}={value!r}: there is no {what}; the network has {sizes[layer]} of them"
            )
    return Symbol({"weight": "w", "bias": "b"}.get(kind, "a"), l, tuple(units))
