"""The measures of a diagnosis: against dr.backward, loops written out, and planted defects."""

from __future__ import annotations

import json
import math
import re
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import deltarule as dr
from deltarule.explain.diagnose.jacobian import layer_jacobian
from deltarule.explain.diagnose.measure import norm, slope_limit
from deltarule.explain.diagnose.report import Diagnosis, diagnose
from deltarule.explain.network_file import read_network
from support.oracles import admissible_pairs, example, hidden_names, targets

TINY = float(np.finfo(np.float32).smallest_normal)


def deep(activation: str, dtype: str = "float32", L: int = 100, n: int = 16, **more: Any) -> Any:
    """A network of L layers with data: is the first input above 0?"""
    X = np.random.default_rng(0).normal(size=(64, n))
    net = dr.Network([n] * L + [1], activation, "log_loss", dtype=dtype, rng=0, **more)
    return net, X, (X[:, 0] > 0).astype(float)


def codes(d: Diagnosis) -> list[str]:
    return [one.code for one in d.findings]


def measured(*arguments: Any, **options: Any) -> Diagnosis:
    return diagnose(*arguments, try_advice=False, **options)


# -- norms ----------------------------------------------------------------------------------------


@st.composite
def cases(draw: st.DrawFn) -> tuple[dr.Network, Any, Any, Any, float]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    loss, output = draw(st.sampled_from(admissible_pairs()))
    depth = draw(st.integers(0, 3))
    sizes = [*rng.integers(1, 5, depth + 1), int(rng.integers(2, 5))]
    hidden = [draw(st.sampled_from(hidden_names())) for _ in range(depth)]
    bias = [bool(one) for one in rng.integers(0, 2, depth + 1)]
    net = dr.Network(sizes, [*hidden, output], loss, bias, rng=rng)
    n = draw(st.integers(1, 5))
    X, Y = rng.normal(size=(n, sizes[0])), targets(net.loss, rng, n, sizes[-1])
    weight = rng.random(n) + 0.1 if draw(st.booleans()) else None
    return net, X, Y, weight, draw(st.sampled_from([0.0, 0.3]))


