"""How many threads the compiled engine may use."""

from __future__ import annotations

from deltarule.errors import SpecError

try:
    import deltarule._core as _core
except ImportError:  # built without the extension: NumPy's own threads are not ours to set
    _core = None  # type: ignore[assignment]  # a module, or none


def get_num_threads() -> int:
    """The most threads that large products are shared among.

    Unless `set_num_threads` was called, the smallest of OMP_NUM_THREADS, the CPUs that this process
    may run on, and its control group's CPU quota. The numbers do not depend on it: not a bit.
    """
    return 1 if _core is None else _core.get_num_threads()


def set_num_threads(n: int | None) -> None:
    """Use at most n threads from now on, in this process; None goes back to the default.

    Raises SpecError if n is not a whole number >= 1.
    """
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
        raise SpecError(f"the number of threads must be a whole number >= 1 or None, got {n!r}")
    if _core is not None:
        _core.set_num_threads(0 if n is None else n)
