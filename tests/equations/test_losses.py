"""Losses: values, derivatives, fused pairs, extremes, and every pair through the chain rule."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

from deltarule.equations.activations import get_activation
from deltarule.equations.losses import Loss, get_loss, loss_names
from deltarule.errors import SpecError
from deltarule.network.gradients import backward, forward
from deltarule.network.network import Network
from support.oracles import (
    admissible_pairs,
    hidden_names,
    numeric_gradient,
    own_sigmoid,
    slopes,
    stacked_error,
    targets,
)

PARAMETRIZED = ["huber(0.5)", "quantile(0.9)", "cross_entropy(2,1)"]
LINKS = {
    "squared_error": "identity",
    "log_loss": "sigmoid",
    "cross_entropy": "softmax",
    "absolute_error": "identity",
    "huber": "identity",
    "quantile": "identity",
    "poisson": "exp",
}


def sample(loss: Loss, seed: int = 0, n: int = 7, k: int = 3) -> tuple[Any, Any]:
    """Outputs inside the domain of the loss, away from its edges, and targets."""
    rng = np.random.default_rng(seed)
    low, high = max(loss.domain[0] + 0.1, -2.0), min(loss.domain[1] - 0.1, 2.0)
    return rng.uniform(low, high, (n, k)), targets(loss, rng, n, k)


# -- values and derivatives ------------------------------------------------------------------------


def test_values_by_hand() -> None:  # A2, C5, C6, C7
    o, y = np.array([[0.25, 0.5]]), np.array([[1.0, 0.0]])
    by_hand = {
        "squared_error": (0.75**2 + 0.5**2) / 2,
        "log_loss": -math.log(0.25) - math.log(0.5),
        "cross_entropy": -math.log(0.25),
        "absolute_error": 1.25,
        "huber(0.6)": 0.6 * (0.75 - 0.3) + 0.125,
        "quantile(0.9)": 0.9 * 0.75 + 0.1 * 0.5,
        "poisson": 0.25 + math.log(1 / 0.25) - 1 + 0.5,
    }
    for name, J in by_hand.items():
        assert get_loss(name).J(o, y)[0] == pytest.approx(J, rel=1e-15), name


@pytest.mark.parametrize("name", [*loss_names(), *PARAMETRIZED])
def test_derivative_is_that_of_the_value(name: str) -> None:  # C4
    loss = get_loss(name)
    o, y = sample(loss)
    assert loss.targets != "real" or (abs(o - y) > 1e-2).all()
    for i in range(o.shape[1]):

        def J(column: Any, i: int = i) -> Any:
            moved = o.copy()
            moved[:, i] = column
            return loss.J(moved, y)

        np.testing.assert_allclose(
            loss.dJ(o, y)[:, i], slopes(J, o[:, i], 1e-4), rtol=1e-8, atol=1e-9
        )


@pytest.mark.parametrize("name", [*loss_names(), *PARAMETRIZED])
def test_loss_is_least_and_flat_at_the_target(name: str) -> None:
    loss = get_loss(name)
    _, y = sample(loss)
    y = np.clip(y, 0.2, None) if loss.targets != "distribution" else np.full(y.shape, 1 / 3)
    y = np.clip(y, None, 0.8) if loss.targets == "unit" else y
    for move in (-0.05, 0.05):
        assert (loss.J(y, y) < loss.J(y + np.array([move, 0, -move]), y)).all()
    if loss.targets in ("real", "count"):
        np.testing.assert_allclose(loss.J(y, y), 0, atol=1e-15)


def test_derivative_at_a_kink() -> None:
    y = np.zeros((1, 1))
    assert get_loss("absolute_error").dJ(y, y) == 0
    assert get_loss("quantile(0.9)").dJ(y, y) == 0
    assert get_loss("huber").dJ(y, y) == 0


def test_poisson_is_half_the_deviance() -> None:
    from sklearn.metrics import mean_poisson_deviance

    o, y = sample(get_loss("poisson"), n=50, k=1)
    ours = 2 * get_loss("poisson").J(o, y).mean()
    assert ours == pytest.approx(mean_poisson_deviance(y[:, 0], o[:, 0]), rel=1e-12)


def test_values_against_scikit_learn() -> None:
    from sklearn.metrics import log_loss, mean_pinball_loss

    o, y = sample(get_loss("log_loss"), n=50, k=1)
    y = y.round()
    assert get_loss("log_loss").J(o, y).mean() == pytest.approx(log_loss(y[:, 0], o[:, 0]))
    o, y = sample(get_loss("quantile"), n=50, k=1)
    ours = get_loss("quantile(0.9)").J(o, y).mean()
    assert ours == pytest.approx(mean_pinball_loss(y, o, alpha=0.9))


# -- canonical pairs -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*loss_names(), "cross_entropy(3,1)", "cross_entropy(4)"])
def test_fused_pair_is_the_unfused_one(name: str) -> None:
    loss, rng = get_loss(name), np.random.default_rng(1)
    head, bracket, sizes = name.partition("(")
    assert loss.link == LINKS[head] + bracket + sizes
    output = get_activation(loss.link)
    z, y = rng.uniform(-3, 3, (9, 4)), targets(loss, rng, 9, 4)
    o = output.f(z)
    np.testing.assert_allclose(loss.value(output, z, y), loss.J(o, y), rtol=1e-12, atol=1e-13)
    chain = output.backward(z, loss.dJ(o, y))
    np.testing.assert_allclose(loss.delta(output, z, y), chain, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "name", ["squared_error", "log_loss", "cross_entropy", "cross_entropy(2,2)", "poisson"]
)
def test_canonical_delta_is_output_minus_target(name: str, dtype: Any) -> None:  # A8, C10
    loss, rng = get_loss(name), np.random.default_rng(2)
    output = get_activation(loss.link)
    z, y = rng.normal(0, 3, (9, 4)).astype(dtype), targets(loss, rng, 9, 4).astype(dtype)
    delta = loss.delta(output, z, y)
    assert np.array_equal(delta, output.f(z) - y)
    assert delta.dtype == loss.value(output, z, y).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["log_loss", "cross_entropy"])
def test_canonical_pairs_at_extreme_scores(name: str, dtype: Any) -> None:  # C10
    loss = get_loss(name)
    output = get_activation(loss.link)
    z = np.array([[1e4, -1e4], [-1e4, 1e4], [800, -800], [0, 1e4]], dtype=dtype)
    y = np.array([[1, 0], [1, 0], [0, 1], [1, 0]], dtype=dtype)
    J, delta = loss.value(output, z, y), loss.delta(output, z, y)
    last = (
        1e4 + math.log(2) if name == "log_loss" else 1e4
    )  # there the score 0 is a label of its own
    np.testing.assert_allclose(J, [0, 2e4, 1600, last], rtol=1e-6)
    np.testing.assert_allclose(delta, output.f(z) - y)
    assert np.isfinite(delta).all()


def test_confident_and_right_costs_its_true_small_loss() -> None:
    loss = get_loss("log_loss")
    J = loss.value(get_activation("sigmoid"), np.array([[50.0]]), np.array([[1.0]]))
    assert J[0] == pytest.approx(math.exp(-50), rel=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "output_name"), admissible_pairs())
def test_no_pair_warns_or_gives_nan_at_extreme_scores(
    name: str, output_name: str, dtype: Any
) -> None:
    loss, output = get_loss(name), get_activation(output_name)
    rng = np.random.default_rng(0)
    k = 2
    scores = np.array([-1e4, -700, -90, -30, -1, 0, 1, 30, 90, 700, 1e4], dtype=dtype)
    if output_name == "exp":  # from about exp(88) on, float32 has no room for the loss itself
        scores = scores[scores < 40]
    z = np.stack(np.meshgrid(scores, scores), axis=-1).reshape(-1, k)
    y = targets(loss, rng, len(z), k).astype(dtype)
    for result in (
        loss.value(output, z, y),
        loss.delta(output, z, y),
        loss.J(output.f(z), y),
        loss.dJ(output.f(z), y),
    ):
        assert np.isfinite(result).all()
        assert result.dtype == dtype


def test_exp_output_is_held_below_overflow() -> None:
    loss, z = get_loss("poisson"), np.array([[1e4]])
    y = np.array([[3.0]])
    assert np.isfinite(loss.value(get_activation("exp"), z, y)).all()
    assert np.isfinite(loss.delta(get_activation("exp"), z, y)).all()


def test_saturated_wrong_answers_still_learn_outside_the_canonical_pairs() -> None:
    """-y / o must not be held back long before the floats end: delta is -1, not -1e-7."""
    y = np.array([[1, 0]], dtype=np.float32)
    z = np.array([[-60, 0]], dtype=np.float32)
    delta = get_loss("cross_entropy").delta(get_activation("sigmoid"), z, y)
    assert delta[0, 0] == pytest.approx(-1, rel=1e-5)
    delta = get_loss("log_loss").delta(get_activation("softmax"), z, y)
    assert -2.001 < delta[0, 0] < -0.999  # 1 - o = 0 hides the other half: (-1) + (-1) is exact
    counts = np.array([[3]], dtype=np.float32)
    delta = get_loss("poisson").delta(get_activation("softplus"), z[:, :1], counts)
    assert delta[0, 0] == pytest.approx(-3, rel=1e-5)


# -- the chain rule, for every pair, depth and hidden activation -----------------------------------


def _smooth_problem(name: str, output: str, depth: int, hidden: str) -> tuple[Network, Any, Any]:
    """A small problem whose points all lie well away from where f, f' or J bend."""
    loss = get_loss(name)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        net = Network([2, *[3] * depth], hidden, name, output_activation=output, rng=seed)
        net.theta += 0.1 * rng.standard_normal(net.theta.size)
        if hidden == "exp":
            net.theta *= 0.5  # exp of exp of exp
        X, Y = rng.uniform(-1, 1, (2, 2)), targets(loss, rng, 2, 3)
        passed = forward(net, X)
        bends = np.array([0.0, -1.0, 1.0]) if loss.targets == "real" else np.array([np.inf])
        distances = [abs(z).min() for z in passed.z[:-1]]
        distances.append(abs(passed.z[-1]).min() / 10)  # log o of a relu's small o bends sharply
        distances.append(abs((passed.output - Y)[..., None] - bends).min())
        if min(distances) > 2e-3:
            return net, X, Y
    raise AssertionError("no smooth problem found")


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize(("name", "output"), admissible_pairs())
def test_gradient_is_that_of_the_error(name: str, output: str, depth: int) -> None:  # C4, C8, C10
    for hidden in hidden_names() if depth > 1 else ["identity"]:
        net, X, Y = _smooth_problem(name, output, depth, hidden)
        share = np.full(len(X), 1 / len(X))
        C = stacked_error(net, X, Y, share)
        got = backward(net, X, Y)
        assert got.loss == pytest.approx(C(net.theta[None])[0], rel=1e-11, abs=1e-13)
        measured = numeric_gradient(C, net.theta)
        error = np.linalg.norm(got.theta - measured)
        assert error <= 1e-6 * np.linalg.norm(measured) + 1e-10 * abs(got.loss), hidden


