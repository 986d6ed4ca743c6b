"""Engines: one small interface, filled by the readable reference and by the compiled core."""

from __future__ import annotations

from deltarule.engines.base import Engine, Run, Steps
from deltarule.engines.reference import ReferenceEngine
from deltarule.errors import SpecError, unknown_name
from deltarule.network.network import Network

__all__ = ["Engine", "Run", "Steps", "engine_names", "get_engine"]

_ENGINES: dict[str, Engine] = {"reference": ReferenceEngine()}  # the fastest last
try:
    from deltarule.engines.native import NativeEngine
except ImportError:  # built without the extension: everything still runs, on the reference
    pass
else:
    _ENGINES["native"] = NativeEngine()


def engine_names() -> list[str]:
    """The engines that can be used here."""
    return list(_ENGINES)


def get_engine(name: str, net: Network) -> Engine:
    """The engine of that name for this network; "auto" is the fastest that supports it.

    Raises SpecError for an unknown name, or an engine that cannot run this network.
    """
    if name == "auto":
        return next(engine for engine in reversed(_ENGINES.values()) if engine.supports(net))
    if name not in _ENGINES:
        raise unknown_name("engine", name, ["auto", *_ENGINES])
    engine = _ENGINES[name]
    if not engine.supports(net):
        raise SpecError(
            f"the {name} engine cannot run {net!r} (own functions need engine='reference')"
        )
    return engine
