"""Calculations as one writes them on paper: right also where a number saturates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deltarule.equations.activations import Activation, get_activation
from deltarule.equations.losses import get_loss
from deltarule.explain.trace import by_hand
from deltarule.formula.expression import Expression, Number
from deltarule.formula.plain import Figures, Plain
from support.oracles import admissible_pairs, hidden_names
from support.printed import Printed, evaluate, holds

ALL = Figures(None)
WRITER = Plain(figures=ALL)
SCORES = [-900.0, -40.0, -9.0, -1.5, -1e-9, 0.0, 1e-9, 0.7, 6.0, 9.0, 40.0, 600.0]
NAMES = [*hidden_names(), "leaky_relu(0.2)", "leaky_relu(-0.5)", "elu(0.5)", "elu(0)"]


def right(calculation: Expression | str, value: float) -> bool:
    """Whether a calculation with all digits gives the value."""
    text = calculation if isinstance(calculation, str) else WRITER.write(calculation)
    return holds(Printed("", "=", text, ALL(value)), None)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("z", SCORES)
def test_activations_and_their_slopes(name: str, z: float) -> None:
    f = get_activation(name)
    if name == "exp" and z > 500:
        z = 500.0  # beyond it is held at the largest float
    array = np.array([z])
    assert right(by_hand.value(f, 1, array, 0), f.f(array)[0])
    factor = WRITER.factor(by_hand.slope(f, 1, z))
    assert right(factor, f.df(array)[0])
    assert right(f"3*{factor}", 3 * f.df(array)[0])  # it stands in a product


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "exp"])
def test_slopes_keep_their_relative_accuracy_where_they_vanish(name: str) -> None:
    f = get_activation(name)
    for z in (-30.0, -12.0, 12.0, 30.0):
        interval = evaluate(Plain(figures=Figures(4)).factor(by_hand.slope(f, 1, z)), 4)
        exact = float(f.df(np.float64(z)))
        assert interval.low == pytest.approx(exact, rel=0.02)
        assert interval.high == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("scale", [0.1, 3.0, 50.0, 900.0])
@pytest.mark.parametrize("name", ["softmax", "softmax(2,3)"])
def test_softmax(name: str, scale: float) -> None:
    f, z = get_activation(name), np.array([0.3, -1.0, 0.9, 0.1, -0.4]) * scale
    for j in range(5):
        assert right(by_hand.value(f, 1, z, j), f.f(z)[j])
        assert right(by_hand.value(f, 1, z, j, max_terms=2), f.f(z)[j])


def targets(kind: str) -> list[Any]:
    return {
        "real": [[0.3, -1.0, 0.0], [500.0, 0.1, 2.0]],
        "count": [[0.0, 3.0, 1.0]],
        "unit": [[0.0, 1.0, 0.25], [1.0, 0.0, 1.0], [0.0, 0.0, 1.0]],
        "distribution": [[0.0, 1.0, 0.0], [0.2, 0.0, 0.8], [1.0, 0.0, 0.0]],
    }[kind]


@pytest.mark.parametrize(("loss_name", "output"), admissible_pairs())
@pytest.mark.parametrize("scale", [0.5, 4.0, 20.0, 300.0])
def test_losses_and_their_slopes(loss_name: str, output: str, scale: float) -> None:
    loss, f = get_loss(loss_name), get_activation(output)
    z = np.array([1.0, -0.9, 0.4]) * scale
    o = f.f(z[None])
    for y in np.array(targets(loss.targets)):
        scores = z if loss.links(f) else None
        for first in (False, True):
            terms = by_hand.loss_terms(
                loss, o[0], y, scores, by_hand.outputs_that_count(loss, y), first
            )
            value = loss.value(f, z[None], y[None])[0]
            assert right(by_hand.total(terms), value), (terms, value)
        dJ = loss.dJ(o, y[None])[0]
        for j in range(3):
            text = WRITER.factor(by_hand.loss_slope(loss, float(o[0, j]), y[j], dJ[j]))
            assert right(text, dJ[j]), (text, dJ[j])
            assert right(f"-{text}*2", -2 * dJ[j])


def test_losses_with_a_parameter() -> None:
    for name in ("huber(0.5)", "quantile(0.9)"):
        loss, o = get_loss(name), np.array([[1.0, 1.0, 1.0]])
        y = np.array([0.8, 3.0, -2.0])
        terms = by_hand.loss_terms(loss, o[0], y, None, np.arange(3))
        assert right(by_hand.total(terms), loss.J(o, y[None])[0])
        for j, slope in enumerate(loss.dJ(o, y[None])[0]):
            assert right(by_hand.loss_slope(loss, 1.0, y[j], slope), slope)


@pytest.mark.parametrize(
    ("x", "digits", "text"),
    [
        (0.5, 6, "0.5"),
        (-2.0, None, "-2"),
        (-0.0, 3, "0"),
        (1.25e-5, 3, "1.25e-5"),
        (1e22, None, "1e22"),
        (123456.0, 3, "1.23e5"),
        (0.1 + 0.2, None, "0.30000000000000004"),
        (float("-inf"), 4, "-inf"),
    ],
)
def test_numbers_as_text(x: float, digits: int | None, text: str) -> None:
    assert Figures(digits)(x) == text
    assert Plain(figures=Figures(digits)).factor(Number(x)) == (f"({text})" if x < 0 else text)


def test_an_own_record_with_a_known_name_is_not_taken_for_it() -> None:
    own = Activation("sigmoid", lambda z: z, np.ones_like)
    assert WRITER.write(by_hand.value(own, 1, np.array([2.0]), 0)) == "f_1(2)"
    assert WRITER.write(by_hand.slope(own, 1, 2.0)) == "f_1'(2)"


def test_an_own_record_that_states_trees_is_calculated_from_them() -> None:
    own = Activation(
        "bent",
        lambda z: z * np.tanh(z),
        lambda z: np.tanh(z) + z / np.cosh(z) ** 2,
        lambda m: m.z * m.tanh(m.z),
        lambda m: m.tanh(m.z) + m.z * (1 - m.tanh(m.z) ** 2),
    )
    for z in (-0.5, 0.5, 9.0):
        array = np.array([z])
        assert right(by_hand.value(own, 1, array, 0), own.f(array)[0])
        assert right(WRITER.factor(by_hand.slope(own, 1, z)), own.df(array)[0])
    assert WRITER.write(by_hand.value(own, 1, np.array([-0.5]), 0)) == "(-0.5)*tanh(-0.5)"
    assert WRITER.write(by_hand.slope(own, 1, 9.0)) == "tanh(9) + 9*1/cosh(9)^2"
