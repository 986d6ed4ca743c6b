"""Random problems, people who round at each step, and code that makes one mistake."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import deltarule as dr
from deltarule.explain.check.approx import Approx
from deltarule.explain.check.mistakes.catalogue import variants
from deltarule.explain.check.problem import QUANTITIES, Problem, Told
from deltarule.explain.check.step import Claims, Step, Variant

HIDDEN = (
    *("sigmoid", "tanh", "relu", "identity", "leaky_relu", "elu", "selu", "gelu", "silu"),
    *("softplus", "softsign", "mish"),
)
LOSSES = ("squared_error", "log_loss", "cross_entropy", "absolute_error", "huber", "poisson")


def random_problem(rng: np.random.Generator) -> Problem:
    """A small network with round numbers, as in a textbook."""
    loss = str(rng.choice(LOSSES, p=[0.4, 0.2, 0.2, 0.05, 0.1, 0.05]))
    sizes = rng.integers(1, 5, int(rng.integers(2, 5)))
    if loss == "cross_entropy":
        sizes[-1] = max(2, sizes[-1])
    squashed = loss == "squared_error" and rng.random() < 0.5
    net = dr.Network(
        sizes.tolist(),
        [str(rng.choice(HIDDEN)) for _ in range(len(sizes) - 2)],
        loss,
        bias=bool(rng.random() < 0.8),
        output_activation=str(rng.choice(["sigmoid", "tanh"])) if squashed else _link(loss),
        rng=0,
    )
    net.theta = np.round(rng.normal(size=net.theta.size) * 0.7, 2)
    n, k = int(rng.choice([1, 1, 3])), int(sizes[-1])
    targets = {
        "cross_entropy": lambda: np.eye(k)[rng.integers(0, k, n)],
        "log_loss": lambda: rng.integers(0, 2, (n, k)).astype(float),
        "poisson": lambda: rng.integers(0, 4, (n, k)).astype(float),
    }
    Y = targets.get(loss, lambda: np.round(rng.normal(size=(n, k)), 2))()
    X = np.round(rng.normal(size=(n, int(sizes[0]))), 2)
    rate, l2 = float(rng.choice([0.05, 0.1, 0.3, 0.5])), float(rng.choice([0, 0, 0.1]))
    p = Problem(net, X, Y, rate, l2=l2, trainable_biases=bool(rng.random() < 0.9))
    if rng.random() < 0.2:
        velocity = net.copy()
        velocity.theta = np.round(rng.normal(size=net.theta.size) * 0.2, 2)
        v = list(velocity.weights), list(velocity.biases)
        p = dataclasses.replace(p, momentum=0.9, velocity=v)
    if rng.random() < 0.15:
        masks = [2.0 * (rng.random((n, width)) < 0.5) for width in net.sizes[1:-1]]
        p = dataclasses.replace(p, masks=[None, *masks, None])
    return p


def _link(loss: str) -> str:
    return dr.Network([1, 2], loss=loss).activations[-1].name


class Person(Step):
    """Computes a step, rounds every number and goes on with the rounded one."""

    def __init__(
        self, p: Problem, variants: Sequence[Variant], digits: int, significant: bool
    ) -> None:
        self.digits, self.significant = digits, significant
        self.units: dict[tuple[str, int], Any] = {}
        super().__init__(p, variants)

    def _settle(self, name: str, l: int, value: Approx) -> Approx:
        unit = np.full(value.v.shape, 10.0**-self.digits)
        if self.significant:
            size = np.abs(np.where(value.v == 0, 1, value.v))
            unit = 10.0 ** (np.floor(np.log10(size)) + 1 - self.digits)
        rounded = np.round(value.v / unit) * unit
        self.values[name][l], self.units[name, l] = Approx(rounded), unit
        return Approx(rounded)


def claims_of(person: Person, rng: np.random.Generator, silent: float = 0.0) -> Claims:
    """What the person has written down; of each number with the chance `silent`, nothing."""
    claims: dict[str, dict[int, Told]] = {}
    for name in QUANTITIES:
        for l, value in person.values[name].items():
            said = np.where(rng.random(value.v.shape) < silent, np.nan, value.v)
            if np.isfinite(said).any():
                claims.setdefault(name, {})[l] = Told(said, person.units[name, l])
    return claims


def code_with(variant: Variant | None, like: Problem) -> Callable[..., Any]:
    """A function for `check_implementation` that makes this mistake, or none."""

    def backprop(weights: Any, biases: Any, X: Any, Y: Any) -> Any:
        net = like.net.copy()
        net.weights = weights
        net.biases = [None] * like.L if biases is None else biases
        p = dataclasses.replace(like, net=net, X=X, Y=Y)
        chosen: list[Variant] = []
        if variant is not None:
            chosen = [one for one in variants(p) if one.identity == variant.identity]
        step = Step(p, chosen)
        gradients = step.values["weight_gradients"], step.values["bias_gradients"]
        return tuple(
            [one[l].v if l in one else None for l in range(1, p.L + 1)] for one in gradients
        )

    return backprop


def differs(one: Step, other: Step, at_least: float) -> bool:
    """Whether any number of two steps differs by more than that."""
    return any(
        not np.allclose(one.values[q][l].v, other.values[q][l].v, rtol=0, atol=at_least)
        for q in QUANTITIES
        for l in other.values[q]
    )
