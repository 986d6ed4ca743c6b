"""Products with and without kept error terms (SPEC A7, B4, D4, D7): formulas against counting.

The counting is held to a second one, of the factors of document D's formula as it is printed.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.explain.counts import counted
from deltarule.explain.counts.counted import Number
from deltarule.explain.counts.formulas import WAYS
from deltarule.explain.counts.report import ProductCounts, written

UNIFORM = [(L, n) for L in range(1, 8) for n in range(1, 8) if n**L * L < 3000]
MIXED = [
    *itertools.product((1, 2, 3), repeat=3),
    *((3, 1, 4), (2, 3, 2, 1), (1, 4, 2, 3), (5, 2, 1, 2, 5), (2, 1, 3, 1, 2, 2), (4, 3, 3, 2, 2)),
]


@pytest.mark.parametrize(("layers", "width"), UNIFORM)
def test_formulas_equal_counts_of_equal_layers(layers: int, width: int) -> None:  # A7 D7
    found = dr.count_products(layers, width)
    assert found.verify(rng=layers).ok
    assert found == dr.count_products([width] * (layers + 1))


@pytest.mark.parametrize("sizes", MIXED)
def test_formulas_equal_counts_of_any_layers(sizes: tuple[int, ...]) -> None:  # A7 D7
    found = dr.count_products(sizes).verify(rng=1)
    assert found.all_weights == found.expected.all_weights
    assert found.first_weight == found.expected.first_weight
    assert found.gradient_error < 1e-12  # every way gives the gradients of dr.backward


def factors_of_step_19(sizes: tuple[int, ...], layer: int) -> int:
    """Products of D's step 19, read off its text: between n factors stand n - 1 products."""

    def inside(l: int) -> int:  # the sum over the nodes of layer l
        if l == layer + 1:  # (head) w_(l)p f'_m(x_mp) y, behind the head's two factors
            return sizes[l] * (5 - 1)
        return sizes[l] * ((3 - 1) + inside(l - 1))

    return 3 - 1 if layer == len(sizes) - 1 else inside(len(sizes) - 1)


@pytest.mark.parametrize("sizes", [(4, 8, 5, 6, 7, 3), (3, 4, 2), (2, 9), (2, 3, 2, 1)])
def test_the_written_out_chain_rule_has_the_factors_of_step_19(sizes: Any) -> None:  # D2 D7
    found = dr.count_products(sizes)
    assert found.first_weight.nested == factors_of_step_19(sizes, 1)
    assert found.all_weights.nested == sum(
        sizes[m] * sizes[m - 1] * factors_of_step_19(sizes, m) for m in range(1, len(sizes))
    )


def test_growth_is_exponential_without_error_terms_and_linear_with_them() -> None:  # A7 D7
    width = 10
    counts = [dr.count_products(L, width) for L in range(1, 101)]  # A6: up to 100 layers
    nested = [one.all_weights.nested for one in counts]
    cached = [one.all_weights.cached for one in counts]
    restarted = [one.all_weights.restarted for one in counts]
    assert set(np.diff(cached)) == {width + 2 * width**2}
    assert set(np.diff(restarted, n=2)) == {width + width**2}
    ratios = [b / a for a, b in itertools.pairwise(nested[5:])]
    assert ratios == pytest.approx([width] * len(ratios), rel=1e-3)
    assert counts[-1].number_of_paths == width**99
    for one in counts:  # "about 2x" the forward pass
        assert one.all_weights.cached / one.forward == pytest.approx(2 - 1 / one.layers + 1 / width)


def test_document_d_by_hand() -> None:  # D4 D7
    """Three layers of one unit: every product can be written down."""
    found = dr.count_products(3, 1)
    # (t-y) f3' . w3 f2' . w2 f1' y0: seven factors
    assert found.first_weight.nested == found.first_weight.paths == 6
    # e3 = (t-y) f3'; e2 = e3 w3 f2'; e1 = e2 w2 f1'; e1 y0
    assert found.first_weight.cached == 1 + 2 + 2 + 1
    # and e3 y2, e2 y1 for the other two weights
    assert found.all_weights.cached == 6 + 2
    assert found.all_weights.nested == 6 + 4 + 2


def total(low: int, high: int, term: Any) -> Any:
    return sum(term(at) for at in range(low, high + 1))


def evaluated(text: str, sizes: tuple[int, ...]) -> Any:
    """A formula as printed, with its numbers; only whole numbers, so it is exact."""
    L = len(sizes) - 1
    code = re.sub(r"sum_\((\w)=(\w+|\w\+1)\.\.([^)]+)\)\[", r"total(\2, \3, lambda \1: (", text)
    code = re.sub(r"\b([nN])_(?:\((.*?)\)|(\w))", lambda m: f"{m[1]}_({m[2] or m[3]})", code)
    code = code.replace("]", "))").replace("^", "**").replace("/", "//")
    space = {
        "L": L,
        "n": sizes[0],
        "n_": lambda l: sizes[l],
        "N_": lambda l: math.prod(sizes[l:]),
        "total": total,
    }
    return eval(code, space)


