"""Model selection for tables: which hyperparameters, and whether more rows would help.

`deltarule tune` and `deltarule learning-curve` only call what is here.
"""

from deltarule.tuning.curve import LearningCurve, learning_curve
from deltarule.tuning.importance import Importance
from deltarule.tuning.result import Tuning
from deltarule.tuning.run import tune
from deltarule.tuning.space import default_space
from deltarule.tuning.study import Trial

__all__ = [
    "Importance",
    "LearningCurve",
    "Trial",
    "Tuning",
    "default_space",
    "learning_curve",
    "tune",
]
