"""A user's own Activation or Loss is compared with finite differences before it is trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deltarule.equations.activations import Activation
from deltarule.equations.losses import Loss
from deltarule.equations.params import Array
from deltarule.errors import DerivativeError

if TYPE_CHECKING:
    from deltarule.formula.expression import Expression

_POINTS = np.linspace(-3.1, 3.3, 41)  # 0 and other likely kinks are not among them
_POINTS.flags.writeable = False  # a function that writes into its input is found out
_MOST_OUTPUTS = 16  # of a wide output layer, so many outputs are moved
_STEP = 1e-6
_TOLERANCE = 1e-5


def check_own_functions(activations: Sequence[Activation], loss: Loss, n_outputs: int) -> None:
    """Check every activation and loss that is not one of the package's own.

    Raises DerivativeError with the point, the value given and the value measured.
    """
    with np.errstate(all="ignore"):  # far from 0 a value may overflow; such points are left out
        for f in {id(f): f for f in activations if not f.registered}.values():
            check_activation(f, n_outputs)
        if not loss.registered:
            check_loss(loss, activations[-1], n_outputs)


def check_activation(f: Activation, n_outputs: int) -> None:
    """Compare f'(z) with central differences of f; for one that mixes units, J^T g instead."""
    if f.jacobian_product is not None:
        _check_jacobian(f, n_outputs)
        return
    owner = f"activation {f.name!r}"
    value, slope = _call(owner, "f", f.f, _POINTS), _call(owner, "df", f.df, _POINTS)
    up, down = _call(owner, "f", f.f, _POINTS + _STEP), _call(owner, "f", f.f, _POINTS - _STEP)
    measured = (up - down) / (2 * _STEP)
    kink = np.abs((up - value) - (value - down)) / _STEP > 1e-3
    _compare(owner, "df", "z", _POINTS, slope, measured, kink)
    _check_tree(owner, "formula", "f", f.tree, {"z": _POINTS}, value)
    _check_tree(owner, "df_formula", "df", f.slope_tree, {"z": _POINTS, "a": value}, slope)


def _check_jacobian(f: Activation, n_outputs: int) -> None:
    owner = f"activation {f.name!r}"
    z = np.random.default_rng(0).uniform(-2, 2, (8, n_outputs))
    g = np.cos(np.arange(float(z.size))).reshape(z.shape)
    given = _call(owner, "jacobian_product", lambda z: f.backward(z, g), z)
    columns = _moved(n_outputs)
    measured = np.empty((len(z), len(columns)))
    for k, i in enumerate(columns):
        step = np.zeros_like(z)
        step[:, i] = _STEP
        up, down = _call(owner, "f", f.f, z + step), _call(owner, "f", f.f, z - step)
        measured[:, k] = ((up - down) * g).sum(axis=1) / (2 * _STEP)
    smooth = np.zeros(measured.shape, dtype=bool)
    _compare(owner, "jacobian_product", "z", z[:, columns], given[:, columns], measured, smooth)


def check_loss(loss: Loss, output: Activation, n_outputs: int) -> None:
    """Compare dJ/do with central differences of J at outputs that `output` can give.

    If the loss has a fused form and `output` is its link, the fused pair is checked as well.
    """
    owner = f"loss {loss.name!r}"
    rng = np.random.default_rng(0)
    z = rng.uniform(-2, 2, (40, n_outputs))
    y = plausible_targets(loss, rng, z.shape)
    pairs: list[tuple[str, str, Any, Any, Array]] = [("", "o", loss.J, loss.dJ, output.f(z))]
    if loss.fused_J is not None and loss.fused_dJ is not None and loss.links(output):
        pairs.append(("fused_", "z", loss.fused_J, loss.fused_dJ, z))
    columns = _moved(n_outputs)
    for fused, symbol, J, dJ, at in pairs:
        value = _call_loss(owner, fused + "J", J, at, y)
        if fused and not np.allclose(value, loss.J(output.f(at), y), rtol=1e-6, atol=1e-9):
            raise DerivativeError(
                f"{owner}: fused_J(z, y) is not J(o, y) at o = {loss.link}(z). Correct one of "
                "them, or pass check_derivatives=False to skip this check"
            )
        given = _call(owner, fused + "dJ", lambda o, dJ=dJ: dJ(o, y), at)
        measured = np.empty((len(at), len(columns)))
        kink = np.zeros(measured.shape, dtype=bool)
        for k, i in enumerate(columns):
            step = np.zeros_like(at)
            step[:, i] = _STEP
            up = _call_loss(owner, fused + "J", J, at + step, y)
            down = _call_loss(owner, fused + "J", J, at - step, y)
            measured[:, k] = (up - down) / (2 * _STEP)
            kink[:, k] = np.abs(up - 2 * value + down) / _STEP > 1e-3
        _compare(owner, fused + "dJ", symbol, at[:, columns], given[:, columns], measured, kink)
    one = {"o": output.f(z), "y": y}
    J, dJ = loss.J(one["o"], y), loss.dJ(one["o"], y)
    _check_tree(owner, "formula", "J", loss.tree, one, J)
    _check_tree(owner, "dJ_formula", "dJ", loss.slope_tree, one, dJ)


