"""Initial weights: their spread, orthogonality, reproducibility, and names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from deltarule.equations.activations import activation_names, get_activation
from deltarule.equations.initializers import INITIALIZERS, get_initializer
from deltarule.errors import SpecError
from deltarule.network.network import Network
from support.oracles import own_sigmoid

N_IN, N_OUT = 300, 200
UNIFORM = {  # half width
    "glorot_uniform": math.sqrt(6 / (N_IN + N_OUT)),
    "he_uniform": math.sqrt(6 / N_IN),
    "uniform": 0.05,
}
NORMAL = {  # standard deviation
    "glorot_normal": math.sqrt(2 / (N_IN + N_OUT)),
    "he_normal": math.sqrt(2 / N_IN),
    "lecun_normal": math.sqrt(1 / N_IN),
    "normal": 0.05,
}


def drawn(name: str, n_in: int = N_IN, n_out: int = N_OUT) -> Any:
    return get_initializer(name, "")(np.random.default_rng(1), n_in, n_out)


def test_every_initializer_is_tested() -> None:
    assert {*UNIFORM, *NORMAL, "orthogonal", "zeros"} == set(INITIALIZERS)


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_ones(name: str) -> None:
    from scipy.stats import kstest

    W, bound = drawn(name), UNIFORM[name]
    assert abs(W).max() <= bound
    assert kstest(W.ravel(), "uniform", args=(-bound, 2 * bound)).pvalue > 0.01


@pytest.mark.parametrize("name", NORMAL)
def test_normal_ones(name: str) -> None:
    from scipy.stats import kstest

    assert kstest(drawn(name).ravel(), "norm", args=(0, NORMAL[name])).pvalue > 0.01


@pytest.mark.parametrize("shape", [(7, 7), (9, 4), (4, 9), (1, 5), (5, 1), (1, 1)])
def test_orthogonal(shape: tuple[int, int]) -> None:
    W = drawn("orthogonal", *shape)
    assert W.shape == shape
    gram = W.T @ W if shape[0] >= shape[1] else W @ W.T
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-14)


def test_orthogonal_favours_no_sign() -> None:
    rng = np.random.default_rng(0)
    draw = get_initializer("orthogonal", "")
    signs = np.mean([np.sign(draw(rng, 3, 3)) for _ in range(600)], axis=0)
    assert abs(signs).max() < 5 / math.sqrt(600)


def test_zeros() -> None:
    assert not drawn("zeros").any()


@pytest.mark.parametrize("name", activation_names())
def test_auto_suits_the_activation_and_biases_start_at_zero(name: str) -> None:
    f = get_activation(name)
    sizes = [20, 30, 4]
    net = Network(sizes, [f if name != "softmax" else "relu", f], "squared_error", rng=3)
    rng = np.random.default_rng(3)
    for W, b, g in net.layers():
        assert np.array_equal(W, INITIALIZERS[g.initializer](rng, *W.shape))
        assert not b.any()


def test_same_rng_same_bits() -> None:
    make = lambda rng, dtype="float64": Network([5, 8, 3], rng=rng, dtype=dtype).theta  # noqa: E731
    assert np.array_equal(make(7), make(7))
    assert np.array_equal(make(7), make(np.random.default_rng(7)))
    assert np.array_equal(make(np.random.SeedSequence(7)), make(7))
    assert not np.array_equal(make(7), make(8))
    assert not np.array_equal(make(None), make(None))
    assert np.array_equal(make(7, "float32"), make(7).astype(np.float32))


def test_an_own_function() -> None:
    net = Network([2, 3, 1], initializer=lambda rng, n_in, n_out: np.full((n_in, n_out), n_in))
    assert [W.mean() for W in net.weights] == [2, 3]
    with pytest.raises(SpecError, match=r"gave shape \(2,\) for layer 1, not \(2, 3\)"):
        Network([2, 3, 1], initializer=lambda rng, n_in, n_out: np.zeros(n_in))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("he_unifrom", "unknown initializer 'he_unifrom'. Did you mean 'he_uniform'"),
        (3, "must be a name or a function, got 3"),
        (None, "got None"),
    ],
)
def test_bad_names(spec: Any, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        Network([2, 1], initializer=spec)
    assert message in str(caught.value)


def test_a_bad_name_in_an_own_activation_is_the_one_reported() -> None:
    mine = own_sigmoid()
    bad = type(mine)("mine", mine.f, mine.df, initializer="glorot")
    with pytest.raises(SpecError, match="unknown initializer 'glorot'"):
        Network([2, 3, 1], bad)
