"""The proof of a derivation: every step as a number on random networks, beside its neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deltarule import options
from deltarule.equations.losses import Loss
from deltarule.equations.params import Array
from deltarule.explain.derive.arrays import ArrayPoint
from deltarule.explain.derive.evaluate import EvaluationError, Point, evaluate
from deltarule.explain.derive.steps import Step
from deltarule.explain.derive.task import Task
from deltarule.formula.expression import Symbol
from deltarule.network.gradients import Gradients, backward
from deltarule.network.network import Network

TOLERANCE = 1e-10
#: Smooth, each another than its neighbours': no factor hides behind a zero or a namesake.
_ACTIVATIONS = ("tanh", "sigmoid", "softplus", "softsign", "elu", "silu", "gelu", "mish")
_WIDEST = 12
_DRAWS = 50


@dataclass(frozen=True)
class Verification:
    """What `Derivation.verify` gives.

    Attributes
    ----------
    errors : list of float
        For each step the worst relative error over all trials, against the step before it, the
        engine's gradient and, where it names a term, the engine's delta. inf: no number at all.
    trials : int
    tolerance : float
    """

    errors: list[float]
    trials: int
    tolerance: float = TOLERANCE

    @property
    def ok(self) -> bool:
        """Whether every step holds."""
        return all(error <= self.tolerance for error in self.errors)

    @property
    def wrong(self) -> list[int]:
        """The numbers of the steps that do not hold."""
        return [n for n, error in enumerate(self.errors, 1) if not error <= self.tolerance]

    def __str__(self) -> str:
        worst = max(self.errors, default=0.0)
        tried = f"{self.trials} random network{'s' * (self.trials != 1)}"
        if self.ok:
            return (
                f"All {len(self.errors)} steps hold on {tried}; worst relative error {worst:.1e}."
            )
        shown = ", ".join(f"{n} ({self.errors[n - 1]:.1e})" for n in self.wrong)
        return f"Steps that do not hold on {tried} (relative error): {shown}."


def verify(steps: Sequence[Step], rng: Any, trials: int, own: Point | None) -> Verification:
    """Every step of a derivation as a number; `own` is the sample whose numbers are put in."""
    options.count(None, trials=trials)
    generator = options.generator(rng)
    errors = [0.0] * len(steps)
    for _ in range(trials):
        net, x, y = _live_point(steps[0].task, generator)
        _compare(steps, net, x, y, errors, numeric=False)
    if own is not None:
        _compare(steps, own.net, own.a[0], own.y, errors, numeric=True)
    return Verification(errors, trials)


def _compare(
    steps: Sequence[Step], net: Network, x: Array, y: Array, errors: list[float], numeric: bool
) -> None:
    """Raise `errors` to those found at one sample."""
    with np.errstate(all="ignore"):
        engine = backward(net, x[None], y[None])
        numbers = Numbers(steps[0].task, net, x, y)
        before: Array | None = None
        for n, step in enumerate(steps):
            if step.numeric != numeric:  # at one's own sample only what holds nowhere else
                numbers.define(step)
                continue
            try:
                value = numbers.of(step)
                worst = _apart(value, engine_value(engine, step.task), step.task)
                if before is not None:
                    worst = max(worst, _apart(value, before, step.task))
                for name in step.names:
                    worst = max(worst, _name_apart(numbers, name.symbol, engine))
                before = value
            except (EvaluationError, IndexError, ValueError):  # a broken step is no accident
                worst = math.inf
            errors[n] = max(errors[n], worst)


class Numbers:
    """The steps of one task as numbers at one sample; to be asked in the order of the steps."""

    def __init__(self, task: Task, net: Network, x: Array, y: Array) -> None:
        self.task = task
        self.point = Point(net, x, y)
        self.arrays = ArrayPoint(self.point, task.notation.name == "column")

    def define(self, step: Step) -> None:
        """Take on the cached terms that a step names."""
        if not step.numeric:
            (self.arrays if self.task.whole else self.point).define(step.names)

    def of(self, step: Step) -> Array:
        """The value of a step's expression: () for one in units; 2-D in whole layers."""
        (self.arrays if self.task.whole else self.point).define(step.names)
        if self.task.whole:
            return self.arrays.scalar(step.expression)
        value: Array = evaluate(self.point, step.expression).value
        return value

    def of_name(self, symbol: Symbol) -> Array:
        """A cached term as a vector; of one unit if its definition is for that one only."""
        if self.task.whole:
            return self.arrays.value(symbol).ravel()
        if isinstance(symbol.indices[0], int):
            return np.atleast_1d(evaluate(self.point, symbol).value)
        return self.point.array(symbol)


def engine_value(engine: Gradients, task: Task) -> Array:
    """What `backward` gives for the target; for the whole layer, as the document lays it out."""
    target, whole = task.target, task.whole
    l, (j, *i) = target.layer, (one - 1 for one in target.indices if isinstance(one, int))
    if target.kind == "w":
        W = engine.weights[l - 1]
        if whole:
            return W.T if task.notation.name == "column" else W
        return np.asarray(W[i[0], j])
    vector = engine.biases[l - 1] if target.kind == "b" else engine.activations[l][0]
    assert vector is not None
    if whole:
        return vector[:, None] if task.notation.name == "column" else vector[None]
    return np.asarray(vector[j])


