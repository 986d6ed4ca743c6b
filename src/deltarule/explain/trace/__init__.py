"""Every number of a few steps of gradient descent."""

from deltarule.explain.trace.data import trace_schema
from deltarule.explain.trace.report import Trace, trace

__all__ = [
    "Trace",
    "trace",
    "trace_schema",
]
