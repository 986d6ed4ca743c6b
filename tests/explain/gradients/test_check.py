"""Gradients of networks: right ones pass, wrong ones are found with their layer (SPEC X2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import deltarule as dr
from deltarule.engines import get_engine
from deltarule.equations.activations import get_activation
from deltarule.equations.losses import get_loss, shares
from deltarule.explain.gradients.check import check_gradients
from deltarule.explain.gradients.found import KINK, RIGHT, UNRESOLVED, WRONG
from deltarule.explain.gradients.report import GradientCheck
from deltarule.network.data import check_targets
from support.oracles import (
    admissible_pairs,
    hidden_names,
    numeric_gradient,
    own_sigmoid,
    stacked_error,
    targets,
)

HIDDEN = [*hidden_names(), "leaky_relu(0.3)", "elu(0.5)"]


def case(net: dr.Network, seed: int = 0, n: int = 6) -> tuple[Any, Any]:
    """Inputs and targets, and biases that are not 0."""
    rng = np.random.default_rng(seed)
    for b in net.biases:
        if b is not None:
            b[...] = rng.normal(size=b.shape) * 0.5
    return rng.normal(size=(n, net.sizes[0])), targets(net.loss, rng, n, net.sizes[-1])


def failing(f: str, factor: float = 1.5) -> dr.Activation:
    """An activation of one's own with a slope that is `factor` times too large."""
    right = get_activation(f)
    return replace(right, name="mine", df=lambda z: factor * right.df(z))


# -- right ones pass -------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "output"), admissible_pairs())
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_loss_with_every_output_activation(loss: str, output: str, dtype: str) -> None:
    net = dr.Network([3, 4, 3], ["tanh", output], loss, dtype=dtype, rng=1)
    report = check_gradients(net, *case(net))
    assert report.ok, report
    assert report.count(RIGHT) > 0.6 * report.checked
    assert {one.source for one in report.terms} == {"reference", "native"}


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_hidden_activation(hidden: str, dtype: str) -> None:
    net = dr.Network([3, 5, 4, 2], hidden, dtype=dtype, rng=2)
    report = check_gradients(net, *case(net))
    assert report.ok, report
    assert report.checked == net.theta.size + 18
    tolerance = 1e-6 if dtype == "float64" else 1e-3
    assert report.worst is not None
    assert report.worst.relative_error < tolerance
    if dtype == "float64":
        assert report.count(RIGHT) == report.checked


@given(st.integers(0, 10**6))
def test_random_networks_pass(seed: int) -> None:
    """Any depth, width, activation, loss, weights, bias, reduction, penalty and dtype."""
    rng = np.random.default_rng(seed)
    pairs = admissible_pairs()
    loss, output = pairs[rng.integers(len(pairs))]
    L = int(rng.integers(1, 5))
    sizes = rng.integers(1, 6, L + 1)
    sizes[-1] = max(sizes[-1], 2)
    hidden = [HIDDEN[rng.integers(len(HIDDEN))] for _ in range(L - 1)]
    net = dr.Network(
        sizes.tolist(),
        [*hidden, output],
        loss,
        bias=bool(rng.integers(2)),
        dtype=["float64", "float32"][rng.integers(2)],
        rng=seed,
    )
    X, Y = case(net, seed, n=int(rng.integers(1, 7)))
    report = check_gradients(
        net,
        X,
        Y,
        sample_weight=rng.uniform(0.1, 2, len(X)) if rng.integers(2) else None,
        reduction=["mean", "sum"][rng.integers(2)],
        l2=[0.0, 0.3][rng.integers(2)],
        rng=seed,
    )
    assert not report.count(WRONG), report
    assert not any(one.status == "wrong" for one in report.directions)


@pytest.mark.parametrize("method", ["auto", "differences"])
def test_what_is_measured_is_what_another_program_measures(method: str) -> None:
    """Fourth-order differences of the loss, written apart from the equations."""
    net = dr.Network([3, 4, 4, 2], ["tanh", "softplus", "sigmoid"], "log_loss", rng=0)
    X, Y = case(net)
    weight = np.array([1.0, 2, 0.5, 1, 3, 1])
    report = check_gradients(net, X, Y, sample_weight=weight, method=method)
    share = shares(len(X), weight, "mean", float)
    theta = numeric_gradient(stacked_error(net, X, Y, share), net.theta)
    weights, biases = net.layout.views(theta)
    for l in range(1, 4):
        assert np.allclose(report.term("weights", l).numeric, weights[l - 1], rtol=1e-8, atol=1e-10)
        assert np.allclose(report.term("biases", l).numeric, biases[l - 1], rtol=1e-8, atol=1e-10)
    assert report.term("weights", 2).uncertainty.max() < 1e-8


