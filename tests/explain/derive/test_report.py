"""Derivations: document D's steps one to one, all other targets, losses and notations, refusals."""

# ruff: noqa: RUF001  # the primes of f'

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.equations.losses import loss_names
from deltarule.explain.derive.report import DERIVED
from deltarule.explain.derive.task import FUSED
from deltarule.explain.network_file import read_network

HEAD = "-Σᵢ (tᵢ - y₅ᵢ) "
F5 = HEAD + "f₅′(x₅ᵢ) "
F4 = F5 + "Σⱼ w₅ᵢⱼ f₄′(x₄ⱼ) "
F3 = F4 + "Σₖ w₄ⱼₖ f₃′(x₃ₖ) "
F2 = F3 + "Σₗ w₃ₖₗ f₂′(x₂ₗ) "
W = F2 + "w₂ₗ₇ "
F1 = W + "f₁′(x₁₇) "
TAIL = "w₂ₗ₇ f₁′(x₁₇) y₀₃"
#: Document D, by hand: 19 steps with the square of step 1 and all denominators w_173.
WEIGHT_173 = [
    ("given", "∂(½ Σᵢ (tᵢ - y₅ᵢ)²)/∂w₁₇₃"),
    ("chain rule", "Σᵢ (tᵢ - y₅ᵢ) ∂(tᵢ - y₅ᵢ)/∂w₁₇₃"),
    ("simplify", HEAD + "∂y₅ᵢ/∂w₁₇₃"),
    ("expand a term", HEAD + "∂f₅(x₅ᵢ)/∂w₁₇₃"),
    ("chain rule", F5 + "∂x₅ᵢ/∂w₁₇₃"),
    ("expand a term", F5 + "∂(Σⱼ w₅ᵢⱼ y₄ⱼ)/∂w₁₇₃"),
    ("simplify", F5 + "Σⱼ w₅ᵢⱼ ∂y₄ⱼ/∂w₁₇₃"),
    ("expand a term", F5 + "Σⱼ w₅ᵢⱼ ∂f₄(x₄ⱼ)/∂w₁₇₃"),
    ("repeat", F4 + "Σₖ w₄ⱼₖ ∂f₃(x₃ₖ)/∂w₁₇₃"),
    ("repeat", F3 + "Σₗ w₃ₖₗ ∂f₂(x₂ₗ)/∂w₁₇₃"),
    ("chain rule", F2 + "∂x₂ₗ/∂w₁₇₃"),
    ("expand a term", F2 + "∂(Σₘ w₂ₗₘ y₁ₘ)/∂w₁₇₃"),
    ("drop constants", F2 + "∂(w₂ₗ₇ y₁₇)/∂w₁₇₃"),
    ("simplify", W + "∂y₁₇/∂w₁₇₃"),
    ("expand a term", W + "∂f₁(x₁₇)/∂w₁₇₃"),
    ("chain rule", F1 + "∂x₁₇/∂w₁₇₃"),
    ("expand a term", F1 + "∂(Σₙ w₁₇ₙ y₀ₙ)/∂w₁₇₃"),
    ("drop constants", F1 + "∂(w₁₇₃ y₀₃)/∂w₁₇₃"),
    ("simplify", F1 + "y₀₃"),
]
#: Steps 20 to 24, with what each lets stand for what.
CACHED = [
    (
        "e₅ᵢ",
        "(tᵢ - y₅ᵢ) f₅′(x₅ᵢ)",
        "-Σᵢ e₅ᵢ Σⱼ w₅ᵢⱼ f₄′(x₄ⱼ) Σₖ w₄ⱼₖ f₃′(x₃ₖ) Σₗ w₃ₖₗ f₂′(x₂ₗ) " + TAIL,
    ),
    ("e₄ⱼ", "Σᵢ e₅ᵢ w₅ᵢⱼ f₄′(x₄ⱼ)", "-Σⱼ e₄ⱼ Σₖ w₄ⱼₖ f₃′(x₃ₖ) Σₗ w₃ₖₗ f₂′(x₂ₗ) " + TAIL),
    ("e₃ₖ", "Σⱼ e₄ⱼ w₄ⱼₖ f₃′(x₃ₖ)", "-Σₖ e₃ₖ Σₗ w₃ₖₗ f₂′(x₂ₗ) " + TAIL),
    ("e₂ₗ", "Σₖ e₃ₖ w₃ₖₗ f₂′(x₂ₗ)", "-Σₗ e₂ₗ " + TAIL),
    ("e₁₇", "Σₗ e₂ₗ w₂ₗ₇ f₁′(x₁₇)", "-e₁₇ y₀₃"),
]
M = F2 + "Σₘ w₂ₗₘ "
M1 = M + "f₁′(x₁ₘ) "
#: The second derivation, with five letters for five sums.
INPUT_5 = [
    *[(rule, text.replace("w₁₇₃", "y₀₅")) for rule, text in WEIGHT_173[:10]],
    ("repeat", M + "∂f₁(x₁ₘ)/∂y₀₅"),
    ("chain rule", M1 + "∂x₁ₘ/∂y₀₅"),
    ("expand a term", M1 + "∂(Σₙ w₁ₘₙ y₀ₙ)/∂y₀₅"),
    ("drop constants", M1 + "∂(w₁ₘ₅ y₀₅)/∂y₀₅"),
    ("simplify", M1 + "w₁ₘ₅ ∂y₀₅/∂y₀₅"),
    ("simplify", M1 + "w₁ₘ₅"),
    ("name a cached term", "-Σₘ e₁ₘ w₁ₘ₅"),
]


