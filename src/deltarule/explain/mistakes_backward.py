"""Mistakes of the backward pass: slopes, the signal from above, the output error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from deltarule.explain.approx import Approx, where
from deltarule.explain.mistake import Mistake, in_layers, once
from deltarule.explain.mistakes_forward import OTHER_LOSSES, alike, applies, layers, square
from deltarule.explain.step import Problem, Step, Variant, through, value_of
from deltarule.losses import get_loss
from deltarule.params import Array

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


def _hidden(p: Problem) -> list[int]:
    return list(range(1, p.L))


# -- slopes ---------------------------------------------------------------------------------------


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
                        slope = _MIXED[f](a[:, j : j + 1], a[:, k : k + 1])
                        return where(np.arange(right.shape[1]) == j, slope, right)

                    slope = _MIXED_TEXT[f].format(own=j + 1, other=k + 1)
                    yield once("slope_of_other_node", "slope", l, mixed, **details, slope=slope)


# One factor of the slope from the node itself, the other from another node.
_MIXED: Mapping[str, Callable[[Approx, Approx], Approx]] = {
    "sigmoid": lambda own, other: own * (1 - other),
    "tanh": lambda own, other: (1 + own) * (1 - other),
}
_MIXED_TEXT = {"sigmoid": "a_{own} (1 - a_{other})", "tanh": "(1 + a_{own}) (1 - a_{other})"}


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
        for text, slope in WRONG_SLOPES.get(kind, {}).items():

            def wrong(s: Step, l: int, right: Approx, slope: Any = slope) -> Approx:
                f = s.f(l)
                return s.before.z[l].apply(
                    lambda v: np.asarray(slope(v, f.f(v), f.parameter)) * 1.0
                )

            alike = [l for l in kinds if kinds[l] == kind]
            yield from in_layers("wrong_slope_formula", "slope", alike, wrong, formula=text)


def _s(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


# (z, a, parameter) -> a slope that people write down instead of the right one
WRONG_SLOPES: Mapping[str, Mapping[str, Callable[[Array, Array, Any], Any]]] = {
    "sigmoid": {
        "a (1 + a)": lambda z, a, _: a * (1 + a),
        "1 - a": lambda z, a, _: 1 - a,
        "1 - a^2": lambda z, a, _: 1 - a * a,
        "a (a - 1)": lambda z, a, _: a * (a - 1),
        "z (1 - z)": lambda z, a, _: z * (1 - z),
    },
    "tanh": {
        "1 - a": lambda z, a, _: 1 - a,
        "1 + a^2": lambda z, a, _: 1 + a * a,
        "a (1 - a)": lambda z, a, _: a * (1 - a),
        "1 - z^2": lambda z, a, _: 1 - z * z,
        "(1 - a)^2": lambda z, a, _: (1 - a) ** 2,
    },
    "relu": {
        "1 where z <= 0": lambda z, a, _: z <= 0,
        "sign of z": lambda z, a, _: np.sign(z),
        "z": lambda z, a, _: z,
    },
    "leaky_relu": {
        "0 below 0": lambda z, a, _: z > 0,
        "the slope below 0 everywhere": lambda z, a, c: np.full_like(z, c),
        "sides swapped": lambda z, a, c: np.where(z > 0, c, 1.0),
    },
    "elu": {
        "0 below 0": lambda z, a, _: z > 0,
        "a below 0": lambda z, a, _: np.where(z > 0, 1.0, a),
    },
    "selu": {
        "1 above 0": lambda z, a, _: np.where(z > 0, 1.0, np.minimum(a, 0) + 1.7580993408473766),
        "0 below 0": lambda z, a, _: 1.0507009873554805 * (z > 0),
    },
    "gelu": {
        "a / z": lambda z, a, _: np.where(z == 0, 0.5, a / np.where(z == 0, 1, z)),
        "relu's": lambda z, a, _: z > 0,
    },
    "silu": {
        "sigmoid(z)": lambda z, a, _: _s(z),
        "a (1 - a)": lambda z, a, _: a * (1 - a),
    },
    "softplus": {
        "1 - sigmoid(z)": lambda z, a, _: 1 - _s(z),
        "sigmoid(z) (1 - sigmoid(z))": lambda z, a, _: _s(z) * (1 - _s(z)),
    },
    "softsign": {
        "1 / (1 + |z|)": lambda z, a, _: 1 / (1 + np.abs(z)),
        "1 / (1 + z^2)": lambda z, a, _: 1 / (1 + z * z),
    },
    "mish": {
        "tanh(softplus(z))": lambda z, a, _: np.tanh(np.logaddexp(0, z)),
        "relu's": lambda z, a, _: z > 0,
    },
    "exp": {"z exp(z)": lambda z, a, _: z * a, "1 / a": lambda z, a, _: 1 / a},
}


# -- the signal from above ------------------------------------------------------------------------


def _transposed(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "weights_transposed_backward",
        "back",
        [l for l in _hidden(p) if square(p, l + 1)],
        lambda s, l, right: s.masked(l, s.delta[l + 1] @ s.before.W[l + 1]),
    )


def _other_layers_weights(p: Problem) -> Iterator[Variant]:
    for l in _hidden(p):
        for k in alike(p, l + 1):

            def wrong(s: Step, l: int, right: Approx, k: int = k) -> Approx:
                return s.masked(l, s.delta[l + 1] @ s.before.W[k].T)

            yield once("weights_of_other_layer_backward", "back", l, wrong, other=k)


def _updated(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "updated_weights_backward",
        "back",
        _hidden(p),
        lambda s, l, right: s.masked(l, s.delta[l + 1] @ s.new_W[l + 1].T),
    )


def _with_bias(p: Problem) -> Iterator[Variant]:
    def wrong(s: Step, l: int, right: Approx) -> Approx:
        b = s.before.b[l + 1]
        assert b is not None
        return right + (s.delta[l + 1] * b).sum(axis=1)[:, None]

    yield from in_layers(
        "bias_in_backward", "back", [l for l in _hidden(p) if p.net.bias[l]], wrong
    )


def _without_weights(p: Problem) -> Iterator[Variant]:
    def wrong(s: Step, l: int, right: Approx) -> Approx:
        ones = s.existing(l + 1, Approx(np.ones(s.before.W[l + 1].shape)))
        return s.masked(l, s.delta[l + 1] @ ones.T)

    yield from in_layers("weights_left_out_backward", "back", _hidden(p), wrong)


def _incomplete(p: Problem) -> Iterator[Variant]:
    for l in _hidden(p):
        width = p.net.sizes[l + 1]
        for k in some(width) if width > 1 else ():

            def wrong(s: Step, l: int, right: Approx, k: int = k) -> Approx:
                one = s.delta[l + 1][:, k : k + 1] @ s.before.W[l + 1][:, k : k + 1].T
                return s.masked(l, one)

            yield once("incomplete_sum", "back", l, wrong, node=k + 1, above=l + 1)


def _not_masked(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "dropout_not_backward",
        "back",
        [l for l in _hidden(p) if p.mask(l) is not None],
        lambda s, l, right: s.delta[l + 1] @ s.before.W[l + 1].T,
    )


# -- the output error -----------------------------------------------------------------------------


def _sign(p: Problem) -> Iterator[Variant]:
    yield once("output_error_sign", "delta", p.L, lambda s, l, right: -right)


def _other_loss(p: Problem) -> Iterator[Variant]:
    f = p.net.activations[-1]
    for name in OTHER_LOSSES:
        loss = get_loss(name)
        if loss is p.net.loss:
            continue

        def wrong(s: Step, l: int, right: Approx, loss: Any = loss) -> Approx:
            a, Y = s.before.a[l], s.problem.Y
            if not applies(loss, a.v, Y):
                return right
            if loss.fused_dJ is not None and loss.links(f):
                return a - Y
            error = a.apply_rows(lambda o: np.asarray(loss.dJ(o, Y), dtype=np.float64))
            return through(f, s.before.z[l], error, s.slope[l])

        yield once("delta_of_other_loss", "delta", p.L, wrong, other=name)


def _slope_at_output(p: Problem) -> Iterator[Variant]:
    """dJ/do passed on as delta_L, without the output activation's slope."""
    if p.net.activations[-1].name == "identity":
        return
    yield once("output_error_without_slope", "delta", p.L, lambda s, l, right: s.output_error())


