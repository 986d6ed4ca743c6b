"""Hooks into training: callbacks, early stopping, and `Diagnose`, loaded when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltarule.doors import CALLBACKS, loaded_when_used
from deltarule.training.callbacks import Callback, Progress
from deltarule.training.stopping import EarlyStopping

if TYPE_CHECKING:
    from deltarule.explain.diagnose.callback import Diagnose

__all__ = ["Callback", "Diagnose", "EarlyStopping", "Progress"]

__getattr__ = loaded_when_used(__name__, CALLBACKS)
