"""scikit-learn's own tests of its MLP, run here with our classes in the place of theirs.

The file comes with the installed scikit-learn. Its source is executed as a fresh module while
`sklearn.neural_network` gives our classes, so that its decorators and its bodies see ours; its
tests are then collected as tests of this module. It runs under this project's own rule that a
warning is an error, which is stricter than the rule it is written for.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sklearn
import sklearn.neural_network as theirs

import deltarule as dr

THEIR_FILE = Path(theirs.__path__[0]) / "tests" / "test_mlp.py"

# Tests that cannot apply: each needs a private attribute of their implementation.
CANNOT_APPLY = {
    "test_gradient": "calls _loss_grad_lbfgs(packed, X, y, None, activations, deltas, ...), their "
    "private signature with scratch lists; test_inspection.py holds our gradients to differences"
}
# Tests of the releases before 1.9 that ask for what a later release calls a mistake.
CHANGED_LATER: dict[tuple[str, str], str] = {}


def load_with_ours() -> ModuleType:
    """Their test file as a module in which MLPClassifier and MLPRegressor are ours."""
    spec = importlib.util.spec_from_file_location("scikit_learn_test_mlp", THEIR_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "MLPClassifier", dr.MLPClassifier)
        patch.setattr(theirs, "MLPRegressor", dr.MLPRegressor)
        spec.loader.exec_module(module)
    return module


if not THEIR_FILE.exists():  # distributions may leave tests out of their packages
    pytest.skip("this scikit-learn comes without its tests", allow_module_level=True)

SUITE = load_with_ours()
RELEASE = ".".join(sklearn.__version__.split(".")[:2])


def _ours(name: str, test: Callable[..., Any]) -> Callable[..., Any]:
    reason = CANNOT_APPLY.get(name) or CHANGED_LATER.get((RELEASE, name))
    return pytest.mark.skip(reason=reason)(test) if reason else test


globals().update(
    {name: _ours(name, test) for name, test in vars(SUITE).items() if name.startswith("test_")}
)


@pytest.fixture
def global_random_seed() -> int:
    """scikit-learn's fixture of that name, with its default value."""
    return 42


def test_the_whole_suite_is_collected_with_our_classes() -> None:
    assert SUITE.MLPClassifier is dr.MLPClassifier
    assert SUITE.MLPRegressor is dr.MLPRegressor
    assert theirs.MLPClassifier is not dr.MLPClassifier, "the patch has been undone"
    defined = set(re.findall(r"^def (test_\w+)", THEIR_FILE.read_text(), flags=re.MULTILINE))
    assert len(defined) >= 35
    assert defined <= set(globals())
    assert set(CANNOT_APPLY) <= defined