def test_complex_steps_are_taken_where_the_functions_allow() -> None:
    net = dr.Network([3, 4, 4, 2], ["sigmoid", "tanh", "identity"], rng=0)
    report = check_gradients(net, *case(net))
    methods = {one.title: one.method for one in report.terms}
    assert methods["weights of layer 1"] == methods["inputs"] == "differences"
    assert methods["weights of layer 2"] == methods["biases of layer 3"] == "complex step"
    for l in (2, 3):
        one = report.term("weights", l)
        assert np.allclose(one.analytic, one.numeric, rtol=1e-12)
    plain = check_gradients(net, *case(net), method="differences")
    assert {one.method for one in plain.terms} == {"differences"}
    with pytest.raises(dr.SpecError, match="no complex steps for inputs"):
        check_gradients(net, *case(net), method="complex")


def test_gradients_far_below_rounding_are_measured_by_complex_steps() -> None:
    """40 layers of sigmoids: differences of C cannot see 1e-20, complex steps can."""
    net = dr.Network([2, *[3] * 40, 1], own_sigmoid(), rng=0)
    X, Y = case(net)
    report = check_gradients(net, X, Y)
    one = report.term("weights", 1)
    assert report.ok
    assert one.method == "complex step"
    assert 0 < np.abs(one.numeric).max() < 1e-20
    assert one.count(RIGHT) == 6
    plain = check_gradients(net, X, Y, method="differences")
    assert plain.ok
    assert plain.term("weights", 1).count(UNRESOLVED) == 6


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("l2", [0.0, 0.7])
def test_penalty_weights_and_reduction(reduction: str, l2: float) -> None:
    net = dr.Network([3, 4, 2], "relu", rng=0)
    X, Y = case(net)
    weight = np.array([1.0, 2, 0, 1, 3, 1])
    report = check_gradients(net, X, Y, sample_weight=weight, reduction=reduction, l2=l2)
    assert report.ok, report
    exact = dr.backward(net, X, Y, weight, reduction)
    assert np.allclose(report.term("weights", 1).numeric, exact.weights[0] + l2 * net.weights[0])
    assert np.allclose(report.term("biases", 2).numeric, exact.biases[1])
    assert np.allclose(report.term("inputs").numeric, exact.inputs, atol=1e-9)


def test_sparse_inputs_labels_and_folded_biases() -> None:
    net = dr.Network([5, 4, 3], "tanh", "cross_entropy", rng=0)
    X, _ = case(net)
    X[X < 0] = 0
    labels = np.array([0, 1, 2, 2, 1, 0])
    plain = check_gradients(net, X, labels)
    assert plain.ok
    for other in (
        check_gradients(net, sparse.csr_matrix(X), labels),
        check_gradients(dr.fold_biases(net), X, labels),
    ):
        assert other.ok
        assert other.count(RIGHT) == plain.count(RIGHT) == plain.checked
        for one, two in zip(other.terms, plain.terms, strict=True):
            assert np.allclose(one.numeric, two.numeric, rtol=1e-9, atol=1e-14)


def test_inputs_and_targets_are_drawn_where_they_are_not_given() -> None:
    net = dr.Network([5, 4, 3], "tanh", "cross_entropy", rng=0)
    report = check_gradients(net, samples=3)
    assert report.ok
    assert report.term("inputs").status.shape == (3, 5)
    assert "Inputs and targets were drawn at random." in report.notes
    assert report.to_dict() == check_gradients(net, samples=3).to_dict()
    assert report.to_dict() != check_gradients(net, samples=3, rng=1).to_dict()
    assert check_gradients(net, np.ones((2, 5))).notes == ["Targets were drawn at random."]


