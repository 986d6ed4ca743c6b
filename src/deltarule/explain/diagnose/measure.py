"""What a diagnosis measures: one forward and backward pass, layer by layer, in float64 and float32.

Nothing is judged here: `findings.py` does that.
"""

from __future__ import annotations

import functools
import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from deltarule.equations import backprop
from deltarule.equations.activations import Activation
from deltarule.equations.losses import shares
from deltarule.equations.params import Array
from deltarule.explain.case import Case
from deltarule.explain.diagnose.jacobian import Jacobian, layer_jacobian
from deltarule.network.network import Network

#: A slope is small below this share of the activation's largest slope.
SMALL_SLOPE = 0.01
_TINY = float(np.finfo(np.float32).smallest_normal)
_FAR = 60.0
_ROUNDING = 64
_SMALL_PRODUCT = 10**9


@dataclass(frozen=True)
class Float32:
    """What a backward pass in float32 loses, as shares of the entries that are not 0 in float64.

    Attributes
    ----------
    delta_lost : float
        Entries of delta that are 0 in float32 by underflow: too small for it, or passed down from
        nothing but lost ones. An entry that rounding alone makes 0 (relu at a kink) does not count.
    delta_subnormal : float
        Entries between 0 and 1.2e-38, which have few digits left, and which the compiled engine
        takes as 0.
    delta_is_zero : bool
        Whether all of delta is 0 in float32, but not in float64.
    gradient_lost, gradient_subnormal : float
        The same for dC/dW.
    overflow : float
        The share of entries of z and delta that are finite in float64 but not in float32.
    """

    delta_lost: float
    delta_subnormal: float
    delta_is_zero: bool
    gradient_lost: float
    gradient_subnormal: float
    overflow: float


@dataclass(frozen=True)
class LayerDiagnosis:
    """The measures of one layer, from a pass in float64. Ratios are None where they would be 0/0.

    Attributes
    ----------
    layer, units : int
    activation : str
    delta_norm : float
        sqrt of the mean over the rows of |delta_l|^2, delta_l = dJ/dz_l of one row.
    delta_rms : float
        The same for one entry: delta_norm / sqrt(units).
    delta_to_next, delta_to_top : float or None
        delta_rms over that of layer l + 1 (None for the last) and over that of layer L.
    weight_gradient_norm, bias_gradient_norm : float (the second None without a bias)
        |dC/dW_l| and |dC/db_l|, of the data alone.
    l2_gradient_norm, l2_ratio : float, and float or None
        l2 |W_l|, and that over weight_gradient_norm.
    activation_mean, activation_std : float
        Over all rows and units.
    activation_ratio : float or None
        Root mean square of a_l over that of a_{l-1}.
    over_rows : float or None
        Root mean square over the units of the deviation over the rows: what is left of the
        differences between rows. None for rows that do not differ.
    saturated : tuple of int, or None
        Units (from 0) whose slope is below 1 % of the activation's largest slope on more than half
        of the rows; on all rows where the slope gets small on one side only (relu, elu, ...: there
        being off for half of the inputs is how they work). None where the notion does not apply:
        an unbounded slope, softmax, or the loss's own output activation, whose slope cancels.
    small_slopes : float or None
        The share of entries (rows x units) with a slope that small.
    dead : tuple of int
        Units whose slope is 0 on all rows, or whose output is the same on rows that differ (to 64
        units of rounding).
    constant : tuple of int
        Those of `dead` whose slope is not 0.
    float32 : Float32 or None
    jacobian : Jacobian or None
        The last two are None in a quick diagnosis, as the callback makes it.
    """

    layer: int
    units: int
    activation: str
    delta_norm: float
    delta_rms: float
    delta_to_next: float | None
    delta_to_top: float | None
    weight_gradient_norm: float
    bias_gradient_norm: float | None
    l2_gradient_norm: float
    l2_ratio: float | None
    activation_mean: float
    activation_std: float
    activation_ratio: float | None
    over_rows: float | None
    saturated: tuple[int, ...] | None
    small_slopes: float | None
    dead: tuple[int, ...]
    constant: tuple[int, ...]
    float32: Float32 | None = None
    jacobian: Jacobian | None = None


@dataclass(frozen=True)
class NonFinite:
    """Numbers of one quantity that are NaN or infinite, in the network's own precision.

    Attributes
    ----------
    quantity : str
        "weights", "biases", "z", "a", "delta", "weight_gradients" or "bias_gradients".
    layer : int
    count : int
    index : tuple of int
        Of the first, from 0: (row, unit), or that within the parameter.
    value : str
        "NaN", "inf" or "-inf".
    """

    quantity: str
    layer: int
    count: int
    index: tuple[int, ...]
    value: str


@dataclass(frozen=True)
class Measured:
    """What `measure` gives: C, the layers, and what is not finite in the order of computation."""

    loss: float
    layers: list[LayerDiagnosis]
    non_finite: list[NonFinite]


