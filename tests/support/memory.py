"""How much memory this process has used at its peak."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

_resource: ModuleType | None
try:
    _resource = importlib.import_module("resource")
except ImportError:  # Windows
    _resource = None


def peak_kib() -> float:
    """In KiB; 0 where the system does not tell, so that nothing seems to grow."""
    if _resource is None:
        return 0.0
    peak = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss
    return float(peak / 1024 if sys.platform == "darwin" else peak)
