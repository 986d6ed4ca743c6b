"""No test waits without a limit, and none asks how long something took."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
FILES = sorted([*TESTS.rglob("*.py"), *(TESTS.parent / "docs").rglob("*.py")])
#: What reads a clock; `spawn` and `until` in conftest.py do, to end a wait.
CLOCKS = {"monotonic", "perf_counter", "process_time", "time"}
RUNS = {"run", "check_output", "check_call", "call"}


def calls(path: Path) -> Iterator[tuple[str, str, ast.Call]]:
    """(what it is called on, its name, the call), of every call of a method in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield ast.unparse(node.func.value), node.func.attr, node


def endless(on: str, name: str, call: ast.Call) -> bool:
    """Whether a call waits for a process, a thread or an event with no limit."""
    limited = any(keyword.arg == "timeout" for keyword in call.keywords)
    if on == "subprocess" and name in RUNS:
        return not limited
    return name in ("communicate", "wait", "join") and not call.args and not limited


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_wait_has_a_limit(path: Path) -> None:
    assert [ast.unparse(call) for on, name, call in calls(path) if endless(on, name, call)] == []


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name != "conftest.py"], ids=lambda path: path.name
)
def test_no_test_reads_a_clock(path: Path) -> None:
    found = [ast.unparse(call) for on, name, call in calls(path) if on == "time" and name in CLOCKS]
    assert found == []