@pytest.mark.parametrize("sizes", [*MIXED, (3, 3), (2, 2, 2, 2), (1, 1, 1), (7,) * 41, (5, 4)])
def test_formulas_as_printed_give_the_numbers(sizes: tuple[int, ...]) -> None:  # D7
    found = dr.count_products(sizes)
    for what, formulas in found.formulas().items():
        assert set(formulas) == set(WAYS)
        for way, formula in formulas.items():
            assert evaluated(formula.text, sizes) == getattr(getattr(found, what), way), way
            if found.width:
                latex = re.sub(
                    r"\\frac\{(.*)\}\{((?:[^{}]|\{\d\})*)\}", r"(\1)//(\2)", formula.latex
                )
                latex = re.sub(r"\^\{(.*?)\}", r"**(\1)", latex)
                latex = re.sub(r"(?<=[\w)]) (?=[\w(])", "*", latex)
                assert eval(latex, {"L": found.layers, "n": sizes[0]}) == getattr(
                    getattr(found, what), way
                )


def test_latex_is_understood_by_another_typesetter() -> None:
    parser = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    for found in (dr.count_products(4, 3), dr.count_products([3, 4, 2]), dr.count_products(2, 1)):
        for formulas in found.formulas().values():
            for formula in formulas.values():
                parser.parse(f"${formula.latex}$")


def test_a_wrong_formula_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = dr.count_products([3, 4, 2])
    for way in WAYS:
        off = right.all_weights._replace(**{way: getattr(right.all_weights, way) + 1})
        wrong = ProductCounts(
            right.sizes, off, right.first_weight, right.forward, right.number_of_paths
        )
        assert not wrong.verify().ok
        assert "DIFFERENT" in wrong.verify().to_text()
    monkeypatch.setattr(counted.Number, "__neg__", lambda self: self)
    assert not right.verify().ok
    assert "DISAGREE" in str(right.verify())


def test_counting_numbers_count_products_only() -> None:
    x, y = Number(3.0), Number(4.0)
    before = Number.products
    assert (-(x + y) - x).value == -10
    assert Number.products == before
    assert (x * y).value == 12
    assert Number.products == before + 1


def test_text_holds_counts_formulas_and_growth() -> None:
    found = dr.count_products(5, 3)
    text = found.to_text()
    assert str(found) == text
    for name in (*WAYS.values(), "5,310", "2*L*n^(L - 1)", "81 paths lead", "2.13 times"):
        assert name in text
    assert [line.split()[0] for line in text.splitlines()[-5:]] == list("12345")
    assert max(map(len, text.splitlines())) <= 80
    assert "1 path leads" in dr.count_products([4, 3, 1]).to_text()
    assert "N_l = n_l*" in dr.count_products([4, 3, 1]).to_text()
    assert "(2-...-2)" in dr.count_products(60, 2).to_text()
    assert found.verify().to_text().count("equal") == 8


def test_numbers_of_any_length_are_exact_and_can_be_stored() -> None:
    found = dr.count_products(300, 1000)
    stored = json.loads(json.dumps(found.to_dict()))
    assert stored["first_weight"]["paths"] == 600 * 1000**299
    assert stored["sizes"] == [1000] * 301
    assert stored["formulas"]["all_weights"]["cached"]["text"] == "L*n + (2*L - 1)*n^2"
    assert written(10**15 - 1) == "999,999,999,999,999"
    assert written(123456 * 10**200) == "1.235e+205"
    assert "e+9" in found.to_text()


def test_depths_are_networks_of_their_own() -> None:
    found = dr.count_products([5, 4, 3, 2]).by_depth()
    assert [one.sizes for one in found] == [(3, 2), (4, 3, 2), (5, 4, 3, 2)]
    assert found[1] == dr.count_products([4, 3, 2])


def test_plot_shows_every_way(tmp_path: Path) -> None:  # D7
    pytest.importorskip("matplotlib")
    found = dr.count_products(400, 1000)  # far beyond the largest float
    path = tmp_path / "products.png"
    figure = found.plot(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    assert set(lines) == set(WAYS.values())
    nested, cached = lines["the chain rule written out"], lines["error terms kept"]
    assert np.diff(nested)[5:] == pytest.approx(3, abs=0.01)  # a straight line: exponential
    assert cached[-1] == pytest.approx(math.log10(found.all_weights.cached))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((5,), "needs a width too"),
        ((0, 3), "layers must be a whole number >= 1, got 0"),
        ((3, 0), "width must be a whole number >= 1, got 0"),
        ((3, 2.5), "width must be a whole number"),
        (([3, 2], 4), "there is no width to give"),
        (([3],), "sizes"),
        (([3, -1],), "-1"),
        ((True, 3), "layers must be a whole number"),
        ((1001, 1), "1,000 layers at most"),
        ((10**12, 1), "1,000 layers at most"),
        ((1000, 10**6), "about 6,0"),
    ],
)
def test_what_cannot_be_counted_is_refused(arguments: Any, said: str) -> None:
    with pytest.raises(dr.SpecError, match=re.escape(said)):
        dr.count_products(*arguments)


def test_too_large_to_count_one_by_one() -> None:
    with pytest.raises(dr.SpecError, match="verify a smaller network"):
        dr.count_products(10, 10).verify()
