"""Engines: one small interface, filled by the readable reference and by the compiled core."""

from deltarule.engines.base import Engine, Run, Steps
from deltarule.engines.registry import engine_names, get_engine, predict_plain
from deltarule.engines.threads import get_num_threads, set_num_threads

__all__ = [
    "Engine",
    "Run",
    "Steps",
    "engine_names",
    "get_engine",
    "get_num_threads",
    "predict_plain",
    "set_num_threads",
]