def test_edges_that_are_not_there_are_left_out() -> None:
    net = dr.Network([3, 2, 1], "tanh", rng=0)
    edges = [np.array([[1, 0], [1, 1], [0, 1]], bool), np.ones((2, 1), bool)]
    net.weights = [W * edge for W, edge in zip(net.weights, edges, strict=True)]
    report = check_gradients(net, edges=edges)
    assert report.ok
    assert report.term("weights", 1).checked == 4
    assert np.isnan(report.term("weights", 1).numeric[0, 1])
    with pytest.raises(dr.SpecError, match="one bool array per layer"):
        check_gradients(net, edges=edges[:1])


# -- kinks -----------------------------------------------------------------------------------------


def test_a_net_input_of_exactly_zero_is_at_a_kink_and_not_wrong() -> None:
    net = dr.Network([2, 3, 1], "relu", rng=0)  # biases are 0, and so is the second sample
    X = np.array([[0.5, -1.0], [0.0, 0.0]])
    report = check_gradients(net, X, [1.0, 2.0])
    assert report.ok
    assert report.term("biases", 1).count(KINK) == 3
    assert report.term("weights", 1).count(KINK) == 0  # its inputs are 0: they do not move z
    assert report.count(WRONG) == 0
    assert report.verdict().startswith("12 numbers are right, none is wrong (5 at a kink), by dr.b")


def test_kinks_of_the_loss() -> None:
    net = dr.Network([2, 2], "identity", "quantile(0.3)", rng=0)
    X = np.array([[1.0, 0.5], [0.3, 0.1]])
    Y = net.predict(X)
    Y[1] += 1.0
    report = check_gradients(net, X, Y)
    assert report.ok
    assert report.term("biases", 1).count(KINK) == 2
    assert report.term("inputs").count(KINK) == 2
    assert report.term("inputs").count(RIGHT) == 2


def test_kinks_that_an_own_activation_does_not_declare() -> None:
    ramp = dr.Activation("ramp", lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float))
    net = dr.Network([2, 3, 1], ramp, rng=0)
    report = check_gradients(net, np.array([[0.5, -1.0], [0.0, 0.0]]), [1.0, 2.0])
    assert report.ok, report
    assert report.term("biases", 1).count(KINK) == 3


def test_a_slope_beyond_both_sides_of_a_kink_is_wrong() -> None:
    """Undeclared kinks excuse what lies between the slopes of both sides, and nothing else."""
    ramp = dr.Activation("ramp", lambda z: np.maximum(z, 0), lambda z: (z >= 0) * 2.0 - 0.5)
    net = dr.Network([2, 3, 1], ramp, rng=0, check_derivatives=False)
    report = check_gradients(net, np.zeros((1, 2)), [1.0])
    assert report.term("biases", 1).count(WRONG) == 3


def test_float32_may_be_on_the_other_side_of_a_kink() -> None:
    """z = 1e-9 in float64 and 0 in float32: nobody's slope is wrong."""
    net = dr.Network([2, 1, 1], "relu", dtype="float32", rng=0)
    net.weights = [[[1.0], [1.0]], [[1.0]]]
    net.biases = [[np.float32(0.1)], [0.0]]
    for shift in range(-3, 4):
        x = np.float32(0.3)
        below = -(x + np.float32(0.1)) * np.float32(1 + shift * 6e-8)
        report = check_gradients(net, np.array([[x, below]], np.float32), [1.0])
        assert report.count(WRONG) == 0, report


# -- wrong ones are found --------------------------------------------------------------------------


@pytest.mark.parametrize("l", [1, 2, 3])
@pytest.mark.parametrize("f", ["tanh", "sigmoid", "relu", "gelu", "softplus"])
@pytest.mark.parametrize("factor", [1.5, 0.999, -1.0])
def test_a_wrong_slope_is_found_with_its_layer(l: int, f: str, factor: float) -> None:
    records: list[Any] = ["tanh", "sigmoid", "tanh", "identity"]
    records[l - 1] = failing(f, factor)
    net = dr.Network([3, 4, 5, 4, 2], records, rng=0, check_derivatives=False)
    report = check_gradients(net, *case(net))
    assert not report.ok
    assert report.first_wrong is not None
    assert report.first_wrong.layer == l
    said = [one for one in report.causes if "is not that of its values" in one]
    assert len(said) == 1
    assert said[0].startswith(f"Layer {l}: the slope of 'mine'")
    assert f"{factor:g} times as much at every point" in said[0]
    for one in report.terms:
        if one.layer is not None and one.layer > l:
            assert one.count(RIGHT) == one.checked
        elif one.layer == l:
            assert one.count(WRONG) > 0


