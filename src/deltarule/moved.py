"""Modules of 0.1.0 under their old names, which its pickles hold, found where they are now.

A pickle names the module of each class. Nothing else may use these names; they are the ones that
occur in pickles, and a test loads one of each kind.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "activations": "equations.activations",
    "checkpoint": "training.checkpoint",
    "explain.counted": "explain.counts.counted",
    "explain.derivation": "explain.derive.report",
    "explain.derivation_numbers": "explain.derive.evaluate",
    "explain.derivation_rules": "explain.derive.steps",
    "explain.derivation_verify": "explain.derive.verify",
    "explain.diagnose_callback": "explain.diagnose.callback",
    "explain.diagnostics": "explain.diagnose.report",
    "explain.diagnostics_advice": "explain.diagnose.advice",
    "explain.diagnostics_findings": "explain.diagnose.findings",
    "explain.diagnostics_jacobian": "explain.diagnose.jacobian",
    "explain.diagnostics_measure": "explain.diagnose.measure",
    "explain.expression": "formula.expression",
    "explain.gradcheck_found": "explain.gradients.found",
    "explain.gradcheck_report": "explain.gradients.report",
    "explain.mistake": "explain.check.mistakes.mistake",
    "explain.notation": "formula.notation",
    "explain.product_counts": "explain.counts.report",
    "explain.report": "explain.check.report",
    "gradients": "network.gradients",
    "history": "training.history",
    "losses": "equations.losses",
    "optimizers": "equations.optimizers",
    "params": "equations.params",
    "schedules": "equations.schedules",
}


class MovedModules(MetaPathFinder, Loader):
    """Finds `deltarule.<old name>` as the module that it has become."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of a module that has moved; None for any other."""
        known = name.startswith("deltarule.") and name.removeprefix("deltarule.") in MOVED
        return ModuleSpec(name, self) if known else None

    def create_module(self, spec: ModuleSpec) -> None:
        """An empty module, as by default; `exec_module` puts the real one in its place."""

    def exec_module(self, module: ModuleType) -> None:
        """The real module stands under the old name too."""
        now = MOVED[module.__name__.removeprefix("deltarule.")]
        sys.modules[module.__name__] = import_module(f"deltarule.{now}")
