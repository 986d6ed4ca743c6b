"""Training: what the user asks for becomes a `Run`, which a `Loop` takes through its epochs."""

from deltarule.training.callbacks import Callback, Progress
from deltarule.training.checkpoint import Checkpoint
from deltarule.training.history import History
from deltarule.training.plan import train
from deltarule.training.stopping import EarlyStopping

__all__ = [
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "Progress",
    "train",
]
