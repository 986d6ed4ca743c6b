"""Constructor parameters of the estimators: what each may be, and the parts that they ask for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

# Private to scikit-learn, but what its own parameter checks and messages are made of.
from sklearn.utils._param_validation import Interval, Options, StrOptions

from deltarule.equations.activations import Activation, get_activation
from deltarule.equations.losses import Loss
from deltarule.equations.optimizers import LBFGS, OPTIMIZERS, SGD, Adam, Optimizer, get_optimizer
from deltarule.equations.schedules import SCHEDULES, Schedule, get_schedule
from deltarule.errors import SpecError
from deltarule.training.callbacks import Callback, as_callbacks

_FRACTION = Interval(Real, 0, 1, closed="left")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, None, closed="left")

SKLEARN_SCHEDULES = ("constant", "invscaling", "adaptive")
CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", _COUNT],
    "activation": [str, Activation, list, tuple],
    "solver": [StrOptions({*OPTIMIZERS}), Optimizer],
    "alpha": [_NOT_NEGATIVE],
    "batch_size": [StrOptions({"auto"}), _COUNT],
    "learning_rate": [StrOptions({*SCHEDULES, *SKLEARN_SCHEDULES}), Schedule, callable],
    "learning_rate_init": [_POSITIVE],
    "power_t": [_NOT_NEGATIVE],
    "max_iter": [_COUNT],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [_NOT_NEGATIVE],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [_FRACTION],
    "beta_1": [_FRACTION],
    "beta_2": [_FRACTION],
    "epsilon": [_POSITIVE],
    "n_iter_no_change": [_COUNT, Options(Real, {np.inf})],
    "max_fun": [_COUNT],
    "loss": [str, Loss],
    "dropout": [_FRACTION, "array-like"],
    "l1": [_NOT_NEGATIVE],
    "clip_norm": [None, _POSITIVE],
    "scoring": [None, str, callable],
    "dtype": [None, StrOptions({"float32", "float64"}), type, np.dtype],
    "engine": [str],
    "callbacks": [None, list, tuple, callable, Callback],
    "n_ensemble": [_COUNT],
    "n_jobs": [None, Integral],
}

# SciPy's own default, which scikit-learn leaves in place.
_LBFGS_LOSS_TOLERANCE = 2.220446049250313e-09


def hidden_sizes(given: Any) -> list[int]:
    """The units of the hidden layers, from one number or any sequence.

    Raises ValueError for a layer without units, in scikit-learn's words.
    """
    sizes = [given] if isinstance(given, Integral) else list(given)
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, Integral) or size <= 0:
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def hidden_activations(given: Any, layers: int) -> list[Activation]:
    """One activation per hidden layer, from one for all or a list.

    Raises SpecError for an unknown name; ValueError for a list of the wrong length.
    """
    if isinstance(given, str | Activation):
        return [get_activation(given)] * layers
    if len(given) != layers:
        raise ValueError(
            f"activation is a list of {len(given)}, but there are {layers} hidden layers: give one "
            "for each of them (the output layer's follows from the loss)"
        )
    return [get_activation(one) for one in given]


def has_epochs(solver: Any) -> bool:
    """Whether the solver goes through epochs of batches (L-BFGS does not)."""
    return not (solver == "lbfgs" or isinstance(solver, LBFGS))


def optimizer(params: Mapping[str, Any]) -> Optimizer:
    """The optimizer that the parameters describe; its settings are scikit-learn's names."""
    solver = params["solver"]
    if isinstance(solver, Optimizer):
        return solver
    rate = float(params["learning_rate_init"])
    if solver == "lbfgs":
        return LBFGS(
            max_evaluations=int(params["max_fun"]),
            gradient_tolerance=float(params["tol"]),
            loss_tolerance=_LBFGS_LOSS_TOLERANCE,
        )
    if solver == "sgd":
        momentum = float(params["momentum"])
        return SGD(rate, momentum, bool(params["nesterovs_momentum"]) and momentum > 0)
    rule = get_optimizer(solver, rate)
    if isinstance(rule, Adam):  # AdamW is one too
        names = ("beta_1", "beta_2", "epsilon")
        return dataclasses.replace(rule, **{name: float(params[name]) for name in names})
    # the others, RMSprop and Adagrad, have an epsilon as well
    return dataclasses.replace(rule, epsilon=float(params["epsilon"]))  # type: ignore[call-arg]  # see above


def callbacks(given: Any) -> list[Callback]:
    """The package's callbacks. Raises SpecError for anything else, scikit-learn's among them."""
    for one in given if isinstance(given, list | tuple) else ():
        if hasattr(one, "on_fit_task_begin"):
            raise SpecError(
                f"{type(one).__name__} is a callback of scikit-learn: give it to the estimator's "
                "set_callbacks(...), not to the parameter `callbacks`"
            )
    return as_callbacks(given or ())


def schedule(given: str | Schedule | Callable[[int], float]) -> Schedule:
    """The schedule beside the optimizer; scikit-learn's three are rules of `Descent` instead."""
    return Schedule() if given in SKLEARN_SCHEDULES else get_schedule(given)
