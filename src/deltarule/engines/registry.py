"""The engines that there are here, and which of them runs a network."""

from __future__ import annotations

from deltarule.engines.base import Engine
from deltarule.engines.reference import ReferenceEngine
from deltarule.equations.params import Array
from deltarule.equations.spec import Spec
from deltarule.errors import SpecError, unknown_name

__all__ = ["engine_names", "get_engine", "predict_plain"]

_ENGINES: dict[str, Engine] = {"reference": ReferenceEngine()}  # the fastest last
try:
    from deltarule.engines.native import NativeEngine, predict_plain
except ImportError:  # built without the extension: everything still runs, on the reference

    def predict_plain(spec: Spec, theta: Array, X: Array) -> Array | None:
        """A shorter way to a_L, which only the compiled engine has."""
        return None

else:
    _ENGINES["native"] = NativeEngine()


def engine_names() -> list[str]:
    """The engines that can be used here."""
    return list(_ENGINES)


def get_engine(name: str, spec: Spec) -> Engine:
    """The engine of that name for a network; "auto" is the fastest that supports it.

    Raises SpecError for an unknown name, or an engine that cannot run this network.
    """
    if not isinstance(name, str) or name not in ("auto", *_ENGINES):
        raise unknown_name("engine", name, ["auto", *_ENGINES])
    if name == "auto":
        return next(engine for engine in reversed(_ENGINES.values()) if engine.supports(spec))
    engine = _ENGINES[name]
    if not engine.supports(spec):
        raise SpecError(
            f"the {name} engine cannot run Network({spec.describe()}) "
            "(own functions need engine='reference')"
        )
    return engine
