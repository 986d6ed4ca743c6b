"""Every number of a few steps of gradient descent."""

from deltarule.explain.trace.data import trace_schema
from deltarule.explain.trace.report import Trace, trace
from deltarule.explain.trace.steps import TracedPass, TracedStep

__all__ = [
    "Trace",
    "TracedPass",
    "TracedStep",
    "trace",
    "trace_schema",
]
