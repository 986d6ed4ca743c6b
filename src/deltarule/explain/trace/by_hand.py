"""Activations and losses with the numbers put in, as one writes them on paper.

Each function gives a calculation as text, such as `1/(1 + exp(-0.8))`, whose value is that of the
registered record (activations.py, losses.py): a test evaluates what is written. Where a number is
so near to 1 that its printed digits no longer tell it apart, the calculation takes another way, as
a careful person would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from deltarule.equations.activations import Activation, get_activation
from deltarule.equations.losses import Loss
from deltarule.equations.params import Array

_NEAR_ONE = 0.999  # from here on, 1 - a is written as the number that it is
_LARGE = 30.0  # exp of more than that is unwieldy
_TINY = 1e-300  # below it a logarithm is written as the number that it is
_LEAST = float(np.finfo(np.float64).eps) / 4  # what losses.py holds 1 - o above


class Figures:
    """Numbers as text, to so many significant digits (None: all of them)."""

    def __init__(self, digits: int | None) -> None:
        self.digits = digits

    def __call__(self, x: Any) -> str:
        """The number without an empty fraction, plus signs or padding: 0.5, -2, 1.2e-5."""
        value = float(x)
        if value == 0:
            return "0"
        text = repr(value) if self.digits is None else f"{value:.{self.digits}g}"
        mantissa, e, exponent = text.partition("e")
        return mantissa.removesuffix(".0") + (f"e{int(exponent)}" if e else "")

    def factor(self, x: Any) -> str:
        """The number, in brackets if it is negative."""
        text = self(x)
        return f"({text})" if text.startswith("-") else text

    def complement(self, a: float, exact: float) -> str:
        """1 - a."""
        return f"1 - {self.factor(a)}" if a < _NEAR_ONE else self(exact)


def product_of(text: str) -> str:
    """The text in brackets if it is a sum."""
    return f"({text})" if " " in text else text


def join_terms(terms: list[str]) -> str:
    """Terms as a sum, those that begin with a minus subtracted."""
    text = terms[0] if terms else "0"
    for term in terms[1:]:
        text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return text


def _kind(record: Activation | Loss) -> str:
    """The name that the tables below go by; none for an own record."""
    return record.name.partition("(")[0] if record.registered else ""


def _sigmoid(z: float) -> float:
    return float(get_activation("sigmoid").f(np.float64(z)))


# -- activations ----------------------------------------------------------------------------------


def _parameter(record: Activation | Loss) -> float:
    """The number in brackets of a record that has one."""
    assert record.parameter is not None
    return record.parameter


def _scale(n: Figures, f: Activation) -> list[str]:
    """The factor of selu, and none of elu."""
    scale = float(f.df(np.float64(1)))
    return [] if scale == 1 else [n(scale)]


def _elu(n: Figures, f: Activation, z: float) -> str:
    if z > 0:
        return "*".join([*_scale(n, f), n.factor(z)])
    alpha = [] if _parameter(f) == 1 else [n(_parameter(f))]
    return "*".join([*_scale(n, f), *alpha, f"(exp({n(z)}) - 1)"])


def _elu_slope(n: Figures, f: Activation, z: float) -> str:
    if z > 0:
        return "*".join(_scale(n, f)) or "1"
    alpha = [] if _parameter(f) == 1 else [n(_parameter(f))]
    return "*".join([*_scale(n, f), *alpha, f"exp({n(z)})"])


def _leaky(n: Figures, f: Activation, z: float) -> str:
    return n(z) if z > 0 else f"{n.factor(_parameter(f))}*{n.factor(z)}"


def _softplus(n: Figures, z: float) -> str:
    if z > _LARGE:
        return f"{n(z)} + log(1 + exp({n(-z)}))"
    return f"log(1 + exp({n(z)}))"


def group_of(record: Activation | Loss, j: int, size: int) -> slice:
    """The units that output j shares a distribution with."""
    start = 0
    for k in record.groups or (size,):
        if j < start + k:
            return slice(start, start + k)
        start += k
    raise IndexError(j)


Writer = Callable[[Figures, Activation, float], str]
_VALUES: Mapping[str, Writer] = {
    "identity": lambda n, f, z: n(z),
    "sigmoid": lambda n, f, z: f"1/(1 + exp({n(-z)}))",
    "tanh": lambda n, f, z: f"tanh({n(z)})",
    "relu": lambda n, f, z: f"max(0, {n(z)})",
    "leaky_relu": _leaky,
    "elu": _elu,
    "selu": _elu,
    "gelu": lambda n, f, z: f"{n.factor(z)}*Phi({n(z)})",
    "silu": lambda n, f, z: f"{n.factor(z)}/(1 + exp({n(-z)}))",
    "softplus": lambda n, f, z: _softplus(n, z),
    "softsign": lambda n, f, z: f"{n.factor(z)}/(1 + {n(abs(z))})",
    "mish": lambda n, f, z: f"{n.factor(z)}*tanh(log(1 + exp({n(z)})))",
    "exp": lambda n, f, z: f"exp({n(z)})",
}


def value(
    n: Figures, f: Activation, name: str, z: Array, j: int, max_terms: int | None = None
) -> str:
    """a_j from the net inputs z (n_l,) of its layer; `name` is what an own function is called.

    The sum in a softmax is cut at `max_terms`, the rest put in as one number.
    """
    if _kind(f) == "softmax":
        group = group_of(f, j, len(z))
        z, j = z[group], j - group.start
        top = float(z.max()) if np.abs(z).max() > _LARGE else 0.0
        powers = [f"exp({n(v - top)})" for v in z[:max_terms]]
        if len(powers) < len(z):
            powers.append(f"{n(np.exp(z[max_terms:] - top).sum())} ({len(z) - len(powers)} more)")
        return f"exp({n(z[j] - top)})/({join_terms(powers)})"
    write = _VALUES.get(_kind(f))
    if write is None:
        own = f.jacobian_product is not None  # of all units of the layer
        return f"{name}({_tuple(n, z)})[{j}]" if own else f"{name}({n(z[j])})"
    return write(n, f, float(z[j]))


def _sigmoid_slope(n: Figures, z: float) -> str:
    a = _sigmoid(z)
    return f"{n(a)}*{product_of(n.complement(a, _sigmoid(-z)))}"


def _tanh_slope(n: Figures, z: float) -> str:
    a = math.tanh(z)
    if abs(a) < _NEAR_ONE:
        return f"(1 - {n.factor(a)}^2)"
    return n(float(get_activation("tanh").df(np.float64(z))))


def _silu_slope(n: Figures, z: float) -> str:
    s = _sigmoid(z)
    inner = product_of(n.complement(s, _sigmoid(-z)))
    return f"{n(s)}*(1 + {n.factor(z)}*{inner})"


def _mish_slope(n: Figures, z: float) -> str:
    if z > _LARGE:  # it differs from 1 by less than 1e-24
        return "1"
    p = float(get_activation("softplus").f(np.float64(z)))
    square = f"(1 - tanh({n(p)})^2)" if math.tanh(p) < _NEAR_ONE else f"1/cosh({n(p)})^2"
    return f"(tanh({n(p)}) + {n.factor(z)}*{square}*{n(_sigmoid(z))})"


_SLOPES: Mapping[str, Writer] = {
    "identity": lambda n, f, z: "1",
    "sigmoid": lambda n, f, z: _sigmoid_slope(n, z),
    "tanh": lambda n, f, z: _tanh_slope(n, z),
    "relu": lambda n, f, z: "1" if z > 0 else "0",
    "leaky_relu": lambda n, f, z: "1" if z > 0 else n.factor(_parameter(f)),
    "elu": _elu_slope,
    "selu": _elu_slope,
    "gelu": lambda n, f, z: f"(Phi({n(z)}) + {n.factor(z)}*phi({n(z)}))",
    "silu": lambda n, f, z: _silu_slope(n, z),
    "softplus": lambda n, f, z: f"1/(1 + exp({n(-z)}))",
    "softsign": lambda n, f, z: f"1/(1 + {n(abs(z))})^2",
    "mish": lambda n, f, z: _mish_slope(n, z),
    "exp": lambda n, f, z: f"exp({n(z)})",
}


def slope(n: Figures, f: Activation, name: str, z: float) -> str:
    """f'(z) as a factor of a product."""
    write = _SLOPES.get(_kind(f))
    return f"{name}({n(z)})" if write is None else write(n, f, float(z))


