"""One thread for SciPy's BLAS: L-BFGS works on short vectors, for which more only wait.

With the four threads of four cores that others used as well, SciPy's minimizer took 16 ms for an
iteration over 601 parameters; with one thread 0.2 ms.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()


@functools.cache
def _of_scipy() -> Any:
    """Controls of the BLAS that SciPy calls; NumPy's own, where it has one, keeps its threads."""
    from threadpoolctl import ThreadpoolController  # slow to import and only needed here

    loaded = ThreadpoolController()
    paths = [library.filepath for library in loaded.lib_controllers]
    return loaded.select(filepath=[path for path in paths if "numpy.libs" not in path])


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let SciPy's BLAS use one thread until this thread of Python leaves again.

    The number is one for the whole process: only the first of the threads that come together sets
    it, and only that one gives it back. Call with `scipy.optimize` imported.
    """
    if not _lock.acquire(blocking=False):
        yield
        return
    try:
        with _of_scipy().limit(limits=1, user_api="blas"):
            yield
    finally:
        _lock.release()
