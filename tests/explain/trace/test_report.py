"""The numbers of a trace (SPEC X5): the published examples, dr.backward, finite differences."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import deltarule as dr
from deltarule.explain.network_file import read_network
from deltarule.explain.trace.data import trace_schema
from deltarule.explain.trace.report import Trace, trace
from support.oracles import (
    admissible_pairs,
    example,
    hidden_names,
    numeric_gradient,
    stacked_error,
    targets,
)


def close(value: Any, right: Any) -> None:
    """Each number of a nest against the other; None in the second is not claimed."""
    if isinstance(right, list):
        assert len(value) == len(right)
        for one, other in zip(value, right, strict=True):
            close(one, other)
    elif right is not None:
        assert value == pytest.approx(right, rel=1e-14, abs=1e-16)


def only(layers: list[Any]) -> list[Any]:
    """The rows of the only sample."""
    return [layer[0] for layer in layers]


def test_the_worked_example_of_document_c() -> None:  # C13
    case = example("yehoshua")
    done = trace(case)
    (step,) = done.to_dict()["steps"]
    exact = case["exact"]
    close(only(step["z"]), exact["z"])
    close(only(step["a"]), exact["a"])
    close(step["loss"], exact["loss_before"])
    close(only(step["delta"]), exact["delta"])
    close(step["new_weights"], exact["new_weights"])
    close([b for b in step["new_biases"] if b], [b for b in exact["new_biases"] if b])
    close(step["output_after"], [[exact["output_after"]]])
    close(step["loss_after"], exact["loss_after"])
    for l, rows in enumerate(case["weights"]):  # an absent edge has no numbers at all
        for i, row in enumerate(rows):
            for j, weight in enumerate(row):
                for name in ("weights", "weight_gradients", "weight_updates", "new_weights"):
                    assert (step[name][l][i][j] is None) == (weight is None)
    # all that follows from the deltas, by hand
    d, a = exact["delta"], [[1, 0], *exact["a"]]
    for l, (before, after) in enumerate(zip(a, d, strict=False)):
        for i, x in enumerate(before):
            for j, delta in enumerate(after):
                if case["weights"][l][i][j] is not None:
                    close(step["weight_gradients"][l][i][j], x * delta)
                    close(step["weight_updates"][l][i][j], -0.5 * x * delta)
    close(step["bias_gradients"][0], d[0])
    close(step["bias_updates"][0], [-0.5 * one for one in d[0]])
    assert step["bias_gradients"][1:] == step["new_biases"][1:] == [None, None]
    close(step["input_gradients"], [[d[0][0] * 0.5 + d[0][1] * -0.2, 0.0]])
    W = case["weights"]
    back = [
        [sum((W[2][i][j] or 0) * d[2][j] for j in range(1)) for i in range(2)],
        [sum((W[1][i][j] or 0) * d[1][j] for j in range(2)) for i in range(3)],
    ]
    close(only(step["activation_gradients"])[:2], back[::-1])
    close(only(step["activation_gradients"])[2], [-1 / exact["output_before"]])


def test_text_of_document_cs_example_shows_the_right_output_and_no_absent_edge() -> None:  # C13
    text = trace(example("yehoshua")).to_text(digits=4)
    assert "z_1[2] = 1*(-0.2) + 0*0 + 0.7 =  0.5" in text
    assert "z_1[3] = 0*0 + (-0.1)         = -0.1" in text
    assert "after step 1  C = 0.3594, output 0.6981" in text
    assert "W_1[1,3]" not in text
    assert "W_2[3,1]" not in text


def test_gashlers_and_mazurs_examples() -> None:  # D4, D6
    step = trace(example("gashler")).to_dict()["steps"][0]
    claims = example("gashler")["claims"]
    for name in ("new_weights", "new_biases"):
        for layer, claimed in zip(step[name], claims[name], strict=True):
            assert np.abs(np.array(layer) - np.array(claimed, dtype=float)).max() < 1e-12
    for layer, claimed in zip(step["delta"], claims["error"], strict=True):
        assert np.abs(np.array(layer[0]) + np.array(claimed, dtype=float)).max() < 1e-12
    mazur = trace(example("mazur"))
    (step,) = mazur.to_dict()["steps"]
    assert step["loss_after"] == pytest.approx(example("mazur")["exact"]["loss_after"], abs=5e-13)
    assert step["new_biases"] == step["biases"]  # they are not trained there
    assert step["bias_updates"] == [[0.0, 0.0], [0.0, 0.0]]
    assert step["bias_gradients"][1][0] == pytest.approx(0.138498562)
    assert "the biases are not trained" in mazur.to_text()
    assert "b_1[1] <-" not in mazur.to_text()


@st.composite
def cases(draw: st.DrawFn) -> tuple[dr.Network, Any, Any, str]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    loss, output = draw(st.sampled_from(admissible_pairs()))
    depth = draw(st.integers(0, 3))
    sizes = [*rng.integers(1, 5, depth + 1), int(rng.integers(2, 5))]
    hidden = [draw(st.sampled_from(hidden_names())) for _ in range(depth)]
    bias = [bool(one) for one in rng.integers(0, 2, depth + 1)]
    dtype = draw(st.sampled_from(["float64", "float32"]))
    net = dr.Network(sizes, [*hidden, output], loss, bias, dtype, rng=rng)
    n = draw(st.integers(1, 4))
    X, Y = rng.normal(size=(n, sizes[0])), targets(net.loss, rng, n, sizes[-1])
    return net, X, Y, draw(st.sampled_from(["mean", "sum"]))


@given(cases())
def test_a_trace_has_the_numbers_of_forward_and_backward(case: Any) -> None:
    net, X, Y, reduction = case
    double = dr.Network(net.sizes, net.activations, net.loss, net.bias)
    double.theta = net.theta  # a trace of a float32 network is in float64
    done = trace(net, X, Y, 0.1, reduction=reduction)
    (step,) = done.steps
    passed, gradients = dr.forward(double, X), dr.backward(double, X, Y, reduction=reduction)
    for ours, right in (
        (step.before.z, passed.z),
        (step.before.a, passed.a),
        (step.delta, gradients.delta),
        (step.activation_gradients, gradients.activations),
        (step.weight_gradients, gradients.weights),
        (step.bias_gradients, gradients.biases),
    ):
        for one, other in zip(ours, right, strict=True):
            assert np.array_equal(one, other) if other is not None else one is None
    assert step.before.loss == pytest.approx(gradients.loss, rel=1e-15)
    after = double.copy()
    after.theta = double.theta - 0.1 * gradients.theta
    assert np.array_equal(step.after.output, dr.forward(after, X).output)
    assert step.after.loss == pytest.approx(
        dr.backward(after, X, Y, reduction=reduction).loss, rel=1e-14, nan_ok=True
    )


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradients_are_those_of_finite_differences(reduction: str) -> None:
    rng = np.random.default_rng(5)
    for loss, output in (("log_loss", "sigmoid"), ("cross_entropy", "softmax"), ("poisson", "exp")):
        net = dr.Network([3, 4, 3, 2], ["tanh", "softplus", output], loss, rng=rng)
        X, Y = rng.normal(size=(4, 3)), targets(net.loss, rng, 4, 2)
        (step,) = trace(net, X, Y, reduction=reduction).steps
        share = np.ones(4) if reduction == "sum" else np.full(4, 0.25)
        numeric = numeric_gradient(stacked_error(net, X, Y, share), net.theta)
        ours = np.concatenate(net.layout.join(step.weight_gradients, step.bias_gradients))
        assert ours == pytest.approx(numeric, rel=1e-7, abs=1e-9)


def test_steps_follow_one_another_and_are_those_of_training() -> None:
    rng = np.random.default_rng(0)
    net = dr.Network([2, 3, 1], "tanh", "log_loss", rng=0)
    X, Y = rng.normal(size=(5, 2)), rng.integers(0, 2, (5, 1))
    theta = net.theta.copy()
    done = trace(net, X, Y, 0.3, 4)
    assert np.array_equal(net.theta, theta)
    assert len(done.steps) == 4
    for one, following in zip(done.steps, done.steps[1:], strict=False):
        assert one.after is following.before
    dr.train(
        net,
        X,
        Y,
        epochs=4,
        batch_size="full",
        optimizer=dr.SGD(0.3),
        validation=None,
        engine="reference",
    )
    trained = done.steps[-1].after
    for W, b, ours, bias in zip(
        net.weights, net.biases, trained.weights, trained.biases, strict=True
    ):
        assert ours == pytest.approx(W, rel=1e-13)
        assert bias == pytest.approx(b, rel=1e-13)


def test_absent_edges_are_never_used_and_never_updated() -> None:
    rng = np.random.default_rng(1)
    net = dr.Network([3, 4, 2], "tanh", rng=1)
    edges = [rng.random(W.shape) < 0.6 for W in net.weights]
    sparse = net.copy()
    sparse.weights = [W * edge for W, edge in zip(net.weights, edges, strict=True)]
    X, Y = rng.normal(size=(3, 3)), rng.normal(size=(3, 2))
    done = trace(net, X, Y, edges=edges, steps=3)
    gradients = dr.backward(sparse, X, Y)
    assert np.array_equal(done.steps[0].delta[0], gradients.delta[0])
    for step in done.steps:
        for l, edge in enumerate(edges):
            assert not step.weight_gradients[l][~edge].any()
            assert not step.after.weights[l][~edge].any()
    for ours, g, edge in zip(done.steps[0].weight_gradients, gradients.weights, edges, strict=True):
        assert np.array_equal(ours[edge], g[edge])


def test_folded_biases_and_sparse_inputs_change_nothing() -> None:
    from scipy.sparse import csr_array

    net = dr.Network([3, 2, 1], "tanh", rng=2)
    X, Y = np.array([[0.0, 1.5, 0.0]]), [[1.0]]
    plain = trace(net, X, Y).to_json()
    assert trace(dr.fold_biases(net), X, Y).to_json() == plain
    assert trace(net, csr_array(X), Y).to_json() == plain


def test_one_sample_may_be_flat() -> None:
    net = dr.Network([2, 2], rng=0)
    assert trace(net, [1, 0], [1, 2]).to_json() == trace(net, [[1, 0]], [[1, 2]]).to_json()
    one = dr.Network([2, 1], rng=0)
    assert trace(one, [1, 0], 1).to_json() == trace(one, [[1, 0]], [[1]]).to_json()
    classes = dr.Network([2, 3], loss="cross_entropy", rng=0)
    assert trace(classes, [1, 0], 2).to_json() == trace(classes, [[1, 0]], [[0, 0, 1]]).to_json()


def test_a_file_gives_what_the_arguments_do_not() -> None:
    case = example("yehoshua")
    assert trace(case).learning_rate == 0.5
    assert trace(read_network(case)).to_json() == trace(case).to_json()
    changed = trace(case, [0, 1], [0], learning_rate=0.1, trainable_biases=False)
    assert changed.X.tolist() == [[0, 1]]
    assert changed.Y.tolist() == [[0]]
    assert changed.learning_rate == 0.1
    assert not changed.trainable_biases
    assert changed.edges is not None


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([1, 0],), {}, dr.SpecError, "a trace needs targets y"),
        ((None, [1]), {}, dr.SpecError, "a trace needs inputs x"),
        (([1, 0, 2], [1]), {}, dr.DataError, "x has 3 columns, but the network has 2"),
        (([1, 0], [1, 2]), {}, dr.DataError, "y has shape"),
        (([[1, 0], [0, 1]], [1]), {}, dr.DataError, "y has shape"),
        (([1, float("nan")], [1]), {}, dr.DataError, "x holds NaN at row 0, column 1"),
        (([1, 0], [2]), {}, dr.DataError, "y holds 2 at row 0"),
        (([1, 0], [1]), {"learning_rate": 0}, dr.SpecError, "learning_rate must be a finite"),
        (([1, 0], [1]), {"steps": 0}, dr.SpecError, "steps must be a whole number >= 1"),
        (([1, 0], [1]), {"reduction": "max"}, dr.SpecError, "reduction must be 'mean' or 'sum'"),
        (([1, 0], [1]), {"edges": [[[True]]]}, dr.SpecError, r"edges of layer 1 need shape"),
        (([1, 0], [1]), {"edges": []}, dr.SpecError, r"edges: one bool array per layer \(1\)"),
    ],
)
def test_what_does_not_fit_is_refused(
    arguments: Any, options: Any, error: type[Exception], message: str
) -> None:
    net = dr.Network([2, 1], loss="log_loss", rng=0)
    with pytest.raises(error, match=message):
        trace(net, *arguments, **options)


def test_not_a_network() -> None:
    with pytest.raises(dr.SpecError, match=r"a Network, a TableModel, .* is needed, got 3"):
        trace(3, [1], [1])  # type: ignore[arg-type]


# -- JSON -----------------------------------------------------------------------------------------


def arrays_of(done: Trace) -> dict[str, Any]:
    """Everything of the last step by its name in JSON, as arrays."""
    step = done.steps[-1]
    return {
        "weights": step.before.weights,
        "biases": step.before.biases,
        "z": step.before.z,
        "a": step.before.a[1:],
        "sample_losses": step.before.sample_losses,
        "loss": step.before.loss,
        "delta": step.delta,
        "activation_gradients": step.activation_gradients[1:],
        "input_gradients": step.input_gradients,
        "weight_gradients": step.weight_gradients,
        "bias_gradients": step.bias_gradients,
        "weight_updates": step.weight_updates,
        "bias_updates": step.bias_updates,
        "new_weights": step.after.weights,
        "new_biases": step.after.biases,
        "z_after": step.after.z,
        "a_after": step.after.a[1:],
        "output_after": step.after.output,
        "sample_losses_after": step.after.sample_losses,
        "loss_after": step.after.loss,
    }


def same_bits(read: Any, value: Any) -> bool:
    if isinstance(value, list):
        return all(same_bits(one, other) for one, other in zip(read, value, strict=True))
    if read is None:
        return value is None
    return bool(np.array_equal(np.array(read, dtype=float), value))


@given(cases())
def test_json_reads_back_to_the_same_bits_and_fits_its_schema(case: Any) -> None:
    validator = schema_validator()
    net, X, Y, reduction = case
    done = trace(net, X, Y, 0.01, 2, reduction=reduction)
    read = json.loads(done.to_json())
    validator.validate(read)
    assert read == done.to_dict()
    arrays = arrays_of(done)
    assert set(read["steps"][1]) == set(arrays)
    for name, value in arrays.items():
        finite = json.dumps(read["steps"][1][name]).count("null") == 0
        assert not finite or same_bits(read["steps"][1][name], value), name
    assert same_bits(read["inputs"], done.X)
    assert same_bits(read["targets"], done.Y)


def schema_validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(trace_schema())
    return jsonschema.Draft202012Validator(trace_schema())


@pytest.mark.parametrize("name", ["yehoshua", "mazur", "gashler"])
def test_published_examples_fit_the_schema(name: str) -> None:
    schema_validator().validate(json.loads(trace(example(name)).to_json(indent=1)))


def test_the_schema_refuses_what_is_not_a_trace() -> None:
    validator, whole = schema_validator(), trace(example("mazur")).to_dict()
    for broken in (
        whole | {"more": 1},
        {key: value for key, value in whole.items() if key != "steps"},
        whole | {"steps": [whole["steps"][0] | {"z": "no"}]},
        whole | {"steps": []},
        whole | {"learning_rate": 0},
    ):
        assert not validator.is_valid(broken)


def test_numbers_that_overflow_are_null_and_shown_as_such() -> None:
    net = dr.Network([1, 1, 1], ["exp", "identity"], rng=0)
    net.theta = [0.0, 5.0, 0.0, 1.0]
    done = trace(net, [100.0], [0.0], 1e10)
    (step,) = done.to_dict()["steps"]
    assert step["loss_after"] is None
    assert json.loads(done.to_json())["steps"][0]["loss_after"] is None
    assert "inf" in done.to_text()
