"""A network: its description with its parameters, and what comes in from people."""

from deltarule.network.gradients import (
    ForwardPass,
    Gradients,
    PerSampleGradients,
    backward,
    forward,
    per_sample_gradients,
)
from deltarule.network.network import Network, fold_biases, unfold_biases
from deltarule.network.saving import load, save

__all__ = [
    "ForwardPass",
    "Gradients",
    "Network",
    "PerSampleGradients",
    "backward",
    "fold_biases",
    "forward",
    "load",
    "per_sample_gradients",
    "save",
    "unfold_biases",
]