def test_the_19_steps_of_document_D() -> None:  # D2
    steps = dr.derive(layers=5, weight=(1, 7, 3), notation="index").steps
    assert [(step.rule, step.text) for step in steps] == WEIGHT_173
    assert [step.number for step in steps] == list(range(1, 20))
    assert "steps 5 through 8" in steps[8].why.lower()
    assert steps[12].why.endswith("except the one with m = 7.")
    assert steps[17].why.endswith("except the one with n = 3.")


def test_its_error_terms_steps_20_to_24() -> None:  # D4
    steps = dr.derive(5, weight=(1, 7, 3), cached=True).steps
    assert [(step.rule, step.text) for step in steps[:19]] == WEIGHT_173
    named = []
    for step in steps[19:]:
        assert step.rule == "name a cached term"
        ((symbol, body),) = step.names
        written = step.__class__.text.fget  # type: ignore[attr-defined]
        put = [written(_with(step, one)) for one in (symbol, body)]
        named.append((put[0], put[1], step.text))
    assert named == CACHED


def _with(step: Any, expression: Any) -> Any:
    from dataclasses import replace

    return replace(step, expression=expression)


def test_the_17_steps_for_an_input() -> None:  # D5
    steps = dr.derive(5, input=5).steps
    assert [(step.rule, step.text) for step in steps] == INPUT_5
    assert dr.derive(5, activation=(0, 5)).to_text() == dr.derive(5, input=5).to_text()


def test_delta_notation_has_the_same_steps_in_Cs_symbols() -> None:  # C8
    steps = dr.derive(5, weight=(1, 7, 3), notation="delta", cached=True).steps
    assert [step.rule for step in steps[:19]] == [rule for rule, _ in WEIGHT_173]
    assert steps[2].text == "Σᵢ (aᵢ⁵ - yᵢ) ∂aᵢ⁵/∂w₇₃¹"
    assert (
        "δⱼ⁴ = f′(zⱼ⁴) Σᵢ wᵢⱼ⁵ δᵢ⁵"
        in dr.derive(5, weight=(1, 7, 3), notation="delta", cached=True).to_text()
    )
    assert steps[-1].text == "δ₇¹ a₃⁰"


