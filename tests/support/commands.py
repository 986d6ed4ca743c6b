"""The command line as tests use it: in this process, or as a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from deltarule.cli import app

IN_A_TERMINAL_OF_80 = {"COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "1"}


def run(*arguments: object) -> Result:
    """A command in this process; an error that is not a message fails the test."""
    result = CliRunner(env=IN_A_TERMINAL_OF_80).invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def ok(*arguments: object) -> Result:
    """A command that succeeds."""
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def as_json(*arguments: object) -> dict[str, Any]:
    """The one object on stdout; nothing else is printed."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    text = ok(*arguments, "--json").stdout
    value = json.loads(text, parse_constant=refuse)
    assert text.count("\n") == 1
    assert isinstance(value, dict)
    return value


def fails(*arguments: object) -> str:
    """The message of a command that fails and writes nothing."""
    before = {p: p.read_bytes() for p in Path().rglob("*") if p.is_file()}
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert {p: p.read_bytes() for p in Path().rglob("*") if p.is_file()} == before
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("error: ").strip()


def command_line(*arguments: object) -> list[str]:
    """What starts the program itself; a warning is an error there."""
    return [sys.executable, "-W", "error", "-m", "deltarule.cli", *map(str, arguments)]


def program(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The program itself, in a process of its own."""
    environment = os.environ | IN_A_TERMINAL_OF_80 | options.pop("env", {})
    command = command_line(*arguments)
    return subprocess.run(command, capture_output=True, timeout=300, env=environment, **options)
