"""What runs elsewhere, in CI and for releases, calls commands and files that exist here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TARGETS = set(re.findall(r"^(\w+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    assert isinstance(found, dict)
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(path).values():
        yield from job["steps"]


def targets(command: str) -> set[str]:
    """What a command asks make for."""
    lines = re.findall(r"\bmake ([\w ]+)$", command, re.M)
    return {target for line in lines for target in line.split()}


def test_there_are_workflows_for_tests_and_wheels() -> None:
    assert [path.name for path in WORKFLOWS] == ["tests.yml", "wheels.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_do_little_and_end(path: Path) -> None:
    flow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert flow["permissions"] == {"contents": "read"}
    assert "group" in flow["concurrency"]
    for name, job in jobs(path).items():
        assert 0 < job["timeout-minutes"] <= 90, name
        assert set(job.get("needs", ())) <= set(jobs(path))
        if "permissions" in job:
            assert (name, job["permissions"]) == ("publish", {"id-token": "write"})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_commands_exist(path: Path) -> None:
    for step in steps(path):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+(\.\d+)*|release/v\d+)", step["uses"])
        assert targets(step.get("run", "")) <= TARGETS
        extra = re.search(r'pip install .*"\.\[(\w+)\]"', step.get("run", ""))
        assert extra is None or extra[1] in PROJECT["project"]["optional-dependencies"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_is_taken_from_the_matrix_is_there(path: Path) -> None:
    for job in jobs(path).values():
        matrix = job.get("strategy", {}).get("matrix", {})
        rows = matrix.get("include", [matrix])
        for name in re.findall(r"matrix\.(\w+)", str(job)):
            assert all(name in row for row in rows), name


def test_tests_run_on_every_system_and_python() -> None:
    matrix = jobs(ROOT / ".github" / "workflows" / "tests.yml")["tests"]["strategy"]["matrix"]
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert matrix["python"][0] == oldest


def test_the_tests_of_built_wheels_are_there() -> None:
    command = PROJECT["tool"]["cibuildwheel"]["test-command"]
    paths = re.findall(r"\{project\}/(\S+)", command)
    assert paths
    assert all((ROOT / path).exists() for path in paths)
    extras = set(PROJECT["tool"]["cibuildwheel"]["test-extras"])
    assert extras <= set(PROJECT["project"]["optional-dependencies"])
    tests = re.findall(r"\btests/[\w/.]+", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert tests
    assert all((ROOT / path).exists() for path in tests)


def test_ci_here_calls_what_the_makefile_has() -> None:
    assert targets((ROOT / ".ci" / "run").read_text(encoding="utf-8")) == {"check"} <= TARGETS
