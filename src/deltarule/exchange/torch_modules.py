"""Activations of the package for which PyTorch has a function but no module."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch


class Exp(torch.nn.Module):  # type: ignore[misc, unused-ignore]  # no types where torch is missing
    """exp(z), held just below the largest float instead of overflowing: the link of "poisson"."""

    def forward(self, z: Any) -> Any:
        top = math.log(torch.finfo(z.dtype).max) * (1 - 1e-6)
        return torch.exp(torch.clamp(z, max=top))


class GroupedSoftmax(torch.nn.Module):  # type: ignore[misc, unused-ignore]  # as above
    """A softmax over each group of outputs, `sizes` of them side by side: "softmax(3,2)"."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = list(sizes)

    def forward(self, z: Any) -> Any:
        return torch.cat([part.softmax(-1) for part in z.split(self.sizes, -1)], -1)

    def extra_repr(self) -> str:
        return str(self.sizes)
