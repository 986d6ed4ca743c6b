"""The network: what it accepts, what it says of a bad description, its parameters and its looks."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from deltarule.equations.activations import get_activation
from deltarule.equations.losses import loss_names
from deltarule.errors import DataError, SpecError
from deltarule.network.gradients import backward, forward
from deltarule.network.network import Network, fold_biases, unfold_biases
from deltarule.training import train
from support.oracles import hidden_names, own_sigmoid

# -- what it is ------------------------------------------------------------------------------------


def test_one_name_is_for_the_hidden_layers_and_the_loss_names_the_output() -> None:
    for loss, output in (("squared_error", "identity"), ("log_loss", "sigmoid")):
        net = Network([2, 3, 4, 1], "tanh", loss)
        assert [f.name for f in net.activations] == ["tanh", "tanh", output]
    net = Network([2, 3, 2], ["logistic"], "cross_entropy", output_activation="sigmoid")
    assert [f.name for f in net.activations] == ["sigmoid", "sigmoid"]
    net = Network([2, 3, 2], ["tanh", "softmax"])
    assert [f.name for f in net.activations] == ["tanh", "softmax"]
    assert Network([2, 1]).activations == (get_activation("identity"),)


def test_the_issues_own_example() -> None:
    net = Network(
        [2, 3, 2, 1], activations="sigmoid", loss="log_loss", bias=True, dtype="float64", rng=0
    )
    assert net.sizes == (2, 3, 2, 1)
    assert [W.shape for W in net.weights] == [(2, 3), (3, 2), (2, 1)]
    assert [b.shape for b in net.biases if b is not None] == [(3,), (2,), (1,)]
    assert net.theta.shape == (20,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": 5}, "sizes must be a list such as [2, 3, 1], got 5"),
        ({"sizes": [2]}, "sizes needs inputs and outputs at least, such as [2, 1]; got [2]"),
        ({"sizes": []}, "got []"),
        ({"sizes": [2, 0, 1]}, "layer 1 must have a whole number of units >= 1, got 0"),
        ({"sizes": [2, 3.0, 1]}, "layer 1 must have a whole number of units >= 1, got 3.0"),
        ({"sizes": [True, 1]}, "layer 0 must have a whole number of units >= 1, got True"),
        ({"sizes": "23"}, "layer 0 must have a whole number of units >= 1, got '2'"),
        ({"activations": "sigmiod"}, "unknown activation 'sigmiod'. Did you mean 'sigmoid'"),
        ({"activations": ["relu"]}, "activations has 1 entries, but there are 2 layers"),
        ({"activations": ["relu"] * 3}, "activations has 3 entries, but there are 2 layers"),
        ({"activations": []}, "activations has 0 entries"),
        ({"activations": None}, "activations must be a name, an Activation or a list, got None"),
        ({"activations": {"a": 1}}, "or a list, got {'a': 1}"),
        ({"activations": ["relu", 3]}, "an activation must be a name or a deltarule.Activation"),
        ({"activations": ["softmax", "identity"]}, "only the output, not layer 1"),
        ({"activations": "softmax"}, "softmax mixes the units of a layer"),
        (
            {"activations": ["relu", "relu"], "output_activation": "tanh"},
            "activations names the 1 hidden layers; got 2",
        ),
        ({"loss": "mse"}, "unknown loss 'mse'"),
        ({"loss": "log_loss", "output_activation": "tanh"}, "outputs in [0, 1], but tanh gives"),
        ({"loss": "log_loss", "output_activation": "relu"}, "canonical output activation is sig"),
        ({"loss": "poisson", "output_activation": "identity"}, "poisson is defined for outputs"),
        ({"loss": "cross_entropy"}, "cross_entropy needs an output for each class, at least 2"),
        ({"output_activation": "softmax"}, "softmax over 1 output is always 1; take sigmoid"),
        (
            {"sizes": [2, 7], "activations": [], "output_activation": "softmax(3,2)"},
            "softmax(3,2) has groups of 3 + 2 = 5 outputs, but the output layer has 7 units",
        ),
        (
            {"sizes": [2, 4], "loss": "cross_entropy(3,2)"},
            "softmax(3,2) has groups of 3 + 2 = 5 outputs, but the output layer has 4 units",
        ),
        (
            {"sizes": [2, 4], "loss": "cross_entropy(3,2)", "output_activation": "sigmoid"},
            "cross_entropy(3,2) has groups of 3 + 2 = 5 outputs, but the output layer has 4 units",
        ),
        ({"sizes": [2, 2], "loss": "cross_entropy(1,1)"}, "softmax over 1 output is always 1"),
        ({"activations": ["softmax(3)", "identity"]}, "softmax(3) mixes the units of a layer"),
        ({"bias": 1}, "bias must be a bool, or one bool for each of 2 layers; got 1"),
        ({"bias": None}, "got None"),
        ({"bias": [True]}, "bias must be a bool, or one bool for each of 2 layers"),
        ({"bias": [1, 0]}, "bias must be a bool"),
        ({"bias": "yes"}, "bias must be a bool"),
        ({"dtype": "float16"}, "dtype must be 'float64' or 'float32', got 'float16'"),
        ({"dtype": "nonsense"}, "got 'nonsense'"),
        ({"dtype": None}, "got None"),
        ({"dtype": ">f8"}, "got '>f8'"),
        ({"rng": -1}, "rng must be None, a whole number >= 0"),
        ({"rng": "x"}, "got 'x'"),
        ({"initializer": "he"}, "unknown initializer 'he'"),
    ],
)
def test_bad_descriptions(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        Network(**({"sizes": [2, 3, 1]} | arguments))
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.dtype("f8"), "f4", float])
def test_dtypes(dtype: Any) -> None:
    net = Network([2, 3, 1], dtype=dtype)
    assert net.theta.dtype == net.predict([[1, 2]]).dtype == np.dtype(dtype)


# -- parameters ------------------------------------------------------------------------------------


def test_theta_weights_and_biases_are_one_memory() -> None:
    net = Network([2, 3, 1], rng=0)
    net.weights[0][1, 2] = 42
    net.biases[1][0] = 43
    assert {42.0, 43.0} <= set(net.theta)
    net.theta[:] = 0
    assert not any(W.any() for W in net.weights)
    held = net.weights[0]
    net.theta = np.arange(13)
    assert held is not net.weights[0]
    assert np.array_equal(held, net.weights[0])
    assert np.shares_memory(held, net.theta)


def test_assigning_copies_and_takes_lists() -> None:
    net = Network([2, 1])
    W = np.array([[1.0], [2.0]])
    net.weights, net.biases = [W], [[3]]
    W[:] = 9
    assert net.theta.tolist() == [3, 1, 2]
    assert net.predict([[1, 1]]) == 6


def test_assigning_a_networks_own_views_in_another_order() -> None:
    net = Network([2, 2, 2], rng=0)
    first, second = (W.copy() for W in net.weights)
    net.weights = net.weights[::-1]
    assert np.array_equal(net.weights[0], second)
    assert np.array_equal(net.weights[1], first)
    net.theta = net.theta[::-1]
    assert np.array_equal(net.weights[1], net.theta[-4:].reshape(2, 2))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("theta", np.zeros(12), "theta has 13 numbers; got an array of shape (12,)"),
        ("theta", ["a"] * 13, "theta: numbers are needed"),
        ("theta", np.ones(13) * 1j, "numbers are needed"),
        ("theta", [[1], [2, 3]], "theta: not a rectangular array"),
        ("weights", [np.ones((2, 3))], "weights: 2 layers need 2 arrays, got 1"),
        ("weights", None, "weights: 2 layers need 2 arrays, got None"),
        ("weights", [np.ones((2, 3)), np.ones((1, 3))], "layer 2 needs shape (3, 1), got shape"),
        ("weights", [np.ones((2, 3)), "x"], "weights of layer 2: numbers are needed, got 'x'"),
        ("weights", [np.ones((2, 3)), None], "weights of layer 2: numbers are needed, got None"),
        ("weights", [[[1], [2, 3]], [1]], "weights of layer 1: not a rectangular array"),
        ("biases", [np.ones(3), np.ones(2)], "biases: layer 2 needs shape (1,), got shape (2,)"),
    ],
)
def test_a_bad_assignment_changes_nothing(name: str, values: Any, message: str) -> None:
    net = Network([2, 3, 1], rng=0)
    before = net.theta.copy()
    with pytest.raises(SpecError) as caught:
        setattr(net, name, values)
    assert message in str(caught.value)
    assert np.array_equal(net.theta, before)


def test_no_bias_where_there_is_none() -> None:
    net = Network([2, 3, 1], bias=[True, False])
    assert net.bias == (True, False)
    assert net.biases[1] is None
    net.biases = [[1, 2, 3], None]
    with pytest.raises(SpecError, match="biases: layer 2 has none; give None there"):
        net.biases = [[1, 2, 3], [4]]


# -- folding ---------------------------------------------------------------------------------------


@st.composite
def networks(draw: st.DrawFn) -> Network:
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))
    L = len(sizes) - 1
    bias = draw(st.lists(st.booleans(), min_size=L, max_size=L))
    names = draw(st.lists(st.sampled_from(hidden_names()), min_size=L, max_size=L))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    net = Network(sizes, names, bias=bias, dtype=dtype, rng=draw(st.integers(0, 99)))
    net.theta = net.theta + np.linspace(-0.5, 0.5, net.theta.size)
    return net


@given(networks())
def test_folding_is_exact_and_the_folded_matrix_gives_z(net: Network) -> None:  # C3
    folded = fold_biases(net)
    assert folded.folded
    assert not net.folded
    assert folded.biases == [None] * len(net.bias)
    assert folded.theta.tobytes() == net.theta.tobytes()
    apart = unfold_biases(folded)
    assert not apart.folded
    assert apart.theta.tobytes() == net.theta.tobytes()
    for W, again in zip(net.weights, apart.weights, strict=True):
        assert np.array_equal(W, again)
    assert [b is None for b in apart.biases] == [b is None for b in net.biases]
    assert not np.shares_memory(folded.theta, net.theta)
    X = np.random.default_rng(0).uniform(-1, 1, (4, net.sizes[0]))
    passed = forward(folded, X)
    eps = np.finfo(net.dtype).eps
    for l, (W, has_bias) in enumerate(zip(folded.weights, net.bias, strict=True)):
        ones = np.ones((4, int(has_bias)), dtype=net.dtype)
        z = np.hstack([ones, passed.a[l]]) @ W  # x_0 = 1, w_0 = b
        size = np.abs(np.hstack([ones, passed.a[l]])) @ np.abs(W)
        assert (abs(passed.z[l] - z) <= 20 * eps * size).all()
    for one, other in zip(passed.z, forward(net, X).z, strict=True):
        assert np.array_equal(one, other)


@given(networks())
def test_gradients_of_a_folded_network_are_the_same_numbers_folded(net: Network) -> None:  # C3
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (3, net.sizes[0]))
    Y = rng.standard_normal((3, net.sizes[-1]))
    apart, folded = backward(net, X, Y), backward(fold_biases(net), X, Y)
    assert folded.theta.tobytes() == apart.theta.tobytes()
    for dM, dW, db in zip(folded.weights, apart.weights, apart.biases, strict=True):
        assert np.array_equal(dM, dW if db is None else np.vstack([db, dW]))


# -- copies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duplicate",
    [Network.copy, copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))],
)
@pytest.mark.parametrize("folded", [False, True])
def test_copies(duplicate: Any, folded: bool) -> None:
    net = Network([2, 3, 2], ["elu(0.5)", "softmax"], "cross_entropy", dtype="float32", rng=0)
    net = fold_biases(net) if folded else net
    other = duplicate(net)
    assert other.activations == net.activations
    assert other.loss is net.loss
    assert (other.dtype, other.sizes, other.folded) == (net.dtype, net.sizes, folded)
    assert np.array_equal(other.predict([[1, 2]]), net.predict([[1, 2]]))
    if duplicate is not copy.copy:
        other.theta = other.theta + 1
        assert not np.array_equal(other.theta, net.theta)


# -- prediction ------------------------------------------------------------------------------------


def test_predict_is_the_output_of_the_forward_pass() -> None:
    net = Network([3, 4, 2], "tanh", "cross_entropy", rng=0)
    X = np.random.default_rng(0).standard_normal((5, 3))
    assert np.array_equal(net.predict(X, engine="reference"), forward(net, X).output)
    np.testing.assert_allclose(net.predict(sp.csr_array(X)), net.predict(X), rtol=1e-12)
    np.testing.assert_allclose(net.predict(X).sum(axis=1), 1)
    with pytest.raises(DataError, match="one-dimensional"):
        net.predict([1, 2, 3])
    with pytest.raises(SpecError, match="unknown engine 'nativ'"):
        net.predict(X, engine="nativ")


@pytest.mark.parametrize("loss", loss_names())
def test_predictions_overflow_in_silence_or_not_at_all(loss: str) -> None:
    net = Network([2, 3, 2], "relu", loss, dtype="float32", rng=0)
    net.theta = net.theta * np.float32(1e30)
    net.predict([[1e10, -1e10]], engine="reference")


# -- for people ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"sizes": [2, 3, 1], "activations": "tanh"},
            "Network(2-3-1, tanh, identity, squared_error, 13 parameters, float64)",
        ),
        (
            {"sizes": [2, 3, 1], "activations": ["sigmoid"] * 2, "bias": False},
            "Network(2-3-1, sigmoid, squared_error, no bias, 9 parameters, float64)",
        ),
        (
            {"sizes": [64, 100, 2], "loss": "cross_entropy", "bias": [True, False]},
            "Network(64-100-2, relu, softmax, cross_entropy, some biases, 6,700 parameters, "
            "float64)",
        ),
        (
            {"sizes": [3] * 101, "dtype": "float32"},
            "Network(3-...(99 hidden layers)...-3, 99 x relu, identity, squared_error, "
            "1,200 parameters, float32)",
        ),
    ],
)
def test_repr(arguments: dict[str, Any], text: str) -> None:
    assert repr(Network(**arguments)) == text


def test_repr_of_a_folded_network() -> None:
    assert "biases folded" in repr(fold_biases(Network([2, 1])))


def test_summary_is_an_aligned_table() -> None:
    net = Network([2, 10, 1], ["leaky_relu(0.2)", "identity"], bias=[True, False])
    net.theta = np.full(net.theta.size, 2)
    assert net.summary().splitlines() == [
        "layer  units    activation       bias  parameters  rms weight",
        "    1  2 -> 10  leaky_relu(0.2)  yes           30           2",
        "    2  10 -> 1  identity         no            10           2",
        "loss squared_error, 40 parameters, float64",
    ]


def test_html_escapes_a_users_name() -> None:
    import xml.etree.ElementTree as ET

    net = Network([2, 3, 1], own_sigmoid("<script>alert(1)</script>"))
    page = net._repr_html_()
    assert "<script>" not in page
    table = ET.fromstring(page).find(".//table")
    assert table is not None
    assert table.findtext("caption") == repr(net)
    rows = [[cell.text for cell in row] for row in table.iter("tr")]
    assert rows[0][:2] == ["layer", "units"]
    assert rows[1][2] == "<script>alert(1)</script>"


@pytest.mark.parametrize("other", [None, "mazur", {"sizes": [2, 1]}, [2, 1], Network])
def test_what_is_no_network_is_refused(other: Any) -> None:
    X, Y = np.zeros((3, 2)), np.zeros((3, 1))
    calls: list[Callable[[], object]] = [
        lambda: forward(other, X),
        lambda: backward(other, X, Y),
        lambda: train(other, X, Y, epochs=1),
    ]
    for call in calls:
        with pytest.raises(SpecError, match="a Network is needed, got "):
            call()