@dataclass(frozen=True)
class _Pass:
    """One forward and backward pass in one precision."""

    layers: list[backprop.Layer]
    z: list[Array]
    a: list[Array]
    delta: list[Array]
    dW: list[Array]
    db: list[Array | None]
    loss: float

    @classmethod
    def of(cls, net: Network, X: Array, Y: Array, weight: Array | None, dtype: Any) -> _Pass:
        layers = net.layers(net.theta.astype(dtype))
        X, Y = X.astype(dtype), Y.astype(dtype)
        share = shares(len(Y), None if weight is None else weight.astype(dtype), "mean", dtype)
        z, a = backprop.forward(layers, X)
        delta = backprop.deltas(layers, net.loss, z, Y)
        dW, db = backprop.gradients(layers, a, delta, share)
        J = net.loss.value(net.activations[-1], z[-1], Y)
        return cls(layers, z, a, delta, dW, db, float(share @ J))


def measure(case: Case, *, quick: bool = False, rng: np.random.Generator | None = None) -> Measured:
    """Measure a case (dense X); `quick` takes one pass in the network's own precision."""
    net, X, Y, weight = case.net, case.X, case.Y, case.sample_weight
    with np.errstate(all="ignore"), _few_threads(net, len(X)):
        double = _Pass.of(net, X, Y, weight, net.dtype if quick else np.float64)
        single = None if quick else _Pass.of(net, X, Y, weight, np.float32)
        for one in (double, single):
            if one is not None and case.edges is not None:
                for dW, edge in zip(one.dW, case.edges, strict=True):
                    dW[~edge] = 0
        lost = [] if single is None else _lost(double, single)
        top = rms(double.delta[-1])
        layers = []
        for l, (W, _, f) in enumerate(double.layers):
            jacobian = None if rng is None else layer_jacobian(W, f, double.z[l], rng)
            losses = None if single is None else _float32(double, single, lost[l], l)
            layers.append(_layer(net, double, l, top, case.l2, losses, jacobian))
        own = single if single is not None and net.dtype == np.float32 else double
        return Measured(double.loss, layers, _non_finite(own))


@functools.cache
def _threads() -> ThreadpoolController:
    """Those of the BLAS that NumPy has loaded; finding them takes a millisecond."""
    return ThreadpoolController()


def _few_threads(net: Network, rows: int) -> AbstractContextManager[Any]:
    """One thread for small products, which on a busy machine mostly wait for others."""
    widest = max(n_in * n_out for n_in, n_out in zip(net.sizes, net.sizes[1:], strict=False))
    if rows * widest > _SMALL_PRODUCT:
        return nullcontext()
    limited: AbstractContextManager[Any] = _threads().limit(limits=1, user_api="blas")
    return limited


