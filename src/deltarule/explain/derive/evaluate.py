"""Any expression of a derivation as a number on a network, by forward-mode dual numbers.

What still stands as a derivative is evaluated by carrying a tangent forward from the variable
through the network and up the tree, never by back-propagation: so a step is judged by something
that knows nothing of the steps after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from deltarule.equations.params import Array
from deltarule.errors import DeltaruleError
from deltarule.formula import expression as ex
from deltarule.formula.expression import Expression, Index, Symbol
from deltarule.network.network import Network


class EvaluationError(DeltaruleError):
    """An expression that means nothing on this network: an index that nothing binds, for one."""


class Definition(NamedTuple):
    """A cached term, of one unit or (with a letter as its index) of every unit of a layer."""

    symbol: Symbol
    expression: Expression


class Dual(NamedTuple):
    """A value and its tangent, with one axis for each letter that it depends on."""

    letters: tuple[str, ...]
    value: Array
    tangent: Array | None = None


class Point:
    """A network at one sample: every z and a, their tangents, and the values of expressions.

    Parameters
    ----------
    net : Network
    x : (n_0,) array
    y : (n_L,) array
    definitions : sequence of Definition
        Of the cached terms that expressions may hold.
    """

    def __init__(
        self, net: Network, x: Array, y: Array, definitions: Sequence[Definition] = ()
    ) -> None:
        self.net, self.y = net, np.asarray(y, dtype=np.float64)
        self.L = len(net.sizes) - 1
        self.weights = [W.astype(np.float64) for W in net.weights]
        self.biases = [None if b is None else b.astype(np.float64) for b in net.biases]
        self.a = [np.asarray(x, dtype=np.float64)]
        self.z = [self.a[0]]  # never used: there is no z_0
        for W, b, f in zip(self.weights, self.biases, net.activations, strict=True):
            self.z.append(self.a[-1] @ W if b is None else self.a[-1] @ W + b)
            self.a.append(f.f(self.z[-1][None])[0])
        self._definitions: dict[Symbol, Expression] = {}
        self._cached: dict[int, Array] = {}
        self._tangents: dict[Symbol, tuple[list[Array], list[Array]]] = {}
        self.define(definitions)

    def define(self, definitions: Sequence[Definition]) -> None:
        """Take on the cached terms that a step names, in place of others with the same symbols."""
        for one in definitions:
            if one.symbol in self._definitions:
                self._cached.clear()
            self._cached.pop(one.symbol.layer, None)
            self._definitions[one.symbol] = one.expression

    # -- the network --------------------------------------------------------------------------

    def jacobian(self, l: int) -> Array:
        """da_i/dz_k of layer l, as the array [i, k]."""
        f, z = self.net.activations[l - 1], self.z[l]
        if f.jacobian_product is None:
            return np.diag(f.df(z[None])[0])
        return np.stack([f.backward(z[None], g[None])[0] for g in np.eye(len(z))])

    def tangents(self, seed: Symbol) -> tuple[list[Array], list[Array]]:
        """dz_l and da_l (n_l, s) of every layer by the seed: one variable, or all of an array."""
        if seed not in self._tangents:
            self._tangents[seed] = self._forward(seed)
        return self._tangents[seed]

    def _forward(self, seed: Symbol) -> tuple[list[Array], list[Array]]:
        start, moved = self._seeded(seed)
        s = start.shape[1]
        dz = [np.zeros((n, s)) for n in self.net.sizes]
        da = [np.zeros((n, s)) for n in self.net.sizes]
        if moved == "a":
            da[seed.layer] = start
        for l in range(seed.layer if moved == "z" else seed.layer + 1, self.L + 1):
            dz[l] = start if l == seed.layer else self.weights[l - 1].T @ da[l - 1]
            f, z = self.net.activations[l - 1], self.z[l]
            if f.jacobian_product is None:
                da[l] = f.df(z[None])[0][:, None] * dz[l]
            else:
                da[l] = self.jacobian(l) @ dz[l]
        return dz, da

    def _seeded(self, seed: Symbol) -> tuple[Array, str]:
        """The tangent (n_l, s) where the seed comes in, and whether that is z or a."""
        l = seed.layer
        self._require_layer(l, 0 if seed.kind == "a" else 1)
        n = self.net.sizes[l]
        places = [_place(index, n) for index in seed.indices[:1]]
        unit = np.eye(n)[:, places] if places else np.eye(n)
        if seed.kind == "w":
            before = self.a[l - 1]
            if places:
                return unit * before[_place(seed.indices[1], len(before))], "z"
            return np.kron(before, unit), "z"  # the seeds in the order of W_l, (n_{l-1}, n_l)
        if seed.kind == "b" and self.biases[l - 1] is None:
            raise EvaluationError(f"layer {l} has no bias")
        if seed.kind not in ("a", "b", "z"):
            raise EvaluationError(f"no derivative by {seed.kind} is evaluated")
        return unit, "a" if seed.kind == "a" else "z"

    def _require_layer(self, l: int, least: int) -> None:
        if not least <= l <= self.L:
            raise EvaluationError(f"there is no layer {l} here")

    def loss_slopes(self) -> Array:
        """dJ/do (n_L,)."""
        slopes: Array = self.net.loss.dJ(self.a[-1][None], self.y[None])[0]
        return slopes

    def loss(self) -> float:
        """J of the sample."""
        return float(self.net.loss.J(self.a[-1][None], self.y[None])[0])

    # -- symbols ------------------------------------------------------------------------------

    def array(self, symbol: Symbol) -> Array:
        """What a symbol is an element of; of w as (n_l, n_{l-1}), the unit led to first."""
        kind, l = symbol.kind, symbol.layer
        self._require_layer(l, 0 if kind == "a" else 1)
        if kind == "w":
            return self.weights[l - 1].T
        if kind == "b":
            bias = self.biases[l - 1]
            if bias is None:
                raise EvaluationError(f"layer {l} has no bias")
            return bias
        if kind == "y":
            return self.y
        if kind == "delta":
            return self._defined(symbol)
        return self.z[l] if kind == "z" else self.a[l]

    def _defined(self, symbol: Symbol) -> Array:
        """A cached term of all units of a layer; NaN for those that no definition gives."""
        l = symbol.layer
        if l in self._cached:
            return self._cached[l]
        result = np.full(self.net.sizes[l], np.nan)
        known = {s.indices[0]: e for s, e in self._definitions.items() if s.layer == l}
        if not known:
            raise EvaluationError(f"no step names the cached term of layer {l}")
        # a term defined by itself finds these, not itself
        self._cached[l] = np.full(self.net.sizes[l], np.nan)
        for index, body in known.items():
            bound = {index: len(result)} if isinstance(index, str) else {}
            got = evaluate(self, body, bound)
            result[slice(None) if bound else _place(index, len(result))] = got.value
        self._cached[l] = result
        return result

    def tangent(self, symbol: Symbol, seed: Symbol) -> Array:
        """The tangent of what a symbol is an element of, by one variable."""
        value = self.array(symbol)
        if symbol.kind in ("z", "a"):
            dz, da = self.tangents(seed)
            return (dz if symbol.kind == "z" else da)[symbol.layer][:, 0]
        if symbol.kind == "delta":
            raise EvaluationError("a cached term inside a derivative")
        tangent = np.zeros(value.shape)
        if (symbol.kind, symbol.layer) == (seed.kind, seed.layer):
            at = tuple(_place(one, n) for one, n in zip(seed.indices, value.shape, strict=True))
            tangent[at] = 1.0
        return tangent


def evaluate(point: Point, node: Expression, bound: Mapping[str, int] | None = None) -> Dual:
    """The value of a scalar expression.

    `bound` gives the number of units over which each free index letter runs; the value has an axis
    for each letter that it depends on.

    Raises EvaluationError for an index that is bound by nothing or names no unit.
    """
    return _evaluate(point, node, bound or {}, None)


def _evaluate(point: Point, node: Expression, bound: Any, seed: Symbol | None) -> Dual:
    """One frame for each node on the way down: networks of 100 layers nest deeply."""
    if isinstance(node, ex.Product):
        result = _constant(1.0, seed)
        for factor in node.factors:
            result = _times(result, _evaluate(point, factor, bound, seed))
        return result
    if isinstance(node, ex.Sum):
        point._require_layer(node.layer, 0)
        if node.index in bound:
            raise EvaluationError(f"two sums over {node.index}, one in the other")
        n = point.net.sizes[node.layer]
        inner = _evaluate(point, node.body, {**bound, node.index: n}, seed)
        return _summed(inner, node.index, n)
    if isinstance(node, ex.Negative):
        inner = _evaluate(point, node.body, bound, seed)
        return _times(_constant(-1.0, seed), inner)
    if isinstance(node, ex.Plus):
        result = _constant(0.0, seed)
        for term in node.terms:
            result = _plus(result, _evaluate(point, term, bound, seed))
        return result
    if isinstance(node, ex.Derivative):
        if seed is not None:
            raise EvaluationError("a derivative of a derivative")
        assert isinstance(node.by, Symbol)
        inner = _evaluate(point, node.body, bound, node.by)
        assert inner.tangent is not None
        return Dual(inner.letters, inner.tangent)
    if isinstance(node, ex.Call | ex.Log | ex.Power | ex.Quotient):
        return _function(point, node, bound, seed)
    return _leaf(point, node, bound, seed)


def _function(point: Point, node: Expression, bound: Any, seed: Symbol | None) -> Dual:
    if isinstance(node, ex.Quotient):
        top = _evaluate(point, node.top, bound, seed)
        bottom = _evaluate(point, node.bottom, bound, seed)
        return _times(top, _through(bottom, 1 / bottom.value, -1 / bottom.value**2))
    if isinstance(node, ex.Power):
        base, n = _evaluate(point, node.base, bound, seed), node.exponent
        return _through(base, base.value**n, n * base.value ** (n - 1))
    if isinstance(node, ex.Log):
        inner = _evaluate(point, node.argument, bound, seed)
        return _through(inner, np.log(inner.value), 1 / inner.value)
    assert isinstance(node, ex.Call)
    point._require_layer(node.layer, 1)
    f = point.net.activations[node.layer - 1]
    if f.jacobian_product is not None:
        raise EvaluationError(f"{f.name} mixes the units: it is no function of one number")
    inner = _evaluate(point, node.argument, bound, seed)
    z = np.atleast_1d(inner.value)
    slope = f.df(z).reshape(inner.value.shape)
    if not node.slope:
        return _through(inner, f.f(z).reshape(inner.value.shape), slope)
    if seed is not None:
        raise EvaluationError("a slope inside a derivative")
    return Dual(inner.letters, slope)


def _leaf(point: Point, node: Expression, bound: Any, seed: Symbol | None) -> Dual:
    if isinstance(node, ex.Number):
        return _constant(node.value, seed)
    if isinstance(node, Symbol):
        tangent = None if seed is None else point.tangent(node, seed)
        return _element(point.array(node), tangent, node.indices, bound)
    if isinstance(node, ex.MixedUnit):
        tangent = None if seed is None else point.tangents(seed)[1][node.layer][:, 0]
        return _element(point.array(Symbol("a", node.layer)), tangent, (node.index,), bound)
    if isinstance(node, ex.Total | ex.LossOf):
        if seed is None:
            return _constant(point.loss(), None)
        slope = point.loss_slopes() @ point.tangents(seed)[1][-1][:, 0]
        return Dual((), np.array(point.loss()), np.array(slope))
    if seed is not None:
        raise EvaluationError(f"{type(node).__name__} inside a derivative")
    if isinstance(node, ex.LossSlope) and node.index is not None:
        return _element(point.loss_slopes(), None, (node.index,), bound)
    if isinstance(node, ex.MixedSlope) and node.index is not None and node.by is not None:
        point._require_layer(node.layer, 1)
        return _element(point.jacobian(node.layer), None, (node.index, node.by), bound)
    if isinstance(node, ex.Same):
        return _element(_sameness(point, node.group), None, (node.first, node.second), bound)
    raise EvaluationError(f"{type(node).__name__} is no number")


def _sameness(point: Point, group: bool) -> Array:
    n = point.net.sizes[-1]
    if not group:
        return np.eye(n)
    groups = point.net.activations[-1].groups or (n,)
    of = np.repeat(np.arange(len(groups)), groups)
    return np.asarray(of[:, None] == of, dtype=np.float64)


# -- arithmetic with named axes ---------------------------------------------------------------


def _constant(value: float, seed: Symbol | None) -> Dual:
    return Dual((), np.array(value), None if seed is None else np.array(0.0))


def _aligned(array: Array, letters: tuple[str, ...], to: tuple[str, ...]) -> Array:
    order = [letters.index(one) for one in to if one in letters]
    shape = [array.shape[letters.index(one)] if one in letters else 1 for one in to]
    return array.transpose(order).reshape(shape)


def _pair(x: Dual, y: Dual) -> tuple[tuple[str, ...], list[Array], list[Array]]:
    to = x.letters + tuple(one for one in y.letters if one not in x.letters)
    first = [_aligned(one, x.letters, to) for one in (x.value, x.tangent) if one is not None]
    second = [_aligned(one, y.letters, to) for one in (y.value, y.tangent) if one is not None]
    return to, first, second


def _times(x: Dual, y: Dual) -> Dual:
    to, (v, *dv), (w, *dw) = _pair(x, y)
    return Dual(to, v * w, dv[0] * w + v * dw[0] if dv and dw else None)


def _plus(x: Dual, y: Dual) -> Dual:
    to, (v, *dv), (w, *dw) = _pair(x, y)
    return Dual(to, v + w, dv[0] + dw[0] if dv and dw else None)


def _through(inner: Dual, value: Any, slope: Any) -> Dual:
    """A function of a dual number, from its value and slope there."""
    tangent = None if inner.tangent is None else slope * inner.tangent
    return Dual(inner.letters, np.asarray(value), tangent)


def _summed(inner: Dual, letter: str, n: int) -> Dual:
    if letter not in inner.letters:  # the same term n times
        tangent = None if inner.tangent is None else n * inner.tangent
        return Dual(inner.letters, n * inner.value, tangent)
    axis = inner.letters.index(letter)
    tangent = None if inner.tangent is None else inner.tangent.sum(axis=axis)
    letters = inner.letters[:axis] + inner.letters[axis + 1 :]
    return Dual(letters, inner.value.sum(axis=axis), tangent)


def _element(array: Array, tangent: Array | None, indices: Sequence[Index], bound: Any) -> Dual:
    """Elements of an array at numbers, or all along an axis for a letter."""
    if len(indices) != array.ndim:
        raise EvaluationError(f"{len(indices)} indices for {array.ndim} axes")
    letters = tuple(dict.fromkeys(one for one in indices if isinstance(one, str)))
    at: list[Any] = []
    for index, n in zip(indices, array.shape, strict=True):
        if isinstance(index, str):
            if bound.get(index) != n:
                raise EvaluationError(f"{index} does not run over these {n} units")
            shape = [n if one == index else 1 for one in letters]
            at.append(np.arange(n).reshape(shape))
        else:
            at.append(_place(index, n))
    where = tuple(at)
    return Dual(letters, np.asarray(array[where]), None if tangent is None else tangent[where])


def _place(index: Index, n: int) -> int:
    """Where unit `index` stands, from 0."""
    if isinstance(index, str):
        raise EvaluationError(f"no sum over {index} stands around it")
    if not 1 <= index <= n:
        raise EvaluationError(f"there is no unit {index} among {n}")
    return index - 1
