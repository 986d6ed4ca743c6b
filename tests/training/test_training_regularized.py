"""Penalties, clipping and dropout; the same rng gives the same bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import deltarule as dr

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = np.stack([np.tanh(X @ [1, -1, 0.5, 0]), X[:, 0] * X[:, 1]], axis=1)
PLAIN: dict[str, Any] = {"validation": None, "shuffle": False}


def network(**options: Any) -> dr.Network:
    return dr.Network([4, 5, 2], "tanh", rng=0, **options)


# -- penalties, clipping, dropout ----------------------------------------------------------------


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.7), (0.3, 0.7)])
def test_penalties_pull_at_weights_and_not_at_biases(l1: float, l2: float) -> None:
    net, by_hand = network(), network()
    for each in (net, by_hand):
        each.theta = np.linspace(-1, 1, net.theta.size)
    gradients = dr.backward(by_hand, X, Y)
    for W, b, dW, db in zip(
        by_hand.weights, by_hand.biases, gradients.weights, gradients.biases, strict=True
    ):
        W -= 0.1 * (dW + l2 * W + l1 * np.sign(W))
        b -= 0.1 * db
    options: dict[str, Any] = {"batch_size": "full", "optimizer": dr.SGD(0.1)} | PLAIN
    history = dr.train(net, X, Y, epochs=1, l1=l1, l2=l2, **options)
    np.testing.assert_allclose(net.theta, by_hand.theta, rtol=1e-12)
    assert history.loss[0] == pytest.approx(gradients.loss, rel=1e-12)  # without penalties


def test_l1_makes_weights_small_that_do_nothing() -> None:
    nets = []
    for l1 in (0.0, 0.01):
        net = dr.Network([4, 1], rng=0)
        dr.train(net, X, X[:, 0], epochs=200, l1=l1, learning_rate=0.01, **PLAIN)
        nets.append(np.abs(net.weights[0][:, 0]))
    assert nets[1][0] > 0.9
    assert (nets[1][1:] < 0.02).all()


@pytest.mark.parametrize(("clip", "clipped"), [(0.01, True), (1e6, False)])
def test_clipping_shortens_the_gradient_and_keeps_its_direction(clip: float, clipped: bool) -> None:
    net = network()
    before, gradient = net.theta.copy(), dr.backward(net, X, Y).theta
    options: dict[str, Any] = {"batch_size": "full", "optimizer": dr.SGD(1.0)} | PLAIN
    history = dr.train(net, X, Y, epochs=1, clip_norm=clip, **options)
    norm = float(np.linalg.norm(gradient))
    step = gradient * (clip / norm if clipped else 1)
    np.testing.assert_allclose(before - net.theta, step, rtol=1e-8)
    assert math.hypot(*history.gradient_norms[0]) == pytest.approx(norm, rel=1e-12)


def test_dropout_trains_and_makes_the_training_loss_larger() -> None:
    A, b = load_digits(return_X_y=True)
    losses = []
    for rate in (0.0, 0.3):
        net = dr.Network([64, 64, 10], "relu", "cross_entropy", rng=0)
        history = dr.train(net, A / 16, b, epochs=8, dropout=rate)
        losses.append(history.loss[-1])
        assert history.metrics["accuracy"][-1] > 0.93
    assert losses[1] > 1.2 * losses[0]


def test_dropout_keeps_the_mean_and_leaves_prediction_alone() -> None:
    """Of a linear network: the mean gradient over many masks is the gradient without any."""
    net = dr.Network([4, 30, 2], "identity", rng=0)
    start, sums = net.theta.copy(), np.zeros(net.theta.size)
    rule = dr.SGD(1.0)
    tries = 3000
    for rng in range(tries):
        net.theta = start
        dr.train(
            net, X[:8], Y[:8] * 0, epochs=1, dropout=[0.0, 0.4], optimizer=rule, rng=rng, **PLAIN
        )
        sums += start - net.theta
    net.theta = start
    mean = dr.backward(net, X[:8], Y[:8] * 0)
    # the bias of the output has a gradient linear in the masks: its mean is exact
    got = sums[net.layout.layer_slices()[1]][:2] / tries
    np.testing.assert_allclose(got, mean.biases[1], atol=0.05)


def test_dropout_per_layer() -> None:
    """Only the weights behind units that were left out have no gradient."""
    net = dr.Network([4, 6, 6, 2], "tanh", rng=0)
    before = net.copy()
    rule = dr.SGD(0.1)
    dr.train(net, X[:1], Y[:1], epochs=1, dropout=[0, 0.5, 0], optimizer=rule, **PLAIN)
    moved = [W != V for W, V in zip(net.weights, before.weights, strict=True)]
    rows = moved[1].any(axis=1)
    assert 0 < rows.sum() < 6
    np.testing.assert_array_equal(moved[0].any(axis=0), rows)
    assert moved[2].all()


def test_one_dropout_rate_needs_hidden_layers() -> None:
    X = np.ones((20, 2))
    with pytest.raises(dr.SpecError, match="there is none; to drop inputs give a list"):
        dr.train(dr.Network([2, 1]), X, X[:, 0], epochs=1, dropout=0.5)
    dr.train(dr.Network([2, 1]), X, X[:, 0], epochs=1, dropout=[0.5])


def test_weights_folded_or_not_train_alike() -> None:
    net = network()
    folded = dr.fold_biases(net)
    for each in (net, folded):
        dr.train(each, X, Y, epochs=3, l2=0.1, l1=0.01)
    assert net.theta.tobytes() == folded.theta.tobytes()


# -- the same bits ----------------------------------------------------------------------------


def bits(rng: Any, **options: Any) -> tuple[bytes, list[float]]:
    net = network()
    history = dr.train(net, X, Y, epochs=3, rng=rng, dropout=0.2, batch_size=16, **options)
    return net.theta.tobytes(), history.loss


@pytest.mark.parametrize(
    "make",
    [
        lambda: 7,
        lambda: np.int64(7),
        lambda: np.random.SeedSequence(7),
        lambda: np.random.default_rng(7),
    ],
)
def test_the_same_rng_gives_the_same_bits(make: Any) -> None:
    assert bits(make()) == bits(make())


def test_another_rng_gives_other_bits() -> None:
    assert len({bits(rng)[0] for rng in range(5)}) == 5
    assert bits(None) != bits(None)
    one = np.random.default_rng(0)
    assert bits(one) != bits(one)


@pytest.mark.parametrize("bad", [-1, 1.5, "seed", [1, 2]])
def test_bad_rng(bad: Any) -> None:
    with pytest.raises(dr.SpecError, match="rng must be"):
        bits(bad)


def test_the_order_changes_every_epoch_unless_told_not_to() -> None:
    A = np.arange(12.0)[:, None]
    for shuffle in (True, False):
        seen: list[list[float]] = []

        class Look(dr.Callback):
            def on_batch(self, progress: dr.Progress, seen: Any = seen) -> None:
                if progress.batch == 1:
                    seen.append([])
                seen[-1].append(round(progress.batch_loss, 6))

        net = dr.Network([1, 1], initializer="zeros", rng=0)
        rule = dr.SGD(1e-300)  # nothing moves: the loss of a batch of one names its row
        dr.train(
            net, A, A, epochs=3, batch_size=1, shuffle=shuffle, validation=None, optimizer=rule,
            callbacks=[Look()],
        )  # fmt: skip
        want = [i * i / 2 for i in range(12)]
        assert all(sorted(epoch) == want for epoch in seen)
        assert all((epoch == want) is not shuffle for epoch in seen)
        assert len({tuple(epoch) for epoch in seen}) == (3 if shuffle else 1)


def test_data_given_is_never_changed() -> None:
    A, b, w = X.copy(), Y.copy(), np.ones(60)
    dr.train(network(), A, b, epochs=2, sample_weight=w, dropout=[0.5, 0.5])
    np.testing.assert_array_equal(A, X)
    np.testing.assert_array_equal(b, Y)
    np.testing.assert_array_equal(w, 1)
