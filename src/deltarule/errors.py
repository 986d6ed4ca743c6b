"""Every error that deltarule raises on purpose, so that one `except` clause can catch them all.

Each message says what was wrong, where (row, column, layer) and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable


class DeltaruleError(Exception):
    """Base class of all errors that deltarule raises on purpose."""


class SpecError(DeltaruleError, ValueError):
    """A network, loss, optimizer or option that cannot be built as described."""


class DataError(DeltaruleError, ValueError):
    """Data that cannot be used: wrong shape, missing or infinite values, labels out of range."""


class DerivativeError(SpecError):
    """A user's Activation or Loss whose derivative does not match its value."""


class ModelFileError(DeltaruleError, ValueError):
    """A file that is not a deltarule model, is damaged, or was written by a newer version."""


class OutputError(DeltaruleError, OSError):
    """A file that cannot be written. Nothing was written; a file that stood there still stands."""


class DivergenceError(DeltaruleError, FloatingPointError):
    """Training met a loss that is not finite. The network keeps its last good parameters.

    Attributes
    ----------
    epoch, batch, layer : int
        Where it happened; epoch and batch are counted from 1, layers from 1 to L.
    history : History
        What was recorded up to the last good epoch.
    """

    def __init__(
        self,
        message: str,
        *,
        epoch: int = 0,  # the defaults let it be unpickled, as from a worker process
        batch: int = 0,
        layer: int = 0,
        history: object = None,
    ) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.batch = batch
        self.layer = layer
        self.history = history


class NonFiniteParametersError(DivergenceError, ValueError):
    """A DivergenceError of an estimator: a ValueError too, as scikit-learn raises."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> SpecError:
    """The error for a name that no registry knows, with the nearest known one."""
    import difflib  # only a mistake needs it, so importing deltarule does not wait for it

    names = sorted(known)
    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return SpecError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names)}")
