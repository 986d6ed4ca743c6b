"""Mistakes of the forward pass and of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from deltarule.equations.activations import get_activation
from deltarule.equations.losses import get_loss
from deltarule.equations.params import Array
from deltarule.explain.check.approx import Approx
from deltarule.explain.check.mistakes.mistake import Mistake, in_layers, once
from deltarule.explain.check.problem import Problem
from deltarule.explain.check.step import Step, Variant, value_of

OTHER_ACTIVATIONS = ("sigmoid", "tanh", "relu", "identity")
OTHER_LOSSES = ("squared_error", "log_loss", "cross_entropy", "absolute_error")


def layers(p: Problem) -> range:
    """1..L."""
    return range(1, p.L + 1)


def square(p: Problem, l: int) -> bool:
    """Whether W_l has as many rows as columns."""
    return p.net.sizes[l - 1] == p.net.sizes[l] > 1


def alike(p: Problem, l: int) -> list[int]:
    """Layers whose weights have the shape of W_l."""
    sizes = p.net.sizes
    return [k for k in layers(p) if k != l and sizes[k - 1 : k + 1] == sizes[l - 1 : l + 1]]


def applies(loss: Any, o: Array, y: Array) -> bool:
    """Whether a loss can be taken of these outputs and targets."""
    low, high = loss.domain
    if loss.name == "log_loss" and not ((y >= 0) & (y <= 1)).all():
        return False
    return bool(((o >= low) & (o <= high)).all())


def _biased(p: Problem) -> list[int]:
    return [l for l in layers(p) if p.net.bias[l - 1]]


def _bias(s: Step, l: int) -> Approx:
    b = s.p.b[l]
    assert b is not None
    return b


def _bias_left_out(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "bias_left_out_forward", "z", _biased(p), lambda s, l, right: right - _bias(s, l)
    )


def _bias_subtracted(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "bias_subtracted", "z", _biased(p), lambda s, l, right: right - _bias(s, l) * 2
    )


def _curved(p: Problem) -> list[int]:
    return [l for l in layers(p) if p.net.activations[l - 1].name != "identity"]


def _activation_left_out(p: Problem) -> Iterator[Variant]:
    yield from in_layers("activation_left_out", "a", _curved(p), lambda s, l, right: s.p.z[l])


def _activation_twice(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "activation_twice", "a", _curved(p), lambda s, l, right: value_of(s.f(l), right)
    )


def _other_activation(p: Problem) -> Iterator[Variant]:
    for name in OTHER_ACTIVATIONS:
        f = get_activation(name)
        where = [l for l in layers(p) if p.net.activations[l - 1] is not f]
        if name == "identity":
            continue  # that is activation_left_out
        yield from in_layers(
            "other_activation",
            "a",
            where,
            lambda s, l, right, f=f: value_of(f, s.p.z[l]),  # type: ignore[misc]  # mypy types no default of a lambda
            other=name,
        )


def _transposed(p: Problem) -> Iterator[Variant]:
    def wrong(s: Step, l: int, right: Approx) -> Approx:
        return right + s.p.a[l - 1] @ s.p.W[l].T - s.p.a[l - 1] @ s.p.W[l]

    where = [l for l in layers(p) if square(p, l)]
    yield from in_layers("weights_transposed_forward", "z", where, wrong)


def _other_layer(p: Problem) -> Iterator[Variant]:
    for l in layers(p):
        for k in alike(p, l):

            def wrong(s: Step, l: int, right: Approx, k: int = k) -> Approx:
                return right + s.p.a[l - 1] @ s.p.W[k] - s.p.a[l - 1] @ s.p.W[l]

            yield once("weights_of_other_layer_forward", "z", l, wrong, other=k)


# -- the loss -------------------------------------------------------------------------------------


def _loss_scaled(p: Problem) -> Iterator[Variant]:
    for factor, name in ((2.0, "2"), (0.5, "1/2")):
        yield once(
            "loss_factor",
            "loss",
            0,
            lambda s, l, right, factor=factor: right * factor,  # type: ignore[misc]  # mypy types no default of a lambda
            factor=name,
        )


def _loss_mean_over_outputs(p: Problem) -> Iterator[Variant]:
    k = p.net.sizes[-1]
    if k > 1:
        yield once("loss_mean_over_outputs", "loss", 0, lambda s, l, right: right / k, k=k)


def _loss_of_the_batch(p: Problem) -> Iterator[Variant]:
    if p.n > 1:
        yield once("loss_average_missing", "loss", 0, lambda s, l, right: right * s.n)
        yield once("loss_average_doubled", "loss", 0, lambda s, l, right: right / s.n)


def _loss_sign(p: Problem) -> Iterator[Variant]:
    yield once("loss_sign", "loss", 0, lambda s, l, right: -right)


def _one_output(p: Problem) -> Iterator[Variant]:
    k = p.net.sizes[-1]
    for j in sorted({0, k - 1}) if k > 1 else ():

        def wrong(s: Step, l: int, right: Approx, j: int = j) -> Approx:
            others = s.problem.Y.copy()
            kept = np.arange(k) == j
            o = s.p.a[s.L]
            return _loss_value(
                s, get_loss(s.net.loss), Approx(np.where(kept, o.v, others), o.r * kept)
            )

        if p.net.loss.name in ("squared_error", "absolute_error"):
            yield once("loss_of_one_output", "loss", 0, wrong, node=j + 1)


def _loss_value(s: Step, loss: Any, o: Approx) -> Approx:
    def J(moved: Array) -> Array:
        return np.asarray(loss.J(moved, s.problem.Y), dtype=np.float64)[:, None]

    return (o.apply_rows(J) * s.share).sum()


def _other_loss(p: Problem) -> Iterator[Variant]:
    for name in OTHER_LOSSES:
        loss = get_loss(name)
        if loss is p.net.loss:
            continue

        def wrong(s: Step, l: int, right: Approx, loss: Any = loss) -> Approx:
            o = s.p.a[s.L]
            return _loss_value(s, loss, o) if applies(loss, o.v, s.problem.Y) else right

        yield once("loss_of_other_kind", "loss", 0, wrong, other=name)


FORWARD = (
    Mistake(
        "bias_left_out_forward",
        "z",
        "the bias was left out of the net input of {where}",
        "z_l = a_(l-1) W_l + b_l",
        "z_l = a_(l-1) W_l",
        _bias_left_out,
    ),
    Mistake(
        "bias_subtracted",
        "z",
        "the bias was subtracted in the net input of {where}",
        "z_l = a_(l-1) W_l + b_l",
        "z_l = a_(l-1) W_l - b_l",
        _bias_subtracted,
    ),
    Mistake(
        "activation_left_out",
        "a",
        "the activation function was left out in {where}",
        "a_l = f(z_l)",
        "a_l = z_l",
        _activation_left_out,
    ),
    Mistake(
        "activation_twice",
        "a",
        "the activation function was applied twice in {where}",
        "a_l = f(z_l)",
        "a_l = f(f(z_l))",
        _activation_twice,
    ),
    Mistake(
        "other_activation",
        "a",
        "{where} went through {other} instead of its own activation function",
        "a_l = f(z_l)",
        "a_l = {other}(z_l)",
        _other_activation,
    ),
    Mistake(
        "weights_transposed_forward",
        "z",
        "the weights were transposed in the forward pass of {where}",
        "z_l = a_(l-1) W_l + b_l",
        "z_l = a_(l-1) W_l^T + b_l",
        _transposed,
    ),
    Mistake(
        "weights_of_other_layer_forward",
        "z",
        "the forward pass of {where} used the weights of layer {other}",
        "z_l = a_(l-1) W_l + b_l",
        "z_l = a_(l-1) W_{other} + b_l",
        _other_layer,
    ),
    Mistake(
        "loss_factor",
        "loss",
        "the loss has a factor {factor} too much",
        "C = mean of J(o, y)",
        "C = {factor} * mean of J(o, y)",
        _loss_scaled,
    ),
    Mistake(
        "loss_mean_over_outputs",
        "loss",
        "the loss was averaged over the {k} outputs instead of summed",
        "J = sum over the outputs",
        "J = 1/{k} sum over the outputs",
        _loss_mean_over_outputs,
    ),
    Mistake(
        "loss_average_missing",
        "loss",
        "the loss was summed over the samples instead of averaged",
        "C = 1/n sum J",
        "C = sum J",
        lambda p: (v for v in _loss_of_the_batch(p) if v.code == "loss_average_missing"),
    ),
    Mistake(
        "loss_average_doubled",
        "loss",
        "the loss was divided by the number of samples twice",
        "C = 1/n sum J",
        "C = 1/n^2 sum J",
        lambda p: (v for v in _loss_of_the_batch(p) if v.code == "loss_average_doubled"),
    ),
    Mistake(
        "loss_sign",
        "loss",
        "the loss has the wrong sign",
        "C = mean of J(o, y)",
        "C = -mean of J(o, y)",
        _loss_sign,
    ),
    Mistake(
        "loss_of_one_output",
        "loss",
        "the loss was taken of output {node} alone",
        "J = sum over the outputs",
        "J = the term of output {node}",
        _one_output,
    ),
    Mistake(
        "loss_of_other_kind",
        "loss",
        "the loss was computed as {other}",
        "C = mean of J(o, y)",
        "C = mean of {other}(o, y)",
        _other_loss,
    ),
)
