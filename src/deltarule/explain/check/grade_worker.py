"""The process in which `grade.py` runs someone's file: limits first, then the file, then the check.

The task comes as JSON on standard input; the answer goes into a file, whole or not at all.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deltarule.errors import DeltaruleError
from deltarule.explain.check.implementation import check_implementation
from deltarule.explain.check.report import Report


def limit_memory(megabytes: float) -> None:
    """No more address space than this; nothing where the system has no such limit."""
    try:
        import resource
    except ImportError:  # Windows
        return
    size = int(megabytes * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def load_function(file: str, name: str) -> Callable[..., Any]:
    """The function of that name in a Python file. Raises LookupError with what there is."""
    path = Path(file)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise LookupError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent))  # it may import its neighbours
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if callable(found):
        return found  # type: ignore[no-any-return]  # whatever it returns is checked
    own = [
        key
        for key, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == path.stem
    ]
    raise LookupError(
        f"there is no function {name!r}; the file has {', '.join(own) or 'no function at all'}"
    )


def answer_for(task: dict[str, Any]) -> dict[str, Any]:
    """The verdict on one file; never raises."""
    try:
        function = load_function(task["file"], task["function"])
        report = check_implementation(function, **task["settings"])
    except MemoryError:
        return _failed("limit", "it needs more memory than it may have")
    except (DeltaruleError, LookupError) as error:
        return _failed("error", str(error.args[0] if error.args else error))
    except BaseException as error:  # someone else's code: anything may come out, SystemExit too
        return _failed("error", f"{type(error).__name__}: {error}{_line(task['file'])}")
    return {
        "verdict": "right" if report.ok else "wrong",
        "message": _in_a_line(report),
        "report": report.to_dict(),
        "text": report.to_text(),
    }


def _failed(verdict: str, message: str) -> dict[str, Any]:
    return {"verdict": verdict, "message": message, "report": None, "text": ""}


def _line(file: str) -> str:
    """Where in the file the error came from."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(sys.exc_info()[2])
        if os.path.realpath(frame.filename) == os.path.realpath(file)
    ]
    return f" (line {lines[-1]})" if lines else ""


def _in_a_line(report: Report) -> str:
    if report.first_error is None:
        return "right"
    first = f"the first wrong number is the {report.first_error.where}"
    if not report.mistakes or report.unexplained:
        return f"{first}; no mistake of the catalogue explains all"
    return f"{'; '.join(one.sentence for one in report.mistakes)}; {first}"


def main() -> None:
    """Read the task, check, write the answer."""
    task = json.load(sys.stdin)
    limit_memory(task["megabytes"])
    text = json.dumps(answer_for(task))
    part = Path(f"{task['answer']}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(task["answer"])


if __name__ == "__main__":
    main()