# -- records ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*loss_names(), *PARAMETRIZED])
def test_a_record_is_found_again_by_its_name(name: str) -> None:
    loss = get_loss(name)
    assert loss.registered
    assert get_loss(loss.name) is loss
    assert get_loss(loss) is loss
    assert pickle.loads(pickle.dumps(loss)) is loss
    assert copy.deepcopy(loss) is loss
    assert loss.formula
    assert loss.dJ_formula
    assert repr(loss) == f"Loss({loss.name!r})"
    assert get_activation(loss.link).registered


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("squared_eror", "unknown loss 'squared_eror'. Did you mean 'squared_error'"),
        ("huber(0)", "delta must be > 0, got 0.0"),
        ("quantile(1)", "between 0 and 1, got 1.0"),
        ("log_loss(2)", "takes no parameter"),
        ("huber(1,2)", "'huber' takes fewer parameters"),
        ("cross_entropy(2,x)", "'x' is not a number"),
        ("cross_entropy(2,1.5)", "the size of each group is a whole number >= 1, got 1.5"),
        (1.0, "must be a name or a deltarule.Loss, got 1.0"),
    ],
)
def test_bad_names(spec: Any, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        get_loss(spec)
    assert message in str(caught.value)


def test_an_own_activation_with_the_links_name_is_not_fused() -> None:
    """The fused delta o - y holds for the package's sigmoid only."""
    loss, twice = get_loss("log_loss"), get_activation("sigmoid")
    mine = own_sigmoid("sigmoid")
    steep = type(mine)("sigmoid", lambda z: twice.f(2 * z), lambda z: 2 * twice.df(2 * z))
    z, y = np.array([[0.3]]), np.array([[1.0]])
    assert not loss.links(steep)
    np.testing.assert_allclose(loss.delta(steep, z, y), 2 * (twice.f(2 * z) - y))
    np.testing.assert_allclose(loss.value(steep, z, y), -np.log(twice.f(2 * z))[:, 0])


def test_an_own_loss_keeps_its_functions_through_a_copy() -> None:
    mine = Loss("mine", lambda o, y: (o - y) ** 2 @ np.ones(1), lambda o, y: 2 * (o - y))
    assert not mine.registered
    other = copy.deepcopy(mine)
    assert other.J is mine.J
    assert other.targets == "real"


@pytest.mark.parametrize("name", [*loss_names(), "cross_entropy(2,1)"])
def test_the_same_code_under_jax(name: str) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    loss, rng = get_loss(name), np.random.default_rng(4)
    output = get_activation(loss.link)
    z, y = rng.uniform(-4, 4, (6, 3)), targets(loss, rng, 6, 3)
    by_jax = jax.jit(lambda z: loss.value(output, z, y))(z)
    np.testing.assert_allclose(by_jax, loss.value(output, z, y), rtol=1e-12, atol=1e-14)
    delta = jax.grad(lambda z: loss.J(output.f(z), y).sum())(z)
    np.testing.assert_allclose(delta, loss.delta(output, z, y), rtol=1e-10, atol=1e-12)