def _check_tree(
    owner: str,
    name: str,
    code: str,
    tree: Expression | None,
    letters: Mapping[str, Array],
    expected: Array,
) -> None:
    """Compare what a record states as a tree with what its code computes."""
    if tree is None:
        return
    from deltarule.formula import alphabet, value  # slow to import, and few write a tree

    at = {getattr(alphabet, letter): values for letter, values in letters.items()}
    shape = next(iter(letters.values())).shape
    try:
        with np.errstate(all="ignore"):
            stated = np.broadcast_to(value.evaluated(tree, at), shape)
    except KeyError as error:
        raise DerivativeError(
            f"{owner}: {name} has a letter {error.args[0].letter!r}; it may have "
            f"{' and '.join(letters)} only"
        ) from None
    if stated.shape != expected.shape:  # J is the sum over the outputs, its formula that of one
        stated = stated.sum(axis=1)
    # 0 log 0 is 0 in code and NaN in a formula
    finite = np.isfinite(expected) & np.isfinite(stated)
    wrong = finite & ~np.isclose(stated, expected, rtol=1e-6, atol=1e-6)
    if wrong.any():
        first = np.argmax(wrong.ravel())
        raise DerivativeError(
            f"{owner}: {name} is not what {code} computes: it gives {stated.flat[first]:.6g} where "
            f"{code} gives {expected.flat[first]:.6g}. Correct one of them, or pass "
            "check_derivatives=False to skip this check"
        )


def _moved(n_outputs: int) -> list[int]:
    """The outputs that are moved one by one: all, or some spread over a wide layer."""
    return sorted({int(i) for i in np.linspace(0, n_outputs - 1, min(n_outputs, _MOST_OUTPUTS))})


def plausible_targets(loss: Loss, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Random targets (n, k) that the loss can take."""
    if loss.targets == "count":
        return rng.poisson(2.0, shape).astype(np.float64)
    if loss.targets == "unit":
        return rng.integers(0, 2, shape).astype(np.float64)
    if loss.targets == "distribution":
        sizes = loss.groups or (shape[1],)
        return np.hstack([np.eye(k)[rng.integers(0, k, shape[0])] for k in sizes])
    return rng.standard_normal(shape)


def _call_loss(owner: str, name: str, J: Any, at: Array, y: Array) -> Array:
    result = _evaluated(owner, name, lambda o: J(o, y), at)
    if result.shape != (len(at),):
        raise DerivativeError(
            f"{owner}: {name} gave shape {result.shape} for outputs {at.shape}; it must give one "
            f"number per sample, ({len(at)},): sum over the outputs, not over the samples"
        )
    return result


def _evaluated(owner: str, name: str, function: Any, at: Array) -> Array:
    try:
        return np.asarray(function(at), dtype=np.float64)
    except Exception as error:  # whatever a user's function raises, say whose it was
        raise DerivativeError(
            f"{owner}: {name} failed on an array of shape {at.shape} "
            f"({type(error).__name__}: {error}); it must take a NumPy array and leave it unchanged"
        ) from error


def _call(owner: str, name: str, function: Any, at: Array) -> Array:
    result = _evaluated(owner, name, function, at)
    if result.shape != at.shape:
        raise DerivativeError(
            f"{owner}: {name} gave shape {result.shape} for an array of shape {at.shape}; it must "
            "work element by element"
        )
    return result


def _compare(
    owner: str, name: str, symbol: str, at: Array, given: Array, measured: Array, kink: Array
) -> None:
    comparable = np.isfinite(measured) & ~kink
    if not comparable.any():
        raise DerivativeError(
            f"{owner}: {name} cannot be checked: the value is not finite or jumps at every "
            "point tried. Correct it, or pass check_derivatives=False to skip this check"
        )
    error = np.abs(given - measured)
    close = error <= _TOLERANCE * np.maximum(1, np.abs(measured))  # false for NaN
    wrong = comparable & ~close
    if not wrong.any():
        return
    worst = np.unravel_index(np.argmax(np.where(wrong, error, -1)), error.shape)
    raise DerivativeError(
        f"{owner}: {name} is not the derivative of its value: at {symbol} = {at[worst]:.4g} it "
        f"gives {given[worst]:.6g}, finite differences give {measured[worst]:.6g} "
        f"({int(wrong.sum())} of {wrong.size} points disagree). Correct it, or pass "
        "check_derivatives=False to skip this check"
    )
