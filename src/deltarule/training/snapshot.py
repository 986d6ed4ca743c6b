"""A copy of large parameters in memory that is kept from run to run.

Every run keeps the last good parameters aside. Memory that is new to a process is several times
slower than the copy itself, so what one run is done with, the next one takes. Meanwhile the system
may have it (MADV_FREE) if it runs short.
"""

from __future__ import annotations

import mmap

import numpy as np

from deltarule.equations.params import Array

_WORTH_KEEPING = 1 << 22  # bytes; smaller memory comes from malloc, which keeps it by itself
_CAN_LEND = hasattr(mmap, "MADV_FREE")

_idle: list[mmap.mmap] = []  # at most one


class Snapshot:
    """Holds a copy of a flat vector; `release` ends its use."""

    def __init__(self, values: Array) -> None:
        self._memory: mmap.mmap | None = None
        if _CAN_LEND and values.nbytes >= _WORTH_KEEPING:
            self._memory = _take(values.nbytes)
            self.values: Array = np.frombuffer(self._memory, values.dtype, values.size)
        else:
            self.values = np.empty_like(values)
        self.update(values)

    def update(self, values: Array) -> None:
        """Copy the vector as it is now."""
        np.copyto(self.values, values)

    def release(self) -> None:
        """Give the memory back; `values` are gone."""
        self.values = np.empty(0, self.values.dtype)
        if self._memory is not None:
            self._memory.madvise(mmap.MADV_FREE)
            _idle[:] = [self._memory]
            self._memory = None


def _take(size: int) -> mmap.mmap:
    """The idle memory if its size fits, else new."""
    try:
        memory = _idle.pop()
    except IndexError:
        memory = None
    if memory is not None and len(memory) == size:
        return memory
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory
