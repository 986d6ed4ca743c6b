"""Ctrl-C during training: the first one asks for a clean end, the second one insists."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np
from numpy.typing import NDArray


@contextmanager
def stop_on_ctrl_c(stop: NDArray[np.uint8]) -> Iterator[None]:
    """While inside, the first Ctrl-C sets stop[0] = 1 instead of raising KeyboardInterrupt.

    Only in the main thread and only if Python's own handler is in place: a program that handles
    SIGINT itself keeps doing so.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def handler(signum: int, frame: FrameType | None) -> None:
        stop[0] = 1
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
