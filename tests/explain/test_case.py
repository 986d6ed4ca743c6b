"""Cases: every explanation takes a network by any name, and says the same of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

import deltarule as dr
from deltarule.explain.case import Case, case_of, case_or_none
from deltarule.explain.network_file import PUBLISHED, read_network
from deltarule.tabular.training import train_table
from support.oracles import example

FILE: dict[str, Any] = {
    "network": {"sizes": [2, 3, 1], "activations": ["tanh", "sigmoid"], "loss": "log_loss"},
    "weights": [[[0.5, -0.25, 1], [1.5, 0.75, -1]], [[2], [-1], [0.5]]],
    "biases": [[0.125, -0.5, 0.25], [0.375]],
    "inputs": [[1, 0.5]],
    "targets": [[1]],
    "learning_rate": 0.25,
}
X, Y = [[1.0, 0.5]], [[1.0]]


def network() -> dr.Network:
    """That of the file."""
    net = dr.Network([2, 3, 1], ["tanh", "sigmoid"], "log_loss", rng=0)
    net.weights = [np.array(W, dtype=float) for W in FILE["weights"]]
    net.biases = [np.array(b, dtype=float) for b in FILE["biases"]]
    return net


def frame() -> pl.DataFrame:
    """A table of numbers and text with two targets."""
    x = np.random.default_rng(0).normal(size=(60, 2))
    kind = ["cat" if a + b > 0 else "dog" for a, b in x]
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": ["u", "v", "w"] * 20, "kind": kind})


#: What each explanation says, as text; x and y may be None for a source with samples.
SAYS: dict[str, Callable[..., str]] = {
    "trace": lambda net, x, y: dr.trace(net, x, y, 0.25).to_json(),
    "derive": lambda net, x, y: dr.derive(net=net, weight=(1, 2, 1), x=x, y=y).to_text(90),
    "check_gradients": lambda net, x, y: dr.check_gradients(net, x, y).to_text(),
    "descent_check": lambda net, x, y: dr.descent_check(net, x, y).to_text(),
    "diagnose": lambda net, x, y: dr.diagnose(net, x, y, try_advice=False).to_json(),
}
#: Those that ask for the network alone.
SAYS_OF_NETWORK: dict[str, Callable[[Any], str]] = {
    "count_products": lambda net: dr.count_products(net).to_text(),
    "notation_table": lambda net: dr.notation_table(net).to_text(),
    "check_implementation": lambda net: dr.check_implementation(right_code, net).to_text(),
}
KINDS = ("Network", "model file", "json", "toml", "yaml", "str", "dict", "NetworkFile", "Case")
WITH_SAMPLES = KINDS[2:]


def right_code(weights: Any, biases: Any, X: Any, Y: Any) -> Any:
    """Gradients of tanh layers with a sigmoid and log-loss at the end."""
    a = [X]
    for l, (W, b) in enumerate(zip(weights, biases, strict=True)):
        z = a[-1] @ W + b
        a.append(np.tanh(z) if l < len(weights) - 1 else 1 / (1 + np.exp(-z)))
    delta, dW, db = (a[-1] - Y) / len(X), [], []
    for l in range(len(weights) - 1, -1, -1):
        dW.insert(0, a[l].T @ delta)
        db.insert(0, delta.sum(axis=0))
        delta = (delta @ weights[l].T) * (1 - a[l] ** 2)
    return dW, db


def toml() -> str:
    head = FILE["network"]
    lines = [f"{key} = {json.dumps(value)}" for key, value in FILE.items() if key != "network"]
    return "\n".join([*lines, "[network]", *(f"{k} = {json.dumps(v)}" for k, v in head.items())])


def source(kind: str, folder: Path) -> Any:
    """The network of FILE by one of its names."""
    text = {"json": json.dumps(FILE), "str": json.dumps(FILE), "yaml": json.dumps(FILE)}
    if kind in (*text, "toml"):
        path = folder / f"net.{'json' if kind == 'str' else kind}"
        path.write_text(toml() if kind == "toml" else text[kind])
        return str(path) if kind == "str" else path
    if kind == "model file":
        network().save(folder / "net.safetensors")
        return folder / "net.safetensors"
    made: dict[str, Callable[[], Any]] = {
        "Network": network,
        "dict": lambda: FILE,
        "NetworkFile": lambda: read_network(FILE),
        "Case": lambda: case_of(FILE),
    }
    return made[kind]()


# -- every explanation, every name ----------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAYS)
def test_every_name_of_a_network_says_the_same(name: str, kind: str, tmp_path: Path) -> None:
    net, says = source(kind, tmp_path), SAYS[name]
    expected = says(network(), X, Y)
    assert says(net, X, Y) == expected
    if kind in WITH_SAMPLES:
        assert says(net, None, None) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAYS_OF_NETWORK)
def test_what_asks_for_the_network_alone(name: str, kind: str, tmp_path: Path) -> None:
    assert SAYS_OF_NETWORK[name](source(kind, tmp_path)) == SAYS_OF_NETWORK[name](network())


@pytest.mark.parametrize("name", SAYS)
@pytest.mark.parametrize("published", PUBLISHED)
def test_published_examples_have_all_that_is_needed(published: str, name: str) -> None:
    if name != "derive":
        assert SAYS[name](published, None, None) == SAYS[name](example(published), None, None)
        return
    file = read_network(published)
    assert file.X is not None
    assert file.Y is not None
    done = dr.derive(net=published, weight=(1, 1, 1))
    sample: dict[str, Any] = {"x": file.X[0], "y": file.Y[0]}
    known = dr.derive(net=file.net, edges=file.edges, weight=(1, 1, 1), **sample)
    assert done.to_text() == known.to_text()
    right = dr.backward(file.net, file.X[:1], file.Y[:1]).weights[0][0, 0]
    assert done.value == pytest.approx(right, rel=1e-12)


def test_a_descent_moves_only_what_a_file_lets_move() -> None:
    found = dr.descent_check("yehoshua", learning_rates=[1e-4])
    file = read_network("yehoshua")
    g = dr.backward(file.net, file.X, file.Y)
    there = [W[edge] for W, edge in zip(g.weights, file.edges, strict=True)]  # type: ignore[arg-type]
    squares = sum(float(one @ one) for one in [*there, *(b for b in g.biases if b is not None)])
    assert found.squared_gradient == pytest.approx(squares, rel=1e-12)
    step = dr.trace("mazur", learning_rate=1e-3).steps[0]  # its biases stay
    found = dr.descent_check("mazur", learning_rates=[1e-3])
    assert found.steps[0].measured == pytest.approx(step.after.loss - step.before.loss, rel=1e-9)
    free = dr.descent_check("mazur", learning_rates=[1e-3], trainable_biases=True)
    assert free.squared_gradient > 1.5 * found.squared_gradient
    assert free.ok
    assert found.ok


# -- models of tables, estimators, tables ---------------------------------------------------------


@pytest.mark.parametrize("name", SAYS)
@pytest.mark.parametrize("by_path", [False, True])
def test_a_model_of_a_table_takes_raw_rows(name: str, by_path: bool, tmp_path: Path) -> None:
    model = train_table(frame(), "kind", hidden=[3], epochs=2).model
    model.save(tmp_path / "model.safetensors")
    net: Any = tmp_path / "model.safetensors" if by_path else model
    rows = frame()[:1] if name in ("derive", "trace") else frame()
    rows.write_csv(tmp_path / "rows.csv")
    inputs, targets = model.encoded(rows)
    assert targets.shape == (len(rows), 1)
    expected = SAYS[name](model.network, inputs, targets)
    for table in (rows, rows.to_pandas(), tmp_path / "rows.csv", str(tmp_path / "rows.csv")):
        assert SAYS[name](net, table, None) == expected
    assert SAYS[name](net, inputs, targets) == expected  # encoded already
    assert SAYS[name](net, inputs.tolist(), targets.tolist()) == expected
    if name != "check_gradients":  # it shows the rounding, which differs in sparse products
        assert SAYS[name](net, csr_array(inputs), targets) == expected
    with pytest.raises(dr.SpecError, match="leave Y away"):
        SAYS[name](net, rows, targets)
    with pytest.raises(dr.DataError, match="kind"):
        SAYS[name](net, rows.drop("kind"), None)


def test_what_is_unusual_in_a_table_is_noted() -> None:
    model = train_table(frame(), "kind", hidden=[3], epochs=1).model
    odd = frame().with_columns(pl.lit("never").alias("c"), pl.lit(1).alias("new"))
    notes = case_of(model, odd).notes
    assert any("'new'" in note for note in notes)
    assert any("not seen in training" in note for note in notes)
    assert list(notes) == model.notes


@pytest.mark.parametrize("name", SAYS)
def test_a_network_without_an_encoding_takes_columns_as_they_stand(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "numbers.csv"
    pl.DataFrame({"a": [1.0], "b": [0.5], "y": [1.0]}).write_csv(path)
    assert SAYS[name](network(), path, None) == SAYS[name](network(), X, Y)
    with pytest.raises(dr.SpecError, match="leave Y away"):
        SAYS[name](network(), path, Y)
    wide = dr.Network([1, 1], rng=0)
    with pytest.raises(dr.DataError, match=r"numbers.csv has 3 columns: 1 inputs, then targets: 2"):
        dr.diagnose(wide, str(path))
    with pytest.raises(dr.DataError, match="no such file"):
        SAYS[name](network(), str(tmp_path / "none.csv"), None)


@pytest.mark.parametrize("name", SAYS)
def test_an_estimator_takes_its_own_labels(name: str) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 2))
    labels = np.array(["no", "perhaps", "yes"])[np.arange(40) % 3]
    est = dr.MLPClassifier(hidden_layer_sizes=(3,), solver="lbfgs", alpha=1, random_state=0).fit(
        rows, labels
    )
    some = slice(0, 1 if name == "derive" else 6)
    expected = SAYS[name](est.network_, rows[some], np.arange(40)[some] % 3)
    assert SAYS[name](est, rows[some], labels[some]) == expected
    quantity = dr.MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", alpha=1).fit(
        rows, rows[:, 0]
    )
    expected = SAYS[name](quantity.network_, rows[some], rows[some, 0])
    assert SAYS[name](quantity, rows[some], rows[some, 0]) == expected
    assert SAYS[name](quantity, rows[0], rows[0, 0]) == SAYS[name](
        quantity.network_, rows[:1], rows[:1, 0]
    )


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([[1, np.nan]], None, "(?s)Input X contains NaN.*First: NaN at row 0, column 1"),
        (np.nan, None, "Expected 2D array, got scalar array instead"),
        ("text", None, "text: no such file"),
        ([["a", "b"]], None, "could not convert string to float: 'a'\nFirst: 'a' at row 0"),
        ([[["a"]]], None, "dim 3|could not convert"),
        ([[1, 10**400]], None, "int too large to convert to float"),
        ([[1, 1j]], None, "complex"),
        (np.zeros((1, 3)), None, "X has 3 features, but MLPClassifier is expecting 2"),
        (np.zeros((0, 2)), None, "0 sample"),
        ([[1, 2]], ["maybe"], "`y` has classes not in `self.classes_`"),
        ([[1, 2]], [{}], "Unknown label type"),
    ],
)
def test_what_an_estimator_refuses_is_an_error_of_ours(x: Any, y: Any, message: str) -> None:
    est = dr.MLPClassifier(hidden_layer_sizes=(3,), solver="lbfgs", alpha=1, random_state=0)
    est.fit(frame().select("a", "b").to_numpy(), frame()["kind"].to_numpy())
    with pytest.raises(dr.DataError) as caught:
        case_of(est, x, y)
    assert re.search(message, str(caught.value)), caught.value


def test_an_estimator_takes_a_table_as_it_stands(tmp_path: Path) -> None:
    table = frame().select("a", "b", "kind")
    table.write_csv(tmp_path / "t.csv")
    rows, labels = table.select("a", "b").to_numpy(), table["kind"].to_numpy()
    est = dr.MLPClassifier(hidden_layer_sizes=(3,), solver="lbfgs", alpha=1, random_state=0).fit(
        rows, labels
    )
    found = dr.check_gradients(est, tmp_path / "t.csv")
    assert found.to_text() == dr.check_gradients(est, rows, labels).to_text()


# -- what a file says holds where the arguments do not ---------------------------------------------


OPTIONS: dict[str, tuple[Any, Any]] = {  # as a file has them, and as an argument
    "inputs": ([[2, 0.25], [0, 1]], [[2, 0.25], [0, 1]]),
    "targets": ([[0], [1]], [[0], [1]]),
    "learning_rate": (0.75, 0.75),
    "trainable_biases": (False, False),
    "reduction": ("sum", "sum"),
    "l2": (0.5, 0.5),
}
ARGUMENTS = {"inputs": "X", "targets": "Y"}
BARE = {key: FILE[key] for key in ("network", "weights", "biases")}


@given(st.sets(st.sampled_from(sorted(OPTIONS))), st.sets(st.sampled_from(sorted(OPTIONS))))
def test_file_and_arguments_make_one_case(told: set[str], asked: set[str]) -> None:
    other: dict[str, Any] = {
        "inputs": [[9, 9], [8, 8]],
        "targets": [[1], [1]],
        "learning_rate": 3,
        "trainable_biases": True,
        "reduction": "mean",
        "l2": 0.125,
    }
    file = BARE | {key: OPTIONS[key][0] if key not in asked else other[key] for key in told}
    given_ = {ARGUMENTS.get(key, key): OPTIONS[key][1] for key in asked}
    found = case_of(file, **given_)
    expected = case_of(
        network(), **{ARGUMENTS.get(key, key): OPTIONS[key][1] for key in told | asked}
    )
    assert found.net.theta.tolist() == expected.net.theta.tolist()
    for name in ("learning_rate", "trainable_biases", "reduction", "l2", "edges"):
        assert getattr(found, name) == getattr(expected, name)
    for name in ("X", "Y"):
        one, two = getattr(found, name), getattr(expected, name)
        assert np.array_equal(one, two) if one is not None else two is None


@given(st.lists(st.booleans(), min_size=9, max_size=9))
def test_absent_edges_have_no_weight(flags: list[bool]) -> None:
    there = [np.array(flags[:6]).reshape(2, 3), np.array(flags[6:]).reshape(3, 1)]
    net = network()
    before = net.theta.copy()
    case = case_of(net, X, Y, edges=there)
    assert net.theta.tolist() == before.tolist()
    assert (case.edges is None) == all(flags)
    for W, known, edge in zip(case.net.weights, net.weights, there, strict=True):
        assert W.tolist() == (known * edge).tolist()
    hand_made = dr.Network([2, 3, 1], ["tanh", "sigmoid"], "log_loss", rng=0)
    hand_made.theta = case.net.theta
    assert case_of(hand_made, edges=there).net is hand_made  # nothing to be left out: no copy
    folded = case_of(dr.fold_biases(net), edges=there).net
    assert folded.folded
    assert folded.theta.tolist() == case.net.theta.tolist()


@given(
    st.integers(1, 4),
    st.sampled_from(["squared_error", "log_loss", "cross_entropy"]),
    st.integers(2, 3),
)
def test_one_sample_may_come_flat(inputs: int, loss: str, outputs: int) -> None:
    net = dr.Network([inputs, outputs], loss=loss, rng=0)
    x = np.arange(1.0, inputs + 1)
    y = np.eye(outputs)[outputs - 1]
    nested = case_of(net, [x], [y])
    flat = [(x, y), (x.tolist(), y.tolist()), ([x], y), (x, [y]), (csr_array([x]), y)]
    if loss == "cross_entropy":
        flat += [(x, outputs - 1), (x, [outputs - 1]), ([x], [[outputs - 1]])]
    for one in flat:
        found = case_of(net, *one)
        assert found.dense.tolist() == nested.X.tolist()
        assert found.Y.tolist() == nested.Y.tolist()


def test_rows_of_a_case() -> None:
    rows = np.arange(10.0).reshape(5, 2)
    case = case_of(network(), csr_array(rows), [0, 1, 0, 1, 1], sample_weight=[1, 2, 3, 4, 5])
    some = case.only(np.array([1, 3]))
    assert some.X.tolist() == rows[[1, 3]].tolist()
    assert some.Y.tolist() == [[1], [1]]
    assert some.sample_weight.tolist() == [2, 4]
    assert case.share.tolist() == pytest.approx([1 / 15, 2 / 15, 3 / 15, 4 / 15, 5 / 15])
    assert case_of(case).dense.tolist() == rows.tolist()


def test_samples_are_in_the_precision_asked_for() -> None:
    net = dr.Network([2, 1], dtype="float32", rng=0)
    assert case_of(net, [0.1, 0.2], 1).X.dtype == np.float32
    assert case_of(net, [0.1, 0.2], 1, dtype=np.float64).X.tolist() == [[0.1, 0.2]]
    assert dr.trace(net, [0.1, 0.2], 1).X.tolist() == [[0.1, 0.2]]


def test_numbers_and_lists_are_no_case() -> None:
    for value in (3, [3, 2], (3, 2), np.array([3, 2]), range(3), None):
        assert case_or_none(value) is None
    assert isinstance(case_or_none("mazur"), Case)
    assert dr.notation_table("mazur").layer == 1
    assert dr.notation_table(2).layer == 1


# -- what is refused -------------------------------------------------------------------------------


WRONG: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (
        3,
        {},
        dr.SpecError,
        "a Network, a TableModel, .*, mazur, gashler) is needed, got 3",
    ),
    ([1, 2], {}, dr.SpecError, "is needed, got [1, 2]"),
    ("mazru", {}, dr.SpecError, "is one of yehoshua, mazur, gashler; did you mean 'mazur'?"),
    ("net.txt", {}, dr.SpecError, "a network is read from .json, .toml, .yaml or .safetensors"),
    ("none.json", {}, FileNotFoundError, "there is no file none.json"),
    ("none.safetensors", {}, FileNotFoundError, "there is no model file none.safetensors"),
    (BARE | {"weights": [[]]}, {}, dr.SpecError, "weights: a list is needed, one matrix"),
    (BARE | {"reduction": "median"}, {}, dr.SpecError, "reduction: mean or sum is needed, got"),
    (BARE | {"l2": -1}, {}, dr.SpecError, "l2: a number >= 0 is needed, got -1"),
    (BARE, {"X": [1, 2, 3]}, dr.DataError, "X has 3 columns, but the network has 2 inputs"),
    (BARE, {"X": [[1, None]]}, dr.DataError, "X has no value (None) at row 0, column 1"),
    (BARE, {"X": [[1, np.nan]]}, dr.DataError, "X holds NaN at row 0, column 1"),
    (BARE, {"X": X, "Y": [2]}, dr.DataError, "Y holds 2 at row 0"),
    (BARE, {"X": X, "Y": [1, 0]}, dr.DataError, "Y has shape (2,)"),
    (BARE, {"X": X, "Y": Y, "sample_weight": [-1]}, dr.DataError, "sample_weight is negative"),
    (BARE, {"learning_rate": 0}, dr.SpecError, "learning_rate must be a finite number > 0, got 0"),
    (BARE, {"l2": -1}, dr.SpecError, "l2 must be a finite number >= 0, got -1"),
    (BARE, {"l2": 10**400}, dr.SpecError, "l2 must be a finite number >= 0, got 1000"),
    (BARE, {"learning_rate": 10**400}, dr.SpecError, "learning_rate must be a finite number > 0"),
    (BARE, {"edges": 3}, dr.SpecError, "edges: one bool array per layer (2) is needed, got 3"),
    (BARE, {"edges": [[[1]]]}, dr.SpecError, "one bool array per layer (2) is needed, got 1"),
    (
        BARE,
        {"edges": [[[1]], [[1]]]},
        dr.SpecError,
        "edges of layer 1 need shape (2, 3), got",
    ),
    (FILE, {"X": [[1, 2], [3, 4]]}, dr.DataError, "Y of the network file has shape (1, 1), but"),
    (dr.Network([1, 1]), {"X": [1, 2, 3]}, dr.DataError, "X is one-dimensional (3 numbers)"),
    (dr.MLPRegressor(), {}, dr.SpecError, "this MLPRegressor is not fitted: call its fit first"),
]


@pytest.mark.parametrize(("net", "arguments", "error", "message"), WRONG)
def test_what_does_not_fit_is_refused(
    net: Any,
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    pattern = ".*".join(map(re.escape, message.split(".*")))
    with pytest.raises(error, match=pattern):
        case_of(net, **arguments)
    if not arguments:
        for says in SAYS.values():
            with pytest.raises(error, match=pattern):
                says(net, X, Y)


@pytest.mark.parametrize("name", ["trace", "descent_check", "diagnose"])
def test_samples_that_are_missing_are_named(name: str) -> None:
    with pytest.raises(dr.SpecError, match=r"needs inputs \w and targets \w: give them, or put"):
        SAYS[name](network(), None, None)
    with pytest.raises(dr.SpecError, match=r" needs targets \w: "):
        SAYS[name](network(), X, None)


@pytest.mark.parametrize(
    ("name", "key"),
    [("trace", "l2"), ("descent_check", "l2"), ("diagnose", "reduction"), ("derive", "l2")],
)
def test_what_cannot_be_heeded_is_refused(name: str, key: str, tmp_path: Path) -> None:
    file = FILE | ({"l2": 0.5} if key == "l2" else {"reduction": "sum"})
    (tmp_path / "net.json").write_text(json.dumps(file))
    with pytest.raises(dr.SpecError, match=rf"net.json: {key}: it has no part in this"):
        SAYS[name](tmp_path / "net.json", None, None)


def test_a_penalty_of_a_file_holds() -> None:
    file = FILE | {"l2": 0.5}
    assert dr.diagnose(file, try_advice=False).l2 == 0.5
    assert dr.diagnose(file, l2=0.25, try_advice=False).l2 == 0.25
    right = dr.check_gradients(network(), X, Y, l2=0.5)
    assert dr.check_gradients(file).to_text() == right.to_text()
    assert [one.numeric.tolist() for one in dr.check_gradients(file).terms] == [
        one.numeric.tolist() for one in right.terms
    ]


def test_a_worksheet_is_no_network_alone() -> None:
    for net in (network(), 3):
        with pytest.raises(dr.SpecError, match="a network file, a dict or a published name"):
            dr.check_worksheet(net)  # type: ignore[arg-type]
    with pytest.raises(dr.SpecError, match="claims: missing"):
        dr.check_worksheet(FILE)
    assert dr.check_worksheet(read_network("gashler")).to_text() == (
        dr.check_worksheet("gashler").to_text()
    )


def test_an_implementation_of_a_network_says_nothing_else() -> None:
    with pytest.raises(dr.SpecError, match="a network says itself what it computes; leave loss"):
        dr.check_implementation(right_code, network(), loss="log_loss")
    with pytest.raises(dr.SpecError, match="checked with all edges; this network lacks some"):
        dr.check_implementation(right_code, "yehoshua")


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: dr.check_gradients(network(), rng=rng),
        lambda rng: dr.diagnose(network(), X, Y, rng=rng),
        lambda rng: dr.derive(2, weight=(1, 1, 1)).verify(rng),
        lambda rng: dr.count_products([2, 2]).verify(rng),
        lambda rng: dr.check_implementation(right_code, network(), rng=rng),
        lambda rng: dr.train(network(), X, Y, epochs=1, rng=rng),
    ],
)
@pytest.mark.parametrize("rng", ["x", -1, 0.5])
def test_one_check_of_rng(call: Callable[[Any], Any], rng: Any) -> None:
    need = "rng must be None, a whole number >= 0, a SeedSequence or a Generator, got"
    with pytest.raises(dr.SpecError, match=need):
        call(rng)


def test_a_plain_network_loads_neither_polars_nor_scikit_learn() -> None:
    code = (
        "import sys, deltarule as dr\n"
        "net = dr.Network([2, 2, 1], rng=0)\n"
        "dr.trace(net, [1, 2], [1]); dr.trace('mazur').to_text(); dr.descent_check('mazur')\n"
        "dr.derive(net='yehoshua', weight=(1, 1, 1)); dr.check_gradients(net)\n"
        "dr.count_products([3, 4, 2]); dr.notation_table(3)\n"
        "print([name for name in ('polars', 'sklearn', 'rich') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "[]\n"
