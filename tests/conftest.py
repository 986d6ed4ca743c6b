"""For every test: the same random examples each time, a Ctrl-C that is heard, waits that end."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile(
    "deltarule", deadline=None, derandomize=True, database=None, max_examples=60
)
settings.load_profile("deltarule")

#: No test waits longer than so many seconds for anything; what it waits for takes a few at most.
PATIENCE = 300.0


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Python's own handler of Ctrl-C, here and in the programs that a test starts.

    Who starts the tests in the background may have it ignored, and what is ignored is inherited;
    a handler is not, so that a program started from here begins with the system's default.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a program whose output the test reads while it runs; it is killed if that takes long.

    Reading what a process writes has no limit of its own, but ends when the process does.
    """
    started: list[tuple[subprocess.Popen[str], threading.Timer]] = []

    def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        process = subprocess.Popen(command, text=True, **options)
        limit = threading.Timer(PATIENCE, process.kill)
        limit.daemon = True
        limit.start()
        started.append((process, limit))
        return process

    yield start
    for process, limit in started:
        limit.cancel()
        process.kill()
        process.communicate(timeout=PATIENCE)


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Waits until something is so; fails if it does not become so."""

    def wait(so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not so():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)

    return wait


class _Ticks:
    """A clock on which every look takes a second. Takes the place of the module `time`."""

    now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now

    perf_counter = monotonic


@pytest.fixture
def slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of a search: an epoch takes a second of it, however busy the machine."""
    clock = _Ticks()
    for module in ("run", "fitting", "progress"):
        monkeypatch.setattr(f"deltarule.tuning.{module}.time", clock)
