"""The search space: what is tuned, between which values, and the parameters of each trial.

Trial 1 is always the defaults of `train_table`; the others are drawn at random by scikit-learn's
ParameterSampler. Trial i depends on the space, the seed and i alone, never on how many are run.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import loguniform
from sklearn.model_selection import ParameterSampler

from deltarule.equations.optimizers import Optimizer, get_optimizer
from deltarule.errors import SpecError, unknown_name

Parameters = dict[str, Any]

#: What `train_table` does if nothing is said.
DEFAULTS: Parameters = {
    "hidden": [64, 64],
    "activation": "relu",
    "optimizer": "adam",
    "learning_rate": 0.001,
    "schedule": "constant",
    "batch_size": 32,
    "l2": 1e-3,
    "dropout": 0.0,
}
_KNOWN = (*DEFAULTS, "weight_decay", "momentum", "l1", "clip_norm")
_DRAWS_WITHOUT_NEWS = 1000  # so many known draws in a row: nothing new is left


@dataclass(frozen=True)
class Choice:
    """One of some values, each as likely; a value that stands twice is twice as likely."""

    values: tuple[Any, ...]

    def rvs(self, random_state: np.random.RandomState) -> Any:
        """One draw. (ParameterSampler would draw lists without replacement, and then every draw
        would depend on the number of draws.)"""
        return self.values[random_state.randint(len(self.values))]


def default_space() -> list[dict[str, Any]]:
    """The space that `tune` searches: a list of dicts, each as likely, two of them for Adam.

    The names are those of the options of `train_table`; the values are lists or distributions of
    SciPy. Change what you like and pass it as `tune(..., space=)`.
    """
    depths = (1, 2, 2, 3, 3, 4)  # what stands twice is drawn twice as often
    common: dict[str, Any] = {
        "hidden": [[width] * depth for depth in depths for width in (64, 128, 256)],
        "activation": ["relu", "relu", "silu", "gelu", "tanh"],
        "schedule": ["constant", "cosine"],
        "batch_size": [16, 32, 64, 128],
        "dropout": [0.0, 0.0, 0.0, 0.1, 0.2, 0.3],
    }
    rate, l2 = loguniform(5e-4, 1e-2), loguniform(1e-6, 1e-2)
    adam = common | {"optimizer": ["adam"], "learning_rate": rate, "l2": l2}
    adamw = common | {
        "optimizer": ["adamw"],
        "learning_rate": rate,
        "weight_decay": loguniform(1e-3, 0.5),
        "l2": [0.0],
    }
    sgd = common | {
        "optimizer": ["sgd"],
        "learning_rate": loguniform(3e-3, 5e-2),
        "momentum": [0.9, 0.95],
        "l2": l2,
    }
    return [adam, adam, adamw, sgd]


class Space:
    """A checked search space.

    Parameters
    ----------
    given : None, dict or sequence of dicts
        For each name a list of values, a distribution with `rvs` (as scipy.stats has them), or
        one value. None: `default_space()`. Of several dicts each trial takes one at random.

    Raises SpecError for unknown names, empty lists, and what is no space.
    """

    def __init__(
        self, given: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        if given is None:
            given = default_space()
        if isinstance(given, Mapping):
            given = [given]
        if not isinstance(given, Sequence) or not all(isinstance(d, Mapping) for d in given):
            raise SpecError(f"space must be a dict of lists or distributions, got {given!r}")
        if not given:
            raise SpecError("space is empty: give at least one dict, or None for the default")
        self.parts = [{name: _values(name, part[name]) for name in part} for part in given]

    def describe(self) -> list[dict[str, Any]]:
        """The space as JSON can hold it, to tell one from another."""
        return [{name: _describe(part[name]) for name in sorted(part)} for part in self.parts]


class Configurations:
    """The parameters of trial 1 (the defaults), 2, 3, ...; no two are the same."""

    def __init__(self, space: Space, seed: int) -> None:
        stream = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))
        self._draws = iter(ParameterSampler(space.parts, sys.maxsize, random_state=stream))
        self._known: list[Parameters] = [dict(DEFAULTS)]

    def get(self, number: int) -> Parameters | None:
        """The parameters of a trial, counted from 1; None if the space holds fewer."""
        while len(self._known) < number:
            for _ in range(_DRAWS_WITHOUT_NEWS):
                drawn = complete(next(self._draws))
                if drawn not in self._known:
                    self._known.append(drawn)
                    break
            else:
                return None
        return self._known[number - 1]


def complete(given: Mapping[str, Any]) -> Parameters:
    """Some parameters with the defaults for the rest, in one order of names.

    Raises SpecError for an unknown name.
    """
    for name in given:
        _require_known(name)
    chosen = {name: _plain(value) for name, value in given.items()}
    if "learning_rate" not in chosen:
        optimizer = get_optimizer((DEFAULTS | chosen)["optimizer"])
        chosen["learning_rate"] = optimizer.learning_rate
    merged = DEFAULTS | chosen
    return {name: merged[name] for name in _KNOWN if name in merged}


def train_options(parameters: Parameters) -> dict[str, Any]:
    """A trial's parameters as options of `dr.train`; `hidden` and `activation` are the network's.

    Raises SpecError for a setting that the optimizer does not have.
    """
    options = {k: v for k, v in parameters.items() if k not in ("hidden", "activation")}
    optimizer = get_optimizer(options.pop("optimizer"), options.pop("learning_rate"))
    options["optimizer"] = optimizer = _with(optimizer, options, "weight_decay")
    options["optimizer"] = optimizer = _with(optimizer, options, "momentum")
    if getattr(optimizer, "momentum", 0):  # Nesterov's form is at least as good (Sutskever 2013)
        options["optimizer"] = dataclasses.replace(optimizer, nesterov=True)  # type: ignore[call-arg]  # SGD
    return options


def describe(parameters: Parameters) -> str:
    """A trial's parameters in one line, as they are printed."""
    p = parameters
    layers = "-".join(map(str, p["hidden"])) or "no hidden layer"
    named = [("momentum", "momentum"), ("weight_decay", "decay")]
    extras = [f" {word} {p[name]:g}" for name, word in named if name in p]
    parts = [
        f"{layers} {_text(p['activation'])}",
        f"{p['optimizer']} {p['learning_rate']:g}{''.join(extras)} {p['schedule']}",
        f"batch {p['batch_size']}",
    ]
    penalties = ("l2", "l1", "dropout", "clip_norm")
    parts += [f"{name} {_text(p[name])}" for name in penalties if p.get(name)]
    return ", ".join(parts)


