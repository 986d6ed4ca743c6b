"""The native engine is held to the reference: every activation, loss, optimizer, option.

SPEC X6: what is fast computes what is right.

float64 agrees to 1e-12 of the largest number compared; float32 to a bound that grows with the
length of the sums.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from deltarule import _core
from deltarule.engines import Run, Steps, get_engine
from deltarule.engines.reference import ReferenceEngine
from deltarule.equations.optimizers import LBFGS, SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from deltarule.errors import SpecError
from deltarule.network.network import Network
from support.oracles import admissible_pairs, hidden_names, own_sigmoid, targets

native = pytest.importorskip("deltarule.engines.native")
NATIVE, REFERENCE = native.NativeEngine(), ReferenceEngine()
# epsilon well above the rounding of a gradient that is zero: its sign would decide the step
OPTIMIZERS = [
    SGD(0.01),
    SGD(0.003, momentum=0.9),
    SGD(0.003, momentum=0.9, nesterov=True),
    Adagrad(0.01, epsilon=1e-2),
    RMSprop(0.001, epsilon=1e-2),
    Adam(0.001, epsilon=1e-2),
    AdamW(0.001, epsilon=1e-2, weight_decay=0.1),
]


def tolerance(net: Network, rows: int = 64) -> float:
    longest = max(*net.sizes, rows)
    return 1e-12 if net.dtype == np.float64 else 2e-6 * longest**0.5 * len(net.sizes)


def close(actual: Any, expected: Any, bound: float) -> None:
    """Every element within `bound` of the largest."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    scale = max(float(np.abs(expected).max(initial=0)), 1e-3)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound * scale)


def table(net: Network, n: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, net.sizes[0])).astype(net.dtype)
    Y = targets(net.loss, rng, n, net.sizes[-1]).astype(net.dtype)
    return X, np.ascontiguousarray(Y)


def same_gradients(net: Network, X: Any, Y: Any, weight: Any = None) -> None:
    bound = tolerance(net, len(Y))
    close(NATIVE.predict(net.spec, net.theta, X), REFERENCE.predict(net.spec, net.theta, X), bound)
    close(NATIVE.scores(net.spec, net.theta, X), REFERENCE.scores(net.spec, net.theta, X), bound)
    C, g = NATIVE.gradients(net.spec, net.theta, X, Y, weight)
    C_reference, g_reference = REFERENCE.gradients(net.spec, net.theta, X, Y, weight)
    close(C, C_reference, bound)
    for where in net.layout.layer_slices():
        close(g[where], g_reference[where], 10 * bound)