@given(cases())
def test_norms_are_those_of_backward(case: Any) -> None:  # C14
    net, X, Y, weight, l2 = case
    theta = net.theta.copy()
    d = measured(net, X, Y, l2=l2, sample_weight=weight)
    assert np.array_equal(net.theta, theta)
    passed, g = dr.forward(net, X), dr.backward(net, X, Y, weight)
    assert d.loss == pytest.approx(g.loss, rel=1e-12)
    for l, one in enumerate(d.layers):
        delta, a, W = g.delta[l], passed.a[l + 1], net.weights[l]
        assert (one.layer, one.units) == (l + 1, net.sizes[l + 1])
        assert one.delta_rms == pytest.approx(np.sqrt((delta**2).mean()), rel=1e-12)
        assert one.delta_norm == pytest.approx(np.sqrt((delta**2).sum(axis=1).mean()), rel=1e-12)
        top = np.sqrt((g.delta[-1] ** 2).mean())
        if top:
            assert one.delta_to_top == pytest.approx(one.delta_rms / top, rel=1e-12)
        if l + 1 < len(d.layers) and g.delta[l + 1].any():
            above = np.sqrt((g.delta[l + 1] ** 2).mean())
            assert one.delta_to_next == pytest.approx(one.delta_rms / above, rel=1e-12)
        gradient = np.linalg.norm(g.weights[l])
        assert one.weight_gradient_norm == pytest.approx(gradient, rel=1e-12)
        b = g.biases[l]
        if b is None:
            assert one.bias_gradient_norm is None
        else:
            assert one.bias_gradient_norm == pytest.approx(np.linalg.norm(b), rel=1e-12)
        assert one.l2_gradient_norm == pytest.approx(l2 * np.linalg.norm(W), rel=1e-12)
        if gradient:
            assert one.l2_ratio == pytest.approx(l2 * np.linalg.norm(W) / gradient, rel=1e-12)
        assert one.activation_mean == pytest.approx(a.mean(), rel=1e-12, abs=1e-15)
        assert one.activation_std == pytest.approx(a.std(), rel=1e-12, abs=1e-15)
        if len(a) > 1:
            over_rows = np.sqrt(a.var(axis=0).mean())
            assert one.over_rows == pytest.approx(over_rows, rel=1e-12, abs=1e-15)
        else:
            assert one.over_rows is None
    json.loads(d.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert d.to_text() == str(d)


def test_norms_neither_underflow_nor_overflow() -> None:
    assert norm(np.array([3e-200, 4e-200])) == pytest.approx(5e-200, rel=1e-15)
    assert norm(np.array([3e200, 4e200])) == pytest.approx(5e200, rel=1e-15)
    assert norm(np.zeros((2, 2))) == 0
    assert math.isnan(norm(np.array([1.0, np.nan])))
    assert norm(np.array([1.0, -np.inf])) == np.inf


def test_the_deltas_of_document_cs_example() -> None:  # C13, C14
    exact = example("yehoshua")["exact"]["delta"]
    d = diagnose("yehoshua")
    for one, right in zip(d.layers, exact, strict=True):
        assert one.delta_norm == pytest.approx(math.hypot(*right), rel=1e-14)
        assert one.delta_rms == pytest.approx(math.hypot(*right) / math.sqrt(len(right)), rel=1e-14)
    to_top = [one.delta_to_top for one in d.layers]
    assert to_top == sorted(to_top)  # they shrink towards the input
    assert d.advice == []
    assert "absent edges" in d.notes[0]
    assert "Nothing unusual" in str(d)


def test_the_gradient_of_an_absent_edge_does_not_count() -> None:
    file = read_network("yehoshua")
    assert file.edges is not None
    g = dr.backward(file.net, file.X, file.Y)
    for one, dW, edge in zip(measured(file).layers, g.weights, file.edges, strict=True):
        assert one.weight_gradient_norm == pytest.approx(np.linalg.norm(dW[edge]), rel=1e-14)


# -- depth ----------------------------------------------------------------------------------------


def test_where_the_gradient_vanishes() -> None:  # A6, C14
    d = measured(*deep("sigmoid", "float64"))
    net, X, Y = deep("sigmoid", "float64")
    sizes = [np.sqrt((one**2).mean()) for one in dr.backward(net, X, Y).delta]
    at = max(l for l, size in enumerate(sizes, start=1) if size < 1e-4 * sizes[-1])
    assert d.vanishes_at == at
    assert d.explodes_at is None
    (found,) = (one for one in d.findings if one.code == "vanishes")
    assert found.layer == at
    assert f"delta of layer {at} ({100 - at} layers below the output)" in found.sentence
    assert "same_rows" in codes(d)


def test_where_the_gradient_explodes() -> None:  # A6
    def wide(rng: Any, n_in: int, n_out: int) -> Any:
        return 3 * rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)

    net, X, Y = deep("identity", "float64", initializer=wide)
    d = measured(net, X, Y)
    sizes = [np.sqrt((one**2).mean()) for one in dr.backward(net, X, Y).delta]
    top = sizes[-1]
    assert d.explodes_at == max(l for l, size in enumerate(sizes, start=1) if size > 1e4 * top)
    assert d.vanishes_at is None
    assert "explodes" in codes(d)


