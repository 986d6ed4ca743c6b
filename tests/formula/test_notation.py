"""The symbols of the four documents, as they stand there, and how they are set."""

from __future__ import annotations

import re
from html import unescape
from xml.etree import ElementTree

import pytest

from deltarule.formula import alphabet as m
from deltarule.formula.expression import Derivative, Expression, Hadamard
from deltarule.formula.function import Equation, Variable
from deltarule.formula.inline import Html, InlineLatex
from deltarule.formula.latex import Latex
from deltarule.formula.mathml import MathML
from deltarule.formula.notation import NOTATIONS, get_notation
from deltarule.formula.plain import Figures, Plain
from deltarule.formula.symbols import Symbols
from deltarule.formula.text import Text

SIZES = [9, 8, 7, 6, 5, 4]  # document D's network has five layers


def test_document_d() -> None:  # D1, D4, D5
    s, w = Symbols("index", SIZES), Plain(get_notation("index")).write
    assert w(s.z(5, "i")) == "x_5i"
    assert w(s.a(0, 3)) == "y_03"
    assert w(s.W(1, i=3, j=7)) == "w_173"
    assert w(s.y("i")) == "t_i"
    assert w(s.delta(4, "j")) == "e_4j"
    assert w(s.net_input(1, bias=False)) == "x_1j = sum_k w_1jk*y_0k"
    assert w(s.delta_rule(4)) == "e_4j = sum_i e_5i*w_5ij*f_4'(x_4j)"
    assert w(s.weight_gradient(1)) == "dE/dw_1jk = -e_1j*y_0k"
    assert w(s.activation_gradient(0)) == "dE/dy_0k = -sum_j e_1j*w_1jk"
    assert w(s.output_error()) == "t_j - y_5j"


def test_document_c() -> None:  # C2, C8, C10
    s, w = Symbols("delta", SIZES), Plain(get_notation("delta")).write
    assert w(s.net_input(2, bias=True)) == "z_i^2 = sum_j w_ij^2*a_j^1 + b_i^2"
    assert w(s.activation(2, None)) == "a_i^2 = f(z_i^2)"
    assert w(s.delta_rule(2)) == "delta_i^2 = f'(z_i^2)*sum_j w_ji^3*delta_j^3"
    assert w(s.weight_gradient(2)) == "dE/dw_ij^2 = delta_i^2*a_j^1"
    assert w(s.update(s.W(2, "j", "i"))) == "w_ij^2 <- w_ij^2 - alpha*dE/dw_ij^2"
    assert w(s.W(2, i=3, j=1)) == "w_13^2"  # from 3 to 1


def test_document_b() -> None:  # B1, B5
    s, w = Symbols("row", SIZES), Plain(get_notation("row")).write
    assert w(s.a(0)) == "a_1"
    assert w(s.net_input(1, bias=True)) == "z_2 = a_1 w_1 + b_1"
    assert w(s.activation(1, None)) == "a_2 = sigma(z_2)"
    assert w(s.delta_rule(1)) == "delta_2 = delta_3 w_2' .* sigma'(z_2)"
    assert w(s.weight_gradient(1)) == "dC/dw_1 = a_1' delta_2"
    assert w(s.bias_gradient(1)) == "dC/db_1 = delta_2"
    assert w(s.output_error()) == "a_6 - y"


def test_document_a() -> None:  # A1, A4, A5, A8
    s, w = Symbols("column", SIZES), Plain(get_notation("column")).write
    assert w(s.a(0, 2)) == "O_2^(1)"
    assert w(s.net_input(1, bias=False)) == "net_j^(2) = sum_i w_ji^(1)*O_i^(1)"
    assert w(s.activation(1, None)) == "O_j^(2) = sigma(net_j^(2))"
    assert w(s.W(1, i=3, j=7)) == "w_73^(1)"
    assert w(s.activation_gradient(1)) == "dJ/dO_j^(2) = sum_k w_kj^(2)*dJ/dnet_k^(3)"
    assert w(s.delta_from_gradient(1)) == "dJ/dnet_j^(2) = dJ/dO_j^(2)*sigma'(net_j^(2))"


def test_canonical() -> None:
    s, w = Symbols("canonical", SIZES), Plain(get_notation("canonical")).write
    assert w(s.net_input(1, bias=True)) == "z_1[j] = sum_i a_0[i]*W_1[i,j] + b_1[j]"
    assert w(s.activation_gradient(1)) == "dJ/da_1[j] = sum_k delta_2[k]*W_2[j,k]"
    assert w(s.weight_gradient(1)) == "dC/dW_1[i,j] = a_0[i]*delta_1[j]"


@pytest.mark.parametrize("notation", sorted(NOTATIONS))
def test_no_two_numbers_share_a_symbol_however_large_the_network(notation: str) -> None:
    sizes = [12, 11, 13]
    s, seen = Symbols(notation, sizes), set()
    write = Plain(s.notation, s.set_apart).write
    for l in range(3):
        for j in range(1, sizes[l] + 1):
            names = [s.a(l, j)]
            if l:
                names += [s.z(l, j), s.b(l, j), s.delta(l, j)]
                names += [s.W(l, i, j) for i in range(1, sizes[l - 1] + 1)]
            written = set(map(write, names))
            assert not seen & written
            assert len(written) == len(names)
            seen |= written


