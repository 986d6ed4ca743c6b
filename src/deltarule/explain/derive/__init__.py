"""The gradient of any parameter, step by step, in four notations, every step verified."""

from deltarule.explain.derive.report import Derivation, derive

__all__ = [
    "Derivation",
    "derive",
]
