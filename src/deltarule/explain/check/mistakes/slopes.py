"""Mistakes of the slopes: left out, taken elsewhere, applied twice, or computed wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from deltarule.equations.params import Array
from deltarule.explain.check.approx import Approx, where
from deltarule.explain.check.mistakes.forward import layers
from deltarule.explain.check.mistakes.mistake import Mistake, in_layers, once
from deltarule.explain.check.problem import Problem
from deltarule.explain.check.step import Step, Variant, value_of
from deltarule.formula import alphabet as m
from deltarule.formula.expression import Expression
from deltarule.formula.function import Variable
from deltarule.formula.plain import Plain
from deltarule.formula.value import evaluated

_MANY = 8  # above so many nodes only the first and the last are tried


def some(k: int) -> list[int]:
    """All of k nodes, or the first and the last of many."""
    return list(range(k)) if k <= _MANY else [0, k - 1]


def _fused(p: Problem) -> bool:
    return p.net.loss.fused_dJ is not None and p.net.loss.links(p.net.activations[-1])


def _sloped(p: Problem) -> list[int]:
    """Layers whose delta has a slope factor that is not 1."""
    return [
        l
        for l in layers(p)
        if p.net.activations[l - 1].name != "identity"
        and p.net.activations[l - 1].jacobian_product is None
        and not (l == p.L and _fused(p))
    ]


def _left_out(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "slope_left_out", "slope", _sloped(p), lambda s, l, right: Approx(np.ones(right.shape))
    )


def _of_other_node(p: Problem) -> Iterator[Variant]:
    for l in _sloped(p):
        width = p.net.sizes[l]
        f = p.net.activations[l - 1].name
        for j in some(width):
            for k in some(width):
                if j == k:
                    continue

                def whole(s: Step, l: int, right: Approx, j: int = j, k: int = k) -> Approx:
                    return where(np.arange(right.shape[1]) == j, right[:, k : k + 1], right)

                details = {"node": j + 1, "other": k + 1}
                slope = f"f'(z of node {k + 1})"
                yield once("slope_of_other_node", "slope", l, whole, **details, slope=slope)
                if f in _MIXED:

                    def mixed(
                        s: Step, l: int, right: Approx, j: int = j, k: int = k, f: str = f
                    ) -> Approx:
                        a = s.before.a[l]
                        at = {_OWN: a[:, j : j + 1], _OTHER: a[:, k : k + 1]}
                        slope = evaluated(_MIXED[f](_OWN, _OTHER), at)
                        return where(np.arange(right.shape[1]) == j, slope, right)

                    tree = _MIXED[f](Variable("a", (j + 1,)), Variable("a", (k + 1,)))
                    slope = Plain().quoted(tree)
                    yield once("slope_of_other_node", "slope", l, mixed, **details, slope=slope)


_OWN, _OTHER, _PARAMETER = map(Variable, ("own", "other", "c"))
# One factor of the slope from the node itself, the other from another node.
_MIXED: Mapping[str, Callable[[Variable, Variable], Expression]] = {
    "sigmoid": lambda own, other: own * (1 - other),
    "tanh": lambda own, other: (1 + own) * (1 - other),
}


def _of_other_layer(p: Problem) -> Iterator[Variant]:
    sizes = p.net.sizes
    for l in _sloped(p):
        for k in layers(p):
            if (
                k != l
                and sizes[k] == sizes[l]
                and p.net.activations[k - 1].jacobian_product is None
            ):

                def wrong(s: Step, l: int, right: Approx, k: int = k) -> Approx:
                    return s.before.z[k].apply(s.f(k).df)

                yield once("slope_of_other_layer", "slope", l, wrong, other=k)


def _at_activation(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "slope_at_activation",
        "slope",
        _sloped(p),
        lambda s, l, right: s.before.a[l].apply(s.f(l).df),
    )


def _value(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "value_in_place_of_slope",
        "slope",
        _sloped(p),
        lambda s, l, right: value_of(s.f(l), s.before.z[l]),
    )


def _twice(p: Problem) -> Iterator[Variant]:
    yield from in_layers("slope_twice", "slope", _sloped(p), lambda s, l, right: right * right)
    f = p.net.activations[-1]
    if _fused(p) and f.name != "identity":

        def wrong(s: Step, l: int, right: Approx) -> Approx:
            a = s.before.a[l]
            slope = a * (1 - a) if f.jacobian_product is not None else s.slope[l]
            return right * slope

        yield once("slope_twice", "delta", p.L, wrong)


def _wrong_formula(p: Problem) -> Iterator[Variant]:
    kinds = {l: p.net.activations[l - 1].name.partition("(")[0] for l in _sloped(p)}
    for kind in dict.fromkeys(kinds.values()):
        for text, tree in WRONG_SLOPES.get(kind, {}).items():

            def wrong(s: Step, l: int, right: Approx, tree: Expression = tree) -> Approx:
                f = s.f(l)

                def slope(z: Array) -> Array:
                    at = {m.z: z, m.a: f.f(z), _PARAMETER: f.parameter}
                    return np.broadcast_to(evaluated(tree, at), z.shape)

                return s.before.z[l].apply(slope)

            alike = [l for l in kinds if kinds[l] == kind]
            yield from in_layers("wrong_slope_formula", "slope", alike, wrong, formula=text)


def _by_text(*trees: Expression) -> Mapping[str, Expression]:
    return {Plain().quoted(tree): tree for tree in trees}


_SIGMOID = 1 / (1 + m.exp(-m.z))
_STEP = m.if_positive(m.z, 1, 0)

# Slopes that people write down instead of the right one, by what they are called.
WRONG_SLOPES: Mapping[str, Mapping[str, Expression]] = {
    "sigmoid": _by_text(m.a * (1 + m.a), 1 - m.a, 1 - m.a**2, m.a * (m.a - 1), m.z * (1 - m.z)),
    "tanh": _by_text(1 - m.a, 1 + m.a**2, m.a * (1 - m.a), 1 - m.z**2, (1 - m.a) ** 2),
    "relu": {
        "1 where z <= 0": m.if_positive(m.z, 0, 1),
        "sign of z": m.sign(m.z),
        "z": m.z,
    },
    "leaky_relu": {
        "0 below 0": _STEP,
        "the slope below 0 everywhere": _PARAMETER,
        "sides swapped": m.if_positive(m.z, _PARAMETER, 1),
    },
    "elu": {"0 below 0": _STEP, "a below 0": m.if_positive(m.z, 1, m.a)},
    "selu": {
        "1 above 0": m.if_positive(m.z, 1, m.a + 1.7580993408473766),
        "0 below 0": m.if_positive(m.z, 1.0507009873554805, 0),
    },
    "gelu": {"a / z": m.Phi(m.z), "relu's": _STEP},
    "silu": {"sigmoid(z)": _SIGMOID, **_by_text(m.a * (1 - m.a))},
    "softplus": {
        "1 - sigmoid(z)": 1 - _SIGMOID,
        "sigmoid(z) (1 - sigmoid(z))": _SIGMOID * (1 - _SIGMOID),
    },
    "softsign": _by_text(1 / (1 + m.absolute(m.z)), 1 / (1 + m.z**2)),
    "mish": {"tanh(softplus(z))": m.tanh(m.log(1 + m.exp(m.z))), "relu's": _STEP},
    "exp": _by_text(m.z * m.exp(m.z), 1 / m.a),
}


SLOPES = (
    Mistake(
        "slope_left_out",
        "slope",
        "the slope of the activation was left out of the delta of {where}",
        "delta_l = (delta_(l+1) W_(l+1)^T) * f'(z_l)",
        "delta_l = delta_(l+1) W_(l+1)^T",
        _left_out,
    ),
    Mistake(
        "slope_of_other_node",
        "slope",
        "in {where}, the delta of node {node} took the slope of node {other}",
        "delta of node {node}: ... * f'(z of node {node})",
        "delta of node {node}: ... * {slope}",
        _of_other_node,
    ),
    Mistake(
        "slope_of_other_layer",
        "slope",
        "the delta of {where} took the slope of layer {other}",
        "delta_l = (delta_(l+1) W_(l+1)^T) * f'(z_l)",
        "delta_l = (delta_(l+1) W_(l+1)^T) * f'(z_{other})",
        _of_other_layer,
    ),
    Mistake(
        "slope_at_activation",
        "slope",
        "the slope of {where} was taken at a instead of z",
        "f'(z_l)",
        "f'(a_l)",
        _at_activation,
    ),
    Mistake(
        "value_in_place_of_slope",
        "slope",
        "the value f(z) was used in place of the slope f'(z) in {where}",
        "f'(z_l)",
        "f(z_l)",
        _value,
    ),
    Mistake(
        "slope_twice",
        "slope",
        "the slope was applied twice in {where}",
        "one factor f'(z_l); none for a fused pair, whose delta is o - y",
        "f'(z_l) once too often",
        _twice,
    ),
    Mistake(
        "wrong_slope_formula",
        "slope",
        "the slope of {where} was computed as {formula}",
        "f'(z_l)",
        "{formula}",
        _wrong_formula,
    ),
)