def norm(x: Array) -> float:
    """|x| over all entries, without underflow or overflow of the squares."""
    largest = float(np.abs(x).max(initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = x / largest
    return largest * math.sqrt(float(np.vdot(scaled, scaled)))


def rms(x: Array) -> float:
    """Root mean square of all entries."""
    return norm(x) / math.sqrt(x.size)


def _ratio(value: float, other: float) -> float | None:
    return None if other == 0 or not math.isfinite(other) else value / other


def _layer(
    net: Network,
    p: _Pass,
    l: int,
    top: float,
    l2: float,
    float32: Float32 | None,
    jacobian: Jacobian | None,
) -> LayerDiagnosis:
    delta, a = p.delta[l], p.a[l + 1]
    last = l == len(p.layers) - 1
    size, bias_gradient = rms(delta), p.db[l]
    gradient, penalty = norm(p.dW[l]), l2 * norm(p.layers[l].W)
    links = last and net.loss.fused_dJ is not None and net.loss.links(net.activations[-1])
    saturated, small = None, None
    limit = None if links else slope_limit(net.activations[l])
    zero_slope = np.zeros(a.shape[1], dtype=bool)
    if net.activations[l].jacobian_product is None and not links:
        slope = np.abs(net.activations[l].df(p.z[l]))
        zero_slope = (slope == 0).all(axis=0)
        if limit is not None:
            largest, both_sides = limit
            is_small = slope < SMALL_SLOPE * largest
            of_rows = is_small.mean(axis=0)
            saturated = _indices(of_rows > 0.5 if both_sides else of_rows == 1)
            small = float(is_small.mean())
    constant = np.zeros_like(zero_slope)
    differ = bool((p.a[0] != p.a[0][0]).any())
    if differ:
        constant = np.ptp(a, axis=0) <= _ROUNDING * np.finfo(a.dtype).eps * np.abs(a).max(axis=0)
    return LayerDiagnosis(
        layer=l + 1,
        units=a.shape[1],
        activation=net.activations[l].name,
        delta_norm=size * math.sqrt(delta.shape[1]),
        delta_rms=size,
        delta_to_next=None if last else _ratio(size, rms(p.delta[l + 1])),
        delta_to_top=_ratio(size, top),
        weight_gradient_norm=gradient,
        bias_gradient_norm=None if bias_gradient is None else norm(bias_gradient),
        l2_gradient_norm=penalty,
        l2_ratio=_ratio(penalty, gradient),
        activation_mean=float(a.mean()),
        activation_std=float(a.std()),
        activation_ratio=_ratio(rms(a), rms(p.a[l])),
        over_rows=rms(a.std(axis=0)) if differ else None,
        saturated=saturated,
        small_slopes=small,
        dead=_indices(zero_slope | constant),
        constant=_indices(constant & ~zero_slope),
        float32=float32,
        jacobian=jacobian,
    )


def _indices(flags: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(flags))


@functools.lru_cache(maxsize=256)  # one for each activation, which are few
def slope_limit(f: Activation) -> tuple[float, bool] | None:
    """The largest |f'|, and whether it gets small on both sides of 0; None if it is unbounded.

    Measured on a grid of [-60, 60]; unbounded is what is still larger at 120.
    """
    if f.jacobian_product is not None:
        return None
    with np.errstate(all="ignore"):
        slopes = np.abs(f.df(np.linspace(-_FAR, _FAR, 4801)))
        beyond = np.abs(f.df(np.array([-2 * _FAR, 2 * _FAR]))).max()
    largest = float(slopes.max())
    if not math.isfinite(largest) or largest == 0 or not beyond <= 1.01 * largest:
        return None
    small = SMALL_SLOPE * largest
    return largest, bool(slopes[0] < small and slopes[-1] < small)


# -- float32 ---------------------------------------------------------------------------------------


def _lost(double: _Pass, single: _Pass) -> list[NDArray[np.bool_]]:
    """For each layer, which entries of delta are 0 in float32 by underflow.

    Those too small for float32, and those whose every contribution from above was 0 already. What
    is 0 for another reason (a relu whose z has the other sign after rounding) is not counted.
    """
    lost: list[NDArray[np.bool_]] = []
    for l in reversed(range(len(double.layers))):
        d64, d32 = double.delta[l], single.delta[l].astype(np.float32)
        gone = (d64 != 0) & (d32 == 0)
        inherited = np.zeros_like(gone)
        if l + 1 < len(double.layers):
            above = single.delta[l + 1] @ single.layers[l + 1].W.T
            inherited = (above == 0) & lost[-1].any(axis=1, keepdims=True)
        lost.append(gone & ((np.abs(d64) < _TINY) | inherited))
    return lost[::-1]


def _float32(double: _Pass, single: _Pass, lost: NDArray[np.bool_], l: int) -> Float32:
    d64, d32 = double.delta[l], single.delta[l].astype(np.float32)
    g64, g32 = double.dW[l], single.dW[l].astype(np.float32)
    gone = (g64 != 0) & (g32 == 0) & ((np.abs(g64) < _TINY) | lost.any(axis=0))
    finite = [np.isfinite(double.z[l]), np.isfinite(d64)]
    over = [finite[0] & ~np.isfinite(single.z[l]), finite[1] & ~np.isfinite(d32)]
    return Float32(
        delta_lost=_share(lost, d64 != 0),
        delta_subnormal=_share(_subnormal(d32), d64 != 0),
        delta_is_zero=bool((d64 != 0).any() and not d32.any()),
        gradient_lost=_share(gone, g64 != 0),
        gradient_subnormal=_share(_subnormal(g32), g64 != 0),
        overflow=_share(np.concatenate(over), np.concatenate(finite)),
    )


def _subnormal(x: Array) -> NDArray[np.bool_]:
    return np.asarray((x != 0) & (np.abs(x) < _TINY))


def _share(part: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    """The share of the entries of `of` that are in `part` as well; 0 of none."""
    return int((part & of).sum()) / max(int(of.sum()), 1)


# -- NaN and infinity ------------------------------------------------------------------------------


def _non_finite(p: _Pass) -> list[NonFinite]:
    found: list[NonFinite] = []

    def look(quantity: str, layer: int, x: Array | None) -> None:
        if x is None:
            return
        bad = ~np.isfinite(x)
        if bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            value = str(x[index]).replace("nan", "NaN")
            found.append(NonFinite(quantity, layer, int(bad.sum()), index, value))

    for l, (W, b, _) in enumerate(p.layers):
        look("weights", l + 1, W)
        look("biases", l + 1, b)
        look("z", l + 1, p.z[l])
        look("a", l + 1, p.a[l + 1])
    for l in reversed(range(len(p.layers))):
        look("delta", l + 1, p.delta[l])
        look("weight_gradients", l + 1, p.dW[l])
        look("bias_gradients", l + 1, p.db[l])
    return found
