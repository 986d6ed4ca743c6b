"""Which rows count how much: validation, sample weights, sparse rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import deltarule as dr
from deltarule.network.data import check_targets
from deltarule.training.holdout import hold_out

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = np.stack([np.tanh(X @ [1, -1, 0.5, 0]), X[:, 0] * X[:, 1]], axis=1)
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3)
PLAIN: dict[str, Any] = {"validation": None, "shuffle": False}


def network(**options: Any) -> dr.Network:
    return dr.Network([4, 5, 2], "tanh", rng=0, **options)


# -- validation -------------------------------------------------------------------------------


def validation_rows(Y: Any, share: float, loss: str, outputs: int, rng: int = 0) -> np.ndarray:
    """The numbers of the rows that are held out; they and the others are all rows, once."""
    net = dr.Network([1, outputs], loss=loss)
    encoded = check_targets(net.loss, Y, len(Y), outputs, net.dtype)
    A = np.arange(len(Y), dtype=float)[:, None]
    rows, held = hold_out(net, A, encoded, None, share, rng)
    assert rows is not None
    assert held is not None
    numbers = held.X[:, 0].astype(int)
    np.testing.assert_array_equal(np.sort(np.concatenate([rows, numbers])), np.arange(len(Y)))
    np.testing.assert_array_equal(held.Y, encoded[numbers])
    return numbers


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
@pytest.mark.parametrize(("loss", "outputs"), [("cross_entropy", 4), ("log_loss", 1)])
def test_a_share_is_held_out_class_by_class(share: float, loss: str, outputs: int) -> None:
    labels = np.repeat([0, 1, 2, 3], [100, 40, 20, 40])
    labels = RNG.permutation(labels if outputs == 4 else labels % 2)
    numbers = validation_rows(labels, share, loss, outputs)
    assert len(numbers) == round(200 * share)
    want = np.bincount(labels) * share
    assert (np.abs(np.bincount(labels[numbers], minlength=len(want)) - want) <= 1).all()


@pytest.mark.parametrize("share", [0.5, 0.6, 0.75, 0.9])
def test_a_large_share_leaves_every_class_something_to_train_on(share: float) -> None:
    labels = np.repeat([0, 1, 2], [30, 2, 4])
    for rng in range(20):
        held = validation_rows(labels, share, "cross_entropy", 3, rng)
        assert set(np.delete(labels, held)) == {0, 1, 2}


def test_the_rows_held_out_depend_on_the_rng_alone() -> None:
    labels = np.repeat([0, 1], 50)
    rows = [validation_rows(labels, 0.2, "log_loss", 1, rng) for rng in (0, 0, 1)]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert set(rows[0]) != set(rows[2])


def test_every_row_has_the_same_chance_to_be_held_out() -> None:
    labels = np.repeat([0, 1, 2], [5, 10, 15])
    count = np.zeros(30)
    for rng in range(600):
        count[validation_rows(labels, 0.2, "cross_entropy", 3, rng)] += 1
    np.testing.assert_allclose(count / 600, 0.2, atol=0.07)


def test_held_out_rows_are_not_trained_on() -> None:
    targets = np.zeros(40)
    held = validation_rows(targets, 0.25, "squared_error", 1)
    targets[held] = 1e6  # would be seen at once in the training loss
    net = dr.Network([1, 1], rng=0)
    history = dr.train(net, np.zeros((40, 1)), targets, epochs=2, validation=0.25)
    assert max(history.loss) < 1
    assert min(history.validation_loss) > 1e11


def test_validation_set_of_ones_own() -> None:
    A, b = RNG.normal(size=(20, 4)), RNG.normal(size=(20, 2))
    w = RNG.random(20)
    for validation, weight in (((A, b), None), ((A, b, w), w), ([A.tolist(), b.tolist()], None)):
        net = network()
        history = dr.train(net, X, Y, epochs=2, validation=validation)
        want = dr.backward(net, A, b, sample_weight=weight).loss
        assert history.validation_loss[-1] == pytest.approx(want, rel=1e-12)
    labelled = dr.Network([4, 3], loss="cross_entropy", rng=0)
    history = dr.train(labelled, X, LABELS, epochs=1, validation=(X, LABELS))
    want = (labelled.predict(X).argmax(1) == LABELS).mean()
    assert history.metrics["accuracy"] == [pytest.approx(want)]


@pytest.mark.parametrize(
    ("Y", "validation", "error", "message"),
    [
        (Y[:4], 0.1, dr.DataError, "0.1 of 4 rows leaves nothing"),
        (Y[:1], 0.5, dr.DataError, "0.5 of 1 row leaves nothing"),
        (Y, 0.999, dr.DataError, "leaves nothing"),
        (Y, 0, dr.SpecError, "share between 0 and 1"),
        (Y, 1, dr.SpecError, "share between 0 and 1"),
        (Y, 1.0, dr.SpecError, "share between 0 and 1"),
        (Y, math.nan, dr.SpecError, "share between 0 and 1"),
        (Y, True, dr.SpecError, "a share"),
        (Y, "some", dr.SpecError, "a share"),
        (Y, (X,), dr.SpecError, r"\(X, Y\)"),
        (Y, (X, Y, None, None), dr.SpecError, r"\(X, Y\)"),
        (Y, (X[:, :2], Y), dr.DataError, "validation X has 2 columns"),
        (Y, (X, Y[:5]), dr.DataError, "validation Y has shape"),
        (Y, (X * np.nan, Y), dr.DataError, "validation X holds NaN at row 0"),
        (Y, (X, Y, -np.ones(60)), dr.DataError, "negative"),
    ],
)
def test_bad_validation(Y: Any, validation: Any, error: type[Exception], message: str) -> None:
    net = network()
    before = net.theta.copy()
    with pytest.raises(error, match=message):
        dr.train(net, X[: len(Y)], Y, epochs=1, validation=validation)
    np.testing.assert_array_equal(net.theta, before)


def test_a_class_with_one_sample_cannot_be_split() -> None:
    labels = np.zeros(60, int)
    labels[17] = 2
    net = dr.Network([4, 3], loss="cross_entropy", rng=0)
    with pytest.raises(dr.DataError, match=r"class 2 has one sample \(row 17\)"):
        dr.train(net, X, labels, epochs=1)
    assert len(dr.train(net, X, labels, epochs=1, validation=None)) == 1


@pytest.mark.parametrize("optimizer", ["adam", dr.SGD(0.1, momentum=0.5)])
def test_whole_weights_are_repeated_rows(optimizer: Any) -> None:
    w = RNG.integers(0, 4, 60)
    weighted, repeated = network(), network()
    options: dict[str, Any] = {"epochs": 5, "batch_size": "full", "optimizer": optimizer} | PLAIN
    first = dr.train(weighted, X, Y, sample_weight=w, **options)
    second = dr.train(repeated, np.repeat(X, w, axis=0), np.repeat(Y, w, axis=0), **options)
    np.testing.assert_allclose(weighted.theta, repeated.theta, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(first.loss, second.loss, rtol=1e-12)


def test_batches_without_weight_change_nothing() -> None:
    net, part = network(), network()
    w = np.zeros(60)
    w[20:40] = 3
    rule = dr.SGD(0.1)
    dr.train(net, X, Y, epochs=1, batch_size=20, optimizer=rule, sample_weight=w, **PLAIN)
    dr.train(part, X[20:40], Y[20:40], epochs=1, batch_size=20, optimizer=rule, **PLAIN)
    np.testing.assert_allclose(net.theta, part.theta, rtol=1e-13)


def test_weights_that_leave_nothing_to_train_on() -> None:
    w = np.zeros(60)
    w[validation_rows(Y, 0.1, "squared_error", 2)[0]] = 1
    with pytest.raises(dr.DataError, match="0 for every row left for training"):
        dr.train(network(), X, Y, epochs=1, sample_weight=w)


@pytest.mark.parametrize("matrix", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array])
@pytest.mark.parametrize("dropout", [0.0, [0.3, 0.2]])
def test_sparse_rows_train_to_the_same_numbers(matrix: Any, dropout: Any) -> None:
    A = np.where(RNG.random((60, 4)) < 0.5, X, 0)
    results = []
    for given in (A, matrix(A)):
        net = network()
        history = dr.train(net, given, Y, epochs=4, dropout=dropout, l2=1e-3, validation=0.2)
        results.append((net.theta, history.validation_loss))
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=1e-10)
