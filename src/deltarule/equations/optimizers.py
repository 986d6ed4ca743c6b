"""Registry of optimizers: init(theta) -> state, update(theta, grad, state, rate) -> new ones.

Each is a frozen record of its settings and a pure function of explicit state, blind to layers: it
sees one flat vector. The same code runs over NumPy and jax.numpy arrays. The native engine reads
the settings and keeps its state in the arrays that `init` makes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from deltarule import options
from deltarule.errors import SpecError, unknown_name

State = dict[str, Any]


@dataclass(frozen=True)
class Optimizer:
    """Base of all optimizers; `learning_rate` is what a schedule multiplies."""

    learning_rate: float
    name: ClassVar[str] = ""
    moments: ClassVar[tuple[str, ...]] = ()  # the arrays of theta's shape that it keeps

    def init(self, theta: Any) -> State:
        """The state before the first step: a step count t and the zeroed moments."""
        xp = theta.__array_namespace__()
        return {"t": 0} | {moment: xp.zeros_like(theta) for moment in self.moments}

    def update(self, theta: Any, grad: Any, state: State, rate: float) -> tuple[Any, State]:
        """One step: the new theta and the new state; nothing is changed in place."""
        raise NotImplementedError  # every subclass defines it

    def settings(self) -> dict[str, Any]:
        """The settings by name, as JSON can hold them."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: w <- w - alpha dC/dw (SPEC C11, D6), with optional momentum (C15).

    With momentum mu: v <- mu v - alpha g; w <- w + v. Nesterov's form: w <- w + mu v - alpha g
    with the new v (Sutskever et al. 2013; the same as scikit-learn's).

    Parameters
    ----------
    learning_rate : float, default 0.01
    momentum : float in [0, 1], default 0
    nesterov : bool, default False
    """

    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        options.positive(self, learning_rate=self.learning_rate)
        options.share(self, momentum=self.momentum)
        if self.nesterov and not self.momentum:
            raise SpecError("SGD: nesterov=True needs momentum > 0")

    def init(self, theta: Any) -> State:
        velocity = {"v": theta.__array_namespace__().zeros_like(theta)} if self.momentum else {}
        return {"t": 0} | velocity

    def update(self, theta: Any, grad: Any, state: State, rate: float) -> tuple[Any, State]:
        step = -rate * grad
        if not self.momentum:
            return theta + step, {"t": state["t"] + 1}
        v = self.momentum * state["v"] + step
        move = self.momentum * v + step if self.nesterov else v
        return theta + move, {"t": state["t"] + 1, "v": v}


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """s <- s + g^2; w <- w - alpha g / (sqrt(s) + epsilon) (Duchi et al. 2011).

    Parameters
    ----------
    learning_rate : float, default 0.01
    epsilon : float, default 1e-10
    """

    learning_rate: float = 0.01
    epsilon: float = 1e-10
    name: ClassVar[str] = "adagrad"
    moments: ClassVar[tuple[str, ...]] = ("s",)

    def __post_init__(self) -> None:
        options.positive(self, learning_rate=self.learning_rate, epsilon=self.epsilon)

    def update(self, theta: Any, grad: Any, state: State, rate: float) -> tuple[Any, State]:
        xp = theta.__array_namespace__()
        s = state["s"] + grad * grad
        theta = theta - rate * grad / (xp.sqrt(s) + self.epsilon)
        return theta, {"t": state["t"] + 1, "s": s}


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """s <- rho s + (1 - rho) g^2; w <- w - alpha g / (sqrt(s) + epsilon) (Tieleman, Hinton 2012).

    Parameters
    ----------
    learning_rate : float, default 0.001
    rho : float in [0, 1), default 0.9
    epsilon : float, default 1e-8
    """

    learning_rate: float = 0.001
    rho: float = 0.9
    epsilon: float = 1e-8
    name: ClassVar[str] = "rmsprop"
    moments: ClassVar[tuple[str, ...]] = ("s",)

    def __post_init__(self) -> None:
        options.positive(self, learning_rate=self.learning_rate, epsilon=self.epsilon)
        options.fraction(self, rho=self.rho)

    def update(self, theta: Any, grad: Any, state: State, rate: float) -> tuple[Any, State]:
        xp = theta.__array_namespace__()
        s = self.rho * state["s"] + (1 - self.rho) * grad * grad
        theta = theta - rate * grad / (xp.sqrt(s) + self.epsilon)
        return theta, {"t": state["t"] + 1, "s": s}


@dataclass(frozen=True)
class Adam(Optimizer):
    """m <- b1 m + (1-b1) g; v <- b2 v + (1-b2) g^2; w <- w - alpha_t m / (sqrt(v) + epsilon).

    alpha_t = alpha sqrt(1 - b2^t) / (1 - b1^t): the form with the correction in the rate
    (Kingma, Ba 2015, end of section 2; the same as scikit-learn's).

    Parameters
    ----------
    learning_rate : float, default 0.001
    beta_1, beta_2 : float in [0, 1), default 0.9 and 0.999
    epsilon : float, default 1e-8
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    name: ClassVar[str] = "adam"
    moments: ClassVar[tuple[str, ...]] = ("m", "v")

    def __post_init__(self) -> None:
        options.positive(self, learning_rate=self.learning_rate, epsilon=self.epsilon)
        options.fraction(self, beta_1=self.beta_1, beta_2=self.beta_2)

    def update(self, theta: Any, grad: Any, state: State, rate: float) -> tuple[Any, State]:
        xp = theta.__array_namespace__()
        t = state["t"] + 1
        m = self.beta_1 * state["m"] + (1 - self.beta_1) * grad
        v = self.beta_2 * state["v"] + (1 - self.beta_2) * grad * grad
        rate_t = rate * (1 - self.beta_2**t) ** 0.5 / (1 - self.beta_1**t)
        return theta - rate_t * m / (xp.sqrt(v) + self.epsilon), {"t": t, "m": m, "v": v}


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: w <- w - alpha decay w before the step of Adam.

    Loshchilov, Hutter 2019. As in PyTorch, the decay is applied to every parameter.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : as for Adam
    weight_decay : float >= 0, default 0.01
    """

    weight_decay: float = 0.01
    name: ClassVar[str] = "adamw"

    def __post_init__(self) -> None:
        super().__post_init__()
        options.not_negative(self, weight_decay=self.weight_decay)

    def update(self, theta: Any, grad: Any, state: State, rate: float) -> tuple[Any, State]:
        return super().update(theta - rate * self.weight_decay * theta, grad, state, rate)


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """Limited-memory BFGS on the full batch, by SciPy's L-BFGS-B (Byrd et al. 1995).

    One epoch is one iteration. The line search finds its own step length, so there is no learning
    rate to set (the field stays at 1).

    Parameters
    ----------
    memory : int >= 1, default 10
        The number of corrections kept.
    max_evaluations : int >= 1, default 15000
        Stop after this many evaluations of the loss.
    gradient_tolerance : float >= 0, default 1e-5
        Stop when the largest component of the gradient is at most this.
    loss_tolerance : float >= 0, default 0
        Stop when an iteration lowers the loss f, penalties included, by no more than
        loss_tolerance * max(|f before|, |f after|, 1); at 0, when it does not lower it at all.
        SciPy's `ftol`, whose default there, and in scikit-learn's MLP, is 2.2e-9.
    """

    learning_rate: float = 1.0
    memory: int = 10
    max_evaluations: int = 15_000
    gradient_tolerance: float = 1e-5
    loss_tolerance: float = 0.0
    name: ClassVar[str] = "lbfgs"

    def __post_init__(self) -> None:
        if self.learning_rate != 1.0:
            raise SpecError("LBFGS: the line search sets the step; learning_rate cannot be set")
        options.count(self, memory=self.memory, max_evaluations=self.max_evaluations)
        options.not_negative(
            self, gradient_tolerance=self.gradient_tolerance, loss_tolerance=self.loss_tolerance
        )

    def update(self, theta: Any, grad: Any, state: State, rate: float) -> tuple[Any, State]:
        raise SpecError("LBFGS takes whole iterations with a line search, not single steps")


OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    kind.name: kind for kind in (SGD, Adagrad, RMSprop, Adam, AdamW, LBFGS)
}


def get_optimizer(spec: str | Optimizer, learning_rate: float | None = None) -> Optimizer:
    """The optimizer of that name with its defaults, or the given one; `learning_rate` overrides.

    Raises SpecError for an unknown name (with the nearest known one) or a rate that is not > 0.
    """
    if isinstance(spec, str):
        kind = OPTIMIZERS.get(spec.lower())
        if kind is None:
            raise unknown_name("optimizer", spec, OPTIMIZERS)
        optimizer = kind()  # type: ignore[call-arg]  # every registered kind has defaults
    elif isinstance(spec, Optimizer):
        optimizer = spec
    else:
        raise SpecError(
            f"optimizer must be a name or an Optimizer such as dr.SGD(0.1), got {spec!r}"
        )
    if learning_rate is None:
        return optimizer
    return dataclasses.replace(optimizer, learning_rate=learning_rate)