@pytest.mark.parametrize("fused", [True, False])
def test_a_wrong_loss_is_found(fused: bool) -> None:
    right = get_loss("squared_error")
    wrong = replace(
        right, name="mine", dJ=lambda o, y: 2 * (o - y), fused_dJ=lambda z, y: 2 * (z - y)
    )
    output = "identity" if fused else "tanh"
    net = dr.Network([3, 4, 2], ["tanh", output], wrong, rng=0, check_derivatives=False)
    report = check_gradients(net, *case(net))
    assert not report.ok
    assert report.causes[0].startswith("The analytic gradient is 2 times the numeric one (2: the ")
    assert report.causes[0].endswith("number of outputs) in every coordinate.")
    name = "fused_dJ" if fused else "dJ"
    assert any(f"Loss 'mine': {name} is not the derivative" in one for one in report.causes)
    assert not any("Layer" in one for one in report.causes)
    assert report.worst is not None
    assert report.worst.relative_error == pytest.approx(0.5)


def test_a_wrong_jacobian_product_is_found() -> None:
    softmax = get_activation("softmax")
    own = replace(softmax, name="mine", jacobian_product=lambda z, g: softmax.f(z) * g)
    net = dr.Network([3, 3], [own], "squared_error", rng=0, check_derivatives=False)
    report = check_gradients(net, *case(net))
    assert not report.ok
    assert report.causes[-1].startswith("Layer 1: the Jacobian product of 'mine'")


def test_a_wrong_sign_and_a_dead_slope_have_their_sentences() -> None:
    records = [failing("tanh", 0.0), "identity"]
    net = dr.Network([3, 4, 2], records, rng=0, check_derivatives=False)
    report = check_gradients(net, *case(net))
    assert report.causes[0] == (
        "The analytic gradient is 0 where the numeric one is not, in every coordinate of inputs, "
        "weights of layer 1 and biases of layer 1."
    )
    records = ["tanh", failing("sigmoid", -1.0)]
    net = dr.Network([3, 4, 2], records, rng=0, check_derivatives=False)
    report = check_gradients(net, *case(net))
    assert report.causes[0] == (
        "The analytic gradient is the numeric one with the opposite sign in every coordinate."
    )


def corrupted(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """The compiled engine's gradients with something wrong in them."""
    engine = type(get_engine("native", dr.Network([1, 1]).spec))
    right = engine.gradients

    def wrong(self: Any, spec: Any, theta: Any, X: Any, Y: Any, weight: Any) -> Any:
        C, g = right(self, spec, theta, X, Y, weight)
        change(*spec.layout.views(g), X)
        return C, g

    monkeypatch.setattr(engine, "gradients", wrong)


def test_one_wrong_number_of_the_compiled_engine_is_named(monkeypatch: Any) -> None:
    def change(weights: Any, biases: Any, X: Any) -> None:
        weights[1][2, 1] *= 1 + 1e-5

    corrupted(monkeypatch, change)
    net = dr.Network([3, 4, 2], "tanh", rng=0)
    report = check_gradients(net, *case(net))
    assert not report.ok
    worst = report.worst
    assert worst is not None
    assert (worst.term, worst.layer, worst.index) == ("weights", 2, (2, 1))
    assert worst.source == "native"
    assert worst.relative_error == pytest.approx(1e-5, rel=1e-3)
    assert worst.where == "weights of layer 2 [2, 1]"
    assert report.count(WRONG) == 1
    assert report.causes == ["dr.backward is right: the fault is in the compiled engine."]
    assert check_gradients(net, *case(net), engine="reference").ok
    assert not check_gradients(net, *case(net), engine="native").ok


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda W, b, X: [one.__imul__(6) for one in (*W, *b)],
            "the compiled engine: The analytic gradient is 6 times the numeric one (6: the number "
            "of samples) in every coordinate.",
        ),
        (
            lambda W, b, X: [one.__itruediv__(2) for one in b],
            "the compiled engine: The analytic gradient is 1/2 times the numeric one (2: the "
            "number of outputs) in every coordinate of biases of layer 1 and biases of layer 2.",
        ),
        (
            lambda W, b, X: W[0].__imul__(1.2345),
            "the compiled engine: The analytic gradient is 1.2345 times the numeric one in every "
            "coordinate of weights of layer 1.",
        ),
    ],
)
def test_a_constant_ratio_is_said(monkeypatch: Any, change: Any, sentence: str) -> None:
    corrupted(monkeypatch, change)
    net = dr.Network([3, 4, 2], "tanh", rng=0)
    report = check_gradients(net, *case(net))
    assert report.causes[0] == sentence


