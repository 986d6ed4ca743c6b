"""Metrics against scikit-learn's, and their edges."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_squared_error, r2_score

from deltarule.equations.losses import get_loss, loss_names
from deltarule.training.metrics import HIGHER_IS_BETTER, metric_names, metrics

RNG = np.random.default_rng(0)


def weights(n: int, weighted: bool) -> np.ndarray | None:
    return RNG.integers(0, 4, n).astype(np.float64) if weighted else None


@pytest.mark.parametrize("weighted", [False, True])
def test_classes(weighted: bool) -> None:
    output, labels = RNG.dirichlet(np.ones(4), 50), RNG.integers(0, 4, 50)
    w = weights(50, weighted)
    got = metrics(get_loss("cross_entropy"), output, np.eye(4)[labels], w)
    want = accuracy_score(labels, output.argmax(1), sample_weight=w)
    assert got == {"accuracy": pytest.approx(want, rel=1e-12)}


@pytest.mark.parametrize("weighted", [False, True])
def test_groups_are_averaged(weighted: bool) -> None:
    output = np.hstack([RNG.dirichlet(np.ones(k), 50) for k in (4, 2, 3)])
    labels = RNG.integers(0, (4, 2, 3), (50, 3))
    Y, w = (
        np.hstack([np.eye(k)[labels[:, j]] for j, k in enumerate((4, 2, 3))]),
        weights(50, weighted),
    )
    got = metrics(get_loss("cross_entropy(4,2,3)"), output, Y, w)["accuracy"]
    each = [
        accuracy_score(labels[:, j], part.argmax(1), sample_weight=w)
        for j, part in enumerate(np.split(output, [4, 6], axis=1))
    ]
    assert got == pytest.approx(np.mean(each), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_labels_are_averaged_over_outputs(weighted: bool) -> None:
    output, Y = RNG.random((40, 3)), RNG.integers(0, 2, (40, 3)).astype(float)
    w = weights(40, weighted)
    got = metrics(get_loss("log_loss"), output, Y, w)["accuracy"]
    each = [accuracy_score(Y[:, j], output[:, j] >= 0.5, sample_weight=w) for j in range(3)]
    assert got == pytest.approx(np.mean(each), rel=1e-12)


def test_one_half_is_a_yes() -> None:
    half, yes = np.array([[0.5]]), np.array([[1.0]])
    assert metrics(get_loss("log_loss"), half, yes, None) == {"accuracy": 1}
    assert metrics(get_loss("log_loss"), half, yes - 1, None) == {"accuracy": 0}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [1, 3])
def test_numbers(weighted: bool, k: int) -> None:
    Y = RNG.normal(5, 2, (60, k))
    output, w = Y + RNG.normal(0, 1, (60, k)), weights(60, weighted)
    got = metrics(get_loss("squared_error"), output, Y, w)
    assert got["r2"] == pytest.approx(r2_score(Y, output, sample_weight=w), rel=1e-10)
    want = mean_squared_error(Y, output, sample_weight=w) ** 0.5
    assert got["rmse"] == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, 1e-300])
def test_constant_targets_count_one_only_if_met(constant: float) -> None:
    Y = np.full((30, 1), constant)  # the mean of 30 times 0.1 is not 0.1
    assert metrics(get_loss("huber"), Y, Y, None)["r2"] == 1
    assert metrics(get_loss("huber"), Y + 1, Y, None)["r2"] == 0


def test_rows_without_weight_do_not_make_targets_vary() -> None:
    Y, w = np.array([[0.1], [0.1], [0.1], [7.0]]), np.array([1.0, 1, 1, 0])
    assert metrics(get_loss("squared_error"), np.full((4, 1), 2.0), Y, w)["r2"] == 0


def test_names_are_those_that_metrics_gives() -> None:
    for name in loss_names():
        loss = get_loss(name)
        Y = np.eye(2)
        assert tuple(metrics(loss, Y, Y, None)) == metric_names(loss)
    assert {"accuracy", "r2"} == HIGHER_IS_BETTER
