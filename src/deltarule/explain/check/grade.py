"""Someone's file graded: its function runs in a process of its own and is checked there.

The process has a limit of time and of memory, an empty working folder and no standard input; what
the file prints is thrown away. That protects from loops without end, from crashes and from a
machine out of memory. It is no prison: the code runs with the rights of whoever grades it. Files of
strangers belong into a container or a virtual machine.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltarule import options
from deltarule.errors import SpecError
from deltarule.explain.check.implementation import check_settings

_WORKER = "deltarule.explain.check.grade_worker"
# Enough for an answer with every number of a large network, too little to fill a disk.
_LONGEST_ANSWER = 50_000_000


@dataclass(frozen=True)
class Grade:
    """What became of one file.

    Attributes
    ----------
    file : str
    verdict : "right", "wrong", "error" or "limit"
        "error": it could not be loaded or called; "limit": it took too long or too much memory.
    message : str
        In one line: the first wrong number and the mistake, or the error.
    report : dict or None
        As `Report.to_dict` gives it; None if the function could not be checked.
    text : str
        The report for people; "" if there is none.
    seconds : float
        Wall time of the process.
    """

    file: str
    verdict: str
    message: str
    report: dict[str, Any] | None
    text: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the function is right."""
        return self.verdict == "right"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "file": self.file,
            "verdict": self.verdict,
            "message": self.message,
            "seconds": round(self.seconds, 3),
            "report": self.report,
        }


def grade(
    file: str | Path,
    function: str = "backprop",
    *,
    seconds: float = 30.0,
    megabytes: float = 4096,
    **settings: Any,
) -> Grade:
    """Run `check_implementation` on a function of a Python file, in a process of its own.

    Parameters
    ----------
    file : path of a .py file
    function : str, default "backprop"
        Its name in the file.
    seconds, megabytes : float > 0
        Limits of wall time, and of address space (not on Windows, which has no such limit).
    **settings
        Of `check_implementation`, as JSON can hold them: sizes, activation, loss, step, ...

    Raises
    ------
    SpecError
        There is no such file, a limit is not > 0, or the settings describe no network.
    """
    path = Path(file).resolve()
    if not path.is_file():
        raise SpecError(f"{file}: there is no such file")
    options.positive(None, seconds=seconds, megabytes=megabytes)
    check_settings(**settings)  # here, so that nobody is graded by a setting that is misspelt
    task = {
        "file": str(path),
        "function": function,
        "megabytes": float(megabytes),
        "settings": settings,
    }
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        work = Path(folder, "work")
        work.mkdir()
        ended = _run(task | {"answer": str(answer)}, work, seconds)
        taken = time.perf_counter() - start
        told = None
        if answer.is_file() and answer.stat().st_size <= _LONGEST_ANSWER:
            told = json.loads(answer.read_text(encoding="utf-8"))
    if told is None:
        verdict, message = _without_answer(ended, seconds, megabytes)
        return Grade(str(file), verdict, message, None, "", taken)
    return Grade(str(file), told["verdict"], told["message"], told["report"], told["text"], taken)


def grade_table(grades: Sequence[Grade]) -> str:
    """Several grades as CSV: file, verdict, first wrong number, mistakes, message, seconds."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["file", "verdict", "first_error", "mistakes", "message", "seconds"])
    for one in grades:
        report = one.report or {}
        first = report.get("first_error") or {}
        codes = " ".join(mistake["code"] for mistake in report.get("mistakes", []))
        rows.writerow(
            [
                one.file,
                one.verdict,
                first.get("where", ""),
                codes,
                one.message,
                f"{one.seconds:.2f}",
            ]
        )
    return text.getvalue()


def _run(task: dict[str, Any], work: Path, seconds: float) -> int | None:
    """The exit code of the worker; None if it was stopped after `seconds`."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV")
    }
    # a pool of threads for each library would take the address space that the code may have
    environment |= dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
        "1",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", _WORKER],
        cwd=work,
        env=environment | {"HOME": str(work), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that what it starts ends with it
    )
    try:
        process.communicate(json.dumps(task).encode(), timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(process)
    return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the process and everything that it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):  # all of it has ended
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _without_answer(ended: int | None, seconds: float, megabytes: float) -> tuple[str, str]:
    if ended is None:
        return "limit", f"stopped after {seconds:g} s"
    if ended == 0:
        return "error", "the file ended the process by itself (sys.exit)"
    how = f"signal {signal.Signals(-ended).name}" if ended < 0 else f"exit code {ended}"
    return "error", f"the process broke down ({how}); the limit of memory is {megabytes:g} MB"
