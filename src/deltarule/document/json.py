"""A result for programs: JSON knows no NaN, no infinity and no arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def write(value: Any, indent: int | None = None) -> str:
    """A result as JSON; every number reads back as the same float, null stands for NaN."""
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def plain(value: Any) -> Any:
    """Dicts, lists, and None for what JSON does not know: NaN and infinity."""
    match value:
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case np.ndarray():
            return _listed(value)
        case np.generic():
            return plain(value.item())
        case float() if not math.isfinite(value):
            return None
    return value


def _listed(array: np.ndarray[Any, Any]) -> Any:
    """Nested lists; of an array all at once, as it may have millions of numbers."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return array.tolist()
    listed = array.astype(object)
    listed[~np.isfinite(array)] = None
    return listed.tolist()
