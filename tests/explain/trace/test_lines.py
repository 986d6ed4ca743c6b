"""What a trace prints: every line's arithmetic gives its result, and it is the right number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deltarule as dr
from deltarule.explain.trace.report import Trace, trace
from deltarule.formula.notation import NOTATIONS
from support.oracles import admissible_pairs, hidden_names, targets
from support.printed import evaluate, holds, largest, lines

GROUPED = [("cross_entropy(2,3)", "softmax(2,3)"), ("squared_error", "softmax(2,1,2)")]
PAIRS = [*admissible_pairs(), *GROUPED]
ALL = {"max_lines": None, "max_terms": None}


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """A trace of a random network: any activations, loss, edges, batch; sometimes saturated."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    loss, output = draw(st.sampled_from(PAIRS))
    depth = draw(st.integers(0, 3))
    outputs = 5 if "," in output else int(rng.integers(2, 5))
    sizes = [*rng.integers(1, 5, depth + 1), outputs]
    hidden = [draw(st.sampled_from(hidden_names())) for _ in range(depth)]
    biases = [bool(one) for one in rng.integers(0, 2, depth + 1)]
    net = dr.Network(sizes, [*hidden, output], loss, biases, rng=rng)
    scale = draw(st.sampled_from([1.0, 1.0, 4.0]))
    net.theta = net.theta * scale + rng.normal(0, 0.3, net.theta.shape)
    n = draw(st.integers(1, 3))
    edges = None
    if draw(st.booleans()):
        edges = [rng.random(W.shape) < 0.8 for W in net.weights]
    return trace(
        net,
        rng.normal(size=(n, sizes[0])).round(draw(st.integers(0, 4))),
        targets(net.loss, rng, n, sizes[-1]),
        learning_rate=draw(st.sampled_from([0.01, 0.1, 0.5])),
        steps=draw(st.integers(1, 2)),
        edges=edges,
        trainable_biases=draw(st.booleans()),
        reduction=draw(st.sampled_from(["mean", "sum"])),
    )


@settings(max_examples=400)
@given(
    traces(),
    st.sampled_from(sorted(NOTATIONS)),
    st.sampled_from([None, 3, 4, 6, 10]),
    st.sampled_from([None, None, 1, 2]),
)
def test_every_printed_line_gives_its_result(
    done: Trace, notation: str, digits: int | None, max_terms: int | None
) -> None:
    shown = {"notation": notation, "digits": digits, "max_terms": max_terms}
    printed = lines(done.to_text(**shown, max_lines=None))
    assert len(printed) == expected_lines(done, notation)
    for line in printed:
        if largest(line) > 600:  # exp in a hidden layer, a step of too large a learning rate
            continue
        assert holds(line, digits), (line, evaluate(line.numbers, digits).__dict__)


def expected_lines(done: Trace, notation: str) -> int:
    """How many numbers there are to print."""
    sizes, n = done.net.sizes, len(done.X)
    units, edges = sum(sizes[1:]), sum(W.size for W in done.net.weights)
    if done.edges is not None:
        edges = sum(int(edge.sum()) for edge in done.edges)
    biases = sum(size for size, has in zip(sizes[1:], done.net.bias, strict=True) if has)
    loss, output = done.net.loss, done.net.activations[-1]
    passed = n * 2 * units + n + (n > 1)
    backward = n * units
    if not (loss.links(output) and loss.fused_dJ is not None) and (
        NOTATIONS[notation].two_steps or output.jacobian_product is not None
    ):
        backward += n * sizes[-1]
    if NOTATIONS[notation].two_steps:
        backward += n * sum(sizes[1:-1])
    gradients = edges + biases + n * sizes[0]
    updates = edges + biases * done.trainable_biases
    return len(done.steps) * (passed + backward + gradients + updates) + passed


