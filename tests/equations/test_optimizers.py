"""Optimizers: first steps by hand, scikit-learn and PyTorch as oracles, purity, settings."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest

from deltarule.equations.optimizers import (
    LBFGS,
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    get_optimizer,
)
from deltarule.errors import SpecError

STEPPING = [
    SGD(0.1),
    SGD(0.1, momentum=0.9),
    SGD(0.1, momentum=0.9, nesterov=True),
    Adagrad(0.1),
    RMSprop(0.1),
    Adam(0.1),
    AdamW(0.1, weight_decay=0.3),
]


def path(optimizer: Optimizer, theta: Any, grads: list[Any], rate: float = 0.1) -> list[Any]:
    """The parameters after each step."""
    state, thetas = optimizer.init(theta), []
    for grad in grads:
        theta, state = optimizer.update(theta, grad, state, rate)
        thetas.append(theta)
    assert state["t"] == len(grads)
    return thetas


def gradients(n: int = 6) -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(5) * 10.0 ** rng.integers(-3, 3) for _ in range(n)]


THETA = np.array([1.0, -2.0, 0.5, 0.0, 3.0])


# -- against the definitions -----------------------------------------------------------------------


def test_gradient_descent_subtracts_rate_times_gradient() -> None:  # C11, D6
    g = gradients(1)[0]
    assert np.array_equal(path(SGD(0.1), THETA, [g])[0], THETA - 0.1 * g)


def test_momentum_by_hand() -> None:  # C15
    g1, g2, g3 = gradients(3)
    v1 = -0.1 * g1
    v2 = 0.9 * v1 - 0.1 * g2
    v3 = 0.9 * v2 - 0.1 * g3
    after = path(SGD(0.1, momentum=0.9), THETA, [g1, g2, g3])
    np.testing.assert_allclose(after, [THETA + v1, THETA + v1 + v2, THETA + v1 + v2 + v3])


def test_nesterov_looks_ahead() -> None:
    """w_t + mu v_t is the point where plain Nesterov (Sutskever et al. 2013) takes its gradient."""
    curvature = np.array([1.0, 3.0, 0.5, 2.0, 4.0])
    w, v = THETA.copy(), np.zeros(5)
    ahead, state = THETA.copy(), SGD(0.1, momentum=0.8, nesterov=True).init(THETA)
    for _ in range(8):
        v = 0.8 * v - 0.1 * curvature * (w + 0.8 * v)
        w = w + v
        ahead, state = SGD(0.1, momentum=0.8, nesterov=True).update(
            ahead, curvature * ahead, state, 0.1
        )
        np.testing.assert_allclose(ahead, w + 0.8 * v, rtol=1e-12, atol=1e-14)


def test_first_steps_by_hand() -> None:
    g = np.array([4.0, -1.0, 0.01, 2.0, 1e-3])
    sign = np.sign(g)
    np.testing.assert_allclose(path(Adagrad(), THETA, [g])[0], THETA - 0.1 * sign, rtol=1e-7)
    np.testing.assert_allclose(
        path(RMSprop(), THETA, [g])[0], THETA - 0.1 * sign / math.sqrt(0.1), rtol=1e-4
    )
    np.testing.assert_allclose(path(Adam(), THETA, [g])[0], THETA - 0.1 * sign, rtol=1e-3)
    decayed = THETA - 0.1 * 0.01 * THETA - 0.1 * sign
    np.testing.assert_allclose(path(AdamW(), THETA, [g])[0], decayed, rtol=1e-3)


def test_moments_by_their_sums() -> None:
    grads = gradients()
    t = len(grads)
    weights = [0.1 * 0.9 ** (t - 1 - k) for k in range(t)]
    m = sum(w * g for w, g in zip(weights, grads, strict=True))
    v = sum(0.001 * 0.999 ** (t - 1 - k) * g * g for k, g in enumerate(grads))
    rate = 0.1 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    *_, before, after = path(Adam(), THETA, grads)
    np.testing.assert_allclose(after, before - rate * m / (np.sqrt(v) + 1e-8), rtol=1e-12)
    s = sum(g * g for g in grads)
    *_, before, after = path(Adagrad(), THETA, grads)
    np.testing.assert_allclose(after, before - 0.1 * grads[-1] / (np.sqrt(s) + 1e-10), rtol=1e-12)
    s = sum(w * g * g for w, g in zip(weights, grads, strict=True))
    *_, before, after = path(RMSprop(), THETA, grads)
    np.testing.assert_allclose(after, before - 0.1 * grads[-1] / (np.sqrt(s) + 1e-8), rtol=1e-12)


def test_adamw_without_decay_is_adam() -> None:
    assert np.array_equal(
        path(AdamW(weight_decay=0), THETA, gradients()), path(Adam(), THETA, gradients())
    )


# -- against other packages ------------------------------------------------------------------------


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_against_scikit_learn(nesterov: bool) -> None:
    from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

    theta = THETA.copy()
    theirs = SGDOptimizer([theta], learning_rate_init=0.1, momentum=0.9, nesterov=nesterov)
    ours = path(SGD(momentum=0.9, nesterov=nesterov), THETA, gradients())
    for step, grad in zip(ours, gradients(), strict=True):
        theirs.update_params([theta], [grad])
        np.testing.assert_allclose(step, theta, rtol=1e-13, atol=1e-15)


def test_adam_against_scikit_learn() -> None:
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

    theta = THETA.copy()
    theirs = AdamOptimizer([theta], learning_rate_init=0.1)
    for step, grad in zip(path(Adam(), THETA, gradients()), gradients(), strict=True):
        theirs.update_params([theta], [grad])
        np.testing.assert_allclose(step, theta, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("ours", "name", "options"),
    [
        (SGD(0.1), "SGD", {}),
        (SGD(0.1, momentum=0.9), "SGD", {"momentum": 0.9}),
        (SGD(0.1, momentum=0.9, nesterov=True), "SGD", {"momentum": 0.9, "nesterov": True}),
        (Adagrad(0.1), "Adagrad", {}),
        (RMSprop(0.1), "RMSprop", {"alpha": 0.9}),
        (Adam(0.1, epsilon=1e-300), "Adam", {"eps": 1e-300}),  # they place epsilon elsewhere
        (AdamW(0.1, epsilon=1e-300), "AdamW", {"eps": 1e-300}),
    ],
)
def test_against_pytorch(ours: Optimizer, name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    theta = torch.nn.Parameter(torch.tensor(THETA))
    theirs = getattr(torch.optim, name)([theta], lr=0.1, **options)
    for step, grad in zip(path(ours, THETA, gradients()), gradients(), strict=True):
        theta.grad = torch.tensor(grad)
        theirs.step()
        np.testing.assert_allclose(step, theta.detach().numpy(), rtol=1e-11, atol=1e-13)


# -- purity, types, settings -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", STEPPING, ids=repr)
def test_update_changes_nothing_in_place_and_keeps_the_dtype(
    optimizer: Optimizer, dtype: Any
) -> None:
    theta, grad = THETA.astype(dtype), gradients(1)[0].astype(dtype)
    state = optimizer.init(theta)
    assert all(not moment.any() for name, moment in state.items() if name != "t")
    for array in (theta, grad, *(value for name, value in state.items() if name != "t")):
        array.flags.writeable = False
    new, after = optimizer.update(theta, grad, state, 0.1)
    assert state["t"] == 0
    assert after["t"] == 1
    assert after.keys() == state.keys()
    assert new.dtype == dtype
    assert all(value.dtype == dtype for name, value in after.items() if name != "t")
    assert not np.shares_memory(new, theta)


@pytest.mark.parametrize("optimizer", STEPPING, ids=repr)
def test_a_gradient_of_zero_moves_nothing(optimizer: Optimizer) -> None:
    if isinstance(optimizer, AdamW):
        optimizer = dataclasses.replace(optimizer, weight_decay=0.0)
    assert np.array_equal(path(optimizer, THETA, [np.zeros(5)] * 3)[-1], THETA)


@pytest.mark.parametrize("optimizer", STEPPING, ids=repr)
def test_each_descends_a_bowl(optimizer: Optimizer) -> None:
    theta, state = THETA, optimizer.init(THETA)
    for _ in range(500):
        theta, state = optimizer.update(theta, theta, state, 0.2)
    assert np.linalg.norm(theta) < 0.3 * np.linalg.norm(THETA)


@pytest.mark.parametrize("optimizer", STEPPING, ids=repr)
def test_the_same_code_under_jax(optimizer: Optimizer) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    theta = jax.numpy.asarray(THETA)
    state = optimizer.init(theta)
    step = jax.jit(lambda theta, grad, state: optimizer.update(theta, grad, state, 0.1))
    for grad, expected in zip(gradients(), path(optimizer, THETA, gradients()), strict=True):
        theta, state = step(theta, grad, state)
        np.testing.assert_allclose(theta, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("optimizer", [*STEPPING, LBFGS(memory=7)], ids=repr)
def test_settings_rebuild_the_optimizer(optimizer: Optimizer) -> None:
    settings = json.loads(json.dumps(optimizer.settings()))
    assert OPTIMIZERS[optimizer.name](**settings) == optimizer


def test_names_and_rates() -> None:
    assert get_optimizer("Adam") == Adam()
    assert get_optimizer("sgd", 0.5) == SGD(0.5)
    mine = SGD(0.2, momentum=0.5)
    assert get_optimizer(mine) is mine
    assert get_optimizer(mine, 0.3) == SGD(0.3, momentum=0.5)
    assert all(kind().name == name for name, kind in OPTIMIZERS.items())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0), "SGD: learning_rate must be a finite number > 0, got 0"),
        (lambda: SGD(-1.0), "got -1.0"),
        (lambda: SGD(math.nan), "got nan"),
        (lambda: SGD(math.inf), "got inf"),
        (lambda: SGD("0.1"), "got '0.1'"),
        (lambda: SGD(True), "got True"),
        (lambda: SGD(momentum=1.1), "momentum must be a number in [0, 1], got 1.1"),
        (lambda: SGD(momentum=None), "got None"),
        (lambda: SGD(nesterov=True), "nesterov=True needs momentum > 0"),
        (lambda: Adagrad(epsilon=0), "Adagrad: epsilon must be"),
        (lambda: RMSprop(rho=1.5), "RMSprop: rho must be"),
        (lambda: Adam(beta_1=-0.1), "Adam: beta_1 must be"),
        (lambda: Adam(beta_2=1), "Adam: beta_2 must be"),
        (lambda: AdamW(epsilon=-1), "AdamW: epsilon must be"),
        (lambda: AdamW(weight_decay=-1), "AdamW: weight_decay must be a finite number >= 0"),
        (lambda: AdamW(weight_decay=math.nan), "got nan"),
        (lambda: LBFGS(0.5), "the line search sets the step"),
        (lambda: LBFGS(memory=0), "LBFGS: memory must be a whole number >= 1, got 0"),
        (lambda: LBFGS(memory=2.5), "got 2.5"),
        (lambda: LBFGS(max_evaluations=0), "max_evaluations"),
        (lambda: LBFGS(gradient_tolerance=-1), "gradient_tolerance"),
        (lambda: LBFGS(loss_tolerance=-1), "loss_tolerance"),
        (lambda: get_optimizer("lbfgs", 0.1), "learning_rate cannot be set"),
        (lambda: get_optimizer("adm"), "unknown optimizer 'adm'. Did you mean 'adam'"),
        (lambda: get_optimizer("adam", 0), "learning_rate must be a finite number > 0, got 0"),
        (lambda: get_optimizer(SGD), "such as dr.SGD(0.1), got <class"),
        (lambda: get_optimizer(None), "got None"),
        (lambda: LBFGS().update(None, None, {}, 1.0), "not single steps"),
    ],
)
def test_bad_settings(make: Any, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        make()
    assert message in str(caught.value)