def test_a_penalty_on_one_side_is_said(monkeypatch: Any) -> None:
    net = dr.Network([3, 4, 2], "tanh", rng=0)
    X, Y = case(net)

    def change(weights: Any, biases: Any, X: Any) -> None:
        for g, W in zip(weights, net.weights, strict=True):
            g += 0.25 * W

    corrupted(monkeypatch, change)
    report = check_gradients(net, X, Y)
    assert report.causes[0] == (
        "the compiled engine: Analytic less numeric is 0.25 times the parameter itself (an L2 "
        "penalty 0.25/2 sum w^2 that the gradient has and the loss has not) in every coordinate of "
        "weights of layer 1 and weights of layer 2."
    )


def test_a_gradient_lost_in_its_own_rounding_is_not_called_wrong() -> None:
    """1 - o is rounded away in log_loss of a softmax that is sure of itself."""
    net = dr.Network([1, 2], ["softmax"], "log_loss", dtype="float32", rng=0)
    net.theta = np.array([0, 0, 14.0, 0.0])
    report = check_gradients(net, [[1.0]], [[0.0, 1.0]])
    assert report.count(WRONG) == 0
    assert report.term("weights", 1).lost.all()
    assert "lost in the gradient's own rounding" in report.notes[0]
    assert report.term("weights", 1).worst is None


def test_float32_that_is_not_enough_is_told_apart_from_a_mistake() -> None:
    """exp(100) is beyond float32, which holds it at its largest number."""
    net = dr.Network([1, 1], ["exp"], "absolute_error", dtype="float32", rng=0)
    net.theta = [100.0, 0.0]
    report = check_gradients(net, [[1.0]], [1.0])
    assert not report.ok
    assert report.causes[-1] == (
        "The same gradients in float64 are right: float32 has too few digits or too small a range "
        "here."
    )


# -- large networks --------------------------------------------------------------------------------


def test_a_large_network_takes_some_hundred_passes() -> None:
    """Not two for each of its 669,706 parameters."""
    tanh, values = get_activation("tanh"), 0

    def counted(z: Any) -> Any:
        nonlocal values
        values += z.size
        return tanh.f(z)

    mine = replace(tanh, name="mine", f=counted)
    net = dr.Network([784, 512, 512, 10], [mine, mine, "softmax"], "cross_entropy", rng=0)
    values = 0
    report = dr.check_gradients(net, samples=16)
    assert (report.ok, len(report.terms)) == (True, 0)
    assert values / (16 * (512 + 512)) < 200


def large(**change: Any) -> dr.Network:
    records: list[Any] = ["tanh", "sigmoid", "tanh", "identity"]
    for l, record in change.items():
        records[int(l[1:]) - 1] = record
    return dr.Network([60, 150, 150, 150, 5], records, rng=0, check_derivatives=False)


def test_a_large_network_is_checked_along_directions() -> None:
    report = check_gradients(large())
    assert report.ok
    assert report.terms == []
    assert report.worst is None
    assert len({one.numeric for one in report.directions}) == 6
    verdict = "Right along 6 random directions, by dr.backward."  # own functions: not compiled
    assert report.verdict() == verdict.replace("backward.", "backward and the compiled engine.")
    assert "full=True" in report.notes[0]


def test_in_a_large_network_the_wrong_layer_is_found_from_some_numbers() -> None:
    report = check_gradients(large(l2=failing("sigmoid", 1.01)))
    assert not report.ok
    assert report.first_wrong is not None
    assert report.first_wrong.layer == 2
    assert {one.layer for one in report.terms} == {None, 1, 2}
    assert 50 <= report.term("weights", 2).checked < 150 * 150
    assert report.term("biases", 2).checked == 150
    assert any("Layer 2: the slope of 'mine'" in one for one in report.causes)
    over = {one.over: one.status for one in report.directions}
    assert over["weights of layer 3"] == over["weights of layer 4"] == "right"
    assert over["weights of layer 2"] == over["biases of layer 1"] == "wrong"