# -- losses ---------------------------------------------------------------------------------------


def difference(n: Figures, o: float, y: float, target_first: bool) -> str:
    """o - y, or y - o."""
    first, second = (y, o) if target_first else (o, y)
    return f"{n.factor(first)} - {n.factor(second)}"


def _log(n: Figures, o: float, below: float, exact: float) -> str:
    """log(o), where below is 1 - o and exact the logarithm, both to full accuracy."""
    if o < _TINY:
        return n.factor(exact)
    return f"log({n(o)})" if o < _NEAR_ONE else f"log(1 - {n.factor(below)})"


def _log_loss(n: Figures, o: float, y: float, z: float | None) -> str:
    """z is given where the output is a sigmoid."""
    if z is None:
        below = max(1 - o, _LEAST)
        yes, no = _log(n, o, below, _log_of(o)), f"log({n.complement(o, below)})"
    else:
        below = _sigmoid(-z)
        yes, no = _log(n, o, below, z), _log(n, below, o, -z)
        if below > _TINY and o < _NEAR_ONE:
            no = f"log({n.complement(o, below)})"
    if y in (0, 1):
        return f"-{yes}" if y == 1 else f"-{no}"
    return f"-{n(y)}*{yes} - (1 - {n(y)})*{no}"


def _log_of(o: float) -> float:
    return float(np.log(_away_from_zero(o, 1.0)))


def _cross_entropy(n: Figures, o: Array, y: float, j: int, z: Array | None) -> str:
    """Of class j of a group; z is given where the output is a softmax: others sum to 1 - o_j."""
    if z is None:
        log = _log(n, o[j], 1 - float(o[j]), _log_of(o[j]))
    else:
        log = _log(n, o[j], float(np.delete(o, j).sum()), _log_softmax(z, j))
    return f"-{log}" if y == 1 else f"-{n(y)}*{log}"