def test_row_notation_is_document_Bs_expanded_and_cached_form() -> None:  # B4, B5
    steps = dr.derive(3, weight=(1, 2, 3), notation="row", cached=True).steps
    texts = [step.text for step in steps]
    assert texts[1] == "a₁ᵀ (∂C/∂a₂ ⊙ σ′(z₂))"
    assert texts[2] == "a₁ᵀ ((∂C/∂a₃ ⊙ σ′(z₃)) w₂ᵀ ⊙ σ′(z₂))"
    assert texts[4] == "a₁ᵀ ((((a₄ - y) ⊙ σ′(z₄)) w₃ᵀ ⊙ σ′(z₃)) w₂ᵀ ⊙ σ′(z₂))"
    text = dr.derive(3, weight=(1, 2, 3), notation="row", cached=True).to_text()
    for line in ("δ₄ = (a₄ - y) ⊙ σ′(z₄)", "δ₃ = δ₄ w₃ᵀ ⊙ σ′(z₃)", "= a₁ᵀ δ₂", "= a₁[3] δ₂[2]"):
        assert f"     {line}\n" in text
    assert dr.derive(3, bias=(1, 2), notation="row", cached=True).steps[-2].text == "δ₂"
    assert steps[0].why == "The gradient by all weights of the layer at once, w₁."
    assert steps[4].why.endswith("the loss itself: ∂C/∂a₄ is a₄ - y.")
    huber = dr.derive(2, weight=(1, 1, 1), notation="row", loss="huber").steps
    assert "; the loss huber of one output o with target y is " in huber[0].why
    assert "∂C/∂a₃; of one output o with target y it is " in huber[-1].why


def test_column_notation_is_document_As(  # A4, A5, A8
) -> None:
    steps = dr.derive(3, activation=(1, 2), notation="column", cached=True).steps
    assert steps[1].text == "W⁽²⁾ᵀ (∂J/∂O⁽³⁾ ⊙ σ′(net⁽³⁾))"
    assert steps[-1].text == "W⁽²⁾ᵀ ∂J/∂net⁽³⁾"
    weight = dr.derive(2, weight=(1, 2, 1), notation="column").steps
    assert weight[1].text == "(∂J/∂O⁽²⁾ ⊙ σ′(net⁽²⁾)) O⁽¹⁾ᵀ"


LOSSES = [*loss_names(), "cross_entropy(2,3)"]
TARGETS: list[dict[str, Any]] = [
    {"weight": (1, 2, 3)},
    {"weight": (3, 2, 1)},
    {"bias": (1, 2)},
    {"bias": (3, 1)},
    {"input": 2},
    {"activation": (3, 2)},
    {"activation": (2, 1)},
    {"weight": (2, 2, 1), "biases": True},
]


@pytest.mark.parametrize("notation", DERIVED)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_step_holds_for_every_loss_and_target(loss: str, notation: str) -> None:  # A3, D3, X4
    for target, cached in itertools.product(TARGETS, (False, True)):
        done = dr.derive(3, loss=loss, notation=notation, cached=cached, **target)
        checked = done.verify(trials=2)
        assert checked.ok, (target, cached, str(checked))
        assert "∂" not in done.steps[-1].text.replace("∂J/∂net", "").replace("∂a₄/∂z₄", "").replace(
            "∂O⁽⁴⁾/∂net⁽⁴⁾", ""
        )


@pytest.mark.parametrize("layers", [1, 2, 4, 12])
@pytest.mark.parametrize("notation", DERIVED)
def test_every_depth(layers: int, notation: str) -> None:  # D3
    for target in ({"weight": (1, 2, 3)}, {"bias": (layers, 2)}, {"input": 1}):
        done = dr.derive(layers, notation=notation, cached=True, **target)
        assert done.verify(trials=2).ok
        named = [step for step in done.steps if step.rule == "name a cached term"]
        assert len(named) == (1 if "bias" in target else layers)


@pytest.mark.parametrize("notation", ["index", "row"])
def test_a_hundred_layers(notation: str) -> None:  # A6
    done = dr.derive(100, weight=(1, 2, 3), notation=notation, cached=True)
    assert done.verify(trials=1).ok
    assert max(map(len, done.to_text(80).splitlines())) <= 80
    assert done.to_latex()
    assert done.to_html()


