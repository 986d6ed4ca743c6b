"""The example that checks scikit-learn's gradient says what the docs say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sklearn

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "check_scikit_learn.py"
ROW = re.compile(r"^(\w+(?:, \d \w+)?) +(\d) outputs?  +(.+)$", re.M)


def rows(text: str) -> dict[tuple[str, int], str]:
    return {(loss, int(k)): said for loss, k, said in ROW.findall(text)}


@pytest.fixture(scope="module")
def printed() -> str:
    one_thread = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE)],
        capture_output=True, text=True, timeout=300, check=False, env=one_thread,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_squared_error_is_off_by_the_number_of_outputs_and_nothing_else_is(printed: str) -> None:
    found = rows(printed)
    assert len(found) == 12
    wrong = {key: said for key, said in found.items() if not said.startswith("All ")}
    if wrong:  # a version that mended it has nothing here
        assert wrong == {
            ("squared_error", k): f"The analytic gradient is {k} times the numeric one in every "
            "coordinate."
            for k in (2, 3, 5)
        }
    assert bool(wrong) or sklearn.__version__ != "1.9.1"


def test_the_page_shows_what_the_script_prints(printed: str) -> None:
    page = (ROOT / "docs" / "explain" / "gradient_check.md").read_text(encoding="utf-8")
    assert len(rows(page)) == 12
    if f"scikit-learn {sklearn.__version__}\n" in page:
        assert rows(page) == rows(printed)
