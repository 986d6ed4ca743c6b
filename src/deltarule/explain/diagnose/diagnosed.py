"""What was found out about a network, layer by layer, before it is shown in any way."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from deltarule.equations.params import Array
from deltarule.explain.diagnose.advice import Advice
from deltarule.explain.diagnose.findings import (
    Finding,
    exploding_layer,
    vanishing_layer,
    zero_layer,
)
from deltarule.explain.diagnose.measure import LayerDiagnosis, NonFinite


@dataclass(frozen=True, eq=False)
class Diagnosed:
    """What was measured, found and tried.

    Attributes
    ----------
    network : str
        What was diagnosed.
    dtype : str
        The network's own precision.
    loss : float
        C of the rows, without penalties.
    l2 : float
    layers : list of LayerDiagnosis
        layers[l-1] holds the measures of layer l.
    findings : list of Finding
        What is not as it should be; empty if nothing was found.
    non_finite : list of NonFinite
        In the order of computation.
    advice : list of Advice
        What was tried on a copy, what helped first.
    notes : list of str
    rows : (m,) array
        The rows of X that were looked at.
    trial_rows : (k,) array
        Those of X that every advice was tried on; empty if none was.
    seed : int
        Of the weights and the training of what was tried.
    epoch : int or None
        During training: after how many epochs.
    """

    network: str
    dtype: str
    loss: float
    l2: float
    layers: list[LayerDiagnosis]
    findings: list[Finding]
    non_finite: list[NonFinite]
    advice: list[Advice] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: Array = field(default_factory=lambda: np.arange(0))
    trial_rows: Array = field(default_factory=lambda: np.arange(0))
    seed: int = 0
    epoch: int | None = None

    @property
    def finite(self) -> bool:
        """Whether every number of the passes is finite, in the network's own precision."""
        return not self.non_finite and math.isfinite(self.loss)

    @property
    def vanishes_at(self) -> int | None:
        """The first layer from the top with rms(delta_l) < 1e-4 rms(delta_L), or None."""
        return vanishing_layer(self.layers)

    @property
    def explodes_at(self) -> int | None:
        """The first layer from the top with rms(delta_l) > 1e4 rms(delta_L), or None."""
        return exploding_layer(self.layers)

    @property
    def zero_in_float32_at(self) -> int | None:
        """The first layer from the top whose delta is all 0 in float32 only, or None."""
        return zero_layer(self.layers)
