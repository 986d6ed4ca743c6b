"""The reference engine's steps against updates written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from deltarule.engines import Run, Steps, engine_names, get_engine
from deltarule.engines.reference import ReferenceEngine, layer_norms, loss_of_scores
from deltarule.equations import dropout
from deltarule.equations.losses import loss_names
from deltarule.equations.optimizers import SGD, Adam, Optimizer
from deltarule.errors import SpecError
from deltarule.network.gradients import backward, forward
from deltarule.network.network import Network
from support.oracles import targets

ENGINE = ReferenceEngine()
N = 10


def run_of(
    loss: str = "squared_error",
    optimizer: Optimizer = SGD(0.1),  # noqa: B008  # frozen
    batch_size: int = N,
    dtype: str = "float64",
    **more: Any,
) -> Run:
    rng = np.random.default_rng(2)
    net = Network([3, 5, 4, 2], "tanh", loss, bias=[True, False, True], dtype=dtype, rng=0)
    net.theta = rng.normal(0, 0.7, net.theta.size)
    X, Y = rng.standard_normal((N, 3)), targets(net.loss, rng, N, 2)
    return Run(
        spec=net.spec,
        theta=net.theta,
        X=X.astype(dtype),
        Y=Y.astype(dtype),
        sample_weight=more.pop("sample_weight", None),
        batch_size=batch_size,
        optimizer=optimizer,
        state=optimizer.init(net.theta),
        **more,
    )


def net_of(run: Run) -> Network:
    """The network as the run has it now."""
    return Network.from_spec(run.spec, run.theta)


def epoch(
    run: Run, order: Any = None, rate: float = 0.1, first: int = 0, last: Any = None
) -> Steps:
    batches = -(-N // run.batch_size)
    order = np.arange(N) if order is None else np.asarray(order)
    return ENGINE.steps(
        run, order, np.full(batches, rate), first, batches if last is None else last
    )


# -- plain steps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", loss_names())
def test_a_full_batch_is_one_step_downhill(loss: str) -> None:  # C1, C11, D6
    run = run_of(loss)
    before, g = net_of(run), backward(net_of(run), run.X, run.Y)
    steps = epoch(run)
    np.testing.assert_allclose(run.theta, before.theta - 0.1 * g.theta, rtol=1e-13, atol=1e-15)
    assert steps.loss_sum == pytest.approx(N * g.loss, rel=1e-13)
    assert (steps.weight_sum, steps.done, steps.bad_batch) == (N, 1, None)
    norms = [
        np.sqrt((W**2).sum() + (0 if b is None else (b**2).sum()))
        for W, b in zip(g.weights, g.biases, strict=True)
    ]
    np.testing.assert_allclose(steps.gradient_norms, norms, rtol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 7, 10])
@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.1)], ids=repr)
def test_batches_in_the_given_order_with_a_remainder(  # C11
    optimizer: Optimizer, batch_size: int
) -> None:
    order = np.random.default_rng(0).permutation(N)
    run = run_of(optimizer=optimizer, batch_size=batch_size)
    by_hand, state, total = net_of(run), run.optimizer.init(run.theta), 0.0
    for start in range(0, N, batch_size):
        rows = order[start : start + batch_size]
        g = backward(by_hand, run.X[rows], run.Y[rows])
        total += g.loss * len(rows)
        by_hand.theta, state = optimizer.update(by_hand.theta, g.theta, state, 0.1)
    steps = epoch(run, order)
    np.testing.assert_allclose(run.theta, by_hand.theta, rtol=1e-12, atol=1e-14)
    assert steps.loss_sum == pytest.approx(total, rel=1e-12)
    assert steps.done == run.state["t"] == -(-N // batch_size)


def test_each_batch_has_its_own_rate() -> None:
    run, twin = run_of(batch_size=5), run_of(batch_size=5)
    ENGINE.steps(run, np.arange(N), np.array([0.3, 0.0]), 0, 2)
    epoch(twin, rate=0.3, last=1)
    assert np.array_equal(run.theta, twin.theta)


def test_a_stretch_can_be_cut_anywhere() -> None:
    whole, parts = run_of(optimizer=Adam(), batch_size=3), run_of(optimizer=Adam(), batch_size=3)
    all_at_once = epoch(whole)
    one, two = epoch(parts, last=1), epoch(parts, first=1)
    assert parts.theta.tobytes() == whole.theta.tobytes()
    assert one.loss_sum + two.loss_sum == pytest.approx(all_at_once.loss_sum, rel=1e-14)
    assert two.gradient_norms is None
    assert np.array_equal(one.gradient_norms, all_at_once.gradient_norms)


def test_float32_stays_float32() -> None:
    run = run_of(optimizer=Adam(), batch_size=3, dtype="float32", l1=0.1, l2=0.1, clip_norm=1.0)
    epoch(run)
    assert run.theta.dtype == run.state["m"].dtype == np.float32
    exact = run_of(optimizer=Adam(), batch_size=3, l1=0.1, l2=0.1, clip_norm=1.0)
    epoch(exact)
    np.testing.assert_allclose(run.theta, exact.theta, rtol=1e-2, atol=1e-3)


def test_sparse_rows_give_the_dense_numbers() -> None:
    for rates in ((), (0.3, 0.3, 0.0)):
        dense = run_of(batch_size=3, dropout=rates, seed=5)
        dense.X[abs(dense.X) < 0.5] = 0
        sparse = run_of(batch_size=3, dropout=rates, seed=5)
        sparse.X = sp.csr_array(dense.X)
        epoch(dense)
        epoch(sparse)
        np.testing.assert_allclose(sparse.theta, dense.theta, rtol=1e-11, atol=1e-13)


# -- sample weights, penalties, clipping -----------------------------------------------------------


def test_sample_weights() -> None:
    w = np.array([1, 2, 0, 0.5, 3, 0, 0, 0, 1, 1])
    run = run_of(sample_weight=w, batch_size=5)
    by_hand, total = net_of(run), 0.0
    for rows in (slice(0, 5), slice(5, 10)):
        g = backward(by_hand, run.X[rows], run.Y[rows], w[rows])
        by_hand.theta = by_hand.theta - 0.1 * g.theta
        total += g.loss * w[rows].sum()
    steps = epoch(run)
    np.testing.assert_allclose(run.theta, by_hand.theta, rtol=1e-13)
    assert steps.loss_sum == pytest.approx(total)
    assert steps.weight_sum == w.sum()


def test_a_batch_of_weight_zero_moves_nothing() -> None:
    run = run_of(sample_weight=np.array([0.0] * 5 + [1.0] * 5), batch_size=5)
    before = run.theta.copy()
    steps = epoch(run, last=1)
    assert np.array_equal(run.theta, before)
    assert (steps.loss_sum, steps.weight_sum, steps.done) == (0, 0, 1)


def test_penalties_skip_biases_and_stay_out_of_the_reported_loss() -> None:
    run = run_of(l1=0.2, l2=0.3)
    before, g = net_of(run), backward(net_of(run), run.X, run.Y)
    steps = epoch(run)
    for l in range(3):
        W, dW = before.weights[l], g.weights[l]
        expected = W - 0.1 * (dW + 0.2 * np.sign(W) + 0.3 * W)
        np.testing.assert_allclose(net_of(run).weights[l], expected, rtol=1e-12)
        if g.biases[l] is not None:
            expected = before.biases[l] - 0.1 * g.biases[l]
            np.testing.assert_allclose(net_of(run).biases[l], expected, rtol=1e-13)
    assert steps.loss_sum == pytest.approx(N * g.loss, rel=1e-13)
    penalized = g.weights[0] + 0.2 * np.sign(before.weights[0]) + 0.3 * before.weights[0]
    first = np.sqrt((penalized**2).sum() + (g.biases[0] ** 2).sum())
    assert steps.gradient_norms[0] == pytest.approx(first, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_objective_is_what_a_step_goes_down(weighted: bool) -> None:
    """Its differences are the gradient that the step took, per batch and per sample."""
    w = np.array([1, 2, 0, 0.5, 3, 0, 0, 0, 1, 1]) if weighted else None
    for per_sample in (False, True):
        options = {"sample_weight": w, "l1": 0.2, "l2": 0.3, "penalties_per_sample": per_sample}
        run = run_of(optimizer=SGD(1.0), **options)
        start = run.theta.copy()
        epoch(run, rate=1.0)
        gradient = start - run.theta

        def objective(theta: Any, options: Any = options) -> float:
            moved = run_of(optimizer=SGD(1.0), objective=np.zeros(1), **options)
            moved.theta[...] = theta
            epoch(moved, rate=1.0)
            assert moved.objective is not None
            return float(moved.objective[0])

        for i in range(start.size):
            step = np.eye(start.size)[i] * 1e-6
            slope = (objective(start + step) - objective(start - step)) / 2e-6
            assert slope == pytest.approx(gradient[i], rel=1e-5, abs=1e-8)


def test_penalties_per_sample_are_divided_by_the_weights_of_the_batch() -> None:
    w = np.array([1, 2, 0, 0.5, 3, 0, 0, 0, 1, 1])
    objective = np.full(4, np.nan)
    run = run_of(
        sample_weight=w,
        batch_size=3,
        l1=0.2,
        l2=0.3,
        penalties_per_sample=True,
        objective=objective,
    )
    by_hand = net_of(run)
    for batch, rows in enumerate((slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 10))):
        g, total = backward(by_hand, run.X[rows], run.Y[rows], w[rows]), w[rows].sum()
        W = by_hand.theta * by_hand.layout.weight_mask()
        penalty = 0.2 * np.abs(W).sum() + 0.15 * (W * W).sum()
        by_hand.theta = by_hand.theta - 0.1 * (g.theta + (0.2 * np.sign(W) + 0.3 * W) / total)
        epoch(run, first=batch, last=batch + 1)
        assert objective[batch] == pytest.approx(g.loss + penalty / total, rel=1e-13)
        np.testing.assert_allclose(run.theta, by_hand.theta, rtol=1e-12, atol=1e-15)


def test_penalties_per_sample_of_a_batch_of_weight_zero() -> None:
    objective = np.full(2, np.nan)
    run = run_of(
        sample_weight=np.array([0.0] * 5 + [1.0] * 5), batch_size=5, l1=0.2, l2=0.3,
        penalties_per_sample=True, objective=objective,
    )  # fmt: skip
    before = run.theta.copy()
    epoch(run, last=1)
    assert np.array_equal(run.theta, before)
    assert objective[0] == 0
    assert np.isnan(objective[1])


@pytest.mark.parametrize("clip", [0.01, 1e6])
def test_clipping_keeps_the_direction(clip: float) -> None:
    run = run_of(clip_norm=clip)
    before, g = run.theta.copy(), backward(net_of(run), run.X, run.Y).theta
    norms = epoch(run).gradient_norms
    move = (before - run.theta) / 0.1
    length = min(clip, float(np.linalg.norm(g)))
    np.testing.assert_allclose(move, g * length / np.linalg.norm(g), rtol=1e-9, atol=1e-13)
    assert np.linalg.norm(norms) == pytest.approx(np.linalg.norm(g))  # reported before clipping


def test_penalties_are_clipped_too() -> None:
    run = run_of(l2=5.0, clip_norm=0.01)
    before = run.theta.copy()
    epoch(run)
    assert np.linalg.norm(before - run.theta) == pytest.approx(0.1 * 0.01)


# -- dropout ---------------------------------------------------------------------------------------


def test_a_dropped_unit_takes_no_part_in_the_step() -> None:
    rates = (0.4, 0.5, 0.25)
    run = run_of(dropout=rates, seed=9)
    run.state["t"] = 4
    net, X = net_of(run), run.X
    masks = [dropout.mask(r, 9, 4, l, (N, net.sizes[l]), "float64") for l, r in enumerate(rates)]
    weights, biases = net.weights, [0 if b is None else b for b in net.biases]
    a = [X * masks[0]]
    slopes = []
    for l in range(2):
        h = np.tanh(a[-1] @ weights[l] + biases[l])
        slopes.append((1 - h * h) * masks[l + 1])
        a.append(h * masks[l + 1])
    delta = [(a[2] @ weights[2] + biases[2] - run.Y) / N]
    loss = (delta[0] ** 2).sum() * N / 2
    for l in (1, 0):
        delta.insert(0, delta[0] @ weights[l + 1].T * slopes[l])
    expected = [W - 0.1 * a[l].T @ delta[l] for l, W in enumerate(weights)]
    steps = epoch(run)
    for got, want in zip(net_of(run).weights, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-14)
    assert steps.loss_sum == pytest.approx(loss * N, rel=1e-12)


def test_dropout_on_average_is_the_whole_network() -> None:
    """With linear units the mean of z over the masks is z itself: kept units are scaled up."""
    net = Network([4, 50, 1], ["identity", "identity"], rng=0)
    x = np.ones((1, 4))
    z, (W1, W2) = forward(net, x).z[-1], net.weights
    n = 4000
    h = np.repeat(x @ W1, n, axis=0) * dropout.mask(0.3, 0, 0, 1, (n, 50), "float64")
    spread = (h @ W2).std() / np.sqrt(n)
    assert abs((h @ W2).mean() - z[0, 0]) < 4 * spread


def test_dropout_differs_from_step_to_step_and_repeats_with_the_seed() -> None:
    def theta(seed: int) -> Any:
        run = run_of(dropout=(0.0, 0.5, 0.0), seed=seed, batch_size=5)
        epoch(run)
        return run.theta

    assert np.array_equal(theta(1), theta(1))
    assert not np.array_equal(theta(1), theta(2))


# -- stopping and failing --------------------------------------------------------------------------


def test_the_stop_flag_ends_the_stretch_after_its_batch() -> None:
    run = run_of(batch_size=2)
    run.stop[0] = 1
    assert epoch(run).done == 1
    assert run.state["t"] == 1


def test_a_batch_that_is_not_finite_is_not_applied() -> None:
    run, twin = run_of(batch_size=4), run_of(batch_size=4)
    run.Y[5] = np.inf
    steps = epoch(run)
    epoch(twin, last=1)
    assert (steps.done, steps.bad_batch, run.state["t"]) == (1, 1, 1)
    assert np.array_equal(run.theta, twin.theta)
    assert np.isfinite(steps.loss_sum)


# -- scores, predictions, gradients, names ---------------------------------------------------------


@pytest.mark.parametrize("loss", loss_names())
def test_scores_predictions_and_gradients(loss: str) -> None:
    run = run_of(loss)
    w = np.arange(1.0, N + 1)
    passed, g = forward(net_of(run), run.X), backward(net_of(run), run.X, run.Y, w)
    assert np.array_equal(ENGINE.scores(run.spec, run.theta, run.X), passed.z[-1])
    assert np.array_equal(ENGINE.predict(run.spec, run.theta, run.X), passed.output)
    C, theta = ENGINE.gradients(run.spec, run.theta, run.X, run.Y, w)
    assert g.loss == C
    assert np.array_equal(theta, g.theta)
    share = w / w.sum()
    output = run.spec.activations[-1]
    looked_at = loss_of_scores(run.spec.loss, output, passed.z[-1], run.Y, share)
    assert looked_at == pytest.approx(g.loss, rel=1e-14)
    assert layer_norms(run.spec, theta).shape == (3,)


def test_names() -> None:
    net = Network([2, 1])
    assert get_engine("reference", net.spec).name == "reference"
    assert get_engine("auto", net.spec).supports(net.spec)
    assert "reference" in engine_names()
    with pytest.raises(SpecError, match=r"unknown engine \['reference'\]"):
        get_engine(["reference"], net.spec)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"unknown engine 'refrence'\. Did you mean 'reference'"):
        get_engine("refrence", net.spec)
