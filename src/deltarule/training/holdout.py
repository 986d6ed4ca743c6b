"""The rows that are held out, and what they say of an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.params import Array
from deltarule.errors import DataError, SpecError
from deltarule.network.data import check_inputs, check_sample_weight, check_targets
from deltarule.network.network import Network
from deltarule.training.streams import stream


@dataclass
class HeldOut:
    """Rows to validate on, checked and encoded like those of a Run."""

    X: Any
    Y: Array
    weight: Array | None


def hold_out(
    net: Network,
    X: Any,
    Y: Array,
    weight: Array | None,
    validation: float | tuple[Any, ...] | None,
    seed: int,
) -> tuple[NDArray[np.int64] | None, HeldOut | None]:
    """The training rows (None: all) and the validation set (None: none)."""
    if validation is None:
        return None, None
    if isinstance(validation, tuple | list):
        if len(validation) not in (2, 3):
            raise SpecError("validation must be (X, Y) or (X, Y, sample_weight)")
        vX = check_inputs(validation[0], net.sizes[0], net.dtype, "validation X")
        n = vX.shape[0]
        vY = check_targets(net.loss, validation[1], n, net.sizes[-1], net.dtype, "validation Y")
        vw = check_sample_weight(validation[2], n, net.dtype) if len(validation) == 3 else None
        return None, HeldOut(vX, vY, vw)
    if isinstance(validation, bool) or not isinstance(validation, int | float | np.floating):
        raise SpecError(f"validation must be a share, (X, Y) or None, got {validation!r}")
    if not 0 < validation < 1:
        raise SpecError(f"validation must be a share between 0 and 1, got {validation!r}")
    rows, held = _split(net, Y, float(validation), np.random.default_rng(stream(seed, 0)))
    vw = None if weight is None else weight[held]
    if vw is not None and not vw.any():
        vw = None  # weights that are all 0 say nothing about these rows
    return rows, HeldOut(X[held], Y[held], vw)


def _split(
    net: Network, Y: Array, share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and rows held out, both in ascending order; class by class for classes."""
    n = len(Y)
    if round(n * share) < 1 or round(n * share) >= n:
        raise DataError(
            f"validation={share:g} of {n} row{'s' if n > 1 else ''} leaves nothing to train on or "
            "nothing to hold out; pass validation=None, or rows of your own as (X, Y)"
        )
    groups = np.zeros(n, dtype=np.int64)
    if net.loss.targets == "distribution" and len(net.loss.groups) < 2:
        groups = Y.argmax(axis=1)
    elif net.loss.targets == "unit" and Y.shape[1] == 1:
        groups = (Y[:, 0] >= 0.5).astype(np.int64)
    order = rng.permutation(n)
    order = order[np.argsort(groups[order], kind="stable")]
    sizes = np.bincount(groups)
    if (sizes == 1).any():
        label = int(np.flatnonzero(sizes == 1)[0])
        raise DataError(
            f"class {label} has one sample (row {int(np.flatnonzero(groups == label)[0])}): it "
            "cannot be both trained on and held out; pass validation=None, or (X, Y) of your own"
        )
    # evenly spaced picks through the sorted classes hold out the same share of each
    picks = np.floor((np.arange(round(n * share)) + 0.5) * n / round(n * share)).astype(np.int64)
    held = np.zeros(n, dtype=bool)
    held[order[picks]] = True
    # a share above 1/2 may take a small class whole: give its first row back
    kept = np.bincount(groups[~held], minlength=len(sizes))
    for group in np.flatnonzero((kept == 0) & (sizes > 0)):
        held[order[groups[order] == group][0]] = False
    return np.flatnonzero(~held), np.flatnonzero(held)
