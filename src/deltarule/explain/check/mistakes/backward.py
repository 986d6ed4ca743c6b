"""Mistakes of the backward pass: the signal from above, the output error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from deltarule.equations.losses import get_loss
from deltarule.explain.check.approx import Approx
from deltarule.explain.check.mistakes.forward import OTHER_LOSSES, alike, applies, square
from deltarule.explain.check.mistakes.mistake import Mistake, in_layers, once
from deltarule.explain.check.mistakes.slopes import some
from deltarule.explain.check.problem import Problem
from deltarule.explain.check.step import Step, Variant, through


def _hidden(p: Problem) -> list[int]:
    return list(range(1, p.L))


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
            lambda s, l, right, factor=factor: right * factor,  # type: ignore[misc]  # mypy types no default of a lambda
            factor=name,
        )


def _mean_over_outputs(p: Problem) -> Iterator[Variant]:
    k = p.net.sizes[-1]
    if k > 1:
        yield once("mean_over_outputs", "delta", p.L, lambda s, l, right: right / k, k=k)


BACKWARD = (
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
