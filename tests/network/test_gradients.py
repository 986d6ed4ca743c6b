"""forward, backward and per-sample gradients of a network: shapes, sums, weights, bad data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from deltarule.equations.activations import Activation
from deltarule.equations.losses import get_loss, loss_names
from deltarule.errors import DataError, SpecError
from deltarule.network.gradients import backward, forward, per_sample_gradients
from deltarule.network.network import Network, fold_biases
from support.oracles import numeric_gradient, stacked_error, targets


def problem(
    loss: str = "squared_error", n: int = 6, dtype: str = "float64", **more: Any
) -> tuple[Network, Any, Any]:
    rng = np.random.default_rng(5)
    net = Network([3, 4, 3], "tanh", loss, dtype=dtype, rng=1, **more)
    net.theta = rng.normal(0, 0.8, net.theta.size)
    return net, rng.standard_normal((n, 3)), targets(net.loss, rng, n, 3)


def test_shapes_and_places() -> None:
    net, X, Y = problem(bias=[True, False])
    passed, g = forward(net, X), backward(net, X, Y)
    assert [z.shape for z in passed.z] == [(6, 4), (6, 3)]
    assert [a.shape for a in passed.a] == [(6, 3), (6, 4), (6, 3)]
    assert passed.a[0] is X
    assert passed.output is passed.a[-1]
    assert isinstance(g.loss, float)
    assert [d.shape for d in g.delta] == [(6, 4), (6, 3)]
    assert [a.shape for a in g.activations] == [(6, 3), (6, 4), (6, 3)]
    assert g.inputs.shape == (6, 3)
    assert g.theta.shape == net.theta.shape
    assert all(np.shares_memory(W, g.theta) for W in g.weights)
    assert g.biases[1] is None
    g.weights[1][0, 0] = 77
    assert 77 in g.theta


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", loss_names())
def test_everything_has_the_networks_dtype(loss: str, dtype: str) -> None:
    net, X, Y = problem(loss, dtype=dtype)
    g, each = backward(net, X, Y), per_sample_gradients(net, X, Y)
    arrays = [g.theta, *g.delta, *g.activations, *each.weights, *each.biases, *forward(net, X).z]
    assert {str(array.dtype) for array in arrays} == {dtype}


def test_float32_is_float64_to_its_accuracy() -> None:
    for loss in loss_names():
        net, X, Y = problem(loss)
        low, _, _ = problem(loss, dtype="float32")
        X, Y = X.astype(np.float32).astype(float), Y.astype(np.float32).astype(float)
        net.theta = low.theta
        ours, exact = backward(low, X, Y), backward(net, X, Y)
        assert ours.loss == pytest.approx(exact.loss, rel=1e-5)
        scale = abs(exact.theta).max()
        np.testing.assert_allclose(ours.theta, exact.theta, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
def test_error_and_gradient_of_a_weighted_mean_or_sum(  # A2, C4
    reduction: str, weighted: bool
) -> None:
    for loss in ("squared_error", "log_loss", "cross_entropy", "poisson"):
        net, X, Y = problem(loss)
        w = np.array([0.5, 0, 2, 1, 3, 0.25]) if weighted else np.ones(6)
        share = w / w.sum() if reduction == "mean" else w
        C = stacked_error(net, X, Y, share)
        g = backward(net, X, Y, w if weighted else None, reduction)
        assert g.loss == pytest.approx(C(net.theta[None])[0], rel=1e-12)
        np.testing.assert_allclose(g.theta, numeric_gradient(C, net.theta), rtol=1e-6, atol=1e-9)
        plain = backward(net, X, Y)
        for one, other in zip(g.delta, plain.delta, strict=True):  # of each sample, unweighted
            assert np.array_equal(one, other)


@given(st.lists(st.integers(0, 4), min_size=6, max_size=6).filter(any), st.booleans())
def test_whole_weights_are_repeated_rows(counts: list[int], as_sum: bool) -> None:
    net, X, Y = problem("cross_entropy")
    reduction = "sum" if as_sum else "mean"
    weighted = backward(net, X, Y, counts, reduction)
    repeated = backward(
        net, np.repeat(X, counts, axis=0), np.repeat(Y, counts, axis=0), None, reduction
    )
    assert weighted.loss == pytest.approx(repeated.loss, rel=1e-12)
    np.testing.assert_allclose(weighted.theta, repeated.theta, rtol=1e-10, atol=1e-13)


@given(st.permutations(range(6)))
def test_the_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    net, X, Y = problem("log_loss")
    np.testing.assert_allclose(
        backward(net, X[order], Y[order]).theta, backward(net, X, Y).theta, rtol=1e-10, atol=1e-13
    )


@pytest.mark.parametrize("loss", loss_names())
@pytest.mark.parametrize("bias", [True, False, [False, True]])
def test_per_sample_gradients_are_those_of_each_row_alone(loss: str, bias: Any) -> None:  # X1
    net, X, Y = problem(loss, bias=bias)
    each, whole = per_sample_gradients(net, X, Y), backward(net, X, Y)
    for l in range(2):
        assert each.weights[l].shape == (6, *net.weights[l].shape)
        np.testing.assert_allclose(each.weights[l].mean(axis=0), whole.weights[l], atol=1e-14)
        if not net.bias[l]:
            assert each.biases[l] is None
            continue
        np.testing.assert_allclose(each.biases[l].mean(axis=0), whole.biases[l], atol=1e-14)
    for i in range(6):
        alone = backward(net, X[i : i + 1], Y[i : i + 1])
        for l in range(2):
            np.testing.assert_allclose(each.weights[l][i], alone.weights[l], rtol=1e-12, atol=1e-15)


def test_per_sample_gradients_of_a_folded_network() -> None:  # C3, X1
    net, X, Y = problem(bias=[True, False])
    apart, folded = per_sample_gradients(net, X, Y), per_sample_gradients(fold_biases(net), X, Y)
    assert folded.biases == [None, None]
    assert [W.shape for W in folded.weights] == [(6, 4, 4), (6, 4, 3)]
    assert np.array_equal(folded.weights[0][:, 0], apart.biases[0])
    assert np.array_equal(folded.weights[0][:, 1:], apart.weights[0])


def test_labels_one_hot_rows_and_lists_are_the_same_data() -> None:
    net, X, _ = problem("cross_entropy")
    labels = [0, 1, 2, 2, 1, 0]
    one = backward(net, X, labels)
    other = backward(net, X.tolist(), np.eye(3)[labels].astype(int))
    assert one.theta.tobytes() == other.theta.tobytes()


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix, sp.csc_matrix])
def test_sparse_inputs_give_the_dense_numbers(kind: Any) -> None:
    net, X, Y = problem()
    X[abs(X) < 0.7] = 0
    dense, sparse = backward(net, X, Y), backward(net, kind(X), Y)
    np.testing.assert_allclose(sparse.theta, dense.theta, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(sparse.inputs, dense.inputs, rtol=1e-12, atol=1e-14)
    assert isinstance(sparse.weights[0], np.ndarray)
    with pytest.raises(SpecError, match=r"use X.toarray\(\)"):
        per_sample_gradients(net, kind(X), Y)


def test_nothing_given_is_changed() -> None:
    net, X, Y = problem()
    w = np.ones(6)
    for array in (X, Y, w):
        array.flags.writeable = False
    before = net.theta.copy()
    forward(net, X)
    backward(net, X, Y, w)
    per_sample_gradients(net, X, Y)
    assert np.array_equal(net.theta, before)


def test_overflow_is_a_number_not_a_warning() -> None:
    net, X, Y = problem(dtype="float32")
    net.theta = net.theta * np.float32(1e25)
    assert not np.isfinite(backward(net, X * 1e20, Y).loss)


@pytest.mark.parametrize("function", [backward, per_sample_gradients])
def test_bad_data(function: Any) -> None:
    net, X, Y = problem()
    for bad_X, bad_Y, message in (
        (X[:, :2], Y, "X has 2 columns, but the network has 3 inputs"),
        (X, Y[:5], "Y has shape (5, 3), but there are 6 samples"),
        (X * np.nan, Y, "X holds NaN at row 0, column 0"),
        (X, Y * np.inf, "Y holds infinity at row 0, column 0"),
    ):
        with pytest.raises(DataError) as caught:
            function(net, bad_X, bad_Y)
        assert message in str(caught.value)


def test_bad_options() -> None:
    net, X, Y = problem()
    with pytest.raises(SpecError, match="reduction must be 'mean' or 'sum'"):
        backward(net, X, Y, reduction="none")
    with pytest.raises(DataError, match="sample_weight has shape"):
        backward(net, X, Y, [1, 2])


def test_an_own_loss_and_activation() -> None:  # C4
    from deltarule.equations.losses import Loss

    mine = Loss(
        "log_cosh",
        lambda o, y: np.log(np.cosh(o - y)).sum(axis=-1),
        lambda o, y: np.tanh(o - y),
    )
    wave = Activation("wave", lambda z: z + np.sin(z), lambda z: 1 + np.cos(z))
    net = Network([3, 4, 3], wave, mine, rng=0)
    _, X, Y = problem()
    C = stacked_error(net, X, Y, np.full(6, 1 / 6))
    measured = numeric_gradient(C, net.theta)
    np.testing.assert_allclose(backward(net, X, Y).theta, measured, rtol=1e-7, atol=1e-10)
    assert get_loss(mine) is mine
