"""deltarule: fully connected networks by back-propagation; train, see, derive and check.

Every public name is here; what needs slow imports is loaded when it is first used.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from deltarule._version import __version__ as __version__
from deltarule.callbacks import Callback, EarlyStopping, Progress
from deltarule.doors import PUBLIC, loaded_when_used
from deltarule.engines.threads import get_num_threads, set_num_threads
from deltarule.equations.activations import Activation
from deltarule.equations.losses import Loss
from deltarule.equations.optimizers import LBFGS, SGD, Adagrad, Adam, AdamW, RMSprop
from deltarule.equations.schedules import (
    Adaptive,
    Cosine,
    InvScaling,
    OneCycle,
    Schedule,
    Step,
    Warmup,
)
from deltarule.errors import (
    DataError,
    DeltaruleError,
    DerivativeError,
    DivergenceError,
    ModelFileError,
    NonFiniteParametersError,
    OutputError,
    SpecError,
)
from deltarule.moved import MovedModules
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
from deltarule.training.checkpoint import Checkpoint
from deltarule.training.history import History
from deltarule.training.plan import train

if TYPE_CHECKING:
    from deltarule import testing
    from deltarule.estimators import MLPClassifier, MLPRegressor
    from deltarule.exchange.sklearn import from_sklearn
    from deltarule.exchange.torch import from_torch
    from deltarule.explain.check.implementation import check_implementation
    from deltarule.explain.check.mistakes.mistake import Mistake
    from deltarule.explain.check.report import Report
    from deltarule.explain.check.worksheet import check_worksheet
    from deltarule.explain.counts.report import count_products
    from deltarule.explain.derive.report import Derivation, derive
    from deltarule.explain.descent import descent_check
    from deltarule.explain.diagnose.report import diagnose
    from deltarule.explain.gradients.check import check_gradients, check_objective
    from deltarule.explain.notation_table import notation_table
    from deltarule.explain.trace.report import trace
    from deltarule.tabular.model import TableModel
    from deltarule.tuning import learning_curve, tune

__all__ = [
    "LBFGS",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adaptive",
    "Callback",
    "Checkpoint",
    "Cosine",
    "DataError",
    "DeltaruleError",
    "Derivation",
    "DerivativeError",
    "DivergenceError",
    "EarlyStopping",
    "ForwardPass",
    "Gradients",
    "History",
    "InvScaling",
    "Loss",
    "MLPClassifier",
    "MLPRegressor",
    "Mistake",
    "ModelFileError",
    "Network",
    "NonFiniteParametersError",
    "OneCycle",
    "OutputError",
    "PerSampleGradients",
    "Progress",
    "RMSprop",
    "Report",
    "Schedule",
    "SpecError",
    "Step",
    "TableModel",
    "Warmup",
    "backward",
    "check_gradients",
    "check_implementation",
    "check_objective",
    "check_worksheet",
    "count_products",
    "derive",
    "descent_check",
    "diagnose",
    "fold_biases",
    "forward",
    "from_sklearn",
    "from_torch",
    "get_num_threads",
    "learning_curve",
    "load",
    "notation_table",
    "per_sample_gradients",
    "save",
    "set_num_threads",
    "testing",
    "trace",
    "train",
    "tune",
    "unfold_biases",
]


sys.meta_path.append(MovedModules())  # asked last, and only for old names

__getattr__ = loaded_when_used(__name__, PUBLIC)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