@pytest.mark.parametrize(("initializer", "layers"), [("uniform", 29), ("auto", 72)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_float32_the_gradient_of_a_logistic_network_is_exactly_0(
    initializer: str, layers: int, dtype: str
) -> None:  # A6, C14
    """29 layers below the output with small weights, 72 with those that suit the activation."""
    net, X, Y = deep("sigmoid", dtype, initializer=initializer)
    d = measured(net, X, Y)
    single = dr.Network(net.sizes, net.activations, net.loss, dtype="float32")
    single.theta = net.theta
    zero = [l for l, one in enumerate(dr.backward(single, X, Y).delta, start=1) if not one.any()]
    assert d.zero_in_float32_at == max(zero)
    assert 100 - max(zero) == pytest.approx(layers, abs=1)
    (found,) = (one for one in d.findings if one.code == "zero_in_float32")
    assert f"exactly 0 in layers 1 to {max(zero)} " in found.sentence
    own = "the data teach them nothing" if dtype == "float32" else "in float64, where it is not 0"
    assert own in found.sentence
    assert all(one.delta_rms > 0 for one in d.layers)  # in float64 it is not


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_tanh_and_relu_lose_nothing_in_100_layers(activation: str) -> None:  # A6
    d = measured(*deep(activation))
    assert d.zero_in_float32_at is None
    for one in d.layers:
        assert one.float32 is not None
        assert one.float32.delta_lost == one.float32.gradient_lost == one.float32.overflow == 0


# -- float32 --------------------------------------------------------------------------------------


def test_underflow_against_a_loop_written_out() -> None:
    """Every product and sum of a logistic network in both precisions, number by number."""
    L, n, rows = 36, 3, 4
    rng = np.random.default_rng(3)
    net = dr.Network([n] * L + [1], "sigmoid", rng=rng, initializer="normal")
    X, Y = rng.normal(size=(rows, n)), rng.normal(size=(rows, 1))
    d = measured(net, X, Y)

    def backward(real: Any) -> tuple[Any, Any]:
        one = real(1)
        W = [[[real(w) for w in row] for row in W] for W in net.weights]
        deltas, grads = [], [np.zeros(V.shape, dtype=real) for V in net.weights]
        for x, y in zip(X, Y, strict=True):
            a = [[real(v) for v in x]]
            for l in range(L):
                z = [
                    sum((p * w for p, w in zip(a[-1], column, strict=True)), real(0))
                    for column in zip(*W[l], strict=True)
                ]
                last = l == L - 1
                a.append(z if last else [one / (one + np.exp(-v)) for v in z])
            delta = [[a[-1][0] - real(y[0])]]
            for l in range(L - 1, 0, -1):
                back = [
                    sum((w * v for w, v in zip(row, delta[0], strict=True)), real(0))
                    for row in W[l]
                ]
                slopes = [v * (one - v) for v in a[l]]
                delta.insert(0, [g * s for g, s in zip(back, slopes, strict=True)])
            deltas.append(delta)
            for l in range(L):
                grads[l] += np.outer(a[l], np.array(delta[l], dtype=real) / real(rows))
        return [np.array([row[l] for row in deltas]) for l in range(L)], grads

    with np.errstate(under="ignore"):
        (d32, g32), (d64, g64) = backward(np.float32), backward(np.float64)
    seen = set()
    for l, one in enumerate(d.layers):
        assert one.float32 is not None
        for lost, subnormal, single, double in (
            (one.float32.delta_lost, one.float32.delta_subnormal, d32[l], d64[l]),
            (one.float32.gradient_lost, one.float32.gradient_subnormal, g32[l], g64[l]),
        ):
            there = double != 0
            assert single.dtype == np.float32
            assert lost == pytest.approx((there & (single == 0)).sum() / there.sum())
            few = there & (single != 0) & (np.abs(single) < TINY)
            assert subnormal == pytest.approx(few.sum() / there.sum())
            seen |= {lost > 0, subnormal > 0}
        assert one.float32.delta_is_zero == (not d32[l].any())
    assert seen == {True, False}


def test_a_relu_that_rounding_turns_off_is_no_underflow() -> None:
    net = dr.Network([2, 1, 1], "relu", bias=False, rng=0)
    net.weights = [[[1.0], [-1.0]], [[1.0]]]
    d = measured(net, [[1 + 1e-9, 1.0]], [5.0])  # z = 1e-9, in float32 0
    assert d.layers[0].float32 is not None
    assert d.layers[0].float32.delta_lost == 0
    assert d.layers[0].delta_rms > 0


def test_what_overflows_in_float32_is_non_finite_only_there() -> None:
    net = dr.Network([1, 1, 1], "identity", rng=0)
    net.weights = [[[1e30]], [[1e30]]]
    d = measured(net, [[1.0], [2.0]], [0.0, 0.0])
    assert d.finite
    assert d.layers[1].float32 is not None
    assert d.layers[1].float32.overflow == 1
    assert "overflow_in_float32" in codes(d)
    single = dr.Network([1, 1, 1], "identity", dtype="float32", rng=0)
    single.theta = net.theta
    d = measured(single, [[1.0], [2.0]], [0.0, 0.0])
    assert not d.finite
    one = d.non_finite[0]
    assert (one.quantity, one.layer, one.count, one.index, one.value) == ("z", 2, 2, (0, 0), "inf")
    assert codes(d)[0] == "non_finite"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_located(value: float) -> None:
    net = dr.Network([2, 3, 2], "tanh", rng=0)
    net.weights[1][2, 1] = value
    d = measured(net, np.ones((4, 2)), np.ones((4, 2)))
    first = d.non_finite[0]
    assert (first.quantity, first.layer, first.index) == ("weights", 2, (2, 1))
    assert first.value == ("NaN" if math.isnan(value) else "inf")
    assert "weights[2, 1] of layer 2" in d.findings[0].sentence
    assert {"z", "delta"} <= {one.quantity for one in d.non_finite}
    assert all(one.layer == 2 or one.quantity != "z" for one in d.non_finite)
    assert not d.finite
    assert json.loads(d.to_json())["finite"] is False
    assert d.plot() is not None


# -- units ----------------------------------------------------------------------------------------


def test_planted_dead_units() -> None:
    rng = np.random.default_rng(0)
    net = dr.Network([3, 6, 5, 1], "relu", rng=0)
    for b in net.biases[:-1]:
        assert b is not None
        b[:] = 100  # all on
    biases = net.biases
    assert biases[0] is not None
    biases[0][[1, 4]] = -100  # off on all rows
    net.weights[1][:, 3] = 0  # the same on all rows
    d = measured(net, rng.normal(size=(50, 3)), rng.normal(size=50))
    assert [one.dead for one in d.layers] == [(1, 4), (3,), ()]
    assert [one.constant for one in d.layers] == [(), (3,), ()]
    assert d.layers[0].saturated == (1, 4)  # one-sided: small on all rows
    assert d.layers[0].small_slopes == pytest.approx(2 / 6)
    (found,) = d.findings
    assert (found.code, found.layer) == ("dead", 1)
    assert "Layers 1 to 2: 3 of 11 units are dead" in found.sentence


@pytest.mark.parametrize(("name", "z"), [("sigmoid", 6.0), ("tanh", 3.0), ("softsign", 9.1)])
def test_planted_saturated_units(name: str, z: float) -> None:
    """Slopes just below 1 % of the largest, on 3 rows of 5, and just above it."""
    net = dr.Network([1, 3, 1], name, rng=0)
    net.weights = [[[z, z * 0.98, z]], net.weights[1]]
    biases = net.biases
    assert biases[0] is not None
    biases[0][2] = z  # then also at z + small
    X = np.array([[1.0], [-1.0], [1.0], [0.0], [0.1]])
    slopes = net.activations[0].df(X @ net.weights[0] + biases[0])
    small = slopes < 0.01 * net.activations[0].df(np.zeros(1))
    d = measured(net, X, np.zeros(5))
    assert d.layers[0].saturated == tuple(np.flatnonzero(small.mean(axis=0) > 0.5))
    assert 0 in d.layers[0].saturated
    assert 1 not in d.layers[0].saturated
    assert d.layers[0].small_slopes == pytest.approx(small.mean())


def test_rows_that_do_not_differ_say_nothing_about_dead_units() -> None:
    net = dr.Network([2, 3, 1], "tanh", rng=0)
    d = measured(net, np.ones((5, 2)), np.arange(5.0))
    assert [one.dead for one in d.layers] == [(), ()]
    assert [one.over_rows for one in d.layers] == [None, None]
    assert codes(d) == []


def test_a_saturated_layer_is_told() -> None:
    rng = np.random.default_rng(0)
    net = dr.Network([3, 20, 1], "tanh", rng=0)
    X = rng.normal(size=(100, 3))
    assert codes(measured(net, X, X[:, 0])) == []
    d = measured(net, 1000 * X, X[:, 0])
    assert "saturated" in codes(d)
    assert d.layers[0].saturated == tuple(range(20))


@pytest.mark.parametrize(
    ("name", "largest", "both"),
    [("sigmoid", 0.25, True), ("tanh", 1, True), ("relu", 1, False), ("identity", 1, False)],
)
def test_the_largest_slope_of_an_activation(name: str, largest: float, both: bool) -> None:
    assert slope_limit(dr.Network([1, 1, 1], name).activations[0]) == (largest, both)


def test_unbounded_slopes_are_never_small() -> None:
    square = dr.Activation("square", lambda z: z * z, lambda z: 2 * z)
    assert slope_limit(square) is None
    net = dr.Network([2, 3, 1], square, rng=0)
    assert measured(net, np.ones((3, 2)), np.ones(3)).layers[0].saturated is None


def test_the_outputs_own_activation_does_not_saturate() -> None:
    """Its slope cancels in delta = o - y; with another loss it counts."""
    X = np.array([[1000.0], [2000.0]])
    right = dr.Network([1, 1], loss="log_loss", rng=0)
    right.weights = [[[1.0]]]
    d = measured(right, X, [1, 1])
    assert d.layers[0].saturated is None
    assert codes(d)[0] == "no_gradient"
    other = dr.Network([1, 1], loss="squared_error", output_activation="sigmoid", rng=0)
    other.weights = [[[1.0]]]
    assert measured(other, X, [0, 0]).layers[0].saturated == (0,)


# -- the L2 term ----------------------------------------------------------------------------------


def test_the_l2_term_is_told_apart() -> None:
    """Its norm by the difference of penalised losses; where it leads, the layer is named."""
    rng = np.random.default_rng(0)
    net = dr.Network([3, 4, 1], "tanh", rng=0)
    X = rng.normal(size=(30, 3))
    Y = net.predict(X) + 1e-6 * rng.normal(size=(30, 1))  # the data have hardly anything to say
    l2 = 0.05
    d = measured(net, X, Y, l2=l2)
    for l, one in enumerate(d.layers):
        W, h = net.weights[l], 1e-5
        slope = np.zeros(W.shape)
        for index in np.ndindex(W.shape):
            step = np.zeros(W.shape)
            step[index] = h
            slope[index] = l2 / 2 * (((W + step) ** 2).sum() - ((W - step) ** 2).sum()) / (2 * h)
        assert one.l2_gradient_norm == pytest.approx(np.linalg.norm(slope), rel=1e-8)
        assert one.l2_ratio is not None
        assert one.l2_ratio > 1
    (found,) = d.findings
    assert (found.code, found.layer) == ("l2_leads", 1)
    assert "Layers 1 to 2" in found.sentence
    assert codes(measured(net, X, Y)) == []
    assert "L2/data" in str(d)


# -- Jacobians ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "loss"), [("tanh", "squared_error"), ("softmax", "cross_entropy")]
)
def test_the_jacobian_is_that_of_finite_differences(name: str, loss: str) -> None:
    net = dr.Network([5, 4], [name], loss, rng=0)
    x = np.random.default_rng(1).normal(size=(1, 5))
    h = 1e-6 * np.eye(5)
    numeric = (net.predict(x + h) - net.predict(x - h)) / 2e-6  # (n_in, n_out)
    values = np.linalg.svd(numeric, compute_uv=False)
    j = layer_jacobian(net.weights[0], net.activations[0], dr.forward(net, x).z[0], _rng())
    assert j is not None
    assert j.samples == 1
    assert j.largest == pytest.approx(values[0], rel=1e-6)
    assert j.rms == pytest.approx(np.sqrt((values**2).sum() / 4), rel=1e-6)
    there = values[:3] if name == "softmax" else values  # its outputs sum to 1
    assert j.rank == len(there)
    assert j.geometric_mean == pytest.approx(np.exp(np.log(there).mean()), rel=1e-6)
    assert j.smallest == pytest.approx(0 if name == "softmax" else values[-1], rel=1e-6)
    assert j.condition == (None if name == "softmax" else pytest.approx(values[0] / values[-1]))


def test_jacobians_are_averaged_over_rows_and_know_their_rank() -> None:
    net = dr.Network([3, 3, 1], "relu", bias=False, rng=0)
    net.weights = [np.diag([1.0, 2.0, 4.0]), np.ones((3, 1))]
    rows = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0]])  # the last unit is off in the second
    j = measured(net, rows, [0.0, 0.0]).layers[0].jacobian
    assert j is not None
    assert j.samples == 2
    assert (j.largest, j.smallest, j.rank) == pytest.approx((3, 0.5, 2.5))
    assert j.geometric_mean == pytest.approx((2 + math.sqrt(2)) / 2)


