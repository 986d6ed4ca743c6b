"""Outputs in groups: the same numbers as one network for each group, from end to end."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import deltarule as dr
from deltarule.equations.activations import get_activation
from deltarule.equations.groups import apart, by_group, describe, group_sizes, in_brackets
from deltarule.equations.losses import get_loss
from deltarule.errors import SpecError
from support.oracles import numeric_gradient, stacked_error, targets

ENGINES = ["reference", "native"]


def edges(groups: tuple[int, ...]) -> list[tuple[int, int]]:
    """First and last + 1 output of each group."""
    return list(pairwise(np.cumsum([0, *groups]).tolist()))


# -- names and parts -------------------------------------------------------------------------------


def test_names_round_trip() -> None:
    assert in_brackets(()) == ""
    assert in_brackets(group_sizes("softmax", (3.0, 2.0))) == "(3,2)"
    for make, owner in ((get_activation, "softmax"), (get_loss, "cross_entropy")):
        one, record = make(owner), make(f" {owner} ( 3, 2 ,4)")
        assert one.groups == ()
        assert record.groups == (3, 2, 4)
        assert record.name == f"{owner}(3,2,4)"
        assert make(record.name) is record
        assert make(f"{owner}(3)").groups == (3,)
        assert make(f"{owner}(3)") is not one
    assert get_loss("cross_entropy(3,2)").links(get_activation("softmax(3,2)"))
    assert not get_loss("cross_entropy(3,2)").links(get_activation("softmax"))
    assert describe((3, 2)) == "groups of 3 + 2 = 5"


@pytest.mark.parametrize("size", [0.0, -1.0, 2.5])
def test_sizes_are_whole_numbers(size: float) -> None:
    with pytest.raises(SpecError, match=r"softmax: the size of each group is a whole number >= 1"):
        group_sizes("softmax", (3.0, size))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple))
def test_parts_put_together_are_the_whole(groups: tuple[int, ...]) -> None:
    values = np.arange(2.0 * sum(groups)).reshape(2, -1)
    parts = apart(values, groups)
    assert [part.shape for part in parts] == [(2, k) for k in groups]
    assert np.array_equal(np.concatenate(parts, axis=1), values)
    doubled = by_group(lambda a, b: a + b, groups)(values, values)
    assert np.array_equal(doubled, 2 * values)
    with pytest.raises(SpecError, match=f"{sum(groups) + 1} outputs are not groups of"):
        apart(np.ones((2, sum(groups) + 1)), groups)


def test_no_groups_are_one_group() -> None:
    values = np.ones((2, 3))
    assert apart(values, ()) == [values]
    assert by_group(np.tanh, ()) is np.tanh


# -- the same as networks apart --------------------------------------------------------------------


@given(
    groups=st.lists(st.integers(2, 5), min_size=1, max_size=4).map(tuple),
    dtype=st.sampled_from(["float64", "float32"]),
    seed=st.integers(0, 100),
    labels=st.booleans(),
)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_group_learns_as_a_network_of_its_own(
    engine: str, groups: tuple[int, ...], dtype: str, seed: int, labels: bool
) -> None:
    """Without hidden layers the groups share nothing but the inputs."""
    rng = np.random.default_rng(seed)
    loss = "cross_entropy" + in_brackets(groups)
    X = rng.normal(size=(40, 3))
    Y = np.hstack([rng.dirichlet(np.ones(k), 40) for k in groups])
    if labels:
        Y = rng.integers(0, groups, (40, len(groups)))
    net = dr.Network([3, sum(groups)], loss=loss, dtype=dtype, rng=seed)
    alone = []
    for j, (first, last) in enumerate(edges(groups)):
        one = dr.Network([3, last - first], loss="cross_entropy", dtype=dtype, rng=0)
        one.weights = [net.weights[0][:, first:last].copy()]
        alone.append((one, Y[:, j] if labels else Y[:, first:last]))
    options: dict[str, Any] = {
        "epochs": 3, "batch_size": 7, "optimizer": dr.Adam(0.05), "engine": engine, "l2": 0.01,
        "validation": None, "sample_weight": rng.uniform(0, 2, 40),
    }  # fmt: skip
    history = dr.train(net, X, Y, **options)
    each = [dr.train(one, X, y, **options) for one, y in alone]
    rtol = 1e-9 if dtype == "float64" else 1e-3
    np.testing.assert_allclose(history.loss, np.sum([one.loss for one in each], axis=0), rtol=rtol)
    whole = net.predict(X, engine=engine)
    for (first, last), (one, _) in zip(edges(groups), alone, strict=True):
        np.testing.assert_allclose(
            whole[:, first:last], one.predict(X, engine=engine), rtol=rtol, atol=rtol / 100
        )


@pytest.mark.parametrize("loss", ["cross_entropy(3,1,2)", "cross_entropy", "squared_error"])
@pytest.mark.parametrize("output", ["softmax(3,1,2)", "softmax"])
def test_gradients_against_differences(loss: str, output: str) -> None:
    net = dr.Network([4, 5, 6], "tanh", loss, rng=1, output_activation=output)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(7, 4)), targets(net.loss, rng, 7, 6)
    share = np.full(7, 1 / 7)
    expected = numeric_gradient(stacked_error(net, X, Y, share), net.theta)
    for engine in ENGINES:
        _, gradient = dr.engines.get_engine(engine, net.spec).gradients(
            net.spec, net.theta, X, Y, None
        )
        np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(dr.backward(net, X, Y).theta, expected, rtol=1e-7, atol=1e-9)


# -- from end to end -------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_two_questions_about_one_input(engine: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    quadrant = (X[:, 0] > 0) * 2 + (X[:, 1] > 0)
    Y = np.column_stack([quadrant, (X**2).sum(1) > 1.4])
    net = dr.Network([2, 32, 6], "tanh", "cross_entropy(4,2)", rng=0)
    history = dr.train(net, X, Y, epochs=80, learning_rate=0.02, engine=engine, validation=0.25)
    P = net.predict(X)
    np.testing.assert_allclose(P[:, :4].sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(P[:, 4:].sum(1), 1, rtol=1e-12)
    right = (P[:, :4].argmax(1) == quadrant).mean(), (P[:, 4:].argmax(1) == Y[:, 1]).mean()
    assert min(right) > 0.9
    assert history.metrics["accuracy"][-1] > 0.9


def test_a_rare_combination_may_be_held_out() -> None:
    """Class by class is of one question: the rows of several are held out at random."""
    rng = np.random.default_rng(0)
    Y = np.column_stack([rng.integers(0, 2, 40), rng.integers(0, 3, 40)])
    Y[0] = 1, 0
    net = dr.Network([2, 5], loss="cross_entropy(2,3)", rng=0)
    history = dr.train(net, rng.normal(size=(40, 2)), Y, epochs=1, validation=0.2)
    assert len(history.validation_loss) == 1


def test_lbfgs_and_one_large_group() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.integers(0, 3, 60)
    nets = [dr.Network([3, 3], loss=loss, rng=0) for loss in ("cross_entropy", "cross_entropy(3)")]
    for net in nets:
        dr.train(net, X, y, epochs=20, optimizer="lbfgs", l2=0.01, validation=None)
    np.testing.assert_allclose(nets[0].theta, nets[1].theta, rtol=1e-9)