@pytest.mark.parametrize("loss", FUSED)
def test_the_fused_pairs_come_to_o_minus_y(loss: str) -> None:  # C10
    done = dr.derive(2, weight=(1, 1, 1), loss=loss, notation="delta", cached=True)
    if loss != "squared_error":  # there the output activation is left open
        assert "δᵢ² = aᵢ² - yᵢ\n" in done.to_text()
    net = dr.Network([2, 3, 3], "tanh", loss, rng=0)
    done = dr.derive(net=net, weight=(1, 1, 1), notation="delta", cached=True)
    assert "δᵢ² = aᵢ² - yᵢ\n" in done.to_text()
    assert done.verify(trials=3).ok


def random_sample(net: dr.Network, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    y = rng.dirichlet(np.ones(net.sizes[-1]))
    return rng.normal(size=net.sizes[0]), y


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("notation", DERIVED)
def test_a_network_with_numbers(notation: str, output: str, dtype: str) -> None:  # X4
    net = dr.Network([3, 4, 2], "tanh", output_activation=output, rng=1, dtype=dtype)
    x, y = random_sample(net)
    done = dr.derive(net=net, weight=(1, 2, 3), notation=notation, cached=True, x=x, y=y)
    right = dr.backward(net, [x], [y]).weights[0][2, 1]
    assert done.value == pytest.approx(right, rel=1e-12 if dtype == "float64" else 1e-4)
    assert done.verify(trials=2).ok
    assert f"= {done.value:.6g}\n" in done.to_text()
    expanded = dr.derive(net=net, weight=(1, 2, 3), notation=notation, x=x, y=y)
    assert expanded.value == pytest.approx(done.value, rel=1e-12)
    for target in ({"weight": (1, 2, 3)}, {"input": 2}, {"activation": (1, 3)}, {"bias": (2, 1)}):
        shown = dr.derive(net=net, **target, notation=notation, x=x, y=y)  # type: ignore[arg-type]
        assert shown.to_text().endswith(f"= {shown.value:.6g}\n")
        assert shown.verify(trials=2).ok


def test_sums_are_written_out_where_small() -> None:
    net = dr.Network([2, 3, 2], "sigmoid", rng=0)
    done = dr.derive(net=net, input=1, x=[0.5, -1], y=[0.2, 0.3])
    texts = {step.rule: step.text for step in done.steps[-2:]}
    assert texts["expand a term"] == "-(e₁₁ w₁₁₁ + e₁₂ w₁₂₁ + e₁₃ w₁₃₁)"
    assert done.steps[-1].numeric
    assert not any(letter in texts["simplify"] for letter in "ewxy")
    assert done.verify(trials=2).ok
    wide = dr.Network([2, 40, 2], "sigmoid", rng=0)
    one = dr.derive(net=wide, weight=(1, 7, 1), cached=True, x=[0.5, -1], y=[0.2, 0.3]).steps[-1]
    assert [name.symbol.indices for name in one.names] == [(1,), (2,), (7,)]  # and not all 40
    assert dr.derive(net=wide, input=1).steps[-1].rule == "name a cached term"


def test_a_network_of_own_functions() -> None:
    own = dr.Activation("cube", lambda z: z**3 + z, lambda z: 3 * z * z + 1)
    loss = dr.Loss("fourth", lambda o, y: ((o - y) ** 4).sum(-1), lambda o, y: 4 * (o - y) ** 3)
    net = dr.Network([2, 3, 2], [own, own], loss, rng=0)
    for notation in DERIVED:
        done = dr.derive(net=net, weight=(1, 2, 1), notation=notation, cached=True)
        assert done.verify(trials=3).ok


def test_a_folded_network() -> None:  # C3
    net = dr.Network([2, 3, 1], "sigmoid", "log_loss", rng=0)
    folded = dr.fold_biases(net)
    asked: dict[str, Any] = {"bias": (1, 2), "x": [1, 0], "y": [1]}
    assert dr.derive(net=folded, **asked).value == dr.derive(net=net, **asked).value


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"layers": 5}, "give one of weight, bias, input and activation; got none"),
        ({"layers": 5, "weight": (1, 7, 3), "input": 5}, "got weight and input"),
        ({"layers": 5, "weight": (6, 1, 1)}, "no layer 6 among layers 1 to 5"),
        ({"layers": 5, "weight": (0, 1, 1)}, "layer 0 is the inputs and has none"),
        ({"layers": 5, "weight": (1, 0, 1)}, "units are counted from 1"),
        ({"layers": 5, "input": 0}, "no input 0"),
        ({"layers": 5, "weight": (1, 7)}, r"weight must be \(layer, node, node before\)"),
        ({"layers": 5, "weight": "173"}, "weight must be"),
        ({"layers": 5, "weight": (1, 7.5, 3)}, "weight must be"),
        ({"layers": 5, "input": True}, "input must be"),
        ({"layers": 5, "bias": (1, 1), "biases": False}, "layer 1 has no biases"),
        ({"layers": 5, "weight": (1, 7, 3), "notation": "indx"}, "Did you mean 'index'"),
        ({"layers": 5, "weight": (1, 7, 3), "notation": "canonical"}, "unknown notation"),
        ({"layers": 5, "weight": (1, 7, 3), "loss": "sqared_error"}, "Did you mean"),
        ({"layers": 0, "input": 1}, "whole number from 1 to 100"),
        ({"layers": 101, "input": 1}, "whole number from 1 to 100"),
        ({"layers": 2.0, "input": 1}, "whole number from 1 to 100"),
        ({"input": 1}, "give either layers=.* got neither"),
        ({"layers": 2, "input": 1, "x": [1], "y": [1]}, "give net= too"),
    ],
)
def test_bad_input_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(dr.SpecError, match=message):
        dr.derive(**asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"layers": 2, "input": 1}, "got both"),
        ({"input": 3}, "no input 3; the network has 2"),
        ({"weight": (2, 1, 4)}, "no unit 4 in layer 1; the network has 3"),
        ({"input": 1, "x": [1, 2]}, "give both x and y"),
        ({"input": 1, "loss": "huber"}, "has a loss of its own"),
        ({"input": 1, "biases": True}, "leave biases away"),
        ({"input": 1, "x": [1, 2, 3], "y": [1]}, "3"),
        ({"input": 1, "x": [[1, 2], [3, 4]], "y": [1, 2]}, "one sample"),
    ],
)
def test_bad_input_for_a_network_is_refused(asked: dict[str, Any], message: str) -> None:
    net = dr.Network([2, 3, 1], rng=0)
    with pytest.raises((dr.SpecError, dr.DataError), match=message):
        dr.derive(net=net, **asked)


