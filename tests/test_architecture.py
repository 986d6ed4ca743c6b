"""The house: imports fall, nothing runs in a circle, every door opens, files stay readable."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import deltarule as dr
from deltarule import doors
from support.imports import ROOT, circles, imports, modules

#: From the ground up; a file imports only from its own folder and from floors below it.
FLOORS = [
    ["_core", "_version", "doors", "errors", "moved"],
    ["files", "options"],
    ["formula"],
    ["document"],
    ["equations"],
    ["engines"],
    ["network"],
    ["training"],
    ["tabular"],
    ["estimators"],
    ["exchange"],
    ["tuning"],
    ["explain"],
    ["callbacks", "table_model", "testing"],
    ["deltarule"],  # the package's own face
    ["cli"],
]
#: In `explain`, likewise; wings do not know each other.
EXPLAIN_FLOORS = [
    ["small_files"],
    ["network_file"],
    ["case"],
    ["descent_steps"],
    ["check", "counts", "derive", "descent", "diagnose", "gradients", "notation_table", "trace"],
    ["explain"],
]
TOP = Path(__file__).resolve().parents[1]
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60


def room(module: str, depth: int = 1) -> str:
    """The folder or file at that depth that a module stands in."""
    parts = module.split(".")
    return parts[min(depth, len(parts) - 1)]


def floor_of(floors: list[list[str]]) -> dict[str, int]:
    return {name: number for number, floor in enumerate(floors) for name in floor}


def test_every_room_has_a_floor() -> None:
    assert {room(name) for name in modules()} <= set(floor_of(FLOORS))


def test_imports_fall() -> None:
    floor = floor_of(FLOORS)
    running_up = [
        f"{name} imports {other}"
        for name, others in imports().items()
        for other in others
        if room(other) != room(name) and floor[room(other)] >= floor[room(name)]
    ]
    assert not running_up


def test_imports_fall_among_the_explanations() -> None:
    floor = floor_of(EXPLAIN_FLOORS)
    running_up = [
        f"{name} imports {other}"
        for name, others in imports().items()
        for other in others
        if room(name) == room(other) == "explain"
        and room(other, 2) != room(name, 2)
        and floor[room(other, 2)] >= floor[room(name, 2)]
    ]
    assert not running_up


def test_nothing_imports_in_a_circle() -> None:
    assert circles(imports()) == []


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert circles(graph) == [{"b", "c"}]


@pytest.mark.parametrize("table", ["PUBLIC", "CALLBACKS", "SCHEMAS"])
def test_every_door_of_a_name_opens(table: str) -> None:
    for name, module in getattr(doors, table).items():
        if module != f"deltarule.{name}":
            assert getattr(import_module(module), name) is not None


def test_the_doors_of_methods_open() -> None:
    for door, name in (("onnx", "to_onnx"), ("sklearn", "to_sklearn"), ("torch", "to_torch")):
        assert callable(doors.through(door, name))
    assert set(doors.DOORS) == {"onnx", "sklearn", "torch"}


def test_only_doors_import_by_a_name_made_at_run_time() -> None:
    found = [
        path.relative_to(ROOT).as_posix()
        for path in modules().values()
        if "import_module" in path.read_text(encoding="utf-8")
    ]
    assert found == ["doors.py", "moved.py"]


def test_the_package_lists_its_public_names_only() -> None:
    assert sorted(dir(dr)) == sorted([*dr.__all__, "__version__"])


def test_faces_define_nothing() -> None:
    allowed = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign, ast.If)
    for name, path in modules().items():
        if path.name == "__init__.py" and name != "deltarule":
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert all(isinstance(node, allowed) for node in body), name
            assigned = [node for node in body if isinstance(node, ast.Assign)]
            assert {ast.unparse(node.targets[0]) for node in assigned} <= {"__all__", "__getattr__"}


def test_importing_a_wing_loads_no_other() -> None:
    """A trace of a network waits for neither tables nor scikit-learn."""
    script = (
        "import sys, deltarule as dr; dr.trace;"
        "print(*sorted(m for m in sys.modules if m.startswith('deltarule.explain.')))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    wings = {name.split(".")[2] for name in out.stdout.split()}
    assert "trace" in wings
    assert not wings & {"check", "counts", "derive", "diagnose", "gradients"}


@pytest.mark.parametrize("path", modules().values(), ids=list(modules()))
def test_files_are_readable_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    long = [
        f"{name}: {lines} lines"
        for name, lines in _functions(path)
        if lines > MOST_LINES_OF_A_FUNCTION
    ]
    assert not long


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    """The functions of a file, and their lines without signature and docstring."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            body = node.body[1:] if is_doc else node.body
            if body:
                yield node.name, (node.end_lineno or 0) - body[0].lineno + 1


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/design.md", "native/README.md"])
def test_pages_about_the_house_name_files_that_exist(page: str) -> None:
    named = set(re.findall(r"`([\w/]+\.(?:py|hpp|cpp|css))`", (TOP / page).read_text("utf-8")))
    folders = (TOP / "src" / "deltarule", TOP / "native", TOP / "tests", TOP / "docs")
    there = {f"{TOP.name}/{p.relative_to(TOP).as_posix()}" for f in folders for p in f.rglob("*.*")}
    assert named
    assert [one for one in sorted(named) if not any(p.endswith(f"/{one}") for p in there)] == []


def test_files_that_the_code_names_are_there() -> None:
    """By their names alone, or from a folder above the file that names them."""
    package = TOP / "src" / "deltarule"
    lost = [
        f"{source.relative_to(package)}: {one}"
        for source in package.rglob("*.py")
        for one in re.findall(r"`([\w./]+\.py)`", source.read_text("utf-8"))
        if not any((at / one).exists() for at in source.parents)
    ]
    assert lost == []
