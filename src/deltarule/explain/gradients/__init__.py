"""Derivatives against finite differences."""

from deltarule.explain.gradients.check import check_gradients, check_objective
from deltarule.explain.gradients.report import GradientCheck

__all__ = [
    "GradientCheck",
    "check_gradients",
    "check_objective",
]
