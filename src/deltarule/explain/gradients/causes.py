"""What wrong gradients have in common: one factor, a penalty on one side only, a wrong slope."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.activations import Activation
from deltarule.equations.params import Array
from deltarule.explain.gradients.differences import EPS, measure
from deltarule.explain.gradients.found import RIGHT, WRONG, TermCheck
from deltarule.explain.gradients.network_function import NetworkFunction

_POINTS = 200  # at which a function's slope is compared with its values
_SLOPE_RTOL = 1e-5
_EDGE = 1e-6  # nearer to the edge of a loss's domain its values are too rough
_RESOLVED = 20.0  # a number so many tolerances large tells a ratio


def common_causes(
    checks: Sequence[TermCheck],
    tolerances: Sequence[Array],
    values: Sequence[Array],
    known: Mapping[str, int],
) -> list[str]:
    """Sentences on what the wrong numbers of one source's gradients have in common.

    Parameters
    ----------
    checks : TermChecks of one source
    tolerances : arrays of each term's shape
        By how much analytic and numeric may differ.
    values : arrays of each term's shape
        The parameters themselves.
    known : mapping
        Numbers that a factor may come from, such as {"samples": 6}.
    """
    everything = list(range(len(checks)))
    parameters = [k for k in everything if checks[k].name != "inputs"]
    left = {k for k in everything if checks[k].count(WRONG)}
    found: dict[str, list[str]] = {}
    for group in (everything, parameters, *([k] for k in everything)):
        if not left.intersection(group):
            continue
        some = [checks[k] for k in group], [tolerances[k] for k in group]
        text = _shared(*some, known) or _penalty(*some, [values[k] for k in group])
        if text is not None:
            found.setdefault(text, []).extend(checks[k].title for k in group)
            left.difference_update(group)
    return [
        f"{text} in every coordinate"
        + ("." if len(titles) == len(checks) else f" of {_listed(titles)}.")
        for text, titles in found.items()
    ]


def _listed(titles: Sequence[str], most: int = 6) -> str:
    shown = list(titles[:most])
    if len(titles) > most:
        return f"{', '.join(shown)} and {len(titles) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _shared(
    checks: Sequence[TermCheck], tolerances: Sequence[Array], known: Mapping[str, int]
) -> str | None:
    """What to say if analytic / numeric is one number in all coordinates."""
    g, d, tolerance = _told(checks, tolerances)
    ratio = constant_ratio(g, d, tolerance)
    if ratio is None or abs(ratio[0] - 1) <= ratio[1]:
        return None
    return factor_sentence(*ratio, known)


def _told(checks: Sequence[TermCheck], tolerances: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Analytic, numeric and tolerance of the numbers that were found right or wrong."""
    parts = [
        (one.analytic[seen], one.numeric[seen], np.broadcast_to(t, seen.shape)[seen])
        for one, t in zip(checks, tolerances, strict=True)
        for seen in [(one.status == RIGHT) | (one.status == WRONG)]
    ]
    g, d, tolerance = (np.concatenate(one) for one in zip(*parts, strict=True))
    return g, d, tolerance


def constant_ratio(g: Array, d: Array, tolerance: Array) -> tuple[float, float] | None:
    """(g / d, how far it may be off) if it is the same in all coordinates; None if it is not.

    At least two numbers must be large beside their tolerance.
    """
    if not np.isfinite(g).all() or (np.abs(d) > _RESOLVED * tolerance).sum() < 2:
        return None
    squares = float(d @ d)
    if not np.isfinite(squares):
        return None
    ratio = float(g @ d) / squares
    if (np.abs(g - ratio * d) > 2 * max(1.0, abs(ratio)) * tolerance).any():
        return None
    return ratio, 2 * max(1.0, abs(ratio)) * float(tolerance @ np.abs(d)) / squares


def factor_sentence(ratio: float, error: float, known: Mapping[str, int]) -> str:
    """What a constant analytic / numeric is called."""
    if abs(ratio) <= error:
        return "The analytic gradient is 0 where the numeric one is not,"
    if abs(ratio + 1) <= error:
        return "The analytic gradient is the numeric one with the opposite sign"
    near = Fraction(ratio).limit_denominator(1000)
    whole = near.numerator if near.denominator == 1 else near.denominator
    simple = (
        bool(near)
        and 1 in (abs(near.numerator), near.denominator)
        and abs(float(near) - ratio) <= error
    )
    if not simple:
        return f"The analytic gradient is {ratio:.6g} times the numeric one"
    origin = [f"the number of {name}" for name, n in known.items() if n == abs(whole) > 1]
    hint = f" ({abs(whole)}: {' or '.join(origin)})" if origin else ""
    return f"The analytic gradient is {near} times the numeric one{hint}"


def _penalty(
    checks: Sequence[TermCheck], tolerances: Sequence[Array], values: Sequence[Array]
) -> str | None:
    """What to say if analytic - numeric is one multiple of the parameters themselves."""
    theta = [
        value[(one.status == RIGHT) | (one.status == WRONG)]
        for one, value in zip(checks, values, strict=True)
    ]
    g, d, tolerance = _told(checks, tolerances)
    found = constant_ratio(g - d, np.concatenate(theta), tolerance)
    if found is None or abs(found[0]) <= found[1]:
        return None
    strength = f"{abs(found[0]):.6g}"
    what = f"an L2 penalty {strength}/2 sum w^2"
    sides = ("the gradient has and the loss has not", "the loss has and the gradient has not")
    return (
        f"Analytic less numeric is {found[0]:.6g} times the parameter itself ({what} that "
        f"{sides[found[0] < 0]})"
    )


