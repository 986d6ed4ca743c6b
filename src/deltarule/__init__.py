"""deltarule: fully connected networks by back-propagation; train, see, derive and check.

Every public name is here; what needs slow imports is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deltarule.activations import Activation
from deltarule.callbacks import Callback, EarlyStopping, Progress
from deltarule.checkpoint import Checkpoint
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
from deltarule.gradients import (
    ForwardPass,
    Gradients,
    PerSampleGradients,
    backward,
    forward,
    per_sample_gradients,
)
from deltarule.history import History
from deltarule.losses import Loss
from deltarule.network import Network, fold_biases, unfold_biases
from deltarule.optimizers import LBFGS, SGD, Adagrad, Adam, AdamW, RMSprop
from deltarule.saving import load, save
from deltarule.schedules import Adaptive, Cosine, InvScaling, OneCycle, Schedule, Step, Warmup
from deltarule.threads import get_num_threads, set_num_threads
from deltarule.training import train

if TYPE_CHECKING:
    from deltarule import testing
    from deltarule.estimators import MLPClassifier, MLPRegressor
    from deltarule.exchange.sklearn import from_sklearn
    from deltarule.exchange.torch import from_torch
    from deltarule.explain.derivation import Derivation, derive
    from deltarule.explain.descent import descent_check
    from deltarule.explain.diagnostics import diagnose
    from deltarule.explain.gradcheck import check_gradients, check_objective
    from deltarule.explain.implementation import check_implementation
    from deltarule.explain.mistake import Mistake
    from deltarule.explain.notation_table import notation_table
    from deltarule.explain.product_counts import count_products
    from deltarule.explain.report import Report
    from deltarule.explain.trace import trace
    from deltarule.explain.worksheet import check_worksheet
    from deltarule.table_model import TableModel
    from deltarule.tuning import learning_curve, tune

__version__ = "0.1.0"

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


_LAZY = {  # where a name that needs slow imports is defined
    "Derivation": "deltarule.explain.derivation",
    "MLPClassifier": "deltarule.estimators",
    "MLPRegressor": "deltarule.estimators",
    "Mistake": "deltarule.explain.mistake",
    "Report": "deltarule.explain.report",
    "TableModel": "deltarule.table_model",
    "check_gradients": "deltarule.explain.gradcheck",
    "check_implementation": "deltarule.explain.implementation",
    "check_objective": "deltarule.explain.gradcheck",
    "check_worksheet": "deltarule.explain.worksheet",
    "derive": "deltarule.explain.derivation",
    "count_products": "deltarule.explain.product_counts",
    "descent_check": "deltarule.explain.descent",
    "diagnose": "deltarule.explain.diagnostics",
    "from_sklearn": "deltarule.exchange.sklearn",
    "from_torch": "deltarule.exchange.torch",
    "learning_curve": "deltarule.tuning",
    "notation_table": "deltarule.explain.notation_table",
    "testing": "deltarule.testing",
    "trace": "deltarule.explain.trace",
    "tune": "deltarule.tuning",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'deltarule' has no attribute {name!r}")
    module = import_module(_LAZY[name])
    return module if module.__name__ == f"deltarule.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