# what each document calls the numbers; l is the layer counted from 1, m = l + 1, j <- i its unit
# and the one before
NAMES = {
    "canonical": {
        "z": "z_{l}[{j}]",
        "a": "a_{l}[{j}]",
        "delta": "delta_{l}[{j}]",
        "W": "W_{l}[{i},{j}]",
        "b": "b_{l}[{j}]",
        "errors": ("J", "C"),
    },
    "index": {
        "z": "x_{l}{j}",
        "a": "y_{l}{j}",
        "delta": "e_{l}{j}",
        "W": "w_{l}{j}{i}",
        "b": "b_{l}{j}",
        "errors": ("E", "E"),
    },
    "delta": {
        "z": "z_{j}^{l}",
        "a": "a_{j}^{l}",
        "delta": "delta_{j}^{l}",
        "W": "w_{j}{i}^{l}",
        "b": "b_{j}^{l}",
        "errors": ("J", "E"),
    },
    "row": {
        "z": "z_{m}[{j}]",
        "a": "a_{m}[{j}]",
        "delta": "delta_{m}[{j}]",
        "W": "w_{l}[{i},{j}]",
        "b": "b_{l}[{j}]",
        "errors": ("C", "C"),
    },
    "column": {
        "z": "net_{j}^({m})",
        "a": "O_{j}^({m})",
        "delta": "dJ/dnet_{j}^({m})",
        "W": "w_{j}{i}^({l})",
        "b": "b_{j}^({l})",
        "errors": ("J", "J"),
    },
}


def right_numbers(net: dr.Network, X: Any, Y: Any, rate: float, notation: str) -> dict[str, float]:
    """Every number of a step of one sample by its symbol, from dr.forward and dr.backward."""
    names, (J, C) = NAMES[notation], NAMES[notation]["errors"]
    passed, gradients = dr.forward(net, X), dr.backward(net, X, Y)
    sign = -1 if notation == "index" else 1
    right = {C: gradients.loss}
    for l, size in enumerate(net.sizes):
        for j in range(size):
            at = {"l": l, "m": l + 1, "j": j + 1}
            a = names["a"].format(**at)
            if l == 0:
                right[f"d{J}/d{a}"] = gradients.activations[0][0, j]
                continue
            if notation in ("canonical", "column") and l < len(net.sizes) - 1:
                right[f"d{J}/d{a}"] = gradients.activations[l][0, j]
            right[a] = passed.a[l][0, j]
            right[names["z"].format(**at)] = passed.z[l - 1][0, j]
            right[names["delta"].format(**at)] = sign * gradients.delta[l - 1][0, j]
            b = names["b"].format(**at)
            right[f"d{C}/d{b}"] = gradients.biases[l - 1][j]
            right[f"{b} <-"] = net.biases[l - 1][j] - rate * gradients.biases[l - 1][j]
            for i in range(net.sizes[l - 1]):
                W = names["W"].format(i=i + 1, **at)
                g = gradients.weights[l - 1][i, j]
                right[f"d{C}/d{W}"] = g
                right[f"{W} <-"] = net.weights[l - 1][i, j] - rate * g
    return right


@pytest.mark.parametrize("notation", sorted(NOTATIONS))
def test_each_symbol_names_its_number(notation: str) -> None:  # A4, B1, C2, D1
    net = dr.Network([2, 3, 4, 2], ["tanh", "softplus", "sigmoid"], "log_loss", rng=3)
    net.theta = net.theta + np.random.default_rng(0).normal(0, 0.1, net.theta.shape)
    X, Y = [[0.3, -1.2]], [[1.0, 0.0]]
    step = trace(net, X, Y, 0.25).to_text(notation=notation, digits=None, **ALL)
    step = step[: step.index("Forward pass after")]
    printed = {f"{one.symbol}{' <-' * (one.arrow == '<-')}": one.value for one in lines(step)}
    right = right_numbers(net, X, Y, 0.25, notation)
    assert set(printed) == set(right)
    for symbol, value in right.items():
        assert float(printed[symbol]) == pytest.approx(value, rel=1e-14), symbol
