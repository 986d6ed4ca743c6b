"""The examples do what they and the docs say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sklearn
from sklearn.neural_network import MLPRegressor

ROOT = Path(__file__).resolve().parents[2]
GRADIENT = ROOT / "examples" / "scikit_learn_gradient.py"
ROW = re.compile(r"^(\w+(?:, \d \w+)?) +(\d) +(\d+) +(\d\.\d{5}) +(\d\.\d{5}) +(\de-\d\d)$", re.M)
FIT = re.compile(
    r"^ *(\S+)  (scikit-learn|deltarule) +(\d+)  (.+?)  +(\d\.\d{4}) +(-?\d\.\d{4})$", re.M
)
HAS_POISSON = "loss" in MLPRegressor().get_params()  # from scikit-learn 1.7 on
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # small products


@pytest.fixture(scope="module")
def printed() -> str:
    """What the script prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(GRADIENT)],
        capture_output=True, text=True, timeout=300, check=False, env=ONE_THREAD,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(text: str) -> dict[tuple[str, int], tuple[float, float]]:
    """(loss, outputs) -> (ratio, ratio of the penalty)."""
    return {(loss, int(k)): (float(r), float(p)) for loss, k, _, r, p, _ in ROW.findall(text)}


def test_the_gradient_of_scikit_learn_is_that_of_its_loss_but_for_squared_error(
    printed: str,
) -> None:
    theirs = rows(printed.partition("\ndeltarule ")[0])
    assert len(theirs) == 12 - 4 * (not HAS_POISSON)
    wrong = {key: pair for key, pair in theirs.items() if pair != (1.0, 1.0)}
    if wrong:  # a version that mended it has nothing here
        assert wrong == {("squared_error", k): (float(k), 1.0) for k in (2, 3, 5)}
    assert bool(wrong) or sklearn.__version__ != "1.9.1"


def test_the_gradient_of_deltarule_is_that_of_its_loss(printed: str) -> None:
    ours = rows(printed.partition("\ndeltarule ")[2])
    assert len(ours) == 12
    assert set(ours.values()) == {(1.0, 1.0)}


def test_lbfgs_ends_lower_with_the_right_gradient(printed: str) -> None:
    fits = {(alpha, name): (end, float(C)) for alpha, name, _, end, C, _ in FIT.findall(printed)}
    assert len(fits) == 8
    for alpha in ("0.0001", "0.1", "1", "10"):
        end, minimized = fits[alpha, "deltarule"]
        assert "failed" not in end
        assert minimized < 1.02 * fits[alpha, "scikit-learn"][1]
    if sklearn.__version__ == "1.9.1":
        assert fits["1", "scikit-learn"][0] == "line search failed"
        assert fits["1", "deltarule"][1] < 0.85 * fits["1", "scikit-learn"][1]


def test_the_page_shows_the_table_that_the_script_prints(printed: str) -> None:
    page = (ROOT / "docs" / "documents" / "scikit_learn_gradient.md").read_text(encoding="utf-8")
    assert len(rows(page)) == 12
    if f"scikit-learn {sklearn.__version__}:" in page:
        assert rows(page) == rows(printed.partition("\ndeltarule ")[0])


def test_the_proof_needs_no_deltarule() -> None:
    alone = (
        "import runpy, sys; sys.modules['deltarule'] = None; "
        f"runpy.run_path({str(GRADIENT)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", alone],
        capture_output=True, text=True, timeout=300, check=False, env=ONE_THREAD,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(rows(done.stdout)) == 12 - 4 * (not HAS_POISSON)
    assert done.stdout.rstrip().endswith("deltarule is not installed here: the rest is left out.")
