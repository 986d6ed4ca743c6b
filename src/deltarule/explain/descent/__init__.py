"""Whether a step against the gradient does what the first order promises."""

from deltarule.explain.descent.report import DescentCheck, descent_check
from deltarule.explain.descent.step import DescentStep

__all__ = [
    "DescentCheck",
    "DescentStep",
    "descent_check",
]
