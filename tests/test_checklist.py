"""docs/checklist.md: every id that code, docs and tests name has a row, every row has a test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHECKLIST = ROOT / "docs" / "checklist.md"
#: id -> its line in the table.
ROWS = dict(re.findall(r"^\| ([A-DX]\d+) (\|.*)$", CHECKLIST.read_text(encoding="utf-8"), re.M))

_RANGE = re.compile(r"\b([A-DX])(\d{1,2})(?:(?:-| to )\1(\d{1,2}))?\b")
_IN_PROSE = re.compile(r"SPEC ([A-DX]\d[^.]*)")  # "SPEC A3, B4 and D2 to D5"
_IN_TESTS = re.compile(r"# (?:-- )?((?:[A-DX]\d+(?:, | |$|:))+)", re.M)  # "# A3, B4"
_IN_HEADINGS = re.compile(r"^#+ .*\(([A-DX]\d.*)\)$", re.M)  # "## The network (B1, B2)"


def ids(text: str) -> Iterator[str]:
    """The ids of a list of them, ranges written out."""
    for letter, first, last in _RANGE.findall(text):
        yield from (f"{letter}{i}" for i in range(int(first), int(last or first) + 1))


def marks(path: Path) -> set[str]:
    """The ids that a file names."""
    text = path.read_text(encoding="utf-8")
    found = _IN_PROSE.findall(text)
    if path.suffix == ".md":
        found += _IN_HEADINGS.findall(text)
    if path.is_relative_to(ROOT / "tests"):
        found += _IN_TESTS.findall(text)
    return {one for part in found for one in ids(part)}


def files(*suffixes: str) -> list[Path]:
    folders = (ROOT / name for name in ("src", "native", "docs", "tests", "benchmarks", "examples"))
    return [p for folder in folders for p in folder.rglob("*") if p.suffix in suffixes]


def test_every_id_that_is_named_has_a_row() -> None:
    named = {
        (one, str(path.relative_to(ROOT)))
        for path in files(".py", ".md", ".hpp", ".cpp")
        if path != Path(__file__)
        for one in marks(path)
    }
    assert len(named) > 200
    assert {pair for pair in named if pair[0] not in ROWS} == set()


@pytest.mark.parametrize("row", ROWS)
def test_every_row_names_its_code_and_tests_that_cover_it(row: str) -> None:
    paths = [(CHECKLIST.parent / p).resolve() for p in re.findall(r"\]\(([^)]+)\)", ROWS[row])]
    assert [p for p in paths if not p.is_file()] == []
    covering = [p for p in paths if p.is_relative_to(ROOT / "tests")]
    assert covering
    assert len(covering) < len(paths)
    assert [str(p) for p in covering if row not in marks(p)] == []