def test_one_wrong_number_of_a_large_network_is_found(monkeypatch: Any) -> None:
    def change(weights: Any, biases: Any, X: Any) -> None:
        weights[1][77, 141] *= 1.1

    corrupted(monkeypatch, change)
    net = dr.Network([20, 500, 500, 500, 500, 5], "tanh", rng=0)
    report = check_gradients(net)
    assert not report.ok
    assert report.worst is not None
    assert (report.worst.layer, report.worst.index) == (2, (77, 141))
    assert report.count(WRONG) == 1
    assert report.checked < 5000


def test_full_checks_every_number_and_false_none() -> None:
    net = dr.Network([30, 40, 30, 20], "tanh", rng=0)
    assert check_gradients(net, full=True, samples=2).checked == net.theta.size + 60
    assert check_gradients(net, full=False, samples=2).terms == []


def test_many_samples_are_taken_in_pieces() -> None:
    net = dr.Network([4, 30, 2], "relu", rng=0)
    X, Y = case(net, n=4000)
    report = check_gradients(net, X, Y, full=True, method="differences", engine="native")
    assert report.ok
    assert report.count(RIGHT) > 0.95 * report.checked
    assert report.checked == net.theta.size  # the compiled engine gives no gradients of inputs


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"Y": [1.0]}, "Y is given without X"),
        ({"X": np.ones((2, 5))}, "X has 5 columns"),
        ({"engine": "naitve"}, "Did you mean 'native'"),
        ({"method": "complx"}, "Did you mean 'complex'"),
        ({"directions": 0}, "directions must be a whole number >= 1"),
        ({"samples": 0}, "samples must be a whole number >= 1"),
        ({"rtol": 0.0}, "rtol must be a finite number > 0"),
        ({"l2": -1.0}, "l2 must be a finite number >= 0"),
        ({"reduction": "median"}, "reduction must be"),
        ({"rng": "x"}, "rng must be None"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((dr.SpecError, dr.DataError), match=message):
        check_gradients(dr.Network([2, 3, 1]), **arguments)


def test_what_is_no_network_or_has_no_finite_loss_is_refused() -> None:
    with pytest.raises(dr.SpecError, match="there is check_objective"):
        check_gradients(lambda theta: 0.0)  # type: ignore[arg-type]
    net = dr.Network([1, 1], rng=0)
    net.theta = [0.0, 1e200]
    with pytest.raises(dr.SpecError, match="the loss of sample 1 is inf"):
        check_gradients(net, [[0.0], [1.0]], [0.0, 0.0])
    own = dr.Network([1, 1], [failing("tanh")], rng=0, check_derivatives=False)
    with pytest.raises(dr.SpecError, match="own functions need engine='reference'"):
        check_gradients(own, engine="native")
    assert {one.source for one in check_gradients(own).terms} == {"reference"}


def test_the_network_is_left_alone() -> None:
    net = dr.Network([3, 4, 2], "relu", rng=0)
    X, Y = case(net)
    before = net.theta.copy(), X.copy(), Y.copy()
    check_gradients(net, X, Y, l2=0.1)
    for now, then in zip((net.theta, X, Y), before, strict=True):
        assert np.array_equal(now, then)


def test_a_dead_network_says_little() -> None:
    net = dr.Network([3, 4, 2], ["relu", "relu"], rng=0)
    net.biases = [np.full(4, -50.0), np.full(2, -50.0)]
    report = check_gradients(net)
    assert report.ok
    assert any("Every gradient is 0 here" in one for one in report.notes)


def test_targets_of_one_output_and_check_targets_agree() -> None:
    net = dr.Network([3, 1], rng=0)
    X = np.ones((2, 3))
    Y = check_targets(net.loss, [1.0, 2.0], 2, 1, float)
    one, two = check_gradients(net, X, [1.0, 2.0]), check_gradients(net, X, Y)
    assert isinstance(one, GradientCheck)
    assert one.to_dict() == two.to_dict()