# -- functions of a network ---------------------------------------------------------------------


def wrong_functions(function: NetworkFunction) -> list[str]:
    """Sentences on activations and losses whose slope is not that of their values, where they are.

    The last layer first, as the backward pass meets them.
    """
    net, found = function.net, []
    text = _wrong_loss(function)
    if text is not None:
        found.append(text)
    fused = net.loss.fused_dJ is not None and net.loss.links(function.f_L)
    for l in range(function.L - fused, 0, -1):
        f, z = net.activations[l - 1], function.z[l - 1]
        g = np.ones_like(z)
        if f.jacobian_product is not None:
            g = np.cos(np.arange(float(z.size))).reshape(z.shape)
        slope = "the slope" if f.jacobian_product is None else "the Jacobian product"
        fault = _fault(_slope(f, z, g), _sum(f.f, g), z)
        if fault is not None:
            found.append(
                f"Layer {l}: {slope} of {f.name!r} is not that of its values: at z = {fault}."
            )
    return found


def _slope(f: Activation, z: Array, g: Array) -> Callable[[NDArray[np.intp]], Array]:
    return lambda rows: np.asarray(f.backward(z[rows], g[rows]))


def _sum(f: Callable[[Array], Array], g: Array) -> Callable[[Array, Any], Array]:
    return lambda z, rows: (f(z) * g[rows]).sum(axis=1)


def _wrong_loss(function: NetworkFunction) -> str | None:
    loss, output, Y = function.net.loss, function.f_L, function.Y
    if loss.fused_J is not None and loss.fused_dJ is not None and loss.links(output):
        J, dJ, at, symbol, name = loss.fused_J, loss.fused_dJ, function.z[-1], "z", "fused_dJ"
    else:
        J, dJ, at, symbol, name = loss.J, loss.dJ, function.a[-1], "o", "dJ"
    low, high = loss.domain if symbol == "o" else (-np.inf, np.inf)
    room = np.minimum(np.abs(at - low), np.abs(high - at))
    fault = _fault(lambda rows: dJ(at[rows], Y[rows]), lambda o, rows: J(o, Y[rows]), at, room)
    if fault is None:
        return None
    return f"Loss {loss.name!r}: {name} is not the derivative of its values: at {symbol} = {fault}."


def _fault(
    slope: Callable[[NDArray[np.intp]], Array],
    value: Callable[[Array, NDArray[np.intp]], Array],
    z: Array,
    room: Array | None = None,
) -> str | None:
    """Where a slope is wrong and by how much; None if it is right at all points tried.

    `value` gives one number per row; its derivative with respect to each number of the row is
    compared with `slope`, both called with the numbers of the rows they are for. `room` is how far
    each number may move.
    """
    far = np.flatnonzero(np.ones(z.shape) if room is None else room > _EDGE)
    if not len(far):
        return None
    points = far[np.unique(np.linspace(0, len(far) - 1, min(_POINTS, len(far))).astype(np.intp))]
    rows, columns = np.divmod(points, z.shape[1])

    def change(at: NDArray[np.intp], t: Array) -> tuple[Array, NDArray[np.bool_]]:
        which = np.repeat(rows[at], t.shape[1])
        moved = z[which].copy()
        moved[np.arange(len(moved)), np.repeat(columns[at], t.shape[1])] += t.ravel()
        df = value(moved, which) - np.repeat(base[at], t.shape[1])
        return df.reshape(t.shape), np.zeros(t.shape, dtype=bool)

    with np.errstate(all="ignore"):
        try:
            base = value(z[rows], rows)
            given = np.asarray(slope(rows), dtype=np.float64)[np.arange(len(rows)), columns]
            noise = EPS * (np.abs(base) + np.abs(z[rows, columns]))
            scale = np.maximum(1.0, np.abs(z[rows, columns]))
            if room is not None:  # a step must not leave the domain
                scale = np.minimum(scale, room[rows, columns])
            found = measure(change, scale, noise, _SLOPE_RTOL)
        except (IndexError, ValueError):  # of a user's function: shapes are told elsewhere
            return None
    off = np.abs(given - found.value)
    tolerance = 4 * found.error + _SLOPE_RTOL * np.maximum(np.abs(found.value), 1e-3)
    wrong = ~(off <= tolerance + 0.55 * found.jump)
    if not wrong.any():
        return None
    worst = int(np.argmax(np.where(wrong, np.nan_to_num(off, nan=np.inf), -1)))
    told = np.isfinite(found.error)
    ratio = constant_ratio(given[told], found.value[told], tolerance[told])
    always = "" if ratio is None else f", {ratio[0]:.6g} times as much at every point"
    return (
        f"{z[rows[worst], columns[worst]]:.6g} it gives {given[worst]:.6g}, differences give "
        f"{found.value[worst]:.6g}{always}"
    )
