"""What a trace shows as text and Markdown: what is chosen, what is left out, how it is laid out."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.explain.trace.report import Trace
from deltarule.formula.notation import NOTATIONS
from support.printed import holds, lines


def wide() -> Trace:
    rng = np.random.default_rng(0)
    net = dr.Network([100, 60, 12], "relu", "cross_entropy", rng=0)
    return dr.trace(net, rng.normal(size=(20, 100)), np.arange(20) % 12, 0.1)


def deep(samples: int = 3, steps: int = 4) -> Trace:
    rng = np.random.default_rng(0)
    net = dr.Network([2, *[3] * 50, 1], "tanh", "log_loss", rng=0)
    return dr.trace(net, rng.normal(size=(samples, 2)), np.arange(samples) % 2, 0.1, steps)


def test_phases_stand_in_the_order_of_computation() -> None:  # C1
    text = dr.trace("mazur").to_text()
    heads = re.findall(r"^(.*)\n-+$", text, flags=re.MULTILINE)
    assert heads == [
        "Forward pass",
        "Loss",
        "Backward pass",
        "Gradients",
        "Update",
        "Forward pass after the update",
        "Result",
    ]


def test_columns_are_aligned_and_a_formula_stands_once_per_group() -> None:
    text = dr.trace("mazur").to_text()
    groups = re.findall(r"^(\S.*: .*=.*)\n((?:  .*\n?)+)", text, flags=re.MULTILINE)
    assert len(groups) > 10
    for formula, block in groups:
        rows = block.rstrip("\n").split("\n")
        assert len({re.search(" (=|<-) ", row).start() for row in rows}) == 1, formula
        assert len({row.rfind("= ") for row in rows}) == 1, formula


def test_negative_numbers_stand_in_brackets_but_alone() -> None:
    text = dr.trace("yehoshua").to_text()
    assert "1*(-0.2)" in text
    assert "dC/db_1[2] = -0.0108522  = -0.0108522" in text
    for line in lines(text):
        assert not re.search(r"[*+/-] ?-\d", line.numbers), line


def test_steps_are_told_apart_and_a_pass_is_shown_once() -> None:
    text = dr.trace("mazur", steps=3).to_text()
    heads = re.findall(r"^(.*)\n-+$", text, flags=re.MULTILINE)
    assert heads.count("Step 2: forward pass") == 1
    assert heads.count("Step 3: forward pass after the update") == 1
    assert "Step 1: forward pass after the update" not in heads
    assert "after step 3  C = " in text


def test_one_layer_neuron_sample_and_step() -> None:
    done = deep()
    text = done.to_text(layer=7, neuron=2, sample=3, step=2)
    symbols = [line.symbol for line in lines(text)]
    assert symbols == [
        *("z_7[2]", "a_7[2]", "dJ/da_7[2]", "delta_7[2]"),
        *("dC/dW_7[1,2]", "dC/dW_7[2,2]", "dC/dW_7[3,2]", "dC/db_7[2]"),
        *("W_7[1,2]", "W_7[2,2]", "W_7[3,2]", "b_7[2]"),
        *("z_7[2]", "a_7[2]"),
    ]
    assert "Left out" not in text
    assert "Step 2: forward pass after the update" in text
    assert "hidden layer 7, sample 3" in text
    inputs = lines(done.to_text(layer=0, sample=1, step=1))
    assert [line.symbol for line in inputs] == ["dJ/da_0[1]", "dJ/da_0[2]"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"layer": 3}, r"layer 3: the layers are 0 \(the inputs\) to 2"),
        ({"layer": -1}, "layer -1"),
        ({"neuron": 1}, "neuron 1 of which layer"),
        ({"layer": 2, "neuron": 13}, "neuron 13: layer 2 has 1 to 12"),
        ({"layer": 2, "neuron": 0}, "neuron 0: layer 2 has 1 to 12"),
        ({"sample": 21}, "sample 21: there are 1 to 20"),
        ({"step": 2}, "step 2: there are 1 to 1"),
        ({"digits": 0}, "digits must be 1 to 17"),
        ({"digits": 18}, "digits must be 1 to 17"),
        ({"digits": 2.5}, "digits must be 1 to 17"),
        ({"max_lines": 0}, "max_lines must be a whole number"),
        ({"max_terms": 0}, "max_terms must be a whole number"),
        ({"notation": "columm"}, "unknown notation 'columm'.*'column'"),
    ],
)
def test_what_is_not_there_is_refused(wanted: dict[str, Any], message: str) -> None:
    done = wide()
    with pytest.raises(dr.SpecError, match=message):
        done.to_text(**wanted)
    with pytest.raises(dr.SpecError, match=message):
        done.to_markdown(**wanted)


@pytest.mark.parametrize("max_lines", [40, 100, 250, 2000])
@pytest.mark.parametrize(
    ("make", "whole_from"), [(wide, 9000), (deep, 10_000), (lambda: deep(40, 30), 10**6)]
)
def test_large_traces_stay_within_their_lines_and_say_what_is_left_out(
    make: Any, whole_from: int, max_lines: int
) -> None:
    text = make().to_text(max_lines=max_lines)
    found = lines(text)
    assert len(found) <= max_lines < whole_from
    assert "Left out: " in text or re.search(r"\.\.\. \d+ more$", text, flags=re.MULTILINE)
    for line in found:
        assert holds(line, 6), line


def test_what_is_left_out_is_named() -> None:
    last = deep(40, 30).to_text(max_lines=250).splitlines()[-1]
    assert re.fullmatch(
        r"Left out: layers \d+ to \d+, samples 2 to 40, steps 2 to 30\. Ask for one .*", last
    )
    assert "Left out" not in deep(1, 1).to_text(max_lines=None)
    assert "Left out: samples 2 to 20." in wide().to_text()


def test_a_long_sum_is_cut_and_the_rest_is_one_number() -> None:
    done = wide()
    short = done.to_text(layer=1, neuron=1, sample=1, max_terms=5, digits=10)
    line = lines(short)[0]
    assert line.numbers.count("*") == 5
    assert "(95 more)" in line.numbers
    assert holds(line, 10)
    full = lines(done.to_text(layer=1, neuron=1, sample=1, max_terms=None, digits=10))[0]
    assert full.numbers.count("*") == 100
    assert full.value == line.value
    softmax = lines(done.to_text(layer=2, neuron=12, sample=1, max_terms=3, digits=10))[1]
    assert "(9 more)" in softmax.numbers
    assert holds(softmax, 10)


def test_a_long_loss_is_cut_too() -> None:
    rng = np.random.default_rng(0)
    for loss in ("squared_error", "poisson"):
        net = dr.Network([2, 30], ["softplus"], loss, rng=0)
        done = dr.trace(net, [1, 2], rng.poisson(2, (1, 30)))
        found = [line for line in lines(done.to_text(max_terms=4, digits=12)) if line.symbol == "C"]
        assert all("(26 more)" in line.numbers for line in found)
        assert all(holds(line, 12) for line in found)
        assert len(found) == 2
    soft = dr.Network([2, 30], loss="cross_entropy", rng=0)
    done = dr.trace(soft, [1, 2], rng.dirichlet(np.ones(30), 1))
    for line in lines(done.to_text(max_terms=4, digits=12)):
        assert holds(line, 12), line


@pytest.mark.parametrize("digits", [1, 2, 3, 6, 17])
def test_digits_are_those_shown_and_change_no_number(digits: int) -> None:
    done = dr.trace("yehoshua")
    for line in lines(done.to_text(digits=digits)):
        mantissa = line.value.lstrip("-").split("e")[0].replace(".", "").lstrip("0")
        assert len(mantissa) <= digits
    exact = {line.symbol: float(line.value) for line in lines(done.to_text(digits=None))}
    rounded = {line.symbol: float(line.value) for line in lines(done.to_text(digits=digits))}
    for symbol, value in exact.items():
        assert rounded[symbol] == float(f"{value:.{digits}g}"), symbol


def test_all_digits_read_back_to_the_same_number() -> None:
    done = dr.trace("yehoshua")
    (step,) = done.steps
    found = {line.symbol: float(line.value) for line in lines(done.to_text(digits=None))}
    assert found["delta_1[2]"] == step.delta[0][0, 1]
    assert found["a_3[1]"] == step.after.output[0, 0]


def test_own_functions_are_shown_by_name_and_the_rest_by_hand() -> None:
    cube = dr.Activation("cube", lambda z: z**3, lambda z: 3 * z**2)
    quartic = dr.Loss(
        "quartic", lambda o, y: ((o - y) ** 4).sum(axis=-1), lambda o, y: 4 * (o - y) ** 3
    )
    net = dr.Network([1, 1, 2], [cube, "tanh"], quartic, rng=0)
    net.theta = [0.5, 2.0, 0.0, 0.0, 1.0, -1.0]
    done = dr.trace(net, [0.25], [0.5, 0.0])
    text = done.to_text(digits=4)
    assert "hidden layer 1: a_1[j] = f_1(z_1[j])\n  a_1[1] = f_1(1) = 1" in text
    assert "f_1'(1) = " in text
    assert "loss: C\n  C = quartic((0.7616, -0.7616), (0.5, 0)) = 0.3411" in text
    assert "dJ/da_2[1] = 0.07161  =  0.07161" in text
    for line in lines(text):
        if "f_1" not in line.numbers and "quartic" not in line.numbers:
            assert holds(line, 4), line


def test_own_functions_that_mix_units_are_shown_by_name() -> None:
    def normalised(z: Any) -> Any:
        return z / (1 + np.abs(z).sum(axis=-1, keepdims=True))

    def product(z: Any, g: Any) -> Any:
        s = 1 + np.abs(z).sum(axis=-1, keepdims=True)
        return g / s - np.sign(z) * (g * z).sum(axis=-1, keepdims=True) / s**2

    mixed = dr.Activation(
        "normalised", normalised, lambda z: z, jacobian_product=product, range=(-1.0, 1.0)
    )
    net = dr.Network([1, 2], [mixed], rng=0)
    text = dr.trace(net, [1.0], [0.5, 0.0]).to_text(digits=3)
    assert re.search(r"a_1\[2\] = f_1\(\(\S+, \S+\)\)\[1\] = ", text)
    assert re.search(r"delta_1\[1\] = (\S+) += +\1\n", text)


def test_an_own_fused_loss_shows_its_delta_as_the_number_that_it_is() -> None:
    half = dr.Loss(
        "half",
        lambda o, y: 0.5 * ((o - y) ** 2).sum(axis=-1),
        lambda o, y: o - y,
        fused_J=lambda z, y: 0.5 * ((z - y) ** 2).sum(axis=-1),
        fused_dJ=lambda z, y: z - y,
    )
    net = dr.Network([1, 1], ["identity"], half, rng=0)
    net.theta = [0.0, 2.0]
    text = dr.trace(net, [1.0], [0.5]).to_text()
    assert "delta_1[j] = dJ/dz\n  delta_1[1] = 1.5 = 1.5" in text


def test_markdown_has_the_lines_of_the_text() -> None:
    for notation in NOTATIONS:
        done = dr.trace("yehoshua", steps=2)
        table = re.findall(
            r"^\| `(\S+)( <-)?` \| `(.*)` \| (\S+) \|$",
            done.to_markdown(notation=notation),
            flags=re.MULTILINE,
        )
        text = lines(done.to_text(notation=notation))
        assert [(a, b.strip() or "=", c, d) for a, b, c, d in table] == [tuple(x) for x in text]
    markdown = done.to_markdown()
    assert markdown.startswith("# Trace\n")
    assert "## Step 2: update" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert all(row.endswith("|") for row in rows)


def test_str_is_the_text_and_repr_is_one_line() -> None:
    done = dr.trace("mazur")
    assert str(done) == done.to_text()
    assert repr(done) == (
        "Trace(Network(2-2-2, sigmoid, squared_error, 12 parameters, float64), 1 sample, 1 step, "
        "loss 0.298371 -> 0.291028)"
    )


def test_latex_sets_formulas_words_and_numbers() -> None:
    done = dr.trace("yehoshua").to_latex()
    assert r"hidden layer 1: $z_{1}[j] = \sum_{i} a_{0}[i] \, W_{1}[i,j] + b_{1}[j]$\par" in done
    assert r"$z_{1}[2]$ & $= 1 \cdot (-0.2) + 0 \cdot 0 + 0.7 = 0.5$ \\" in done
    assert r"before & $C$ = 0.397726, output 0.671846 \\" in done
    net = dr.Network([1, 1], "identity", rng=0)
    net.theta = [1e-9, 2.0]
    small = dr.trace(net, [[1.0], [0.0]], [[0.0], [0.0]]).to_latex()
    assert r"= 1 \cdot 2 + 1 \cdot 10^{-9} = 2$" in small
    assert r"= \textrm{mean over the samples of }" in small


def test_a_name_cannot_become_latex() -> None:
    name = r"\input{x} $100 & 5%"
    own = dr.Activation("own", np.tanh, lambda z: 1 - np.tanh(z) ** 2, formula=name)
    done = dr.trace(dr.Network([1, 2, 1], [own, "identity"], rng=0), [1.0], [0.0]).to_latex()
    assert r"\input{x}" not in done
    assert r"\textbackslash{}input\{x\} \$100 \& 5\%" in done
