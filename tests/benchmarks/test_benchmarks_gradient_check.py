"""The benchmark of the gradient check runs, and finds what it should."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the benchmarks are not part of the installed package

from benchmarks import gradient_check  # noqa: E402  # needs ROOT


def test_no_alarm_on_right_networks(capsys: pytest.CaptureFixture[str]) -> None:
    gradient_check.main(["--networks", "60", "--parts", "right"])
    assert "| dr.check_gradients | 60 | 0 |" in capsys.readouterr().out


def test_planted_faults_are_found_with_layer_and_function(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gradient_check.main(["--networks", "60", "--parts", "planted"])
    printed = capsys.readouterr().out
    found = re.search(r"\| dr.check_gradients \| (\d+) \| (\d+) \| (\d+) \|", printed)
    assert found is not None
    assert min(map(int, found.groups())) >= 59
    usual = re.search(r"\| one fixed step \| (\d+) \|", printed)
    assert usual is not None
    assert int(usual[1]) < 60


def test_networks_are_what_they_are_said_to_be() -> None:
    right = list(gradient_check.networks(20, planted=False))
    assert all(layer == 0 for *_, layer in right)
    assert all(f.registered for net, *_ in right for f in net.activations)
    for net, X, _, layer in gradient_check.networks(20, planted=True):
        mine = [f.name == "mine" for f in net.activations] + [net.loss.name == "mine"]
        assert np.flatnonzero(mine).tolist() == [layer - 1]
        assert np.abs(X).max() < gradient_check.FAR


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(SystemExit):
        gradient_check.main(["--parts", "wrong"])
