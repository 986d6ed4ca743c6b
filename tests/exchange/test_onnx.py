"""Networks as ONNX: every activation in both precisions, any shape, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.pipeline import make_pipeline
from typer.testing import CliRunner

import deltarule as dr
import deltarule.exchange.onnx.graph
from deltarule.cli.main import app
from deltarule.equations.activations import get_activation
from deltarule.exchange.onnx.model import signature, to_onnx
from support.onnx_oracle import assert_close, evaluate, run
from support.oracles import hidden_names, own_sigmoid

DTYPES = ("float32", "float64")
HIDDEN = [*hidden_names(), "leaky_relu(0.2)", "leaky_relu(-0.5)", "leaky_relu(3)", "elu(0.3)"]


def single_unit(name: str, dtype: str) -> dr.Network:
    """a = f(x), to see an activation alone."""
    net = dr.Network([1, 1], [name], bias=False, dtype=dtype)
    net.theta = [1.0]
    return net


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", HIDDEN)
def test_every_activation_near_zero_and_far_out(name: str, dtype: str) -> None:
    near = np.linspace(-12, 12, 4001)
    far = np.array([1e2, 7e2, 1e4])
    X = np.concatenate([-far, near, [0.0], far]).astype(dtype)[:, None]
    if name == "exp":
        X = np.minimum(X, {"float32": 80, "float64": 700}[dtype]).astype(dtype)
    net = single_unit(name, dtype)
    (found,) = run(net.to_onnx(), {"X": X})
    assert found.dtype == dtype
    assert_close(found, net.predict(X), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", HIDDEN)
def test_activations_before_a_layer_without_bias(name: str, dtype: str) -> None:
    # where ONNX Runtime fuses what it finds around a product
    net = dr.Network([3, 5, 4, 2], name, bias=False, dtype=dtype, rng=0)
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(dtype)
    assert_close(run(net.to_onnx(), {"X": X})[0], net.predict(X), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_stops_at_the_largest_number(dtype: str) -> None:
    X = np.array([[1e4], [1e30]], dtype=dtype)
    net = single_unit("exp", dtype)
    (found,) = run(net.to_onnx(), {"X": X})
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, net.predict(X), rtol=1e-3)  # of a rounded exponent


def test_gelu_keeps_its_tail_in_float64() -> None:
    X = np.linspace(-37, -3, 500)[:, None]
    net = single_unit("gelu", "float64")
    (found,) = run(net.to_onnx(), {"X": X})
    np.testing.assert_allclose(found, net.predict(X), rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", HIDDEN)
def test_the_reference_evaluator_agrees(name: str, dtype: str) -> None:
    net = dr.Network([3, 5, 4], ["tanh", name], dtype=dtype, rng=0)
    X = np.random.default_rng(1).normal(size=(7, 3)).astype(dtype)
    (found,) = evaluate(net.to_onnx(), {"X": X})
    assert_close(found, net.predict(X), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("groups", ["", "(9)", "(3,2,4)", "(1,8)"])
def test_softmax_over_groups(groups: str, dtype: str) -> None:
    net = dr.Network([4, 9], [f"softmax{groups}"], f"cross_entropy{groups}", dtype=dtype, rng=0)
    X = (100 * np.random.default_rng(0).normal(size=(50, 4))).astype(dtype)
    made = net.to_onnx()
    (found,) = run(made, {"X": X})
    assert_close(found, net.predict(X), dtype)
    assert_close(evaluate(made, {"X": X})[0], net.predict(X), dtype)


@st.composite
def networks(draw: st.DrawFn) -> dr.Network:
    sizes = draw(st.lists(st.integers(1, 9), min_size=2, max_size=6))
    L = len(sizes) - 1
    output = draw(st.sampled_from(["identity", "sigmoid", "softmax"]))
    loss = {"identity": "squared_error", "sigmoid": "log_loss", "softmax": "cross_entropy"}[output]
    if output == "softmax":
        sizes[-1] += 1
    smooth = st.sampled_from([name for name in HIDDEN if name != "exp"])
    net = dr.Network(
        sizes,
        [*draw(st.lists(smooth, min_size=L - 1, max_size=L - 1)), output],
        loss,
        bias=draw(st.lists(st.booleans(), min_size=L, max_size=L)),
        dtype=draw(st.sampled_from(DTYPES)),
        rng=draw(st.integers(0, 9)),
    )
    return dr.fold_biases(net) if draw(st.booleans()) else net


@given(net=networks(), n=st.integers(1, 40), seed=st.integers(0, 9))
def test_any_network_on_any_number_of_rows(net: dr.Network, n: int, seed: int) -> None:
    X = np.random.default_rng(seed).normal(size=(n, net.sizes[0])).astype(net.dtype)
    made = net.to_onnx()
    (found,) = run(made, {"X": X})
    assert_close(found, net.predict(X), net.dtype)
    kind = {"float32": "float", "float64": "double"}[str(net.dtype)]
    inputs, outputs = signature(made)
    assert inputs == [{"name": "X", "type": kind, "shape": [None, net.sizes[0]]}]
    assert outputs == [{"name": "output", "type": kind, "shape": [None, net.sizes[-1]]}]


@pytest.mark.parametrize(("own", "other"), [DTYPES, DTYPES[::-1]])
@pytest.mark.parametrize("name", ["gelu", "selu", "mish", "softplus"])
def test_another_precision_than_its_own(own: str, other: str, name: str) -> None:
    net = dr.Network([4, 6, 2], name, dtype=own, rng=0)
    X = np.random.default_rng(0).normal(size=(20, 4))
    (found,) = run(net.to_onnx(dtype=other), {"X": X.astype(other)})
    assert found.dtype == other
    assert_close(found, net.predict(X.astype(own)), "float32")


def test_one_hundred_layers() -> None:
    net = dr.Network([3] + [4] * 99 + [2], "tanh", rng=0)  # A6
    X = np.random.default_rng(0).normal(size=(5, 3))
    (found,) = run(net.to_onnx(), {"X": X})
    assert_close(found, net.predict(X), net.dtype)


# -- the file ---------------------------------------------------------------------------------


def test_a_file_that_says_what_it_is(tmp_path: Path) -> None:
    net = dr.Network([2, 3, 1], loss="log_loss", rng=0)
    made = net.to_onnx(tmp_path / "net.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
    read = onnx.load(tmp_path / "net.onnx")
    assert read == made
    assert (read.producer_name, read.producer_version) == ("deltarule", dr.__version__)
    assert read.doc_string == repr(net)
    said = {prop.key: prop.value for prop in read.metadata_props}
    assert said == {"network": repr(net), "loss": "log_loss"}
    # what ONNX Runtime 1.18 reads: https://onnxruntime.ai/docs/reference/compatibility.html
    assert read.ir_version <= 10
    assert [(one.domain, one.version) for one in read.opset_import] == [("", 17)]


def test_values_bear_the_names_of_the_equations() -> None:
    graph = dr.Network([2, 3, 1], ["tanh", "sigmoid"], "log_loss", rng=0).to_onnx().graph
    assert [(node.op_type, *node.output) for node in graph.node] == [
        ("Gemm", "z_1"),
        ("Tanh", "a_1"),
        ("Gemm", "z_2"),
        ("Sigmoid", "output"),
    ]
    assert [tensor.name for tensor in graph.initializer] == ["W_1", "b_1", "W_2", "b_2"]


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        dr.Network([2, 3, 1], "mish", rng=0).to_onnx(tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(dr.OutputError, match="does not exist"):
        dr.Network([2, 1]).to_onnx(tmp_path / "nowhere" / "net.onnx")
    (tmp_path / "net.onnx").write_text("precious")
    bad = dr.Network([2, 1])
    bad.theta = [np.nan, 1, 1]
    with pytest.raises(dr.SpecError):
        bad.to_onnx(tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_text() == "precious"


# -- what is refused --------------------------------------------------------------------------


def test_an_own_activation_is_refused_with_its_layer() -> None:
    net = dr.Network([2, 3, 3, 1], ["tanh", own_sigmoid(), "identity"])
    with pytest.raises(dr.SpecError, match=r"layer 2: mine is your own activation"):
        net.to_onnx()
    # nor is one that merely bears a known name taken for it
    with pytest.raises(dr.SpecError, match=r"layer 1: relu is your own activation"):
        dr.Network([2, 3, 1], [own_sigmoid("relu"), "identity"]).to_onnx()


def test_an_own_loss_is_no_part_of_the_answers() -> None:
    own = dr.Loss("mine", lambda o, y: ((o - y) ** 2).sum(-1), lambda o, y: 2 * (o - y))
    net = dr.Network([2, 1], loss=own, rng=0)
    X = np.ones((3, 2))
    assert_close(run(net.to_onnx(), {"X": X})[0], net.predict(X), net.dtype)


@pytest.mark.parametrize(("value", "dtype"), [(np.nan, None), (np.inf, None), (1e300, "float32")])
def test_parameters_that_are_no_numbers(value: float, dtype: str | None) -> None:
    net = dr.Network([2, 2, 1])
    net.biases[1][...] = value
    with pytest.raises(dr.SpecError, match="layer 2 has parameters that are NaN or infinite"):
        net.to_onnx(dtype=dtype)


def test_more_than_the_format_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deltarule.exchange.onnx.graph, "_MOST_BYTES", 1000)
    dr.Network([10, 11], dtype="float32").to_onnx()
    with pytest.raises(dr.SpecError, match="an ONNX file holds less than 2"):
        dr.Network([10, 30]).to_onnx()


@pytest.mark.parametrize("thing", [None, "model.safetensors", get_activation("relu"), object])
def test_what_is_no_model(thing: Any) -> None:
    with pytest.raises(dr.SpecError, match="to_onnx takes a Network, an MLPClassifier"):
        to_onnx(thing)


def test_what_to_do_with_a_model_of_scikit_learn() -> None:
    with pytest.raises(dr.SpecError, match=r"not MLPClassifier of scikit-learn: .*dr.from_sklearn"):
        to_onnx(TheirClassifier())
    with pytest.raises(dr.SpecError, match=r"not Pipeline of scikit-learn: .*register_skl2onnx"):
        to_onnx(make_pipeline(dr.MLPClassifier()))


@pytest.mark.parametrize("dtype", ["float16", "double", np.int64, 7])
def test_a_dtype_that_is_none(dtype: Any) -> None:
    with pytest.raises(dr.SpecError, match='dtype must be "float32", "float64" or None'):
        dr.Network([2, 1]).to_onnx(dtype=dtype)


def test_without_onnx_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)  # as if it were not installed
    with pytest.raises(dr.DeltaruleError, match=r"pip install 'deltarule\[onnx\]'"):
        dr.Network([2, 1]).to_onnx()


def test_importing_loads_no_onnx() -> None:
    script = (
        "import sys, deltarule.exchange.onnx, deltarule.cli;"
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert not set(out.stdout.split()) & {"sklearn", "onnx", "skl2onnx", "polars", "scipy"}


# -- the command line -------------------------------------------------------------------------


def command(*words: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["export", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_exporting_a_bare_network_by_command(tmp_path: Path) -> None:
    net = dr.Network([2, 3, 1], loss="log_loss", rng=0)
    net.save(tmp_path / "net.safetensors")
    target = tmp_path / "net.onnx"
    code, printed, _ = command(tmp_path / "net.safetensors", "-o", target)
    assert code == 0
    lines = [line.split() for line in printed.splitlines()]
    assert ["input", "X", "double", "(n,", "2)"] in lines
    assert ["output", "output", "double", "(n,", "1)"] in lines
    X = np.ones((4, 2))
    assert_close(run(onnx.load(target), {"X": X})[0], net.predict(X), "float64")
    code, printed, _ = command(
        tmp_path / "net.safetensors", "-o", target, "--dtype", "float32", "--json"
    )
    assert json.loads(printed) == {
        "output": str(target),
        "bytes": target.stat().st_size,
        "opsets": {"ai.onnx": 17},
        "inputs": [{"name": "X", "type": "float", "shape": [None, 2]}],
        "outputs": [{"name": "output", "type": "float", "shape": [None, 1]}],
    }


def test_the_command_reports_what_went_wrong(tmp_path: Path) -> None:
    dr.Network([2, 1]).save(tmp_path / "net.safetensors")
    model = tmp_path / "net.safetensors"
    before = model.read_bytes()
    for words, message in (
        ((model, "-o", model), "it would be overwritten"),
        ((tmp_path / "none", "-o", tmp_path / "a.onnx"), "there is no model file"),
        ((model, "-o", tmp_path / "no" / "a.onnx"), "does not exist"),
    ):
        code, printed, said = command(*words)
        assert (code, printed) == (1, "")
        assert message in said.replace("\n", "")
    assert model.read_bytes() == before
    assert not (tmp_path / "a.onnx").exists()
