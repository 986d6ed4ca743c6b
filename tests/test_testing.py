"""Assertions for the test suites of others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

import deltarule as dr
from deltarule.equations.activations import get_activation
from deltarule.testing import assert_backprop, assert_gradients

pytest_plugins = ["pytester"]


def broken() -> dr.Network:
    tanh = get_activation("tanh")
    own = replace(tanh, name="mine", df=lambda z: tanh.df(z) + 0.1)
    return dr.Network([3, 4, 2], own, rng=0, check_derivatives=False)


def test_right_gradients_pass_and_are_returned() -> None:
    net = dr.Network([3, 4, 2], "tanh", rng=0)
    assert assert_gradients(net).ok
    assert assert_gradients(net, np.ones((2, 3)), np.ones((2, 2)), reduction="sum").ok
    report = dr.testing.assert_gradients(rosen, rosen_der, np.array([0.3, 1.2]))
    assert report.term("theta").checked == 2


def test_wrong_ones_fail_with_the_report() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_gradients(broken())
    message = str(caught.value)
    assert "numbers are wrong, by dr.backward" in message
    assert "Layer 1: the slope of 'mine'" in message
    with pytest.raises(AssertionError, match="3 times the numeric one"):
        assert_gradients(rosen, lambda t: 3 * rosen_der(t), np.array([0.3, 1.2]))


def test_what_cannot_be_measured_fails_too() -> None:
    with pytest.raises(AssertionError, match="Nothing could be measured"):
        assert_gradients(lambda t: np.abs(t).sum(), lambda t: 0.5 + 0 * t, np.zeros(3))


def test_what_does_not_fit_is_an_error_and_not_a_failure() -> None:
    with pytest.raises(dr.SpecError):
        assert_gradients(rosen, lambda t: t[:1], np.array([0.3, 1.2]))


def test_a_failing_test_of_a_user_ends_at_his_own_line(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = Path(dr.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", str(src), prepend=":")
    pytester.makepyfile(
        """
        import numpy as np
        from deltarule.testing import assert_backprop, assert_gradients

        def test_mine():
            assert_gradients(lambda t: (t ** 2).sum(), lambda t: t, np.array([1.0, 2.0]))
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [">*assert_gradients(lambda*", "E*All 2 numbers are wrong.", "*1/2 times the numeric one*"]
    )
    result.stdout.no_fnmatch_line("*raise AssertionError*")


def test_back_propagation_of_others() -> None:
    def own(weights: Any, biases: Any, X: Any, Y: Any) -> Any:
        net = dr.Network([3, 4, 2], "tanh")
        net.weights, net.biases = weights, biases
        g = dr.backward(net, X, Y)
        return g.weights, g.biases

    assert assert_backprop(own, sizes=(3, 4, 2)).ok

    def wrong(*arrays: Any) -> Any:
        gW, gb = own(*arrays)
        return [-g for g in gW], [-g for g in gb]

    with pytest.raises(AssertionError, match="the output error has the wrong sign"):
        assert_backprop(wrong, sizes=(3, 4, 2))
