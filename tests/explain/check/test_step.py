"""The step rule by rule against the package's own gradients (SPEC B5, C8, D4, D5, C11)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import deltarule as dr
from deltarule.explain.check.problem import QUANTITIES, Problem
from deltarule.explain.check.step import Step
from support.explain_cases import random_problem


@pytest.mark.parametrize("seed", range(60))
def test_every_number_is_that_of_backward(seed: int) -> None:
    p = dataclasses.replace(  # momentum, dropout and fixed biases have tests of their own
        random_problem(np.random.default_rng(seed)),
        masks=None,
        momentum=0.0,
        velocity=None,
        trainable_biases=True,
    )
    step, g = Step(p), dr.backward(p.net, p.X, p.Y)
    passed = dr.forward(p.net, p.X)
    assert float(step.values["loss"][0].v) == pytest.approx(g.loss, rel=1e-12)
    after = p.net.copy()
    for l in range(1, p.L + 1):
        W, b = p.net.weights[l - 1], p.net.biases[l - 1]
        gW = g.weights[l - 1] + p.l2 * W
        close = {"rtol": 1e-11, "atol": 1e-13}
        np.testing.assert_allclose(step.values["z"][l].v, passed.z[l - 1], **close)
        np.testing.assert_allclose(step.values["a"][l].v, passed.a[l], **close)
        np.testing.assert_allclose(step.values["delta"][l].v, g.delta[l - 1], **close)
        np.testing.assert_allclose(step.values["weight_gradients"][l].v, gW, **close)
        after.weights[l - 1][...] = W - p.learning_rate * gW
        np.testing.assert_allclose(step.values["new_weights"][l].v, after.weights[l - 1], **close)
        if b is not None:
            gb = g.biases[l - 1]
            assert gb is not None
            np.testing.assert_allclose(step.values["bias_gradients"][l].v, gb, **close)
            after.biases[l - 1][...] = b - p.learning_rate * gb
            new_b = step.values["new_biases"][l].v
            np.testing.assert_allclose(new_b, after.biases[l - 1], **close)
    np.testing.assert_allclose(
        step.values["input_gradients"][0].v, g.inputs, rtol=1e-11, atol=1e-13
    )
    output = dr.forward(after, p.X).output
    np.testing.assert_allclose(step.values["output_after"][0].v, output, rtol=1e-10)
    loss_after = dr.backward(after, p.X, p.Y).loss
    assert float(step.values["loss_after"][0].v) == pytest.approx(loss_after, rel=1e-9, abs=1e-12)


def test_sum_instead_of_mean() -> None:
    net = dr.Network([2, 3, 1], "tanh", rng=0)
    X, Y = np.arange(8.0).reshape(4, 2) / 8, np.ones((4, 1))
    step = Step(Problem(net, X, Y, reduction="sum"))
    g = dr.backward(net, X, Y, reduction="sum")
    np.testing.assert_allclose(step.values["weight_gradients"][1].v, g.weights[0], rtol=1e-12)
    assert float(step.values["loss"][0].v) == pytest.approx(g.loss)


def test_absent_edges_are_never_used_and_never_updated() -> None:
    net = dr.Network([2, 2, 1], "tanh", rng=0)
    edges = [np.array([[True, False], [True, True]]), np.ones((2, 1), dtype=bool)]
    net.weights[0][0, 1] = 0
    step = Step(Problem(net, np.ones((1, 2)), np.zeros((1, 1)), 0.5, edges))
    assert step.values["weight_gradients"][1].v[0, 1] == 0
    assert step.values["new_weights"][1].v[0, 1] == 0
    assert (step.values["weight_gradients"][1].v[edges[0]] != 0).all()


def test_fixed_biases_stay() -> None:
    net = dr.Network([2, 2, 1], "tanh", rng=0)
    net.biases[0][...] = 0.3
    step = Step(Problem(net, np.ones((1, 2)), np.zeros((1, 1)), 0.5, trainable_biases=False))
    np.testing.assert_array_equal(step.values["new_biases"][1].v, net.biases[0])


def test_momentum_adds_to_the_move() -> None:
    net = dr.Network([2, 1], rng=0)
    velocity = ([np.full((2, 1), 0.2)], [np.full(1, -0.1)])
    X, Y = np.array([[1.0, 2.0]]), np.array([[0.5]])
    step = Step(Problem(net, X, Y, 0.1, momentum=0.9, velocity=velocity))
    g = dr.backward(net, X, Y)
    expected = net.weights[0] + 0.9 * 0.2 - 0.1 * g.weights[0]
    np.testing.assert_allclose(step.values["new_weights"][1].v, expected, rtol=1e-12)


def test_dropout_masks_act_in_both_directions() -> None:
    net = dr.Network([3, 4, 2], "sigmoid", rng=0)
    mask = np.array([[0.0, 2.0, 2.0, 0.0]])
    p = Problem(net, np.ones((1, 3)), np.zeros((1, 2)), masks=[None, mask, None])
    step = Step(p)
    assert (step.values["a"][1].v[0, [0, 3]] == 0).all()
    assert (step.values["delta"][1].v[0, [0, 3]] == 0).all()
    assert (step.values["delta"][1].v[0, [1, 2]] != 0).all()


def test_every_quantity_is_given() -> None:
    net = dr.Network([2, 2, 1], "tanh", rng=0)
    step = Step(Problem(net, np.ones((1, 2)), np.zeros((1, 1))))
    assert {name for name in QUANTITIES if not step.values[name]} == set()
