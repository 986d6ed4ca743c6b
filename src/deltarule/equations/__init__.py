"""The equations, and the records that they are made of: arrays in, arrays out."""

from deltarule.equations.activations import Activation, activation_names, get_activation
from deltarule.equations.losses import Loss, get_loss, loss_names
from deltarule.equations.optimizers import (
    LBFGS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    get_optimizer,
)
from deltarule.equations.params import Array, Layout
from deltarule.equations.schedules import (
    Adaptive,
    Cosine,
    InvScaling,
    OneCycle,
    Schedule,
    Step,
    Warmup,
)

__all__ = [
    "LBFGS",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adaptive",
    "Array",
    "Cosine",
    "InvScaling",
    "Layout",
    "Loss",
    "OneCycle",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "Step",
    "Warmup",
    "activation_names",
    "get_activation",
    "get_loss",
    "get_optimizer",
    "loss_names",
]
