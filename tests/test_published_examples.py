"""Worked examples as their authors printed them: every right number, and the true ones."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from deltarule.network.gradients import Gradients, backward, forward
from deltarule.network.network import Network
from support.oracles import example


def built(case: dict[str, Any]) -> tuple[Network, Any, Any]:
    """The network of an example; an edge that it does not have is a weight of 0."""
    net = Network(
        case["network"]["sizes"],
        case["network"]["activations"],
        case["network"]["loss"],
        case["network"]["bias"],
    )
    net.weights = [np.nan_to_num(np.array(W, dtype=float)) for W in case["weights"]]
    net.biases = case["biases"]
    return net, np.array(case["inputs"], float), np.array(case["targets"], float)


def stepped(case: dict[str, Any], net: Network, gradients: Gradients) -> Network:
    """After one step of gradient descent on the edges that exist, and the biases if trained."""
    after = net.copy()
    edges = [np.array(W, dtype=float) for W in case["weights"]]
    for W, dW, edge in zip(after.weights, gradients.weights, edges, strict=True):
        W -= np.where(np.isnan(edge), 0, case["learning_rate"] * dW)
    if case.get("trainable_biases", True):
        for b, db in zip(after.biases, gradients.biases, strict=True):
            if b is not None:
                b -= case["learning_rate"] * db
    return after


def matches(claims: Any, ours: Any, digits: int | None = None) -> int:
    """Check a nest of printed numbers against ours; null is not claimed. How many were checked."""
    if claims is None:
        return 0
    if isinstance(claims, list):
        assert len(claims) == len(ours)
        return sum(matches(c, o, digits) for c, o in zip(claims, ours, strict=True))
    if isinstance(claims, str):  # right to its last printed digit, or to the claimed accuracy
        last = Decimal(claims).as_tuple().exponent if digits is None else -digits
        assert abs(Decimal(claims) - Decimal(float(ours))) <= Decimal(10) ** last, claims
    else:
        assert float(ours) == pytest.approx(claims, rel=1e-14, abs=1e-15)
    return 1


def rows(arrays: list[Any]) -> list[Any]:
    return [array[0] for array in arrays]


def test_gashler_to_twelve_digits() -> None:  # D4, D6
    case = example("gashler")
    net, X, Y = built(case)
    claims, passed, gradients = case["claims"], forward(net, X), backward(net, X, Y)
    assert matches(claims["a"], rows(passed.a[1:]), 12) == 4
    assert matches(claims["error"], [-delta for delta in rows(gradients.delta)], 12) == 4
    after = stepped(case, net, gradients)
    assert matches(claims["new_weights"], after.weights, 12) == 9
    assert matches(claims["new_biases"], after.biases, 12) == 4


def test_mazur() -> None:  # B5, C5
    case = example("mazur")
    net, X, Y = built(case)
    claims, passed, gradients = case["claims"], forward(net, X), backward(net, X, Y)
    assert matches(claims["z"], rows(passed.z)) == 2
    assert matches(claims["a"], rows(passed.a[1:])) == 4
    assert matches(claims["loss"], gradients.loss) == 1
    assert matches(claims["delta"], rows(gradients.delta)) == 1
    assert matches(claims["weight_gradients"], gradients.weights) == 2
    after = stepped(case, net, gradients)
    assert matches(claims["new_weights"], after.weights) == 8
    loss_after = backward(after, X, Y).loss
    assert loss_after == pytest.approx(case["exact"]["loss_after"], abs=5e-13)
    with pytest.raises(AssertionError):  # the printed one comes from updated output weights
        matches(claims["loss_after"], loss_after)


def test_mazurs_printed_loss_is_that_of_the_known_mistake() -> None:
    case = example("mazur")
    net, X, Y = built(case)
    after = stepped(case, net, backward(net, X, Y))
    mixed = net.copy()
    mixed.weights = [net.weights[0], after.weights[1]]
    passed, delta = forward(net, X), backward(net, X, Y).delta[1]
    hidden = passed.a[1]
    wrong = delta @ mixed.weights[1].T * hidden * (1 - hidden)
    mixed.weights = [net.weights[0] - 0.5 * X.T @ wrong, after.weights[1]]
    exact = case["exact"]["loss_after_with_updated_weights"]
    assert backward(mixed, X, Y).loss == pytest.approx(exact, abs=5e-13)


def test_yehoshua() -> None:  # C9, C10, C13
    case = example("yehoshua")
    net, X, Y = built(case)
    exact, passed, gradients = case["exact"], forward(net, X), backward(net, X, Y)
    assert matches(case["claims"]["z"], rows(passed.z)) == 6  # the printed forward pass is right
    assert matches(case["claims"]["a"], rows(passed.a[1:])) == 6
    assert matches(exact["z"], rows(passed.z)) == 6
    assert matches(exact["a"], rows(passed.a[1:])) == 6
    assert matches(exact["output_before"], passed.output[0, 0]) == 1
    assert matches(exact["loss_before"], gradients.loss) == 1
    assert matches(exact["delta"], rows(gradients.delta)) == 6
    after = stepped(case, net, gradients)
    assert matches(exact["new_weights"], after.weights) == 9
    assert matches(exact["new_biases"], after.biases) == 3
    output_after = forward(after, X).output[0, 0]
    assert matches(exact["output_after"], output_after) == 1
    assert matches(exact["loss_after"], backward(after, X, Y).loss) == 1
    assert f"{output_after:.4f}" == "0.6981"
    assert case["claims"]["output_after"] == [["0.7043"]]  # printed, and wrong
