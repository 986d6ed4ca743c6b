"""Runs what README and docs show, and compares what is printed with what they say.

A code block is run if the line before it is `<!-- run -->`: Python as a program, anything else line
by line in a shell, each page in a folder of its own. A plain block right after it is its output;
`...` there stands for anything. Local links must lead somewhere.
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
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = re.compile(
    r"<!-- run -->\n```(?P<language>\w*)\n(?P<code>.*?)\n```\n(?:\n```\n(?P<output>.*?)\n```\n)?",
    re.DOTALL,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_local_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