def _log_softmax(z: Array, j: int) -> float:
    return float(z[j] - z.max() - np.log(np.exp(z - z.max()).sum()))


def _huber(n: Figures, o: float, y: float, d: float) -> str:
    if abs(o - y) <= d:
        return f"1/2*({difference(n, o, y, False)})^2"
    return f"{n(d)}*(abs({difference(n, o, y, False)}) - {n(d / 2)})"


def _quantile(n: Figures, o: float, y: float, level: float) -> str:
    if o < y:
        return f"{n(level)}*({difference(n, o, y, True)})"
    return f"(1 - {n(level)})*({difference(n, o, y, False)})"


def _poisson(n: Figures, o: float, y: float, z: float | None) -> str:
    """z is given where the output is exp(z)."""
    if y == 0:
        return n(o)
    log = f"log({n(y)}/{n(_away_from_zero(o, y))})"
    if z is not None and o < _TINY:
        log = f"(log({n(y)}) - {n.factor(z)})"
    return f"{n(o)} - {n(y)} + {n(y)}*{log}"


def _away_from_zero(o: float, y: float) -> float:
    """o as losses.py holds it above 0."""
    return max(float(o), max(y, 1.0) * float(np.finfo(np.float64).smallest_normal))


def outputs_that_count(loss: Loss, y: Array) -> Array:
    """Which outputs J of a sample with targets y (n_L,) is a sum over."""
    if not loss.registered:
        return np.arange(1)
    return np.flatnonzero(y) if _kind(loss) == "cross_entropy" else np.arange(len(y))


def loss_terms(
    n: Figures,
    loss: Loss,
    o: Array,
    y: Array,
    z: Array | None,
    outputs: Array,
    target_first: bool = False,
) -> list[str]:
    """J of one sample as terms of a sum, one per output asked for.

    z (n_L,): the raw scores, where the output activation is the loss's canonical one, else None.
    An own loss is one term.
    """
    if not loss.registered:
        return [f"{loss.name}({_tuple(n, o)}, {_tuple(n, y)})"]
    if _kind(loss) == "cross_entropy":
        terms = []
        for j in outputs:
            group = group_of(loss, j, len(y))
            scores = None if z is None else z[group]
            terms.append(_cross_entropy(n, o[group], float(y[j]), j - group.start, scores))
        return terms
    terms = []
    for j in outputs:
        pair, score = (float(o[j]), float(y[j])), None if z is None else float(z[j])
        if _kind(loss) == "squared_error":
            terms.append(f"1/2*({difference(n, *pair, target_first)})^2")
        elif _kind(loss) == "log_loss":
            terms.append(_log_loss(n, *pair, score))
        elif _kind(loss) == "absolute_error":
            terms.append(f"abs({difference(n, *pair, False)})")
        elif _kind(loss) == "poisson":
            terms.append(_poisson(n, *pair, score))
        else:
            write = _huber if _kind(loss) == "huber" else _quantile
            terms.append(write(n, *pair, _parameter(loss)))
    return terms


def loss_of_outputs(loss: Loss, o: Array, y: Array, z: Array | None, outputs: Array) -> float:
    """The part of J that is the sum over these outputs; z as in `loss_terms`."""
    if z is None or loss.fused_J is None:
        return float(loss.J(o[None, outputs], y[None, outputs])[0])
    if _kind(loss) != "cross_entropy":
        return float(loss.fused_J(z[None, outputs], y[None, outputs])[0])
    total = 0.0
    for j in outputs:
        group = group_of(loss, j, len(y))
        total -= float(y[j]) * _log_softmax(z[group], j - group.start)
    return total


def _tuple(n: Figures, values: Array) -> str:
    return f"({', '.join(n(v) for v in values)}{',' * (len(values) == 1)})"


def loss_slope(n: Figures, loss: Loss, o: float, y: float, exact: float) -> str:
    """dJ/do as a factor of a product; `exact` is its value."""
    kind = _kind(loss)
    if kind == "squared_error":
        return f"({difference(n, o, y, False)})"
    if kind == "log_loss" and 0 < o < 1:
        below = product_of(n.complement(o, max(1 - o, _LEAST)))
        if y == 1:
            return f"(-1/{n(o)})"
        return f"1/{below}" if y == 0 else f"({difference(n, o, y, False)})/({n(o)}*{below})"
    if kind == "cross_entropy":
        return f"(-{n(y)}/{n(_away_from_zero(o, y))})" if y else "0"
    if kind == "poisson":
        return f"(1 - {n(y)}/{n(_away_from_zero(o, y))})"
    if kind == "huber" and abs(o - y) <= _parameter(loss):
        return f"({difference(n, o, y, False)})"
    if kind == "quantile" and o > y:
        return f"(1 - {n(_parameter(loss))})"
    return n.factor(exact)  # a constant (absolute error, huber, quantile), or an own loss
