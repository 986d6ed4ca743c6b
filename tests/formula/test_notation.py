"""The symbols of the four documents, as they stand there, and how they are set."""

from __future__ import annotations

import re

import pytest

from deltarule.formula.notation import NOTATIONS, Symbols, get_notation
from deltarule.formula.typeset import html

SIZES = [9, 8, 7, 6, 5, 4]  # document D's network has five layers


def test_document_d() -> None:  # D1, D4, D5
    s = Symbols("index", SIZES)
    assert s.z(5, "i") == "x_5i"
    assert s.a(0, 3) == "y_03"
    assert s.W(1, i=3, j=7) == "w_173"
    assert s.y("i") == "t_i"
    assert s.delta(4, "j") == "e_4j"
    assert s.net_input(1, bias=False) == "x_1j = sum_k w_1jk*y_0k"
    assert s.delta_rule(4) == "e_4j = sum_i e_5i*w_5ij*f_4'(x_4j)"
    assert s.weight_gradient(1) == "dE/dw_1jk = -e_1j*y_0k"
    assert s.activation_gradient(0) == "dE/dy_0k = -sum_j e_1j*w_1jk"
    assert s.output_error() == "t_j - y_5j"


def test_document_c() -> None:  # C2, C8, C10
    s = Symbols("delta", SIZES)
    assert s.net_input(2, bias=True) == "z_i^2 = sum_j w_ij^2*a_j^1 + b_i^2"
    assert s.activation(2, "") == "a_i^2 = f(z_i^2)"
    assert s.delta_rule(2) == "delta_i^2 = f'(z_i^2)*sum_j w_ji^3*delta_j^3"
    assert s.weight_gradient(2) == "dE/dw_ij^2 = delta_i^2*a_j^1"
    assert s.update(s.W(2, "j", "i")) == "w_ij^2 <- w_ij^2 - alpha*dE/dw_ij^2"
    assert s.W(2, i=3, j=1) == "w_13^2"  # from 3 to 1


def test_document_b() -> None:  # B1, B5
    s = Symbols("row", SIZES)
    assert s.a(0) == "a_1"
    assert s.net_input(1, bias=True) == "z_2 = a_1 w_1 + b_1"
    assert s.activation(1, "") == "a_2 = sigma(z_2)"
    assert s.delta_rule(1) == "delta_2 = delta_3 w_2' .* sigma'(z_2)"
    assert s.weight_gradient(1) == "dC/dw_1 = a_1' delta_2"
    assert s.bias_gradient(1) == "dC/db_1 = delta_2"
    assert s.output_error() == "a_6 - y"


def test_document_a() -> None:  # A1, A4, A5, A8
    s = Symbols("column", SIZES)
    assert s.a(0, 2) == "O_2^(1)"
    assert s.net_input(1, bias=False) == "net_j^(2) = sum_i w_ji^(1)*O_i^(1)"
    assert s.activation(1, "") == "O_j^(2) = sigma(net_j^(2))"
    assert s.W(1, i=3, j=7) == "w_73^(1)"
    assert s.activation_gradient(1) == "dJ/dO_j^(2) = sum_k w_kj^(2)*dJ/dnet_k^(3)"
    assert s.delta_from_gradient(1) == "dJ/dnet_j^(2) = dJ/dO_j^(2)*sigma'(net_j^(2))"


def test_canonical() -> None:
    s = Symbols("canonical", SIZES)
    assert s.net_input(1, bias=True) == "z_1[j] = sum_i a_0[i]*W_1[i,j] + b_1[j]"
    assert s.activation_gradient(1) == "dJ/da_1[j] = sum_k delta_2[k]*W_2[j,k]"
    assert s.weight_gradient(1) == "dC/dW_1[i,j] = a_0[i]*delta_1[j]"


@pytest.mark.parametrize("notation", sorted(NOTATIONS))
def test_no_two_numbers_share_a_symbol_however_large_the_network(notation: str) -> None:
    sizes = [12, 11, 13]
    s, seen = Symbols(notation, sizes), set()
    for l in range(3):
        for j in range(1, sizes[l] + 1):
            names = [s.a(l, j)]
            if l:
                names += [s.z(l, j), s.b(l, j), s.delta(l, j)]
                names += [s.W(l, i, j) for i in range(1, sizes[l - 1] + 1)]
            assert not seen & set(names)
            assert len(set(names)) == len(names)
            seen |= set(names)


def test_unknown_notations_are_named() -> None:
    assert get_notation("row").matrix
    with pytest.raises(ValueError, match=r"unknown notation 'rows'\. Did you mean 'row'"):
        get_notation("rows")


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        ("z_1[2] = 1*(-0.2)", "z1[2] = 1·(\N{MINUS SIGN}0.2)"),
        ("w_21^1 <- 0.5", "w211 ← 0.5"),
        ("dC/dW_1[i,j] = 1.2e-5", "∂C/∂W1[i,j] = 1.2·10\N{MINUS SIGN}5"),
        ("f_2'(z) = a (1 - a)^2", "f\N{PRIME}2(z) = a (1 \N{MINUS SIGN} a)2"),
        ("delta_i^2 = sum_j net_j^(3)", "δi2 = Σj netj(3)"),
        ("a < b & <i>", "a < b & <i>"),
        ("x .* y", "x ⊙ y"),
    ],
)
def test_formulas_set_as_html_read_as_they_should(formula: str, shown: str) -> None:
    import html as standard

    text = html(formula)
    assert standard.unescape(re.sub(r"</?(i|sub|sup)>", "", text)) == shown
    assert not re.search(r"<(?!/?(?:i|sub|sup)>)", text)


def test_indices_and_powers_stand_where_they_belong() -> None:
    assert html("w_21^1") == "<i>w</i><sub>21</sub><sup>1</sup>"
    assert html("1/2*(o - y)^2").endswith(")<sup>2</sup>")
    assert html("2e-7") == "2·10<sup>\N{MINUS SIGN}7</sup>"
    assert html("w_1,10,3") == "<i>w</i><sub>1,10,3</sub>"
