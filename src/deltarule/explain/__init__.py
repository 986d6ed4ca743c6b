"""See, check and diagnose: readers of the reference equations, which cost training nothing."""

from deltarule.doors import SCHEMAS, loaded_when_used

__all__ = ["trace_schema", "worksheet_schema"]  # found by __getattr__

__getattr__ = loaded_when_used(__name__, SCHEMAS)
