"""Models on disk: what is saved is loaded to the bit, or not saved at all."""

from __future__ import annotations

import copy
import errno
import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

import deltarule as dr
from deltarule.equations.activations import activation_names
from deltarule.equations.losses import get_loss, loss_names
from deltarule.network.saving import read, save

HIDDEN = [name for name in activation_names() if name != "softmax"]
PARAMETRIZED = ["leaky_relu(0.2)", "elu(0.3)"]


def assert_same(a: dr.Network, b: dr.Network) -> None:
    assert a.theta.tobytes() == b.theta.tobytes()
    assert a.theta.dtype == b.theta.dtype
    assert (a.sizes, a.bias, a.folded, a.loss) == (b.sizes, b.bias, b.folded, b.loss)
    assert a.activations == b.activations
    assert repr(a) == repr(b)
    for W, V in zip(a.weights, b.weights, strict=True):
        np.testing.assert_array_equal(W, V)
        assert np.shares_memory(V, b.theta)


# -- round trips ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", [*loss_names(), "huber(0.7)", "quantile(0.9)"])
@pytest.mark.parametrize("activation", [*HIDDEN, *PARAMETRIZED])
def test_every_activation_and_loss(tmp_path: Path, activation: str, loss: str, dtype: str) -> None:
    net = dr.Network([3, 4, 2], activation, loss, dtype=dtype, rng=0)
    net.save(tmp_path / "m")
    again = dr.load(tmp_path / "m")
    assert_same(net, again)
    x = np.random.default_rng(1).normal(size=(5, 3))
    assert net.predict(x).tobytes() == again.predict(x).tobytes()


def test_groups_of_outputs(tmp_path: Path) -> None:
    net = dr.Network([3, 4, 6], "tanh", "cross_entropy(3,1,2)", rng=0)
    net.save(tmp_path / "m")
    again = dr.load(tmp_path / "m")
    assert_same(net, again)
    assert_same(net, pickle.loads(pickle.dumps(net)))
    assert again.activations[-1].groups == again.loss.groups == (3, 1, 2)


@given(data=st.data())
def test_any_shape_bias_and_folding(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=6))
    bias = data.draw(st.lists(st.booleans(), min_size=len(sizes) - 1, max_size=len(sizes) - 1))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    net = dr.Network(sizes, "tanh", bias=bias, dtype=dtype, rng=0)
    special = [0.0, -0.0, 5e-324, 1e-45, float(np.finfo(dtype).max)]
    net.theta[: len(special)] = special[: net.theta.size]
    net = dr.fold_biases(net) if data.draw(st.booleans()) else net
    path = tmp_path_factory.mktemp("any") / "m"
    dr.save(net, str(path))
    assert_same(net, dr.load(str(path)))


def test_layers_beyond_nine_keep_their_order(tmp_path: Path) -> None:
    net = dr.Network([2, *range(3, 30), 1], "relu", rng=0)
    net.save(tmp_path / "m")
    assert_same(net, dr.load(tmp_path / "m"))


def test_the_file_is_plain_safetensors(tmp_path: Path) -> None:
    net = dr.Network([3, 4, 1], "relu", "log_loss", bias=[True, False], rng=0)
    net.save(tmp_path / "m")
    tensors = safetensors.numpy.load_file(tmp_path / "m")
    assert set(tensors) == {"W_1", "b_1", "W_2"}
    np.testing.assert_array_equal(tensors["W_1"], net.weights[0])
    np.testing.assert_array_equal(tensors["b_1"], net.biases[0])


def test_more_sections_come_back(tmp_path: Path) -> None:
    sections = {"table": {"columns": ["ä", "b"], "mean": [0.1, 1e300]}}
    save(dr.Network([2, 1], rng=0), tmp_path / "m", sections)
    assert read(tmp_path / "m")[1] == sections


