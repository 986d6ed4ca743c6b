"""What a record states is what its code computes, and its slope is the derivative of its value.

The trees are evaluated by NumPy, and differentiated by SymPy, which knows nothing of the records.
"""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import sympy

import deltarule as dr
from deltarule.equations.activations import Activation, activation_names, get_activation
from deltarule.equations.losses import Loss, get_loss, loss_names
from deltarule.formula import alphabet as m
from deltarule.formula.function import Variable
from deltarule.formula.value import evaluated
from support.oracles import hidden_names

NAMES = [*hidden_names(), "leaky_relu(0.2)", "leaky_relu(-0.5)", "elu(0.5)", "elu(0)"]
LOSSES = [*loss_names(), "huber(0.5)", "quantile(0.9)", "cross_entropy(2,3)"]
SCORES = np.linspace(-6.0, 6.0, 49) + 1e-3  # never at a kink

SYMBOLIC: Mapping[str, Callable[..., Any]] = {
    "abs": sympy.Abs,
    "clip": lambda x, low, high: sympy.Max(low, sympy.Min(high, x)),
    "exp": sympy.exp,
    "log": sympy.log,
    "max": sympy.Max,
    "Phi": lambda x: (1 + sympy.erf(x / sympy.sqrt(2))) / 2,
    "phi": lambda x: sympy.exp(-(x**2) / 2) / sympy.sqrt(2 * sympy.pi),
    "sign": sympy.sign,
    "tanh": sympy.tanh,
    "where": lambda condition, x, y: sympy.Piecewise((x, condition), (y, True)),
}


@pytest.mark.parametrize("name", NAMES)
def test_an_activation_is_what_it_states(name: str) -> None:
    f = get_activation(name)
    a = evaluated(f.tree, {m.z: SCORES})
    np.testing.assert_allclose(a, f.f(SCORES), rtol=1e-13, atol=1e-14)
    slope = evaluated(f.slope_tree, {m.z: SCORES, m.a: a})
    np.testing.assert_allclose(slope + 0 * SCORES, f.df(SCORES), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_the_slope_of_an_activation_is_its_derivative(name: str) -> None:
    f, z = get_activation(name), sympy.Symbol("z", real=True)
    a = evaluated(f.tree, {m.z: z}, SYMBOLIC)
    difference = sympy.diff(a, z) - evaluated(f.slope_tree, {m.z: z, m.a: a}, SYMBOLIC)
    for at in (-3.7, -0.8, 0.4, 2.9):
        assert abs(difference.subs(z, at).evalf(30)) < 1e-14


@pytest.mark.parametrize("name", ["softmax", "softmax(2,3)"])
def test_softmax_is_what_it_states(name: str) -> None:
    f, z = get_activation(name), np.array([0.3, -1.0, 2.0, 0.1, -0.4])
    for group in (slice(0, 2), slice(2, 5)) if f.groups else (slice(0, 5),):
        inside = z[group]
        a = evaluated(f.tree, {m.z_i: inside[:, None], m.z_j: inside})
        np.testing.assert_allclose(a[:, 0], f.f(z)[group], rtol=1e-14)
        known = {m.a_i: a, m.a_j: a[:, 0], m.i_is_j: np.eye(len(inside))}
        jacobian = evaluated(f.slope_tree, known)
        for k, row in enumerate(jacobian):
            g = np.zeros(5)
            g[group.start + k] = 1
            np.testing.assert_allclose(row, f.backward(z, g)[group], atol=1e-15)


def pairs(loss: Loss) -> tuple[Any, Any]:
    """Outputs and targets (n, 1) of one output that the loss takes."""
    rng = np.random.default_rng(3)
    classes = loss.targets in ("unit", "distribution")
    o = rng.uniform(0.05, 0.95, (40, 1)) if classes else rng.uniform(0.1, 4.0, (40, 1))
    return o, rng.uniform(0.05, 0.95 if classes else 4.0, (40, 1))


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_what_it_states(name: str) -> None:
    loss = get_loss(name)
    o, y = pairs(loss)
    J = evaluated(loss.tree, {m.o: o, m.y: y})
    np.testing.assert_allclose(J[:, 0], loss.J(o, y), rtol=1e-12, atol=1e-14)
    slope = evaluated(loss.slope_tree, {m.o: o, m.y: y})
    np.testing.assert_allclose(slope, loss.dJ(o, y), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_the_slope_of_a_loss_is_its_derivative(name: str) -> None:
    loss = get_loss(name)
    o, y = sympy.symbols("o y", real=True)
    at = {m.o: o, m.y: y}
    J, slope = evaluated(loss.tree, at, SYMBOLIC), evaluated(loss.slope_tree, at, SYMBOLIC)
    difference = sympy.diff(J, o) - slope
    for pair in zip(*(one[:8, 0] for one in pairs(loss)), strict=True):
        here = difference.subs(dict(zip((o, y), pair, strict=True)))
        assert abs(here.doit().evalf(30)) < 1e-14


def test_every_record_states_trees() -> None:
    for name in activation_names():
        f = get_activation(name)
        assert f.tree is not None
        assert f.slope_tree is not None
    for name in loss_names():
        assert get_loss(name).tree is not None
        assert get_loss(name).slope_tree is not None


def test_a_record_of_ones_own_states_text_a_tree_or_nothing() -> None:
    def cube(z: Any) -> Any:
        return z * z * z

    def slope(z: Any) -> Any:
        return 3 * z * z

    told = Activation("cube", cube, slope, "z*z*z", "3*z*z")
    assert (told.formula, told.df_formula) == ("z*z*z", "3*z*z")
    assert told.tree is None
    silent = Activation("cube", cube, slope)
    assert (silent.formula, silent.df_formula, silent.tree) == ("", "", None)
    tree = Activation("cube", cube, slope, lambda m: m.z**3, lambda m: 3 * m.z**2)
    assert (tree.formula, tree.df_formula) == ("z^3", "3 z^2")
    assert tree.tree == Variable("z") ** 3
    assert copy.deepcopy(tree).tree == tree.tree
    assert dataclasses.replace(tree, name="other").df_formula == "3 z^2"
    assert pickle.loads(pickle.dumps(Activation("tanh", np.tanh, np.cos, "t"))).formula == "t"
    loss = dr.Loss("own", cube, cube, formula=lambda m: (m.o - m.y) ** 4)
    assert (loss.formula, loss.dJ_formula) == ("(o - y)^4", "")


def test_no_tree_is_made_before_it_is_asked_for() -> None:
    program = (
        "import sys, deltarule as dr\n"
        "net = dr.Network([2, 3, 2], 'elu', 'cross_entropy', rng=0)\n"
        "dr.train(net, [[0.1, 0.2]], [1], epochs=1, validation=None)\n"
        "assert hash(net.activations[0]) == hash(net.activations[0])\n"
        "print([name for name in sys.modules if name.startswith('deltarule.formula')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "[]\n", done.stderr