def epoch(
    engine: Any, net: Network, X: Any, Y: Any, batch_size: int, optimizer: Optimizer, **options: Any
) -> tuple[Steps, Run]:
    net = net.copy()
    run = Run(
        net.spec, net.theta, X, Y, options.pop("weight", None), batch_size, optimizer, {}, **options
    )
    run.state = optimizer.init(net.theta)
    batches = -(-len(Y) // batch_size)
    order = np.random.default_rng(1).permutation(len(Y)).astype(np.int64)
    rates = optimizer.learning_rate * np.linspace(1, 0.5, batches)
    return engine.steps(run, order, rates, 0, batches), run


def same_epoch(net: Network, X: Any, Y: Any, batch_size: int, *more: Any, **options: Any) -> None:
    bound = 30 * tolerance(net, len(Y))
    objective = np.full((2, -(-len(Y) // batch_size)), np.nan)
    steps, run = epoch(NATIVE, net, X, Y, batch_size, *more, objective=objective[0], **options)
    expected, run_reference = epoch(
        REFERENCE, net, X, Y, batch_size, *more, objective=objective[1], **options
    )
    close(objective[0], objective[1], bound)
    close(run.theta - net.theta, run_reference.theta - net.theta, bound)
    assert run.state.keys() == run_reference.state.keys()
    for name, value in run_reference.state.items():
        close(run.state[name], value, bound)
    assert (steps.done, steps.bad_batch) == (expected.done, expected.bad_batch)
    assert steps.loss_sum == pytest.approx(expected.loss_sum, rel=bound)
    assert steps.weight_sum == pytest.approx(expected.weight_sum, rel=1e-6)
    assert steps.gradient_norms is not None
    close(steps.gradient_norms, expected.gradient_norms, bound)


# -- every function --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("hidden", [*hidden_names(), "leaky_relu(-0.2)", "elu(0.5)"])
def test_every_activation_with_every_loss(hidden: str, dtype: str) -> None:  # C4, C8, C10
    for loss, output in admissible_pairs():
        net = Network([5, 17, 7, 3], hidden, loss, dtype=dtype, rng=1, output_activation=output)
        if hidden == "exp":
            net.theta = net.theta / 10  # exp of exp of exp overflows soon
        same_gradients(net, *table(net, 33))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", ["huber(0.3)", "quantile(0.8)"])
def test_parametrized_losses(loss: str, dtype: str) -> None:
    net = Network([5, 17, 3], "tanh", loss, dtype=dtype, rng=1)
    same_gradients(net, *table(net, 33))


GROUPS = [(3, 2, 4), (9,), (1, 8), (5, 1, 2, 1), (20, 3, 17), (16, 16), (8, 8, 8), (1, 1, 2)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("groups", GROUPS, ids=str)
def test_outputs_in_groups(groups: tuple[int, ...], dtype: str) -> None:
    bracket = f"({','.join(map(str, groups))})"
    for loss, output in (
        ("cross_entropy" + bracket, None),
        ("cross_entropy" + bracket, "softmax"),
        ("cross_entropy", "softmax" + bracket),
        ("squared_error", "softmax" + bracket),
        ("cross_entropy" + bracket, "sigmoid"),
    ):
        net = Network(
            [5, 7, sum(groups)], "tanh", loss, dtype=dtype, rng=1, output_activation=output
        )
        X, Y = table(net, 33)
        same_gradients(net, X, Y)
        same_gradients(net, X, Y, np.linspace(0, 2, 33).astype(dtype))
        for rows in (1, 4, 5):
            close(
                NATIVE.predict(net.spec, net.theta, X[:rows]),
                REFERENCE.predict(net.spec, net.theta, X[:rows]),
                tolerance(net),
            )
        for batch_size in (1, 7, 33):
            same_epoch(net, X, Y, batch_size, SGD(0.01))
            same_epoch(net, X, Y, batch_size, OPTIMIZERS[5], l2=0.1)


@given(
    groups=st.lists(st.integers(1, 40), min_size=1, max_size=6).filter(lambda g: max(g) > 1),
    rows=st.integers(1, 40),
    dtype=st.sampled_from(["float64", "float32"]),
    scale=st.sampled_from([1.0, 1e4]),
)
def test_any_groups(groups: list[int], rows: int, dtype: str, scale: float) -> None:
    loss = f"cross_entropy({','.join(map(str, groups))})"
    net = Network([3, sum(groups)], loss=loss, dtype=dtype, rng=len(groups))
    X, Y = table(net, rows)
    same_gradients(net, X * np.asarray(scale, dtype=dtype), Y)
    same_epoch(net, X, Y, min(rows, 8), SGD(0.01))


def test_groups_that_do_not_fill_the_outputs_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fill"):
        _core.NetworkSpec([2, 5], [13], [0.0], [True], 2, 0.0, [3, 3], [])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [*hidden_names(), "exp"])
def test_values_over_the_whole_line(name: str, dtype: str) -> None:
    """One input, weight 1: f itself, from -1e4 to 1e4, within a few units in the last place."""
    size = np.concatenate([np.logspace(-6, 4, 4001), np.linspace(0, 20, 4001)])
    z = np.concatenate([-size, size])[:, None].astype(dtype)
    net = Network([1, 1], [name], bias=False, dtype=dtype, rng=0)
    net.theta = [1.0]
    exact = Network([1, 1], [name], bias=False, rng=0)
    exact.theta = [1.0]
    limits = np.finfo(dtype)
    held = z.astype(np.float64)
    if name == "exp":
        held = np.minimum(held, np.log(limits.max) * (1 - 1e-6))
    expected = REFERENCE.predict(exact.spec, exact.theta, held)
    ulps = 4 if dtype == "float32" else 16  # the reference itself is off by some in float64
    bound = ulps * limits.eps * np.abs(expected) + 1e5 * limits.smallest_normal
    if name == "gelu":
        bound *= 1 + z**2  # the reference's, whose argument of erfc is rounded
    if name == "exp" and dtype == "float32":
        bound *= 40  # near the largest float, exp's argument alone is off by so much
    actual = NATIVE.predict(net.spec, net.theta, z).astype(np.float64)
    assert (np.abs(actual - expected) <= bound).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_extreme_scores_stay_finite(scale: float, dtype: str) -> None:
    for loss, output in admissible_pairs():
        net = Network([4, 3], "tanh", loss, dtype=dtype, rng=1, output_activation=output)
        if output == "exp" or loss == "poisson" or output == "identity":
            continue  # these losses do grow without bound
        X, Y = table(net, 20)
        X *= np.asarray(scale, dtype=dtype)
        C, g = NATIVE.gradients(net.spec, net.theta, X, Y, None)
        C_reference, _ = REFERENCE.gradients(net.spec, net.theta, X, Y, None)
        assert np.isfinite(C)
        assert np.isfinite(g).all()
        # outputs beyond the smallest float count as it: where exactly that is differs a little
        close(C, C_reference, 1e-2)


# -- every way to train ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"l1": 0.01, "l2": 0.1},
        {"l1": 0.03, "l2": 0.5, "penalties_per_sample": True},
        {"clip_norm": 0.1},
        {"dropout": (0.2, 0.5, 0.3)},
        {"dropout": (0.0, 0.5, 0.0), "seed": (1 << 64) - 5, "clip_norm": 100.0, "l2": 0.1},
    ],
    ids=repr,
)
def test_every_optimizer_with_every_option(optimizer: Optimizer, options: Any, dtype: str) -> None:
    rng = np.random.default_rng(0)
    weight = rng.random(64).astype(dtype)
    weight[rng.integers(0, 64, 20)] = 0
    for batch_size, bias, given_weight in itertools.product(
        (1, 2, 7, 33, 64), (True, [False, True, False]), (None, weight)
    ):
        net = Network([5, 17, 7, 3], "tanh", bias=bias, dtype=dtype, rng=1)
        X, Y = table(net, 64)
        same_epoch(net, X, Y, batch_size, optimizer, weight=given_weight, **options)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_large_layers_with_every_optimizer(optimizer: Optimizer, dtype: str) -> None:
    net = Network([150, 260, 301, 5], "tanh", bias=[True, False, True], dtype=dtype, rng=1)
    X, Y = table(net, 75)
    for options in ({}, {"clip_norm": 0.1}, {"l2": 0.1}, {"dropout": (0.2, 0.5, 0.0)}):
        same_epoch(net, X, Y, 30, optimizer, **options)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", [SGD(0.01), SGD(0.003, momentum=0.9), Adam(epsilon=1e-2)])
def test_sparse_inputs(optimizer: Optimizer, dtype: str) -> None:
    rng = np.random.default_rng(0)
    net = Network([50, 17, 7, 3], "tanh", dtype=dtype, rng=1)
    X, Y = table(net, 64)
    S = sp.csr_matrix(X * (rng.random(X.shape) < 0.1))
    same_gradients(net, S, Y)
    for batch_size, options in itertools.product(
        (1, 7, 64), ({}, {"l1": 0.01, "l2": 0.1}, {"clip_norm": 0.1}, {"dropout": (0.2, 0.5, 0)})
    ):
        same_epoch(net, S, Y, batch_size, optimizer, **options)


SIZES = (1, 7, 16, 17, 33, 100)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("first", SIZES)
def test_odd_shapes(first: int, dtype: str) -> None:
    for hidden, last in itertools.product(SIZES, SIZES):
        net = Network([first, hidden, last], "sigmoid", dtype=dtype, rng=1)
        X, Y = table(net, 40)
        same_gradients(net, X, Y)
        for batch_size in (1, 2, 13):
            same_epoch(net, X, Y, batch_size, SGD(0.01))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("hidden", ["sigmoid", "tanh", "relu"])
def test_nets_that_live_in_registers(hidden: str, dtype: str) -> None:
    for n_in, n_hidden, n_out, bias in itertools.product(
        range(1, 6), (1, 4, 5, 13, 16, 17), (1, 2, 4, 5), (True, False, [True, False])
    ):
        for loss in ("squared_error", "log_loss"):
            net = Network([n_in, n_hidden, n_out], hidden, loss, bias, dtype, rng=1)
            same_epoch(net, *table(net, 50), 1, SGD(0.01))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("sizes", "rows", "batch_size"),
    [
        ([784, 512, 300, 10], 256, 128),
        ([300, 257, 400, 5], 400, 200),
        ([60, 50, 3], 2500, 2200),
        ([20_000, 10], 12, 4),
        ([10, 3_000], 12, 4),
    ],
    ids=str,
)
def test_large_layers_and_batches(sizes: list[int], rows: int, batch_size: int, dtype: str) -> None:
    net = Network(sizes, "relu", dtype=dtype, rng=1)
    X, Y = table(net, rows)
    X /= np.asarray(sizes[0] ** 0.5, dtype=dtype)
    same_gradients(net, X, Y)
    for optimizer in OPTIMIZERS[:3]:
        same_epoch(net, X, Y, batch_size, optimizer)


@given(
    sizes=st.lists(st.integers(1, 70), min_size=2, max_size=5),
    rows=st.integers(1, 90),
    batch=st.integers(1, 90),
    hidden=st.sampled_from(hidden_names()),
    dtype=st.sampled_from(["float64", "float32"]),
    which=st.integers(0, len(OPTIMIZERS) - 1),
    seed=st.integers(0, 1000),
)
def test_any_shape(
    sizes: list[int], rows: int, batch: int, hidden: str, dtype: str, which: int, seed: int
) -> None:
    net = Network(sizes, hidden, dtype=dtype, rng=seed)
    X, Y = table(net, rows, seed)
    same_gradients(net, X, Y)
    same_epoch(net, X, Y, min(batch, rows), OPTIMIZERS[which])


def test_one_hundred_layers() -> None:  # A6
    net = Network([4] * 101, "tanh", rng=1)
    X, Y = table(net, 32)
    same_gradients(net, X, Y)
    same_epoch(net, X, Y, 8, SGD(0.01))


# -- stopping --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", [SGD(0.001), SGD(0.001, momentum=0.9), Adam(epsilon=1e-2)])
def test_many_small_layers_in_blocks_of_rows(optimizer: Optimizer, dtype: str) -> None:
    for hidden, bias in (("tanh", True), ("gelu", False)):
        net = Network([20, *[60] * 30, 5], hidden, bias=bias, dtype=dtype, rng=1)
        X, Y = table(net, 12 * 35 + 20)  # enough batches for both ways, the last one smaller
        same_epoch(net, X, Y, 35, optimizer)


@pytest.mark.parametrize("sizes", [[3, 5, 2], [3, 5, 5, 2]])
def test_a_loss_that_is_not_finite_is_not_applied(sizes: list[int]) -> None:
    net = Network(sizes, "tanh", rng=1)
    X, Y = table(net, 9)
    Y[4, 1] = np.nan
    for batch_size, bad in ((1, 4), (3, 1), (9, 0)):
        results = []
        for engine in (NATIVE, REFERENCE):
            run = Run(net.spec, net.theta.copy(), X, Y, None, batch_size, SGD(0.1), {"t": 0})
            batches = -(-9 // batch_size)
            run.objective = np.full(batches, np.nan)
            steps = engine.steps(run, np.arange(9), np.full(batches, 0.1), 0, batches)
            assert (steps.bad_batch, steps.done, run.state["t"]) == (bad, bad, bad)
            results.append(run.theta)
            assert np.isnan(run.objective[bad:]).all()
            assert np.isfinite(run.objective[:bad]).all()
        close(results[0], results[1], 1e-12)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_set_stop_flag_ends_after_one_batch(batch_size: int) -> None:
    net = Network([3, 5, 2], "tanh", rng=1)
    X, Y = table(net, 10)
    run = Run(net.spec, net.theta, X, Y, None, batch_size, SGD(0.1), {"t": 0})
    run.stop[0] = 1
    assert NATIVE.steps(run, np.arange(10), np.full(10, 0.1), 0, 10 // batch_size).done == 1


def test_stretches_do_not_change_a_bit() -> None:
    net = Network([6, 9, 2], "tanh", rng=1)
    X, Y = table(net, 50)
    thetas = []
    for cuts in ([0, 25], [0, 1, 2, 10, 25], list(range(26))):
        run = Run(net.spec, net.theta.copy(), X, Y, None, 2, SGD(0.1, momentum=0.5), {})
        run.state = run.optimizer.init(run.theta)
        for first, last in itertools.pairwise(cuts):
            NATIVE.steps(run, np.arange(50), np.full(25, 0.1), first, last)
        thetas.append(run.theta.tobytes())
    assert len(set(thetas)) == 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize(
    "options",
    [{}, {"l1": 0.1, "l2": 0.1, "penalties_per_sample": True}],
    ids=["plain", "penalties"],
)
def test_the_objective_changes_no_bit_and_no_cut_changes_it(
    options: Any, batch_size: int, sparse: bool, dtype: str
) -> None:
    net = Network([3, 9, 2], "tanh", dtype=dtype, rng=1)  # at batch size 1 it lives in registers
    X, Y = table(net, 50)
    X = sp.csr_matrix(X) if sparse else X
    batches = 50 // batch_size
    results = []
    for cuts in ([0, batches], [0, 1, 2, 10, batches], list(range(batches + 1))):
        for objective in (np.zeros(batches), None):
            run = Run(
                net.spec, net.theta.copy(), X, Y, None, batch_size, SGD(0.1), {"t": 0}, **options
            )
            run.objective = objective
            for first, last in itertools.pairwise(cuts):
                NATIVE.steps(run, np.arange(50), np.full(batches, 0.1), first, last)
            results.append((run.theta.tobytes(), objective))
    assert len({theta for theta, _ in results}) == 1
    assert len({objective.tobytes() for _, objective in results if objective is not None}) == 1
    assert results[0][1].all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_penalties_of_large_layers_do_not_depend_on_the_threads(dtype: str) -> None:
    net = Network([700, 800, 3], "relu", dtype=dtype, rng=1)  # more than one piece of an update
    X, Y = table(net, 8)
    options = {"l1": 0.1, "l2": 0.2, "penalties_per_sample": True}
    same_epoch(net, X, Y, 4, SGD(1e-4), weight=np.ones(8, dtype=dtype), **options)
    before, results = _core.get_num_threads(), set()
    for threads in (1, 2, 3):
        _core.set_num_threads(threads)
        run = Run(net.spec, net.theta.copy(), X, Y, None, 4, SGD(1e-4), {"t": 0}, **options)
        run.objective = np.zeros(2)
        NATIVE.steps(run, np.arange(8), np.full(2, 1e-4), 0, 2)
        results.add((run.theta.tobytes(), run.objective.tobytes()))
    _core.set_num_threads(before)
    assert len(results) == 1


def test_an_objective_too_short_is_refused() -> None:
    net = Network([3, 5, 2], rng=1)
    X, Y = table(net, 10)
    run = Run(net.spec, net.theta, X, Y, None, 2, SGD(0.1), {"t": 0}, objective=np.zeros(4))
    with pytest.raises(ValueError, match="fewer places than batches"):
        NATIVE.steps(run, np.arange(10), np.full(5, 0.1), 0, 5)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_moments_that_others_have_replaced_are_taken(dtype: str) -> None:
    net = Network([3, 5, 2], "tanh", dtype=dtype, rng=1)
    X, Y = table(net, 20)
    order, rates, results = np.arange(20), np.full(10, 0.1), []
    for replace in (False, True):
        run = Run(net.spec, net.theta.copy(), X, Y, None, 2, Adam(0.1), Adam(0.1).init(net.theta))
        NATIVE.steps(run, order, rates, 0, 4)
        before = run.state
        if replace:
            run.state = {name: np.copy(values) for name, values in before.items()}
            run.state["t"] = before["t"]
        kept = [before[name].tobytes() for name in "mv"]
        NATIVE.steps(run, order, rates, 4, 10)
        assert [before[name].tobytes() == old for name, old in zip("mv", kept, strict=True)] == [
            replace
        ] * 2
        results.append((run.state["t"], run.theta.tobytes(), run.state["v"].tobytes()))
    assert results[0] == results[1]
    assert results[0][0] == 10


def test_a_run_keeps_its_arrays_and_its_network() -> None:
    spec = _core.NetworkSpec([2, 1], [0], [0.0], [True], 0, 0.0, [], [])
    other = _core.NetworkSpec([1, 1], [0], [0.0], [True], 0, 0.0, [], [])
    rule = _core.OptimizerSpec(0, 0.0, False, 0.0, 0.0, 0.0, 0.0, 0.0)
    theta = np.zeros(3)

    def bound() -> Any:  # all arrays but theta are this run's alone
        X, Y, stop = np.ones((4, 2)), np.full((4, 1), 2.0), np.zeros(1, dtype=np.uint8)
        rest = (None, 2, rule, None, None, 0.0, 0.0, False, 0.0, 0, stop, None)
        return _core.Run64(spec, theta, X, Y, *rest)

    run, stretch = bound(), _core.Stretch(0)
    junk = [np.full((4, 2), np.nan) for _ in range(50)]  # where freed arrays would have been
    order, rates = np.arange(4), np.full(2, 0.5)
    _core.Network64(spec, 2, []).steps(run, stretch, order, rates, 0, 2)
    # b = w_1 = w_2 = 1 after the first step; their sum is 1 above the target
    assert (stretch.done, stretch.loss_sum, stretch.weight_sum) == (2, 2 * 2.0 + 2 * 0.5, 4.0)
    np.testing.assert_array_equal(theta, [0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match="another network"):
        _core.Network64(other, 2, []).steps(run, stretch, order, rates, 0, 2)
    del junk


def test_functions_and_optimizers_go_by_their_names() -> None:
    assert {*hidden_names(), "softmax"} <= set(_core.ACTIVATIONS)
    assert [rule.name for rule in OPTIMIZERS if rule.name not in _core.OPTIMIZERS] == []
    assert len(set(_core.ACTIVATIONS)) == 14
    assert len(set(_core.LOSSES)) == 7
    assert len(set(_core.OPTIMIZERS)) == 5


def test_a_function_that_an_older_core_lacks_stays_with_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fewer = tuple(name for name in _core.ACTIVATIONS if name != "mish")
    monkeypatch.setattr(_core, "ACTIVATIONS", fewer)
    net = Network([2, 3, 1], "mish", rng=0)
    assert get_engine("auto", net.spec).name == "reference"
    assert net.predict(np.ones((1, 2))).shape == (1, 1)
    with pytest.raises(SpecError, match="the native engine cannot run"):
        get_engine("native", net.spec)


# -- what it takes ---------------------------------------------------------------------------------


def test_what_was_laid_out_before_changes_nothing() -> None:
    net = Network([20, 300, 301, 5], "relu", dtype="float32", rng=1)
    X, Y = table(net, 70)
    fresh = [epoch(NATIVE, net, X, Y, batch, SGD(0.01))[1].theta for batch in (70, 30)]
    for batch, theta in [(70, fresh[0]), (30, fresh[1]), (30, fresh[1]), (70, fresh[0])]:
        NATIVE.gradients(net.spec, net.theta, X[:batch], Y[:batch], None)
        again = epoch(NATIVE, net, X, Y, batch, SGD(0.01))[1].theta
        np.testing.assert_array_equal(again, theta)
    assert [shape for shape, _ in net.spec.kept["native"].idle] == [(net.dtype, 70, ())]


def test_own_functions_go_to_the_reference() -> None:
    own = Network([2, 3, 1], own_sigmoid(), rng=0)
    assert not NATIVE.supports(own.spec)
    assert get_engine("auto", own.spec).name == "reference"
    with pytest.raises(SpecError, match="native"):
        get_engine("native", own.spec)
    assert get_engine("auto", Network([2, 3, 1], rng=0).spec).name == "native"


def test_line_search_is_no_step() -> None:
    net = Network([2, 3, 1], rng=0)
    X, Y = table(net, 5)
    run = Run(net.spec, net.theta, X, Y, None, 5, LBFGS(), {"t": 0})
    with pytest.raises(SpecError, match="native"):
        NATIVE.steps(run, np.arange(5), np.ones(1), 0, 1)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 127, 128, 129, 700])
@pytest.mark.parametrize("sizes", [[4, 16, 3], [784, 30, 10], [30, 512, 513, 10], [3, 1]])
def test_predictions_of_any_number_of_rows(sizes: list[int], rows: int, dtype: str) -> None:
    loss = "cross_entropy" if sizes[-1] > 1 else "log_loss"
    net = Network(sizes, "tanh", loss, dtype=dtype, rng=1)
    X = table(net, max(rows, 1))[0][:rows]
    close(
        NATIVE.predict(net.spec, net.theta, X),
        REFERENCE.predict(net.spec, net.theta, X),
        tolerance(net),
    )