def _apart(value: Array, other: Array, task: Task) -> float:
    """The relative error; one element is compared with its place in a whole layer."""
    value, other = np.asarray(value), np.asarray(other)
    if value.shape != other.shape:
        if 1 not in (value.size, other.size):
            return math.inf
        value, other = wanted(value, task), wanted(other, task)
    scale = np.max(np.maximum(np.abs(value), np.abs(other)), initial=0.0)
    if not np.isfinite(scale):
        return math.inf
    error = np.max(np.abs(value - other), initial=0.0)
    return 0.0 if error == 0 else float(error / scale)


def wanted(array: Array, task: Task) -> Array:
    """The one element (1,) that was asked for, of a whole layer's or of itself."""
    if array.size == 1:
        return array.ravel()
    j, *i = (one - 1 for one in task.target.indices if isinstance(one, int))
    if not i:
        return array.ravel()[[j]]
    at = (j, i[0]) if task.notation.name == "column" else (i[0], j)
    return np.atleast_1d(np.asarray(array[at]))


def _name_apart(numbers: Numbers, symbol: Symbol, engine: Gradients) -> float:
    """A term that a step names, against the engine's delta."""
    if not 1 <= symbol.layer <= numbers.task.L:
        return math.inf
    delta = engine.delta[symbol.layer - 1][0] * numbers.task.notation.sign
    if symbol.indices and isinstance(symbol.indices[0], int):
        delta = delta[[symbol.indices[0] - 1]]
    return _apart(numbers.of_name(symbol), delta, numbers.task)


# -- random networks --------------------------------------------------------------------------


def random_point(task: Task, rng: np.random.Generator) -> tuple[Network, Array, Array]:
    """A random network that the derivation is about, with a random sample."""
    net = _random_net(task, rng)
    net.theta = rng.uniform(0.3, 1.2, net.theta.size) * rng.choice((-1, 1), net.theta.size)
    for W in net.weights:
        W /= math.sqrt(len(W))  # so that no activation saturates
    set_absent(net, task)
    x = rng.uniform(0.3, 1.5, net.sizes[0]) * rng.choice((-1, 1), net.sizes[0])
    return net, x, _random_target(net.loss, net.sizes[-1], rng)


def set_absent(net: Network, task: Task) -> None:
    """The weights of edges that are not there are 0; `net` may be narrower than the task's."""
    for one in task.absent:
        assert isinstance(one, Symbol)
        j, i = (int(index) - 1 for index in one.indices)
        W = net.weights[one.layer - 1]
        if i < W.shape[0] and j < W.shape[1]:
            W[i, j] = 0


def _live_point(task: Task, rng: np.random.Generator) -> tuple[Network, Array, Array]:
    """A random point where the derivative sought is not 0, if that is found: relus may be shut."""
    for _ in range(_DRAWS):
        net, x, y = random_point(task, rng)
        value = engine_value(backward(net, x[None], y[None]), task)
        if wanted(value, task).any():
            break
    return net, x, y


def _random_net(task: Task, rng: np.random.Generator) -> Network:
    """As the net of the task, or of random widths, unlike from layer to layer."""
    needed = dict.fromkeys(range(task.L + 1), 1)
    for place, index in enumerate(task.target.indices):
        if isinstance(index, int):
            needed[task.target.layer - place] = index
    if task.net is None:
        least = 2 if task.mixes else 1
        groups = task.loss.groups
        sizes = [max(needed[l], least) + int(rng.integers(1, 4)) for l in range(task.L + 1)]
        for l in range(1, task.L + 1):  # neighbours differ, so that a wrong layer does not fit
            sizes[l] += sizes[l] == sizes[l - 1]
        if groups:
            sizes[-1] = sum(groups)
        order = rng.permutation(_ACTIVATIONS)
        hidden = [str(order[l % len(order)]) for l in range(task.L)]
        linked = task.loss.link != "identity"
        output = task.loss.link if linked else hidden[-1]
        activations: list[Any] = [*hidden[:-1], output]
        return Network(sizes, activations, task.loss, list(task.biases), rng=rng)
    given = task.net
    narrow = [
        n if n <= _WIDEST or l == task.L else max(_WIDEST, needed[l])
        for l, n in enumerate(given.sizes)
    ]
    return Network(
        narrow, given.activations, given.loss, list(given.bias), rng=rng, check_derivatives=False
    )


def _random_target(loss: Loss, n: int, rng: np.random.Generator) -> Array:
    if loss.targets == "distribution":
        groups = loss.groups or (n,)
        return np.concatenate([rng.dirichlet(np.full(k, 5.0)) for k in groups])
    if loss.targets == "unit":
        return rng.uniform(0.1, 0.9, n)
    if loss.targets == "count":
        return rng.integers(1, 6, n).astype(np.float64)
    return rng.normal(size=n)