def _text(value: Any) -> str:
    """A name or number, or those of each layer."""
    if isinstance(value, list):
        return "-".join(map(_text, value))
    return value if isinstance(value, str) else f"{value:g}"


def _with(optimizer: Optimizer, options: dict[str, Any], name: str) -> Optimizer:
    """The optimizer with a setting that is taken out of the options."""
    if name not in options:
        return optimizer
    value = options.pop(name)
    if name not in optimizer.settings():
        raise SpecError(f"{optimizer.name} has no {name}: give the space a dict of its own for it")
    return dataclasses.replace(optimizer, **{name: value})


def _values(name: str, given: Any) -> Any:
    """A distribution as it is; a list as a Choice; one value as a Choice of one."""
    _require_known(name)
    if hasattr(given, "rvs"):
        return given
    if isinstance(given, np.ndarray):
        given = given.tolist()
    values = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not values:
        raise SpecError(f"space: {name!r} has no values")
    if name == "hidden" and not all(isinstance(v, list | tuple) for v in values):
        raise SpecError(
            f"space: 'hidden' must be a list of lists of units, such as [[64], [64, 64]], "
            f"got {given!r}"
        )
    plain = tuple(_plain(value) for value in values)
    try:
        json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError):
        raise SpecError(
            f"space: {name!r} must hold names, numbers or lists of them, which a study can store, "
            f"got {given!r}"
        ) from None
    return Choice(plain)


def _require_known(name: str) -> None:
    if name not in _KNOWN:
        raise unknown_name("hyperparameter", name, _KNOWN)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it; fractions have 3 digits, so that what is shown is what was."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _describe(values: Any) -> Any:
    if isinstance(values, Choice):
        return list(values.values)
    name = getattr(getattr(values, "dist", None), "name", None)
    if name is None:
        return repr(values)
    settings = [f"{v:g}" for v in values.args] + [f"{k}={v:g}" for k, v in values.kwds.items()]
    return f"{name}({', '.join(settings)})"
