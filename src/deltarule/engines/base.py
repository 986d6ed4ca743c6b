"""The one small interface that every engine fills: predict, gradients, steps.

Everything that decides WHAT is computed lies in the records here; an engine only decides HOW.
`reference.py` is the plain reading of the equations; any other engine is held to its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deltarule.equations.optimizers import Optimizer, State
from deltarule.equations.params import Array
from deltarule.equations.spec import Spec


@dataclass
class Run:
    """One training run as an engine sees it. Its steps change `theta` and `state`.

    Attributes
    ----------
    spec : Spec
    theta : (P,) array of spec.dtype
        The parameters, changed in place.
    X : (n, n_0) array of spec.dtype, C-contiguous, or a SciPy CSR matrix
    Y : (n, n_L) array of spec.dtype, C-contiguous: targets as `data.check_targets` gives them
    sample_weight : (n,) array of spec.dtype, or None
    batch_size : int, 1..n
    optimizer : Optimizer, its `learning_rate` already in `rates`
    state : dict
        Of `optimizer.init`: "t" (int, steps done) and arrays of theta's shape and dtype.
    l1, l2 : float
        Added to the loss of every step: l1 * sum |W| + l2 / 2 * sum W^2, over weights, not biases.
    penalties_per_sample : bool, default False
        Divide the penalties of a batch by the sum of its sample weights (its number of rows without
        weights): C = (sum_i w_i J_i + l1 sum |W| + l2 / 2 sum W^2) / sum_i w_i. A batch whose
        weights sum to 0 then has none. With l2 = alpha this is scikit-learn's.
    objective : (batches,) float64 array or None, default None
        If given, a step writes what it minimises at the place of its batch in the epoch: the
        batch's C with penalties, before the update. Batches that are not applied leave their place
        as it is. L-BFGS keeps that of its last accepted iterate at [0].
    dropout : tuple of L floats
        dropout[l] is the share of the units of a_l, l = 0..L-1, that a step leaves out.
    clip_norm : float or None
        Largest allowed Euclidean norm of the gradient of a step (penalties included).
    seed : int
        64-bit seed of the dropout masks (see `dropout.mask`).
    """

    spec: Spec
    theta: Array
    X: Any
    Y: Array
    sample_weight: Array | None
    batch_size: int
    optimizer: Optimizer
    state: State
    l1: float = 0.0
    l2: float = 0.0
    penalties_per_sample: bool = False
    objective: NDArray[np.float64] | None = None
    dropout: tuple[float, ...] = ()
    clip_norm: float | None = None
    seed: int = 0
    stop: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(1, dtype=np.uint8))
    """stop[0] != 0 asks the engine to return after the batch that it is in."""
    cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What an engine keeps between the stretches of this run, under its name."""

    def penalties(self, weight_sum: float) -> tuple[float, float]:
        """l1 and l2 of a batch whose sample weights sum to `weight_sum`."""
        if not self.penalties_per_sample:
            return self.l1, self.l2
        return (self.l1 / weight_sum, self.l2 / weight_sum) if weight_sum > 0 else (0.0, 0.0)


@dataclass
class Steps:
    """What an engine reports of a stretch of batches.

    Attributes
    ----------
    loss_sum : float
        Sum over the samples of w_i J_i, without penalties, each taken before its batch's update.
    weight_sum : float
        Sum of the sample weights w_i (the number of samples where there are none).
    done : int
        Batches finished (parameters updated).
    bad_batch : int or None
        The batch (counted from 0 in the epoch) whose loss was not finite; it was not applied.
    gradient_norms : (L,) float64 array or None
        Per layer, the norm of dC/d(W_l, b_l) of the epoch's first batch, with penalties, before
        clipping; None where the stretch does not begin with batch 0.
    """

    loss_sum: float
    weight_sum: float
    done: int
    bad_batch: int | None = None
    gradient_norms: NDArray[np.float64] | None = None


class Engine(Protocol):
    """What computes. Engines hold no training state: everything they change is in the Run."""

    name: str

    def supports(self, spec: Spec) -> bool:
        """Whether this engine can run this network (own Python functions need the reference)."""
        ...

    def scores(self, spec: Spec, theta: Array, X: Any) -> Array:
        """z_L (n, n_L), the raw scores of the output layer, for checked inputs X (n, n_0)."""
        ...

    def predict(self, spec: Spec, theta: Array, X: Any) -> Array:
        """a_L (n, n_L) for checked inputs X (n, n_0)."""
        ...

    def gradients(
        self, spec: Spec, theta: Array, X: Any, Y: Array, sample_weight: Array | None
    ) -> tuple[float, Array]:
        """C = sum_i w_i J_i / sum_i w_i and its gradient, a flat vector laid out as theta."""
        ...

    def steps(
        self,
        run: Run,
        order: NDArray[np.int64],
        rates: NDArray[np.float64],
        first: int,
        last: int,
    ) -> Steps:
        """Run the batches first..last-1 of an epoch.

        Batch k holds the rows order[k * batch_size : (k + 1) * batch_size] (the last may be
        shorter) and is applied with the learning rate rates[k]. One step is: the gradient of the
        batch's C (weighted mean; zero if its weights sum to zero), plus penalties, clipped, given
        to the optimizer. A batch whose C is not finite is not applied and ends the stretch.
        """
        ...
