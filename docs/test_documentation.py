"""Runs what README and docs show, and compares what is printed with what they say.

A code block is run if the line before it is `<!-- run -->`: Python as a program, anything else line
by line in a shell, each page in a folder of its own. A plain block right after it is its output;
`...` there stands for anything. Links within the repository must lead to a file, and to a heading
in it.
"""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MARKDOWN = sorted(
    [*ROOT.glob("*.md"), *(p for name in ("docs", "native", "benchmarks", "examples", "tests")
                           for p in (ROOT / name).rglob("*.md"))]
)  # fmt: skip
FENCES = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
RUN = re.compile(
    r"<!-- run -->\n```(?P<language>\w*)\n(?P<code>.*?)\n```\n(?:\n```\n(?P<output>.*?)\n```\n)?",
    re.DOTALL,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_runs_as_printed(page: Path, tmp_path: Path) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }
    for block in RUN.finditer(page.read_text(encoding="utf-8")):
        code = block["code"]
        program = [sys.executable, "-W", "error", "-c", code]
        if block["language"] != "python":
            program = ["bash", "-euo", "pipefail", "-c", code]
        done = subprocess.run(
            program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{page.name}:\n{code}\n{done.stderr}"
        if block["output"] is not None:
            printed = [line.rstrip() for line in done.stdout.rstrip().splitlines()]
            expected = [line.rstrip() for line in block["output"].splitlines()]
            pattern = re.sub(r"([\[?*])", "[\\1]", "\n".join(expected)).replace("...", "*")
            assert fnmatch.fnmatchcase("\n".join(printed), pattern), (
                f"{page.name} prints\n{chr(10).join(printed)}\nbut shows\n{block['output']}"
            )


def anchors(page: Path) -> set[str]:
    """The fragments that lead to the headings of a page."""
    text = FENCES.sub("", page.read_text(encoding="utf-8"))
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.*?)\s*$", text, re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.append(name if name not in found else f"{name}-{found.count(name)}")
    return set(found)


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"`[^`\n]*`", "", FENCES.sub("", page.read_text(encoding="utf-8")))
    for target, _, fragment in re.findall(r"\]\(([^)#:]*)(#([^)]*))?\)", prose):
        leads_to = page.parent / target if target else page
        assert leads_to.exists(), f"{page.name} links to {target}"
        if fragment:
            assert fragment in anchors(leads_to), f"{page.name} links to {target}#{fragment}"


def test_index_links_to_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = re.findall(r"\]\(([^)#:]+)\)", index.read_text(encoding="utf-8"))
    there = {(index.parent / target).resolve() for target in linked}
    assert {page for page in index.parent.rglob("*.md") if page != index} <= there