def _diagonal(p: Problem) -> Iterator[Variant]:
    if p.net.activations[-1].jacobian_product is None:
        return

    def wrong(s: Step, l: int, right: Approx) -> Approx:
        a = s.before.a[l]
        return s.output_error() * (a * (1 - a))

    yield once("softmax_diagonal", "delta", p.L, wrong)


def _factor(p: Problem) -> Iterator[Variant]:
    for factor, name in ((2.0, "2"), (0.5, "1/2")):
        yield once(
            "error_factor",
            "delta",
            p.L,
            lambda s, l, right, factor=factor: right * factor,  # type: ignore[misc]
            factor=name,
        )


def _mean_over_outputs(p: Problem) -> Iterator[Variant]:
    k = p.net.sizes[-1]
    if k > 1:
        yield once("mean_over_outputs", "delta", p.L, lambda s, l, right: right / k, k=k)


BACKWARD = (
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
    Mistake(
        "weights_transposed_backward",
        "back",
        "the weights were not transposed in the backward pass to {where}",
        "delta_(l+1) W_(l+1)^T",
        "delta_(l+1) W_(l+1)",
        _transposed,
    ),
    Mistake(
        "weights_of_other_layer_backward",
        "back",
        "the backward pass to {where} used the weights of layer {other}",
        "delta_(l+1) W_(l+1)^T",
        "delta_(l+1) W_{other}^T",
        _other_layers_weights,
    ),
    Mistake(
        "updated_weights_backward",
        "back",
        "the backward pass to {where} used weights that were updated already",
        "delta_(l+1) W_(l+1)^T, W before the update",
        "delta_(l+1) W_(l+1)^T, W after the update",
        _updated,
    ),
    Mistake(
        "bias_in_backward",
        "back",
        "the bias was carried into the backward pass to {where}",
        "delta_(l+1) W_(l+1)^T",
        "delta_(l+1) W_(l+1)^T + delta_(l+1) b_(l+1)^T",
        _with_bias,
    ),
    Mistake(
        "weights_left_out_backward",
        "back",
        "the weights were left out of the backward pass to {where}",
        "sum_j delta_j w_ij",
        "sum_j delta_j",
        _without_weights,
    ),
    Mistake(
        "incomplete_sum",
        "back",
        "in {where}, only the path through node {node} of layer {above} was followed",
        "sum_j delta_j w_ij over all nodes j of layer {above}",
        "delta_{node} w_i{node} alone",
        _incomplete,
    ),
    Mistake(
        "dropout_not_backward",
        "back",
        "the dropout mask of {where} was not applied in the backward pass",
        "(delta_(l+1) W_(l+1)^T) * mask_l",
        "delta_(l+1) W_(l+1)^T",
        _not_masked,
    ),
    Mistake(
        "output_error_sign",
        "delta",
        "the output error has the wrong sign (y - o)",
        "dC/do = o - y",
        "dC/do = y - o",
        _sign,
    ),
    Mistake(
        "delta_of_other_loss",
        "delta",
        "the output delta is that of {other}",
        "delta_L = dJ/do f'(z_L) of the loss at hand",
        "delta_L of {other}",
        _other_loss,
    ),
    Mistake(
        "output_error_without_slope",
        "delta",
        "the output delta lacks the slope of the output activation",
        "delta_L = dJ/do f'(z_L)",
        "delta_L = dJ/do",
        _slope_at_output,
    ),
    Mistake(
        "softmax_diagonal",
        "delta",
        "the Jacobian of softmax was taken as diagonal",
        "da_i/dz_j = a_i ([i = j] - a_j)",
        "da_i/dz_j = a_i (1 - a_i) for i = j, else 0",
        _diagonal,
    ),
    Mistake(
        "error_factor",
        "delta",
        "the output delta has a factor {factor} too much",
        "J = 1/2 (o - y)^2, dJ/do = o - y",
        "dJ/do = {factor} (o - y)",
        _factor,
    ),
    Mistake(
        "mean_over_outputs",
        "delta",
        "the output error was divided by the number of outputs, {k}",
        "dJ/do = o - y",
        "dJ/do = (o - y) / {k}",
        _mean_over_outputs,
    ),
)