def test_unknown_notations_are_named() -> None:
    assert get_notation("row").matrix
    with pytest.raises(ValueError, match=r"unknown notation 'rows'\. Did you mean 'row'"):
        get_notation("rows")


def html(node: Expression, notation: str = "canonical") -> str:
    return Html(get_notation(notation), figures=Figures(None)).write(node)


def latex(node: Expression, notation: str = "canonical") -> str:
    return InlineLatex(get_notation(notation)).write(node)


CANONICAL, C, A = (Symbols(name, [3, 2, 2]) for name in ("canonical", "delta", "column"))


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        (Equation(CANONICAL.z(1, 2), m.number(1) * -0.2), "z1[2] = 1·(\N{MINUS SIGN}0.2)"),
        (Equation(Variable("w"), m.number(0.5), "<-"), "w ← 0.5"),
        (
            Equation(Derivative(CANONICAL.C, CANONICAL.W(1, "i", "j")), m.number(1.2e-5)),
            "∂C/∂W1[i,j] = 1.2·10\N{MINUS SIGN}5",
        ),
        (
            CANONICAL.stated(2, m.a * (1 - m.a) ** 2, slope=True),
            "f\N{PRIME}2(z) = a (1 \N{MINUS SIGN} a)2",
        ),
        (m.given(m.absolute(m.z), "a < b & <i>"), "abs(z), a < b & <i>"),
        (Hadamard((m.z, m.y)), "z ⊙ y"),
    ],
)
def test_formulas_set_as_html_read_as_they_should(formula: Expression, shown: str) -> None:
    text = html(formula)
    assert unescape(re.sub(r"</?(i|sub|sup)>", "", text)) == shown
    assert not re.search(r"<(?!/?(?:i|sub|sup)>)", text)


def test_indices_and_powers_stand_where_they_belong() -> None:
    assert html(C.W(1, 1, 2), "delta") == "<i>w</i><sub>21</sub><sup>1</sup>"
    assert html(A.a(1, 2), "column") == "<i>O</i><sub>2</sub><sup>(2)</sup>"
    assert html(m.half * (m.o - m.y) ** 2).endswith(")<sup>2</sup>")
    assert html(m.number(2e-7)) == "2·10<sup>\N{MINUS SIGN}7</sup>"
    apart = Html(get_notation("index"), set_apart=True)
    assert apart.write(Symbols("index", [12, 12]).W(1, 3, 10)) == "<i>w</i><sub>1,10,3</sub>"


def test_formulas_set_in_latex_on_one_line() -> None:
    assert latex(C.update(C.W(1, "j", "i")), "delta") == (
        r"w_{ij}^{1} \leftarrow w_{ij}^{1} - \alpha \, \partial E/\partial w_{ij}^{1}"
    )
    assert latex(A.z(1, 2), "column") == r"\mathrm{net}_{2}^{(2)}"
    assert latex(Symbols("row", [2, 2, 2]).delta_rule(1), "row") == (
        r"\delta_{2} = \delta_{3} w'_{2} \odot \sigma'(z_{2})"
    )


EVERY = m.given(
    m.cases(
        m.compared(m.absolute(m.r), "<=", 2),
        m.larger(0, m.tanh(m.z)) + m.exp(-m.a) / m.Phi(m.s),
        m.clipped(m.log(m.o), -1, 1) * m.sign(m.y) ** 2,
    ),
    "in the words of a_1 & <b>",
    r=m.o - m.y,
)


def test_every_format_writes_what_records_state() -> None:
    notation = get_notation("canonical")
    assert Plain().quoted(EVERY) == (
        "max(0, tanh(z)) + exp(-a) / Phi(s) if |r| <= 2 else (log(o), clipped to [-1, 1]) "
        "sign(y)^2, r = o - y, in the words of a_1 & <b>"
    )
    unicode = Text(notation).plain(EVERY)
    assert "exp(-a)/Φ(s) if |r| ≤ 2 else" in unicode
    assert "sign(y)², r = o - y, in the words of a_1 & <b>" in unicode
    set_in_latex = Latex(notation).write(EVERY)
    assert r"\frac{\exp(-a)}{\Phi(s)}\text{ if }\lvert r\rvert  \le 2" in set_in_latex
    assert r"\text{in the words of a\_1 \& \(<\)b\(>\)}" in set_in_latex
    element = ElementTree.fromstring(
        unescape(MathML(notation).formula(MathML(notation).write(EVERY), display=False))
        .replace("&", "&amp;")
        .replace("<b>", "&lt;b&gt;")
        .replace("<mo><=", "<mo>&lt;=")
    )
    assert element.tag == "math"


def test_constants_are_computed_where_a_formula_is_quoted_only() -> None:
    tree = (1 - m.number(0.9)) * (m.o - m.y) + 2 * m.number(3) * m.z
    assert Plain().write(tree) == "(1 - 0.9)*(o - y) + 2*3*z"
    assert Plain().quoted(tree) == "0.1 (o - y) + 6 z"
    assert Plain().quoted(m.if_positive(m.z, m.z, -0.5 * m.z)) == "z if z > 0 else -0.5 z"
    assert Plain().write(-0.5 * m.z) == "(-0.5)*z"
