"""A loss that is not finite: where it began, what is kept, what to try."""

from __future__ import annotations

import math
import pickle
import re
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import deltarule as dr

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ [[1.0], [2.0], [-1.0]]


def network(**options: Any) -> dr.Network:
    return dr.Network([3, 6, 1], "relu", rng=0, **options)


class Blow(dr.Callback):
    """Makes the weights of one layer huge after a given batch."""

    def __init__(self, epoch: int, batch: int, layer: int, factor: float = 1e200) -> None:
        self.at, self.layer, self.factor = (epoch, batch), layer, factor

    def on_batch(self, progress: dr.Progress) -> None:
        if (progress.epoch, progress.batch) == self.at:
            progress.net.weights[self.layer - 1][...] *= self.factor


@pytest.mark.parametrize(("layer", "named"), [(1, 2), (2, 2)])
def test_epoch_batch_and_layer_are_named(layer: int, named: int) -> None:
    net, seen = network(), []
    with pytest.raises(dr.DivergenceError, match="epoch 3, batch 3: layer") as caught:
        dr.train(
            net, X, Y, epochs=5, batch_size=15, validation=None, shuffle=False,
            callbacks=[Blow(3, 2, layer), lambda p: seen.append(p.net.theta.copy())],
        )  # fmt: skip
    error = caught.value
    assert (error.epoch, error.batch, error.layer) == (3, 3, named)
    assert isinstance(error.history, dr.History)
    assert len(error.history) == 2
    assert net.theta.tobytes() == seen[1].tobytes()
    assert "parameters of the end of epoch 2" in str(error)


def test_the_first_layer_whose_net_input_overflows_is_named() -> None:
    net = dr.Network([3, 4, 4, 1], "relu", rng=0)
    net.weights[0][...] = 1.0
    with pytest.raises(dr.DivergenceError) as caught:
        dr.train(
            net, np.abs(X), Y, epochs=2, batch_size=15, validation=None,
            callbacks=[Blow(1, 1, 1, math.inf)],
        )  # fmt: skip
    assert caught.value.layer == 1
    assert "no longer finite" in str(caught.value)


def test_a_large_learning_rate_is_told_and_advised_against() -> None:
    net = network()
    before = net.theta.copy()
    with pytest.raises(
        dr.DivergenceError, match=r"smaller learning rate \(it was 1e\+200\)"
    ) as got:
        dr.train(net, X, Y, epochs=3, optimizer=dr.SGD(1e200), validation=None)
    assert "clip_norm=1" in str(got.value)
    assert "the start" in str(got.value)
    np.testing.assert_array_equal(net.theta, before)


def test_an_overflow_in_the_last_update_names_the_last_batch() -> None:
    net = network()
    before = net.theta.copy()
    with pytest.raises(dr.DivergenceError) as caught:
        dr.train(net, X, Y, epochs=1, batch_size=15, validation=None, callbacks=[
            Blow(1, 4, 1, math.inf)
        ])  # fmt: skip
    assert (caught.value.epoch, caught.value.batch) == (1, 4)
    np.testing.assert_array_equal(net.theta, before)


def test_early_stopping_gives_its_best_back() -> None:
    net, seen = network(), []
    with pytest.raises(dr.DivergenceError, match="end of epoch 1") as caught:
        dr.train(
            net, X, Y, epochs=9, validation=0.2, callbacks=[
                lambda p: seen.append(p.net.theta.copy()), Blow(4, 1, 2)
            ],
            early_stopping=dr.EarlyStopping(min_delta=1e3), batch_size=10,
        )  # fmt: skip
    assert caught.value.epoch == 4
    assert net.theta.tobytes() == seen[0].tobytes()
    assert caught.value.history.best_epoch == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_targets_too_large_for_the_loss_blame_the_output_layer(dtype: str) -> None:
    net = network(dtype=dtype)
    huge = np.full((60, 1), float(np.finfo(dtype).max))
    before = net.theta.copy()
    with pytest.raises(dr.DivergenceError, match="layer 2 overflows") as caught:
        dr.train(net, X, huge, epochs=2, validation=None)
    assert (caught.value.epoch, caught.value.batch, caught.value.layer) == (1, 1, 2)
    np.testing.assert_array_equal(net.theta, before)


def test_lbfgs_advice_is_what_lbfgs_can_take() -> None:
    net = network()
    before = net.theta.copy()
    with pytest.raises(dr.DivergenceError) as caught:
        dr.train(net, X, np.full((60, 1), 1e300), epochs=5, optimizer="lbfgs", validation=None)
    assert (caught.value.epoch, caught.value.batch) == (1, 1)
    assert "clip_norm" not in str(caught.value)
    assert "learning rate" not in str(caught.value)
    # it is said of estimators too, whose parameters are called alpha and solver
    assert not re.search("l2=|optimizer=", str(caught.value))
    np.testing.assert_array_equal(net.theta, before)


def test_sparse_rows_diverge_too() -> None:
    with pytest.raises(dr.DivergenceError, match="layer 2"):
        dr.train(network(), sparse.csr_array(X), Y, epochs=3, optimizer=dr.SGD(1e30))


def test_a_finite_loss_with_a_gradient_that_overflows_is_caught() -> None:
    """sum J stays finite, but dJ/do * a overflows: the update makes theta infinite."""
    net = dr.Network([1, 1], loss="absolute_error", rng=0)
    big = np.full((4, 1), 1e308)
    with pytest.raises(dr.DivergenceError):
        dr.train(net, big, np.zeros(4), epochs=50, optimizer=dr.SGD(10.0), validation=None)
    assert np.isfinite(net.theta).all()


def test_the_error_survives_the_way_home_from_a_worker() -> None:
    error = dr.DivergenceError("boom", epoch=3, batch=2, layer=1, history=dr.History([1.0]))
    twin = pickle.loads(pickle.dumps(error))
    assert (str(twin), twin.epoch, twin.batch, twin.layer) == ("boom", 3, 2, 1)
    assert twin.history == error.history


def test_it_is_a_deltarule_error_and_a_floating_point_error() -> None:
    assert issubclass(dr.DivergenceError, dr.DeltaruleError)
    assert issubclass(dr.DivergenceError, FloatingPointError)