def test_a_class_label_is_a_target() -> None:
    net = dr.Network([2, 3, 3], "tanh", "cross_entropy", rng=0)
    asked: dict[str, Any] = {"net": net, "input": 1, "x": [0.5, 1]}
    assert dr.derive(y=2, **asked).value == dr.derive(y=[0, 0, 1], **asked).value


def test_terms_of_written_out_sums_are_counted() -> None:
    """The terms of sums, and not those of t - y."""
    net = dr.Network([2, 2, 2, 7], "tanh", rng=0)
    last = dr.derive(net=net, weight=(2, 1, 1)).steps[-1]
    assert "the sum has 7 terms: one for each unit" in last.why
    assert last.text.count("+") == 6
    last = dr.derive(net=net, weight=(2, 1, 1), cached=True).steps[-1]
    assert last.rule == "name a cached term"  # no sum is left to be written out
    path = dr.derive(net=dr.Network([2, 2, 3, 2], rng=0), weight=(1, 1, 1)).steps[-1]
    assert "the sums have 6 terms: one for each path" in path.why
    single = dr.derive(net=dr.Network([2, 2, 1], rng=0), weight=(1, 1, 1), x=[1, 2], y=[1])
    assert [step.rule for step in single.steps[-2:]] == ["expand a term", "simplify"]
    assert "over one unit only" in single.steps[-2].why


