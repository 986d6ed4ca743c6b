"""The dictionary of notations (SPEC A3-A5, A8, B1, B5, C2, C8, D1, D4, D5, X4).

Every symbol and every equation of the table is read as it stands there and evaluated, with
numbers laid out as its document defines them. The numbers come from a forward pass written here
and from complex steps, not from the package.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import deltarule as dr
from deltarule.cli.main import app
from deltarule.document import html
from deltarule.explain.notation_table import COLUMNS

SIZES = (3, 4, 5, 2)
L, ALPHA, H = 3, 0.37, 1e-30
NOTATIONS = [one for one in COLUMNS if one != "code"]
TABLES = {layer: dr.notation_table(L, layer) for layer in (1, 2)}
EQUATIONS = [row.key for row in TABLES[2].rows if row.kind == "equation"]
SYMBOLS = [row.key for row in TABLES[2].rows if row.kind == "symbol"]


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def slope(z: Any) -> Any:
    return sigmoid(z) * (1 - sigmoid(z))


class Truth:
    """One sample of a network; W[l], b[l], z[l], a[l] for l = 0..L, and derivatives of J."""

    def __init__(self, biases: bool) -> None:
        rng = np.random.default_rng(7)
        pairs = list(itertools.pairwise(SIZES))
        self.W = [None, *(rng.normal(size=pair) for pair in pairs)]
        self.b = [None, *(biases * rng.normal(size=n) for _, n in pairs)]
        self.x, self.y = rng.normal(size=SIZES[0]), rng.uniform(size=SIZES[-1])
        self.J, self.z, self.a = self.passed()
        self.dW, self.db, self.dz, self.da = (
            [self._slopes(kind, l) for l in range(L + 1)] for kind in "Wbza"
        )
        self.net = dr.Network(SIZES, ["sigmoid"] * L, "squared_error")
        self.net.weights, self.net.biases = self.W[1:], self.b[1:]

    def passed(self, kind: str = "", layer: int = 0, step: Any = 0) -> tuple[Any, list, list]:
        """The forward pass, with `step` added to one kind of number of one layer."""
        z: list[Any] = [None]
        a = [self.x + (step if (kind, layer) == ("a", 0) else 0)]
        for l in range(1, L + 1):
            add = {one: step if (kind, layer) == (one, l) else 0 for one in "Wbza"}
            z.append(a[-1] @ (self.W[l] + add["W"]) + self.b[l] + add["b"] + add["z"])
            a.append(sigmoid(z[-1]) + add["a"])
        return ((a[-1] - self.y) ** 2).sum() / 2, z, a

    def _slopes(self, kind: str, l: int) -> Any:
        """dJ/d(every such number of a layer), by complex steps: exact to rounding."""
        base = {"W": self.W, "b": self.b, "z": self.z, "a": self.a}[kind][l]
        if base is None:
            return None
        found = np.zeros(base.shape)
        for at in np.ndindex(base.shape):
            step = np.zeros(base.shape, complex)
            step[at] = 1j * H
            found[at] = self.passed(kind, l, step)[0].imag / H
        return found


TRUTHS = {True: Truth(True), False: Truth(False)}


def truth_of(notation: str) -> Truth:
    return TRUTHS[notation not in ("column", "index")]  # A and D have no biases


def definitions(notation: str) -> dict[str, tuple[Any, Any]]:
    """What each document's letters stand for: by its layer number, values and dJ/d(them).

    Units in the order in which the document writes its indices.
    """
    t = truth_of(notation)
    none = [None] * (L + 1)
    if notation == "column":  # A: layers from 1, w_ji from i to j, the matrix transposed
        up = {k + 1: k for k in range(L + 1)}
        return {
            "O": ({k: t.a[l] for k, l in up.items()}, {k: t.da[l] for k, l in up.items()}),
            "net": ({k: t.z[l] for k, l in up.items()}, {k: t.dz[l] for k, l in up.items()}),
            "w": ([None, *(W.T for W in t.W[1:])], [None, *(W.T for W in t.dW[1:])]),
            "b": (t.b, t.db),
            "y": ({0: t.y}, none),
            "J": ({0: t.J}, none),
        }
    if notation == "row":  # B: layers from 1, row vectors, w_i from layer i to layer i + 1
        up = {k + 1: k for k in range(L + 1)}
        rows = {k: None if t.dz[l] is None else t.dz[l][None] for k, l in up.items()}
        z = {k: None if t.z[l] is None else t.z[l][None] for k, l in up.items()}
        return {
            "a": (
                {k: t.a[l][None] for k, l in up.items()},
                {k: t.da[l][None] for k, l in up.items()},
            ),
            "z": (z, rows),
            "delta": (rows, none),
            "w": (t.W, t.dW),
            "b": (
                [b if b is None else b[None] for b in t.b],
                [b if b is None else b[None] for b in t.db],
            ),
            "y": ({0: t.y[None]}, none),
            "C": ({0: t.J}, none),
        }
    if notation == "delta":  # C: layers from 0, w_ij from j to i
        to_first = [None, *(W.T for W in t.W[1:])], [None, *(W.T for W in t.dW[1:])]
        return {
            "a": (t.a, t.da),
            "z": (t.z, t.dz),
            "delta": (t.dz, none),
            "w": to_first,
            "b": (t.b, t.db),
            "y": ({0: t.y}, none),
            "J": ({0: t.J}, none),
        }
    if notation == "index":  # D: outputs are y, targets t, error terms -dE/dx
        to_first = [None, *(W.T for W in t.W[1:])], [None, *(W.T for W in t.dW[1:])]
        return {
            "y": (t.a, t.da),
            "x": (t.z, t.dz),
            "e": ([d if d is None else -d for d in t.dz], none),
            "w": to_first,
            "b": (t.b, t.db),
            "t": ({0: t.y}, none),
            "E": ({0: t.J}, none),
        }
    return {
        "a": (t.a, t.da),
        "z": (t.z, t.dz),
        "delta": (t.dz, none),
        "W": (t.W, t.dW),
        "b": (t.b, t.db),
        "y": ({0: t.y}, none),
        "J": ({0: t.J}, none),
    }


TOKEN = re.compile(
    r"(?P<d>d[JCE]/d)?(?P<letter>[A-Za-z]+)(?:_(?P<sub>\w+))?(?:\^(?P<sup>\(\w\)|\w))?"
    r"(?P<at>\[[^\]]*\])?(?P<prime>'?)(?P<call>\(?)"
)
FUNCTIONS = ("sigma", "f")


class Reader:
    """Reads a formula of one notation as it is printed."""

    def __init__(self, notation: str) -> None:
        self.of = definitions(notation)
        self.matrix = notation == "row"

    def value(self, formula: str, **units: int) -> Any:
        """The value of a formula for units that count from 1."""
        text = formula.replace(".*", "*").replace(")^2", ")**2")
        found = re.match(r"(.*?)(-?)(1/2\*)?(.*?)sum_(\w) (.*?)( \+ .*)?$", text)
        if found and "sum_" in text:
            before, minus, half, factor, over, term, rest = found.groups(default="")
            total = sum(self._each(term, over, units))
            scale = (0.5 if half else 1.0) * (-1 if minus else 1)
            if factor or before:
                scale = scale * self._plain((before + factor).rstrip("*"), units)
            return scale * total + (self._plain(rest[3:], units) if rest else 0)
        return self._plain(text, units)

    def _each(self, term: str, over: str, units: dict[str, int]) -> Iterator[Any]:
        for j in range(1, 1 + max(SIZES)):
            try:
                yield self._plain(term, units | {over: j})
            except IndexError:
                if j == 1:
                    raise
                return

    def _plain(self, text: str, units: dict[str, int]) -> Any:
        space: dict[str, Any] = {"alpha": ALPHA, "sigmoid": sigmoid, "slope": slope}

        def token(found: re.Match[str]) -> str:
            part = found.groupdict()
            if part["letter"] == "alpha":
                return found[0]
            if part["letter"] in FUNCTIONS:
                assert part["call"], "a function without argument"
                return ("slope" if part["prime"] else "sigmoid") + "("
            name = f"v{len(space)}"
            space[name] = self.symbol(part, units)
            return name + (".T" if part["prime"] else "") + part["call"]

        code = TOKEN.sub(token, text)
        code = re.sub(r"(v\d+(?:\.T)?) (?=v)", r"\1 @ ", code)  # side by side: a matrix product
        result = eval(code, space)
        return result.sum() if code.endswith("**2") and self.matrix else result

    def symbol(self, part: dict[str, str], units: dict[str, int]) -> Any:
        """The number (or, of a whole layer, the matrix) that a symbol stands for."""
        sub, sup, at = (part[one] or "" for one in ("sub", "sup", "at"))
        layers = [int(one) for one in sub + sup if one.isdigit()]
        letters = [one for one in sub + sup + at if one.isalpha()]
        assert len(layers) <= 1
        values = self.of[part["letter"]][bool(part["d"])][layers[0] if layers else 0]
        index = tuple(units[one] - 1 for one in letters)
        if self.matrix and index:
            values = values if part["letter"] == "w" else values[0]
        return values[index] if index else values


def canonical(key: str, layer: int, t: Truth) -> Any:
    """What a row is in our layout: units, or (from, to)."""
    l = layer
    return {
        "input": t.a[0],
        "z": t.z[l],
        "a": t.a[l],
        "o": t.a[L],
        "W": t.W[l],
        "b": t.b[l],
        "y": t.y,
        "delta": t.dz[l],
        "delta_is": t.dz[l],
        "net_input": t.z[l],
        "activation": t.a[l],
        "loss": np.array(t.J),
        "delta_output": t.dz[L],
        "delta_rule": t.dz[l],
        "activation_gradient": t.da[l],
        "input_gradient": t.da[0],
        "weight_gradient": t.dW[l],
        "bias_gradient": t.db[l],
        "update": t.W[l] - ALPHA * t.dW[l],
    }[key]


def free_letters(symbol: str) -> list[str]:
    """The units of a symbol, in the order in which it names them."""
    found = TOKEN.fullmatch(symbol.lstrip("-"))
    assert found
    return [
        c for c in (found["sub"] or "") + (found["sup"] or "") + (found["at"] or "") if c.isalpha()
    ]


def in_our_layout(
    notation: str, symbol: str, formula: str, shape: tuple[int, ...]
) -> tuple[Any, Any]:
    """The symbol and the formula at all units, as arrays with axes (unit,) or (from, to)."""
    read, letters = Reader(notation), free_letters(symbol)
    if not letters:  # a whole layer in matrices
        sides = [np.asarray(read.value(text)) for text in (symbol, formula)]
        return tuple(side.reshape(shape) for side in sides)  # type: ignore[return-value]
    turned = len(letters) == 2 and notation in ("column", "delta", "index")
    size = shape[::-1] if turned else shape
    sides = [np.zeros(size), np.zeros(size)]
    for at in np.ndindex(size):
        units = {letter: u + 1 for letter, u in zip(letters, at, strict=True)}
        for side, text in zip(sides, (symbol, formula), strict=True):
            side[at] = read.value(text, **units)
    return tuple(side.T if turned else side for side in sides)  # type: ignore[return-value]


@pytest.mark.parametrize("layer", TABLES)
@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("key", EQUATIONS)
def test_equations_hold_as_each_document_writes_them(
    key: str, notation: str, layer: int
) -> None:  # A4 A5 A8 B1 B5 C2 C8 D1 D4 D5
    equation = TABLES[layer][key].cells[notation]
    symbol, _, formula = equation.partition(" <- " if key == "update" else " = ")
    right = canonical(key, layer, truth_of(notation))
    left, made = in_our_layout(notation, symbol, formula, right.shape)
    sign = -1 if notation == "index" and key.startswith("delta_") else 1
    assert made * sign == pytest.approx(right, rel=1e-12, abs=1e-15)
    if key != "update":
        assert left * sign == pytest.approx(right, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("layer", TABLES)
@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("key", [key for key in SYMBOLS if key not in ("f", "slope", "alpha")])
def test_symbols_stand_for_the_same_numbers(key: str, notation: str, layer: int) -> None:  # X4
    symbol = TABLES[layer][key].cells[notation]
    right = canonical(key, layer, truth_of(notation))
    _, made = in_our_layout(notation, symbol, symbol.lstrip("-"), right.shape)
    sign = -1 if notation == "index" and key == "delta" else 1
    assert made * sign == pytest.approx(right, rel=1e-12, abs=1e-15)
    assert symbol.startswith("-") == (notation == "index" and key == "delta_is")


def code_space(t: Truth) -> dict[str, Any]:
    X, Y = t.x[None], t.y[None]
    passed, g = dr.forward(t.net, X), dr.backward(t.net, X, Y)
    return {"net": t.net.copy(), "X": X, "Y": Y, "p": passed, "g": g, "s": 0, "alpha": ALPHA}


@pytest.mark.parametrize("layer", TABLES)
@pytest.mark.parametrize("key", [key for key in SYMBOLS if key not in ("f", "slope", "alpha")])
def test_the_code_column_is_code(key: str, layer: int) -> None:
    t = TRUTHS[True]
    right, code = canonical(key, layer, t), TABLES[layer][key].cells["code"]
    for at in np.ndindex(right.shape):
        units = dict(zip("ij" if len(at) == 2 else "i" if "i]" in code else "j", at, strict=True))
        assert eval(code, code_space(t) | units) == pytest.approx(right[at], rel=1e-12)


@pytest.mark.parametrize("layer", TABLES)
@pytest.mark.parametrize("key", [key for key in EQUATIONS if key != "update"])
def test_the_code_columns_equations_hold(key: str, layer: int) -> None:
    space = code_space(TRUTHS[True])
    rng = np.random.default_rng(1)  # of several samples, where they say so
    space["X"], space["Y"] = rng.normal(size=(6, SIZES[0])), rng.uniform(size=(6, SIZES[-1]))
    space["p"] = dr.forward(space["net"], space["X"])
    space["g"] = dr.backward(space["net"], space["X"], space["Y"])
    left, right = TABLES[layer][key].cells["code"].split(" == ")
    assert eval(left, space) == pytest.approx(eval(right, space), rel=1e-12, abs=1e-15)


def test_the_code_columns_update_is_the_update() -> None:
    t = TRUTHS[True]
    space = code_space(t)
    exec(TABLES[2]["update"].cells["code"], space)
    assert space["net"].weights[1] == pytest.approx(canonical("update", 2, t), rel=1e-12)
    assert eval(TABLES[2]["f"].cells["code"], space)(np.array(0.3)) == pytest.approx(sigmoid(0.3))
    assert eval(TABLES[2]["slope"].cells["code"], space)(np.array(0.3)) == pytest.approx(slope(0.3))


def test_the_complex_steps_agree_with_backward() -> None:
    t = TRUTHS[True]
    g = dr.backward(t.net, t.x[None], t.y[None])
    for l in range(1, L + 1):
        assert g.weights[l - 1] == pytest.approx(t.dW[l], rel=1e-12, abs=1e-16)
        assert g.delta[l - 1][0] == pytest.approx(t.dz[l], rel=1e-12, abs=1e-16)


def broken(formula: str, matrix: bool) -> Iterator[str]:
    """The formula with one thing wrong: a layer, a transpose, the order of indices, the sign."""
    yield f"-({formula})" if matrix else re.sub(r"^(-?)", lambda m: "" if m[1] else "-", formula)
    for found in TOKEN.finditer(formula):
        symbol, (start, end) = found[0], found.span()
        if found["letter"] in ("sum", "alpha", *FUNCTIONS):
            continue
        for digit in re.finditer(r"\d", symbol):
            for other in (int(digit[0]) + 1, int(digit[0]) - 1):
                wrong = symbol[: digit.start()] + str(other) + symbol[digit.end() :]
                yield formula[:start] + wrong + formula[end:]
        if found["letter"] in ("w", "W"):
            wrong = re.sub(r"([ijk])(,?)([ijk])", r"\3\2\1", symbol)
            if found["prime"] or matrix:
                wrong = symbol[:-1] if found["prime"] else symbol + "'"
            yield formula[:start] + wrong + formula[end:]


@pytest.mark.parametrize("key", ["delta_rule", "weight_gradient", "net_input", "input_gradient"])
@pytest.mark.parametrize("notation", NOTATIONS)
def test_anything_wrong_in_an_equation_would_be_seen(key: str, notation: str) -> None:
    symbol, _, formula = TABLES[2][key].cells[notation].partition(" = ")
    right = canonical(key, 2, truth_of(notation))
    sign = -1 if notation == "index" and key == "delta_rule" else 1
    wrong = list(broken(formula, notation == "row"))
    assert len(wrong) >= 5
    for text in wrong:
        assert text != formula
        try:
            _, made = in_our_layout(notation, symbol, text, right.shape)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError):
            continue  # there is no such number, or the shapes do not fit
        assert made * sign != pytest.approx(right, rel=1e-6), text


# -- A3, A8 -----------------------------------------------------------------------------------


def test_chain_rule_for_compound_functions() -> None:  # A3
    """df/dx = sum_i df/dg_i dg_i/dh dh/dx: x is a weight, h its net input, g_i those above."""
    t = TRUTHS[False]
    for p, q in np.ndindex(SIZES[1], SIZES[0]):
        dh_dx = t.a[0][q]
        dg_dh = slope(t.z[1][p]) * t.W[2][p]
        chained = sum(df * dg * dh_dx for df, dg in zip(t.dz[2], dg_dh, strict=True))
        assert chained == pytest.approx(t.dW[1][q, p], rel=1e-12)


@pytest.mark.parametrize("layer", [1, 2])
def test_the_delta_is_the_gradient_of_the_next_layer(layer: int) -> None:  # A8
    """A goes through dJ/dO, C by the delta rule: formula by formula, then number by number."""
    table, t = TABLES[layer], TRUTHS[False]
    _, _, by_output = table["activation_gradient"].cells["column"].partition(" = ")
    delta, _, rule = table["delta_rule"].cells["column"].partition(" = ")
    net = table["z"].cells["column"]
    assert delta == f"dJ/d{net}"
    assert rule == f"sigma'({net})*{by_output}"  # the delta is the gradient times the slope
    # C's rule, letter by letter, once its letters and layers are A's
    other = table["delta_rule"].cells["delta"].partition(" = ")[2]
    l = layer
    for old, new in (
        ("f'", "sigma'"),
        (f"z_i^{l}", f"net_j^({l + 1})"),
        (f"w_ji^{l + 1}", f"w_kj^({l + 1})"),
        (f"delta_j^{l + 1}", f"dJ/dnet_k^({l + 2})"),
        ("sum_j", "sum_k"),
    ):
        other = other.replace(old, new)
    assert other == rule
    # in numbers: document A's way down, all in columns and its own matrices
    dJ_dO = (t.a[L] - t.y)[:, None]
    for k in range(L, layer, -1):  # from O^(k+1) to O^(k)
        dJ_dO = t.W[k] @ (dJ_dO * slope(t.z[k])[:, None])  # the transpose of A's w_ji
    g = dr.backward(t.net, t.x[None], t.y[None])
    assert dJ_dO[:, 0] == pytest.approx(g.activations[layer][0], rel=1e-12)
    assert dJ_dO[:, 0] * slope(t.z[layer]) == pytest.approx(g.delta[layer - 1][0], rel=1e-12)


# -- how it is written ------------------------------------------------------------------------


def test_what_each_document_calls_it() -> None:  # A1 A2 B1 B3 C2 C4 D1 D4
    table = TABLES[2]
    assert [table["inputs_layer"].cells[one] for one in COLUMNS] == ["1", "1", "0", "0", "0", "0"]
    order = table["order"].cells
    assert {one for one in COLUMNS if order[one] == "to, from"} == {"column", "delta", "index"}
    assert table["W"].cells["index"] == "w_2jk"
    assert table["a"].cells["column"] == "O_j^(3)"
    assert table["y"].cells["index"] == "t_j"
    assert table["delta_name"].cells["index"] == "error term"
    assert table["loss"].cells["row"] == "C = 1/2*(y - a_4)^2"
    assert table["loss"].cells["index"] == "E = 1/2*sum_j (t_j - y_3j)^2"
    assert table["loss"].cells["column"] == "J = 1/2*sum_j (O_j^(4) - y_j)^2"
    assert " + " not in table["net_input"].cells["column"] + table["net_input"].cells["index"]


def test_every_row_has_every_cell_and_text_holds_them() -> None:
    table = TABLES[2]
    text, marked = table.to_text(), table.to_markdown()
    assert str(table) == text
    assert len({row.key for row in table.rows}) == len(table.rows)
    for row in table.rows:
        assert set(row.cells) == set(COLUMNS)
        for cell in row.cells.values():
            assert cell
            assert cell in text
            assert cell.replace("|", "\\|") in marked
    heads = [line for line in marked.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in heads} == {len(COLUMNS) + 2}


def test_html_is_whole_and_loads_nothing() -> None:
    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []
            self.cells = 0

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            assert not {name for name, _ in attrs} & {"src", "href"}
            self.cells += tag == "td"
            if tag not in ("meta",):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    tags = Tags()
    text = TABLES[2].to_html()
    tags.feed(text)
    assert not tags.open
    equations = sum(row.kind == "equation" for row in TABLES[2].rows)
    symbols = len(TABLES[2].rows) - equations
    assert tags.cells == (len(COLUMNS) + 1) * symbols + 2 * len(COLUMNS) * equations
    assert "<tr><td>D: index</td>" in text  # an equation has a line of its own, wide enough
    assert "<i>w</i><sub>2jk</sub>" in text
    assert html.body(TABLES[2].document()) in text


def test_latex_formulas_are_understood_by_another_typesetter() -> None:
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser = mathtext.MathTextParser("path")
    found = re.findall(r"\$.*?\$", TABLES[2].to_latex())
    assert len(found) > 100
    for formula in found:
        parser.parse(formula)
    assert r"$\partial E/\partial w_{2jk} = -e_{2j} \, y_{1k}$" in found


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(tmp_path: Path) -> None:
    (tmp_path / "table.tex").write_text(TABLES[2].to_latex(standalone=True))
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "table.pdf").stat().st_size > 1000
    assert "Overfull" not in done.stdout


@pytest.mark.parametrize(
    ("layers", "layer", "said"),
    [
        (1, 1, "layers must be 2 to 9, got 1"),
        (10, 2, "2 to 9"),
        (3, 3, "a hidden one, 1 to 2 of 3 layers, got 3"),
        (3, 0, "layer must be a whole number >= 1"),
    ],
)
def test_layers_that_are_not_there(layers: int, layer: int, said: str) -> None:
    with pytest.raises(dr.SpecError, match=re.escape(said)):
        dr.notation_table(layers, layer)
    with pytest.raises(KeyError):
        TABLES[2]["nothing"]


@pytest.mark.parametrize("form", ["text", "markdown", "html", "latex"])
def test_command_line(form: str, tmp_path: Path) -> None:
    table = dr.notation_table()
    write: dict[str, Callable[[], str]] = {
        "text": table.to_text,
        "markdown": table.to_markdown,
        "html": table.to_html,
        "latex": table.to_latex,
    }
    run = CliRunner()
    shown = run.invoke(app, ["notation", "--format", form])
    assert shown.exit_code == 0
    assert shown.stdout.rstrip("\n") == write[form]().rstrip("\n")
    suffix = {"text": "txt", "markdown": "md", "html": "html", "latex": "tex"}[form]
    path = tmp_path / f"table.{suffix}"
    assert run.invoke(app, ["notation", "-o", str(path)]).exit_code == 0
    whole = table.to_latex(standalone=True) if form == "latex" else write[form]()
    assert path.read_text().rstrip("\n") == whole.rstrip("\n")


def test_command_line_says_what_is_wrong() -> None:
    done = CliRunner().invoke(app, ["notation", "--layers", "12"])
    assert done.exit_code == 1
    assert "layers must be 2 to 9, got 12" in done.stderr
