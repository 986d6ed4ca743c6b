"""Mistakes of the gradients, of the average over the samples and of the penalty."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from deltarule.explain.check.approx import Approx
from deltarule.explain.check.mistakes.forward import layers, square
from deltarule.explain.check.mistakes.mistake import Mistake, in_layers, once
from deltarule.explain.check.problem import Problem
from deltarule.explain.check.step import Step, Variant


def biased(p: Problem) -> list[int]:
    return [l for l in layers(p) if p.net.bias[l - 1]]


def _gradient(s: Step, l: int, a: Approx, delta: Approx) -> Approx:
    """a^T delta with the share and the penalty of the right rule."""
    g = a.T @ delta * s.share
    return s.existing(l, g + s.before.W[l] * s.problem.l2 if s.problem.l2 else g)


# -- gradients ------------------------------------------------------------------------------------


def _wrong_activation(p: Problem) -> Iterator[Variant]:
    sizes = p.net.sizes
    for l in layers(p):
        if sizes[l] == sizes[l - 1]:

            def own(s: Step, l: int, right: Approx) -> Approx:
                return _gradient(s, l, s.before.a[l], s.delta[l])

            yield once("wrong_activation_in_gradient", "weight_gradients", l, own, used=f"a_{l}")
        if l > 1:

            def net_input(s: Step, l: int, right: Approx) -> Approx:
                return _gradient(s, l, s.before.z[l - 1], s.delta[l])

            yield once(
                "wrong_activation_in_gradient", "weight_gradients", l, net_input, used=f"z_{l - 1}"
            )

        def ones(s: Step, l: int, right: Approx) -> Approx:
            return _gradient(s, l, Approx(np.ones(s.before.a[l - 1].shape)), s.delta[l])

        yield once("wrong_activation_in_gradient", "weight_gradients", l, ones, used="1")


def _previous_sample(p: Problem) -> Iterator[Variant]:
    def wrong(s: Step, l: int, right: Approx) -> Approx:
        a = s.before.a[l - 1]
        rolled = Approx(np.roll(a.v, 1, axis=0), np.roll(a.r, 1, axis=0))
        return _gradient(s, l, rolled, s.delta[l])

    if p.n > 1:
        yield from in_layers(
            "activations_of_previous_sample", "weight_gradients", list(layers(p)), wrong
        )


def _transposed(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "weight_gradient_transposed",
        "weight_gradients",
        [l for l in layers(p) if square(p, l)],
        lambda s, l, right: right.T,
    )


def _delta_of_other_layer(p: Problem) -> Iterator[Variant]:
    sizes = p.net.sizes
    for l in layers(p):
        for k in layers(p):
            if k <= l or sizes[k] != sizes[l]:
                continue

            def wrong(s: Step, l: int, right: Approx, k: int = k) -> Approx:
                return _gradient(s, l, s.before.a[l - 1], s.delta[k])

            yield once("delta_of_other_layer", "weight_gradients", l, wrong, other=k)


def _bias_missing(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "bias_gradient_missing", "bias_gradients", biased(p), lambda s, l, right: right * 0.0
    )


def _bias_one_sample(p: Problem) -> Iterator[Variant]:
    for which, name in ((0, "first"), (-1, "last")) if p.n > 1 else ():
        yield from in_layers(
            "bias_gradient_of_one_sample",
            "bias_gradients",
            biased(p),
            lambda s, l, right, which=which: s.delta[l][which] * s.share,  # type: ignore[misc]  # mypy types no default of a lambda
            sample=name,
        )


def _bias_times_activation(p: Problem) -> Iterator[Variant]:
    yield from in_layers(
        "bias_gradient_times_activation",
        "bias_gradients",
        biased(p),
        lambda s, l, right: (s.delta[l] * s.before.a[l]).sum(axis=0) * s.share,
    )


def _one_sample(p: Problem) -> Iterator[Variant]:
    for which, name in ((0, "first"), (-1, "last")) if p.n > 1 else ():

        def wrong(s: Step, l: int, right: Approx, which: int = which) -> Approx:
            row = slice(which, which + 1 if which >= 0 else None)
            return _gradient(s, l, s.before.a[l - 1][row], s.delta[l][row])

        yield from in_layers(
            "weight_gradient_of_one_sample",
            "weight_gradients",
            list(layers(p)),
            wrong,
            sample=name,
        )


def _average(p: Problem) -> Iterator[Variant]:
    if p.n > 1 and p.reduction == "mean":
        yield once("average_missing", "share", 0, lambda s, l, right: right * s.n)
        yield once("average_doubled", "share", 0, lambda s, l, right: right / s.n)


def _average_of(rule: str, code: str) -> object:
    def variants(p: Problem) -> Iterator[Variant]:
        if p.n == 1 or p.reduction != "mean":
            return
        where = biased(p) if rule == "bias_gradients" else list(layers(p))
        for factor, name in ((float(p.n), "n"), (1 / p.n, "1/n")):
            yield from in_layers(
                code,
                rule,
                where,
                lambda s, l, right, factor=factor: right * factor,  # type: ignore[misc]  # mypy types no default of a lambda
                factor=name,
            )

    return variants


# -- the penalty ----------------------------------------------------------------------------------


def _penalty(p: Problem) -> Iterator[Variant]:
    if not p.l2:
        return

    def add(times: float) -> object:
        return lambda s, l, right: right + s.before.W[l] * (times * s.problem.l2)

    every = list(layers(p))
    for code, times in (("l2_missing", -1.0), ("l2_not_halved", 1.0), ("l2_sign", -2.0)):
        yield from in_layers(code, "weight_gradients", every, add(times))  # type: ignore[arg-type]  # told as object, for short

    def on_bias(s: Step, l: int, right: Approx) -> Approx:
        b = s.before.b[l]
        assert b is not None
        return right + b * s.problem.l2

    yield from in_layers("l2_on_biases", "bias_gradients", biased(p), on_bias)


def _penalty_of(code: str) -> object:
    return lambda p: (v for v in _penalty(p) if v.code == code)


_DW = "dC/dW_l = a_(l-1)^T delta_l"
_DB = "dC/db_l = sum over the samples of delta_l"


def mistake(
    code: str, rule: str, sentence: str, right: str, wrong: str, variants: object
) -> Mistake:
    return Mistake(code, rule, sentence, right, wrong, variants)  # type: ignore[arg-type]  # told as object, for short


GRADIENTS = (
    mistake(
        "wrong_activation_in_gradient",
        "weight_gradients",
        "the weight gradient of {where} used {used} in place of the activation below it",
        _DW,
        "dC/dW_l = {used}^T delta_l",
        _wrong_activation,
    ),
    mistake(
        "activations_of_previous_sample",
        "weight_gradients",
        "the weight gradient of {where} used the activations of the previous sample",
        _DW,
        "dC/dW_l = sum over i of a_(l-1) of sample i-1, delta_l of sample i",
        _previous_sample,
    ),
    mistake(
        "weight_gradient_transposed",
        "weight_gradients",
        "the weight gradient of {where} is transposed",
        _DW,
        "dC/dW_l = delta_l^T a_(l-1)",
        _transposed,
    ),
    mistake(
        "delta_of_other_layer",
        "weight_gradients",
        "the weight gradient of {where} used the delta of layer {other}",
        _DW,
        "dC/dW_l = a_(l-1)^T delta_{other}",
        _delta_of_other_layer,
    ),
    mistake(
        "weight_gradient_of_one_sample",
        "weight_gradients",
        "the weight gradient of {where} was taken of the {sample} sample alone",
        _DW,
        "dC/dW_l of the {sample} sample alone",
        _one_sample,
    ),
    mistake(
        "bias_gradient_missing",
        "bias_gradients",
        "the bias gradient of {where} is missing (0)",
        _DB,
        "dC/db_l = 0",
        _bias_missing,
    ),
    mistake(
        "bias_gradient_of_one_sample",
        "bias_gradients",
        "the bias gradient of {where} was not summed over the batch, but taken of the {sample} "
        "sample",
        _DB,
        "dC/db_l = delta_l of the {sample} sample",
        _bias_one_sample,
    ),
    mistake(
        "bias_gradient_times_activation",
        "bias_gradients",
        "the bias gradient of {where} was multiplied by the activation",
        _DB,
        "dC/db_l = sum of delta_l a_l",
        _bias_times_activation,
    ),
    mistake(
        "average_missing",
        "share",
        "the gradient was summed over the samples instead of averaged",
        "dC = 1/n sum dJ",
        "dC = sum dJ",
        lambda p: (v for v in _average(p) if v.code == "average_missing"),
    ),
    mistake(
        "average_doubled",
        "share",
        "the gradient was divided by the number of samples twice",
        "dC = 1/n sum dJ",
        "dC = 1/n^2 sum dJ",
        lambda p: (v for v in _average(p) if v.code == "average_doubled"),
    ),
    mistake(
        "weight_gradient_average",
        "weight_gradients",
        "the weight gradient of {where} has a factor {factor} too much",
        "dC/dW_l = 1/n sum over the samples",
        "{factor} times that",
        _average_of("weight_gradients", "weight_gradient_average"),
    ),
    mistake(
        "bias_gradient_average",
        "bias_gradients",
        "the bias gradient of {where} has a factor {factor} too much",
        "dC/db_l = 1/n sum over the samples",
        "{factor} times that",
        _average_of("bias_gradients", "bias_gradient_average"),
    ),
    mistake(
        "l2_missing",
        "weight_gradients",
        "the penalty's term is missing in the weight gradient of {where}",
        f"{_DW} + lambda W_l",
        _DW,
        _penalty_of("l2_missing"),
    ),
    mistake(
        "l2_not_halved",
        "weight_gradients",
        "the penalty's term of {where} was taken twice (lambda W^2 in place of lambda/2 W^2)",
        f"{_DW} + lambda W_l",
        f"{_DW} + 2 lambda W_l",
        _penalty_of("l2_not_halved"),
    ),
    mistake(
        "l2_sign",
        "weight_gradients",
        "the penalty's term of {where} has the wrong sign",
        f"{_DW} + lambda W_l",
        f"{_DW} - lambda W_l",
        _penalty_of("l2_sign"),
    ),
    mistake(
        "l2_on_biases",
        "bias_gradients",
        "the penalty was applied to the biases of {where}",
        _DB,
        f"{_DB} + lambda b_l",
        _penalty_of("l2_on_biases"),
    ),
)