def test_absent_edges_are_left_out() -> None:
    """A network file may leave edges out: no term of theirs, no derivative by them."""
    file = read_network("yehoshua")
    x, y = file.X[0], file.Y[0]  # type: ignore[index]  # it has a sample
    for notation in DERIVED:
        asked: dict[str, Any] = {"net": file.net, "edges": file.edges, "notation": notation}
        done = dr.derive(input=1, cached=True, x=x, y=y, **asked)
        assert done.verify(trials=3).ok
        right = dr.backward(file.net, [x], [y]).inputs[0, 0]
        assert done.value == pytest.approx(right, rel=1e-12)
        with pytest.raises(dr.SpecError, match=r"no edge from input 1 to unit 3 of layer 1"):
            dr.derive(weight=(1, 3, 1), **asked)
    done = dr.derive(net=file.net, edges=file.edges, input=1, x=x, y=y)
    out = done.steps[-2]
    assert "1 over an edge that is not there is left out" in out.why
    assert out.text == "-(e₁₁ w₁₁₁ + e₁₂ w₁₂₁)"
    assert "·0·" not in done.to_text()
    assert "the weight of an edge that is not there is 0" in done.to_text(200)
    broken = np.zeros((2, 3), dtype=bool)
    none = dr.derive(net=file.net, edges=[broken, *file.edges[1:]], input=1, x=x, y=y)  # type: ignore[index]
    assert none.steps[-2].text == "0"
    assert none.value == 0
    with pytest.raises(dr.SpecError, match="one bool array per layer"):
        dr.derive(net=file.net, edges=[broken], input=1)
    with pytest.raises(dr.SpecError, match="give net= too"):
        dr.derive(2, edges=file.edges, input=1)


def test_absent_edges_of_a_wide_network_hold_too() -> None:
    """Random networks of the proof are narrower than a wide one."""
    net = dr.Network([20, 30, 2], "tanh", rng=0)
    there = [np.random.default_rng(0).random(W.shape) < 0.5 for W in net.weights]
    there[0][14, 3] = True
    assert dr.derive(net=net, edges=there, weight=(1, 4, 15)).verify(trials=3).ok


def test_programs_get_every_step_as_text_and_latex() -> None:
    done = dr.derive(3, weight=(1, 2, 1), cached=True)
    told = json.loads(done.to_json())
    assert told == done.to_dict()
    assert (told["notation"], told["layers"], told["loss"]) == ("index", 3, "squared_error")
    assert [step["number"] for step in told["steps"]] == [step.number for step in done.steps]
    assert [step["why"] for step in told["steps"]] == [step.why for step in done.steps]
    assert [step["expression"]["text"] for step in told["steps"]] == [s.text for s in done.steps]
    assert [step["expression"]["latex"] for step in told["steps"]] == [s.latex for s in done.steps]
    assert [len(step["names"]) for step in told["steps"]] == [len(s.names) for s in done.steps]
    two = done.beside("row").to_dict()
    assert two["first"] == told
    assert two["second"]["notation"] == "row"
    assert two["pairs"][0] == [1, 1]
    assert [n for n, _ in two["pairs"] if n] == [step.number for step in done.steps]


def test_the_value_of_a_sample_stands_in_json() -> None:
    net = dr.Network([2, 3, 1], "tanh", rng=0)
    done = dr.derive(net=net, weight=(1, 2, 1), x=[1.0, -0.5], y=[0.3])
    gradient = dr.backward(net, [[1.0, -0.5]], [[0.3]]).weights[0][0, 1]
    told = done.to_dict()
    assert told["value"] == told["steps"][-1]["value"] == pytest.approx(gradient, rel=1e-12)
    assert told["network"] == repr(net)


def test_a_page_stands_in_the_frame_of_all_results() -> None:
    done = dr.derive(3, weight=(1, 2, 1))
    for page in (done.to_html(), done.beside("delta").to_html()):
        assert '<body class="deltarule page">' in page
        assert "<h1>" in page
        assert page.count("<style>") == 1
    for fragment in (done._repr_html_(), done.beside("delta")._repr_html_()):
        assert fragment.startswith('<div class="deltarule">\n<style>')