def test_the_largest_value_of_a_wide_layer_by_power_iteration() -> None:
    rng = np.random.default_rng(0)
    W, z = rng.normal(size=(400, 300)) / 20, rng.normal(size=(2, 300))
    f = dr.Network([1, 1, 1], "tanh").activations[0]
    j = layer_jacobian(W, f, z, _rng())
    assert j is not None
    exact = [np.linalg.svd(f.df(row)[:, None] * W.T, compute_uv=False)[0] for row in z]
    assert j.largest == pytest.approx(np.mean(exact), rel=0.02)
    assert j.largest <= np.mean(exact) * (1 + 1e-12)
    assert j.geometric_mean is j.smallest is j.rank is j.condition is None


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


# -- data and options -----------------------------------------------------------------------------


def test_a_sample_of_the_rows_is_looked_at() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    net = dr.Network([3, 4, 1], rng=0)
    d = measured(net, X, X[:, 0], rows=100)
    assert len(set(d.rows)) == 100
    g = dr.backward(net, X[d.rows], X[d.rows, 0])
    assert d.layers[0].weight_gradient_norm == pytest.approx(np.linalg.norm(g.weights[0]))
    assert "100 of 500 rows" in str(d)
    assert len(measured(net, X, X[:, 0], rows=None).rows) == 500
    assert list(measured(net, X, X[:, 0], rows=100, rng=1).rows) != list(d.rows)