def test_a_loaded_network_trains_on(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    net = dr.Network([3, 4, 1], "tanh", rng=0)
    net.save(tmp_path / "m")
    again = dr.load(tmp_path / "m")
    for one in (net, again):
        dr.train(one, x, x.sum(1), epochs=3)
    assert net.theta.tobytes() == again.theta.tobytes()


# -- own functions ----------------------------------------------------------------------------


def cube(z: Any) -> Any:
    return z * z * z


def cube_slope(z: Any) -> Any:
    return 3 * z * z


def fourth(o: Any, y: Any) -> Any:
    return ((o - y) ** 4).sum(axis=-1)


def fourth_slope(o: Any, y: Any) -> Any:
    return 4 * (o - y) ** 3


CUBE = dr.Activation("cube", cube, cube_slope)
FOURTH = dr.Loss("fourth", fourth, fourth_slope)


def test_own_functions_come_back_through_custom(tmp_path: Path) -> None:
    net = dr.Network([2, 3, 1], CUBE, FOURTH, rng=0)
    net.save(tmp_path / "m")
    again = dr.load(tmp_path / "m", custom=[FOURTH, CUBE])
    assert_same(net, again)
    with pytest.raises(dr.ModelFileError, match=r"cube, fourth: dr\.load\(path, custom="):
        dr.load(tmp_path / "m")
    with pytest.raises(dr.ModelFileError, match="own functions fourth"):
        dr.load(tmp_path / "m", custom=[CUBE])


def test_an_own_function_with_a_registered_name_is_not_taken_for_it(tmp_path: Path) -> None:
    mine = dr.Activation("relu", cube, cube_slope)
    dr.Network([2, 3, 1], mine, rng=0).save(tmp_path / "m")
    with pytest.raises(dr.ModelFileError, match="own functions relu"):
        dr.load(tmp_path / "m")
    assert dr.load(tmp_path / "m", custom=[mine]).activations[0] is mine
    dr.Network([2, 3, 1], "relu", rng=0).save(tmp_path / "m")
    assert dr.load(tmp_path / "m", custom=[mine]).activations[0] is not mine


def test_two_own_functions_of_one_name_cannot_be_saved(tmp_path: Path) -> None:
    for pair in (
        [CUBE, dr.Activation("cube", np.sin, np.cos)],
        ["relu", dr.Activation("relu", np.sin, np.cos)],
    ):
        net = dr.Network([2, 3, 3, 1], [*pair, "identity"], rng=0)
        with pytest.raises(dr.SpecError, match="a name of its own"):
            net.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_functions_taken_unchecked_are_loaded_unchecked(tmp_path: Path) -> None:
    straight_through = dr.Activation("sign", np.sign, np.ones_like)
    net = dr.Network([2, 3, 1], straight_through, rng=0, check_derivatives=False)
    net.save(tmp_path / "m")
    assert_same(net, dr.load(tmp_path / "m", custom=[straight_through]))


# -- other ways to keep a network -------------------------------------------------------------


@pytest.mark.parametrize("way", ["pickle", "joblib", "deepcopy", "copy"])
@pytest.mark.parametrize("own", [False, True])
def test_pickle_joblib_and_copies(tmp_path: Path, way: str, own: bool) -> None:
    parts = (CUBE, FOURTH) if own else ("leaky_relu(0.2)", "quantile(0.9)")
    net = dr.fold_biases(dr.Network([2, 3, 1], *parts, rng=0))
    if way == "pickle":
        again = pickle.loads(pickle.dumps(net))
    elif way == "joblib":
        joblib.dump(net, tmp_path / "m")
        again = joblib.load(tmp_path / "m")
    else:
        again = copy.deepcopy(net) if way == "deepcopy" else net.copy()
    if not own:
        assert_same(net, again)
        assert again.loss is get_loss("quantile(0.9)")
    x = np.array([[0.3, -2.0]])
    assert again.predict(x).tobytes() == net.predict(x).tobytes()
    again.theta = again.theta + 1
    assert not np.array_equal(again.theta, net.theta)


# -- files that cannot be written -------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_failed_save_keeps_the_old_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    old, new = dr.Network([2, 3, 1], rng=0), dr.Network([2, 3, 1], rng=1)
    old.save(tmp_path / "m")

    def fail(*args: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(dr.OutputError, match="nothing was written"):
        new.save(tmp_path / "m")
    monkeypatch.undo()
    assert_same(old, dr.load(tmp_path / "m"))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, value: float) -> None:
    net = dr.Network([2, 3, 1], rng=0)
    net.weights[1][2, 0] = value
    with pytest.raises(dr.SpecError, match=r"layer 2 .*NaN or infinite"):
        net.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []
