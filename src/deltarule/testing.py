"""Assertions for test suites: a gradient that is not that of its loss fails with the whole report.

from deltarule.testing import assert_gradients

def test_my_network():
    assert_gradients(net, X, Y)

def test_my_function():
    assert_gradients(loss, gradient, theta0)

def test_my_backprop():
    assert_backprop(backprop, sizes=(4, 5, 3, 2), activation="tanh")
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deltarule.explain.check.implementation import check_implementation
from deltarule.explain.check.report import Report
from deltarule.explain.gradients.check import check_gradients, check_objective
from deltarule.explain.gradients.report import GradientCheck
from deltarule.network.network import Network


def assert_gradients(target: Any, *args: Any, **options: Any) -> GradientCheck:
    """Assert that gradients are those of their loss.

    Parameters
    ----------
    target : Network or callable
        A network, and then X, Y and the options of `check_gradients`; or a function, and then
        grad_fn, theta0 and the options of `check_objective`.

    Returns
    -------
    GradientCheck
        What was found, where nothing is wrong.

    Raises
    ------
    AssertionError
        If a number is wrong, or none could be measured, with the report as its message.
    SpecError, DataError
        As those functions.
    """
    __tracebackhide__ = True  # pytest then shows the line of the test
    check = check_gradients if isinstance(target, Network) else check_objective
    report = check(target, *args, **options)
    if not report.ok:
        raise AssertionError(report.to_text())
    return report


def assert_backprop(function: Callable[..., Any], **options: Any) -> Report:
    """Assert that a function computes the gradients of a network, or takes a right step.

    Parameters
    ----------
    function : callable
        (weights, biases, X, Y) -> (weight_gradients, bias_gradients), or with a learning rate.
    **options
        Of `check_implementation`: sizes, activation, loss, ...

    Returns
    -------
    Report
        With the conventions that were found, where nothing is wrong.

    Raises
    ------
    AssertionError
        If a number is wrong: with the report, which names the mistake.
    SpecError
        As `check_implementation`.
    """
    __tracebackhide__ = True  # pytest then shows the line of the test
    report = check_implementation(function, **options)
    if not report.ok:
        raise AssertionError(report.to_text())
    return report