def test_sparse_and_folded_change_nothing() -> None:
    from scipy.sparse import csr_array

    X = np.array([[0.0, 1.5, 0.0], [1.0, 0.0, 2.0]])
    net = dr.Network([3, 2, 1], "tanh", rng=2)
    plain = measured(net, X, [1.0, 2.0]).to_dict()
    assert measured(net, csr_array(X), [1.0, 2.0]).to_dict() == plain
    folded = measured(dr.fold_biases(net), X, [1.0, 2.0]).to_dict()
    assert folded | {"network": ""} == plain | {"network": ""}


def test_the_same_seed_gives_the_same_diagnosis() -> None:
    net, X, Y = deep("sigmoid", L=12)
    assert diagnose(net, X, Y).to_dict() == diagnose(net, X, Y).to_dict()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((), {}, dr.SpecError, "needs inputs X and targets Y"),
        (([[1.0]], [1.0]), {}, dr.DataError, "X has 1 column"),
        (([[1.0, math.nan]], [1.0]), {}, dr.DataError, "NaN at row 0, column 1"),
        (([[1.0, 2.0]], [1.0, 2.0]), {}, dr.DataError, "Y has shape"),
        (([[1.0, 2.0]], [1.0]), {"l2": -1}, dr.SpecError, "l2 must be a finite number >= 0"),
        (([[1.0, 2.0]], [1.0]), {"rows": 0}, dr.SpecError, "rows must be a whole number >= 1"),
        (([[1.0, 2.0]], [1.0]), {"rng": "x"}, dr.SpecError, "rng must be None"),
        (([[1.0, 2.0]], [1.0]), {"rng": True}, dr.SpecError, "rng must be None"),
        (([[1.0, 2.0]], [1.0]), {"sample_weight": [0]}, dr.DataError, "0 for every sample"),
    ],
)
def test_what_does_not_fit_is_refused(
    arguments: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        diagnose(dr.Network([2, 1], rng=0), *arguments, **options)


def test_text_of_a_deep_network_says_what_it_leaves_out() -> None:
    d = measured(*deep("sigmoid", "float64"))
    text = d.to_text()
    shown = [int(l) for l in re.findall(r"^ +(\d+) ", text, re.MULTILINE)]
    assert f"{len(set(shown))} of 100 layers" in text
    assert {1, 100, d.vanishes_at, d.zero_in_float32_at} <= set(shown)
    assert "of 100 layers:" not in d.to_text(None)
    assert max(map(len, text.splitlines())) <= 115


def test_a_picture(tmp_path: Any) -> None:
    d = measured(*deep("sigmoid", "float64", L=40), l2=0.1)
    for ending in ("png", "svg", "pdf"):
        d.plot(tmp_path / f"picture.{ending}")
        assert (tmp_path / f"picture.{ending}").stat().st_size > 1000
    figure = d.plot()
    deltas = figure.axes[0].lines[0]
    assert list(deltas.get_ydata()) == [one.delta_rms for one in d.layers]
    assert [axis.get_title() for axis in figure.axes] == ["backward", "activations", "shares"]


def test_the_picture_of_the_l2_term() -> None:
    net, X, Y = deep("tanh", L=3)
    d = measured(net, X, Y, l2=0.1)
    lines = {line.get_label(): list(line.get_ydata()) for line in d.plot().axes[0].lines}
    assert lines["norm of the L2 term"] == [one.l2_gradient_norm for one in d.layers]


def test_a_picture_needs_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    d = diagnose("mazur")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(dr.DeltaruleError, match=r"pip install 'deltarule\[plot\]'"):
        d.plot()


def test_a_generator_gives_rows_and_seed() -> None:
    net, X, Y = deep("sigmoid", L=12)
    first, again = (diagnose(net, X, Y, rng=np.random.default_rng(4), rows=20) for _ in range(2))
    assert first.to_dict() == again.to_dict()
    other = diagnose(net, X, Y, rng=np.random.default_rng(5), rows=20)
    assert first.seed != other.seed
    assert "vanishes" in repr(first)
    assert repr(diagnose("mazur")).endswith("1 rows: nothing found)")


def test_rows_without_weight_are_refused() -> None:
    weight = np.zeros(500)
    weight[0] = 1
    net = dr.Network([1, 1], rng=0)
    with pytest.raises(dr.DataError, match="0 for every row that was drawn: pass rows=None"):
        measured(net, np.ones((500, 1)), np.ones(500), sample_weight=weight, rows=3)


def test_a_wide_layer_and_one_of_nothing_but_zeros() -> None:
    """Products large enough for several threads; a power iteration that finds nothing."""
    net = dr.Network([1000, 1200, 1], "tanh", rng=0)
    net.weights[0][:] = 0
    X = np.random.default_rng(0).normal(size=(900, 1000))
    d = measured(net, X, X[:, 0], rows=None)
    assert d.layers[0].jacobian is not None
    assert d.layers[0].jacobian.largest == 0
    assert d.layers[0].dead == tuple(range(1200))
