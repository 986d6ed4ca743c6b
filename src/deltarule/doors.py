"""Names that open upward, or only when they are asked for: the one table of them.

A folder imports what lies below it. What a class offers of what lies above it (`Network.to_onnx`),
and public names that need slow imports, are found here when they are first used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

DOORS = {  # what opens upward, and where it is defined
    "onnx": "deltarule.exchange.onnx",
    "sklearn": "deltarule.exchange.sklearn",
    "torch": "deltarule.exchange.torch",
}

PUBLIC = {  # names of the package that need slow imports
    "Derivation": "deltarule.explain.derive",
    "MLPClassifier": "deltarule.estimators",
    "MLPRegressor": "deltarule.estimators",
    "Mistake": "deltarule.explain.check.mistakes",
    "Report": "deltarule.explain.check.report",
    "TableModel": "deltarule.tabular",
    "check_gradients": "deltarule.explain.gradients.check",
    "check_implementation": "deltarule.explain.check.implementation",
    "check_objective": "deltarule.explain.gradients.check",
    "check_worksheet": "deltarule.explain.check.worksheet",
    "count_products": "deltarule.explain.counts",
    "derive": "deltarule.explain.derive",
    "descent_check": "deltarule.explain.descent",
    "diagnose": "deltarule.explain.diagnose",
    "from_sklearn": "deltarule.exchange.sklearn",
    "from_torch": "deltarule.exchange.torch",
    "learning_curve": "deltarule.tuning",
    "notation_table": "deltarule.explain.notation_table",
    "testing": "deltarule.testing",
    "trace": "deltarule.explain.trace",
    "tune": "deltarule.tuning",
}

CALLBACKS = {"Diagnose": "deltarule.explain.diagnose.callback"}

SCHEMAS = {
    "trace_schema": "deltarule.explain.trace",
    "worksheet_schema": "deltarule.explain.check",
}


def through(door: str, name: str) -> Any:
    """A name of the module behind a door."""
    return getattr(import_module(DOORS[door]), name)


def loaded_when_used(package: str, where: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` for names that stand elsewhere; one may be a module itself."""

    def find(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(where[name])
        return module if where[name] == f"{package}.{name}" else getattr(module, name)

    return find
