"""Activations of the package for which PyTorch has a function but no module."""

from __future__ import annotations

import math
from typing import Any

import torch


class Exp(torch.nn.Module):  # type: ignore[misc, unused-ignore]  # no types where torch is missing
    """exp(z), held just below the largest float instead of overflowing: the link of "poisson"."""

    def forward(self, z: Any) -> Any:
        top = math.log(torch.finfo(z.dtype).max) * (1 - 1e-6)
        return torch.exp(torch.clamp(z, max=top))
