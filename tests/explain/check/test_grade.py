"""Grading files: every way that a file can go wrong ends in a verdict, within its limits."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import deltarule as dr
from deltarule.cli.main import app
from deltarule.explain.check.grade import grade, grade_table

RIGHT = """
import numpy as np
print("hello")  # a file may print

def backprop(weights, biases, X, Y):
    a = [X]
    for l, (W, b) in enumerate(zip(weights, biases)):
        z = a[-1] @ W + b
        a.append(np.tanh(z) if l < len(weights) - 1 else z)
    delta, gW, gb = (a[-1] - Y) / len(X), [], []
    for l in range(len(weights) - 1, -1, -1):
        gW.insert(0, a[l].T @ delta)
        gb.insert(0, delta.sum(0))
        if l:
            delta = (delta @ weights[l].T) * (1 - a[l] ** 2)
    return gW, gb
"""


def file(tmp_path: Path, text: str, name: str = "submission.py") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_right_file(tmp_path: Path) -> None:
    found = grade(file(tmp_path, RIGHT))
    assert found.ok
    assert found.report is not None
    assert found.report["ok"]


def test_a_wrong_file_gets_its_mistake(tmp_path: Path) -> None:
    found = grade(file(tmp_path, RIGHT.replace("1 - a[l] ** 2", "1 - a[l]")))
    assert found.verdict == "wrong"
    assert found.message.startswith("the slope of all layers was computed as 1 - a")
    assert "wrong_slope_formula" in found.text


@pytest.mark.parametrize(
    ("text", "verdict", "says"),
    [
        ("def backprop(a, b, c, d):\n    while True: pass", "limit", "stopped after 3 s"),
        ("def backprop(a, b, c, d):\n    return bytearray(10**11)", "limit", "memory"),
        ("def other(a): pass", "error", "there is no function 'backprop'; the file has other"),
        ("x = 1", "error", "no function at all"),
        ("def backprop(:", "error", "SyntaxError"),
        ("import nothing_of_that_name", "error", "ModuleNotFoundError"),
        ("\n\nraise ValueError('oh')", "error", r"ValueError: oh \(line 3\)"),
        ("raise SystemExit", "error", "SystemExit"),
        ("import os\nos._exit(0)", "error", "ended the process by itself"),
        ("import os\nos.abort()", "error", "SIGABRT"),
        ("def backprop(a, b, c, d):\n    return 1", "error", "must return two lists"),
        ("def backprop(a, b, c, d):\n    return a.x", "error", r"no attribute 'x' \(line 2\)"),
    ],
)
def test_whatever_happens_there_is_a_verdict(
    tmp_path: Path, text: str, verdict: str, says: str
) -> None:
    found = grade(file(tmp_path, text), seconds=3 if says.startswith("stopped") else 300)
    assert found.verdict == verdict
    assert re.search(says, found.message), found.message


def running(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("ends", ["by itself", "by the limit"])
def test_what_it_starts_ends_with_it(
    ends: str, tmp_path: Path, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "pid"
    text = (
        "import subprocess, sys, time\n"
        "def backprop(a, b, c, d):\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"    open({str(told)!r}, 'w').write(f'{{child.pid}}.')\n"
        f"    time.sleep({0 if ends == 'by itself' else 600})\n"
    )

    def reach_the_limit(self: Any, task: bytes, timeout: float) -> None:
        self.stdin.write(task)
        self.stdin.close()
        until(lambda: told.exists() and told.read_text().endswith("."))
        raise subprocess.TimeoutExpired(self.args, timeout)

    if ends == "by the limit":
        monkeypatch.setattr(subprocess.Popen, "communicate", reach_the_limit)
    found = grade(file(tmp_path, text), seconds=300)
    assert found.verdict == ("error" if ends == "by itself" else "limit")
    pid = int(told.read_text().removesuffix("."))
    until(lambda: not running(pid))  # a killed process takes a moment to end


def test_settings_reach_the_check(tmp_path: Path) -> None:
    text = RIGHT.replace("np.tanh(z)", "np.maximum(z, 0)").replace("1 - a[l] ** 2", "(a[l] > 0)")
    assert grade(file(tmp_path, text), activation="relu", sizes=[3, 4, 2]).ok


def test_bad_calls(tmp_path: Path) -> None:
    with pytest.raises(dr.SpecError, match="there is no such file"):
        grade(tmp_path / "none.py")
    with pytest.raises(dr.SpecError, match="seconds must be"):
        grade(file(tmp_path, RIGHT), seconds=0)
    for setting in ({"activation": "tanhh"}, {"sizes": [3]}, {"reduction": "median"}):
        with pytest.raises(dr.SpecError):  # not the fault of the file
            grade(file(tmp_path, RIGHT), **setting)


def test_the_command(tmp_path: Path) -> None:
    right = file(tmp_path, RIGHT)
    wrong = file(tmp_path, RIGHT.replace("(a[-1] - Y)", "(Y - a[-1])"), "wrong.py")
    run = CliRunner()
    one = run.invoke(app, ["grade", str(right)])
    assert one.exit_code == 0
    assert "All 51 numbers are right." in one.stdout
    several = run.invoke(app, ["grade", str(right), str(wrong)])
    assert several.exit_code == 1
    rows = list(csv.DictReader(io.StringIO(several.stdout)))
    assert [row["verdict"] for row in rows] == ["right", "wrong"]
    assert rows[1]["mistakes"] == "output_error_sign"
    told = run.invoke(app, ["grade", str(wrong), "--json"])
    assert json.loads(told.stdout)["grades"][0]["report"]["mistakes"][0]["code"] == (
        "output_error_sign"
    )


def test_a_missing_file_is_told_before_any_is_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    first = file(tmp_path, f"open({str(ran)!r}, 'w')\n{RIGHT}")
    done = CliRunner().invoke(app, ["grade", str(first), str(tmp_path / "none.py")])
    assert done.exit_code == 1
    assert "none.py: there is no such file" in done.stderr
    assert not ran.exists()


def test_the_table_quotes_what_needs_it(tmp_path: Path) -> None:
    table = grade_table([grade(file(tmp_path, "x = 1", "a,b.py"))])
    assert next(csv.DictReader(io.StringIO(table)))["file"].endswith("a,b.py")
