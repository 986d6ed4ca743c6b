"""How someone's code lays its arrays out: detected by what it takes and gives, never an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from deltarule.equations.params import Array
from deltarule.errors import SpecError
from deltarule.explain.check.problem import Problem


@dataclass(frozen=True)
class Layout:
    """One way to hand a network's arrays to a function.

    Attributes
    ----------
    name : str
    weights_in_out : bool
        W_l is (n_{l-1}, n_l); otherwise its transpose.
    samples_in_rows : bool
        X is (n, n_0); otherwise (n_0, n).
    bias_shape : "flat", "row" or "column"
        (n_l,), (1, n_l) or (n_l, 1).
    """

    name: str
    weights_in_out: bool
    samples_in_rows: bool
    bias_shape: str

    def arguments(self, p: Problem) -> tuple[list[Array], list[Array | None], Array, Array]:
        """Fresh copies of weights, biases, X and Y in this layout."""
        pairs = p.net.layout.matrices(p.net.theta)
        W = [(W if self.weights_in_out else W.T).copy() for W, _ in pairs]
        b = [None if b is None else self._bias(b) for _, b in pairs]
        X, Y = (one.copy() if self.samples_in_rows else one.T.copy() for one in (p.X, p.Y))
        return W, b, X, Y

    def _bias(self, b: Array) -> Array:
        shapes = {"flat": (-1,), "row": (1, -1), "column": (-1, 1)}
        return b.reshape(shapes[self.bias_shape]).copy()


LAYOUTS = (
    Layout("rows are samples, W_l is (n_(l-1), n_l)", True, True, "flat"),
    Layout("rows are samples, W_l is (n_(l-1), n_l), b_l is (1, n_l)", True, True, "row"),
    Layout("columns are samples, W_l is (n_l, n_(l-1)), b_l is (n_l, 1)", False, False, "column"),
    Layout("rows are samples, W_l is (n_l, n_(l-1))", False, True, "flat"),
    Layout("columns are samples, W_l is (n_l, n_(l-1)), b_l is (n_l,)", False, False, "flat"),
)


@dataclass(frozen=True)
class Returned:
    """What a function gave for one layer after the other, in the package's own layout.

    Attributes
    ----------
    weights : list of L arrays (n_{l-1}, n_l), or (n, n_{l-1}, n_l) for each sample apart
    biases : list of L arrays (n_l,), (n, n_l) for each sample apart, or None
    transposed : bool
        The weights' gradients came transposed to the weights.
    single : bool
        They came in float32.
    """

    weights: list[Array]
    biases: list[Array | None]
    transposed: bool
    single: bool


def kinds_of_arrays() -> dict[str, Callable[[Array], Any]]:
    """How to hand an array over: as NumPy's, as nested lists, as PyTorch's (if installed)."""
    kinds: dict[str, Callable[[Array], Any]] = {"numpy": lambda a: a, "list": lambda a: a.tolist()}
    try:
        import torch
    except ImportError:
        return kinds
    return kinds | {"torch": lambda a: torch.from_numpy(a)}


def taken(p: Problem, layout: Layout, given: Any) -> Returned:
    """What the function returned, checked and in the package's layout.

    Raises SpecError if it is not (weight_gradients, bias_gradients) of the network's shapes.
    """
    try:
        W, b = given
        W = list(W)
        b = [None] * p.L if b is None else list(b)
    except (TypeError, ValueError):
        raise SpecError(
            "it must return two lists, of the weights and of the biases, one entry per layer; got "
            f"{_short(given)}"
        ) from None
    if len(W) != p.L or len(b) != p.L:
        raise SpecError(
            f"it returned {len(W)} arrays of weights and {len(b)} of biases for {p.L} layers"
        )
    arrays = [_array(one, f"weights of layer {l}") for l, one in enumerate(W, start=1)]
    transposed = False
    weights = []
    for l, one in enumerate(arrays, start=1):
        turned, same = _oriented(p, layout, l, one)
        transposed |= turned
        weights.append(same)
    biases = [
        _bias(p, layout, l, one) if p.net.bias[l - 1] else None for l, one in enumerate(b, start=1)
    ]
    single = any(one.dtype == np.float32 for one in arrays)
    return Returned(weights, biases, transposed, single)


def _array(value: Any, what: str) -> Array:
    if hasattr(value, "detach"):  # a PyTorch tensor, maybe on another device
        value = value.detach().cpu().numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise SpecError(f"{what}: not an array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise SpecError(f"{what}: numbers are needed, got {_short(value)}")
    return array


def _oriented(p: Problem, layout: Layout, l: int, given: Array) -> tuple[bool, Array]:
    """(whether it came transposed to its weights, the gradient as (n_{l-1}, n_l))."""
    n_in, n_out = p.net.sizes[l - 1 : l + 1]
    own = (n_in, n_out) if layout.weights_in_out else (n_out, n_in)
    if given.shape not in (own, own[::-1], (p.n, *own), (p.n, *own[::-1])):
        raise SpecError(
            f"the weights of layer {l} have the shape {given.shape}; {own} is needed, the shape "
            "they were given in"
        )
    turned = given.shape[-2:] != own
    as_given = np.swapaxes(given, -1, -2) if turned else given
    result = as_given if layout.weights_in_out else np.swapaxes(as_given, -1, -2)
    return turned, result.astype(np.float64)


def _bias(p: Problem, layout: Layout, l: int, given: Any) -> Array:
    n_out = p.net.sizes[l]
    if given is None:
        raise SpecError(f"the biases of layer {l} are missing (None)")
    array = _array(given, f"biases of layer {l}").astype(np.float64)
    if array.size == n_out:
        return array.reshape(n_out)
    if array.size == p.n * n_out:  # one for each sample
        return array.reshape(p.n, n_out) if array.shape[0] == p.n else array.T.reshape(p.n, n_out)
    raise SpecError(f"the biases of layer {l} have the shape {array.shape}; ({n_out},) is needed")


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) < 80 else f"{text[:77]}..."
