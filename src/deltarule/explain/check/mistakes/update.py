"""Mistakes of the update, and of the forward pass after it."""

from __future__ import annotations

from collections.abc import Iterator

from deltarule.explain.check.approx import Approx
from deltarule.explain.check.mistakes.forward import layers
from deltarule.explain.check.mistakes.gradients import biased, mistake
from deltarule.explain.check.mistakes.mistake import in_layers, once
from deltarule.explain.check.problem import Problem
from deltarule.explain.check.step import Step, Variant


def _velocity(s: Step) -> Approx:
    assert s.moving is not None
    _, _, velocity = s.moving
    return Approx(0.0) if velocity is None else Approx(velocity) * s.problem.momentum


def _with_rate(code: str) -> object:
    """Updates whose learning rate is something else."""

    def rate(s: Step) -> Approx:
        assert s.moving is not None
        alpha = s.problem.learning_rate
        return {
            "learning_rate_left_out": lambda: Approx(1.0),
            "learning_rate_twice": lambda: Approx(alpha * alpha),
            "learning_rate_replaced_by_weight": lambda: s.moving.old,
            "gradient_added": lambda: Approx(-alpha),
        }[code]()

    def wrong(s: Step, l: int, right: Approx) -> Approx:
        assert s.moving is not None
        return s.moving.old - s.moving.gradient * rate(s) + _velocity(s)

    return lambda p: in_layers(code, "update", list(layers(p)), wrong)


def _momentum(p: Problem) -> Iterator[Variant]:
    if not p.momentum or p.velocity is None:
        return
    every = list(layers(p))
    yield from in_layers(
        "momentum_sign", "update", every, lambda s, l, right: right - _velocity(s) * 2.0
    )
    yield from in_layers(
        "momentum_left_out", "update", every, lambda s, l, right: right - _velocity(s)
    )


def _momentum_of(code: str) -> object:
    return lambda p: (v for v in _momentum(p) if v.code == code)


def _old(s: Step, l: int, right: Approx) -> Approx:
    assert s.moving is not None
    return s.moving.old


def _not_updated(p: Problem) -> Iterator[Variant]:
    if p.L > 1:
        for l in layers(p):
            yield once("layer_not_updated", "update", l, _old)


def _only_last(p: Problem) -> Iterator[Variant]:
    if p.L > 2:  # with two layers that is layer_not_updated

        def wrong(s: Step, l: int, right: Approx) -> Approx:
            return right if l == s.L else _old(s, l, right)

        yield Variant("only_last_layer_updated", "update", None, wrong)


def _biases_not_updated(p: Problem) -> Iterator[Variant]:
    def kept(s: Step, l: int, right: Approx) -> Approx:
        b = s.before.b[l]
        assert b is not None
        return b

    if p.trainable_biases:
        yield from in_layers("biases_not_updated", "new_biases", biased(p), kept)


def _biases_updated(p: Problem) -> Iterator[Variant]:
    def moved(s: Step, l: int, right: Approx) -> Approx:
        g = s.gb[l]
        assert g is not None
        return right - g * s.problem.learning_rate

    if not p.trainable_biases:
        yield from in_layers("fixed_biases_updated", "new_biases", biased(p), moved)


def _old_after(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "old_weights_after", "weights_after", list(layers(p)), lambda s, l, right: s.before.W[l]
    )


_STEP = "w <- w - alpha dC/dw"

UPDATE = (
    mistake(
        "learning_rate_left_out",
        "update",
        "the learning rate was left out of the update of {where}",
        _STEP,
        "w <- w - dC/dw",
        _with_rate("learning_rate_left_out"),
    ),
    mistake(
        "learning_rate_twice",
        "update",
        "the learning rate was used twice in the update of {where}",
        _STEP,
        "w <- w - alpha^2 dC/dw",
        _with_rate("learning_rate_twice"),
    ),
    mistake(
        "learning_rate_replaced_by_weight",
        "update",
        "the update of {where} used the weight itself in place of the learning rate",
        _STEP,
        "w <- w - w dC/dw",
        _with_rate("learning_rate_replaced_by_weight"),
    ),
    mistake(
        "gradient_added",
        "update",
        "the gradient was added instead of subtracted in the update of {where}",
        _STEP,
        "w <- w + alpha dC/dw",
        _with_rate("gradient_added"),
    ),
    mistake(
        "momentum_sign",
        "update",
        "the momentum of {where} has the wrong sign",
        "w <- w + mu v - alpha dC/dw",
        "w <- w - mu v - alpha dC/dw",
        _momentum_of("momentum_sign"),
    ),
    mistake(
        "momentum_left_out",
        "update",
        "the momentum was left out of the update of {where}",
        "w <- w + mu v - alpha dC/dw",
        _STEP,
        _momentum_of("momentum_left_out"),
    ),
    mistake(
        "layer_not_updated",
        "update",
        "{where} was not updated",
        _STEP,
        "w <- w",
        _not_updated,
    ),
    mistake(
        "only_last_layer_updated",
        "update",
        "only the last layer was updated",
        "w <- w - alpha dC/dw in every layer",
        "w <- w below the last layer",
        _only_last,
    ),
    mistake(
        "biases_not_updated",
        "new_biases",
        "the biases of {where} were not updated",
        "b <- b - alpha dC/db",
        "b <- b",
        _biases_not_updated,
    ),
    mistake(
        "fixed_biases_updated",
        "new_biases",
        "the biases of {where} were updated, though they are fixed here",
        "b <- b",
        "b <- b - alpha dC/db",
        _biases_updated,
    ),
    mistake(
        "old_weights_after",
        "weights_after",
        "the forward pass after the step used the old weights of {where}",
        "z_l = a_(l-1) W_l + b_l, W after the update",
        "z_l = a_(l-1) W_l + b_l, W before the update",
        _old_after,
    ),
)
