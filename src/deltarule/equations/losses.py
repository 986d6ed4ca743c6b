"""Registry of losses: value, derivative, formulas and link of each in ONE record.

A loss J(o, y) of one sample is a sum over its outputs; the error C of a network is the (weighted)
mean of J over the samples (SPEC A2, C4-C7). With its canonical output activation ("link") a loss
works on the raw scores z_L, fused and stable, and its delta is o - y (C10). With any other output
activation the delta goes through dJ/do and the chain rule.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from deltarule.equations.activations import Activation, get_activation
from deltarule.equations.groups import Groups, apart, group_sizes, in_brackets
from deltarule.equations.params import Array
from deltarule.equations.records import Formula, fields_of, make_record, number
from deltarule.errors import SpecError

if TYPE_CHECKING:
    from deltarule.formula.expression import Expression

Function = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Loss:
    """A loss J(o, y) with its derivative dJ/do.

    Parameters
    ----------
    name : str
        How it is shown and saved. Registered ones are found by it again, e.g. "quantile(0.9)".
    J : callable (o, y) -> (n,)
        Loss of each sample from outputs o (n, k) and targets y (n, k).
    dJ : callable (o, y) -> (n, k)
        Its derivative with respect to o.
    link : str, default "identity"
        The canonical output activation, taken when a network names none.
    fused_J, fused_dJ : callables (z, y), or None
        J and dJ/dz from the raw scores z, used when the output activation is the link (the
        package's own record, not one of yours that has its name).
    targets : {"real", "count", "unit", "distribution"}
        What a target may be: any number; a number >= 0; a number in [0, 1] (labels 0 and 1
        included); a class 0..k-1, a one-hot row or a row of probabilities (in each group).
    domain : (float, float)
        Where J is defined as a function of o; an output activation must stay inside.
    formula, dJ_formula : str, or callable alphabet -> Expression
        J of one output and dJ/do for people, as plain text, or as trees: `lambda m: m.o - m.y` of
        the letters and functions in `deltarule.formula.alphabet`. Read as attributes, they are
        text either way; `tree` and `slope_tree` are the trees.
    kinks : tuple of float
        Values of o - y at which dJ/do jumps.
    parameter : float or None
        The number in brackets of a parametrized one.
    groups : tuple of int, default ()
        Of one whose targets are distributions: the sizes of the groups of outputs, each of which
        has a distribution of its own; () is one group of all.
    """

    name: str
    J: Function
    dJ: Function
    link: str = "identity"
    fused_J: Function | None = None
    fused_dJ: Function | None = None
    targets: str = "real"
    domain: tuple[float, float] = (-math.inf, math.inf)
    formula: Formula = field(default=Formula(), compare=False)
    dJ_formula: Formula = field(default=Formula(), compare=False)
    kinks: tuple[float, ...] = ()
    parameter: float | None = None
    groups: Groups = ()

    def links(self, output: Activation) -> bool:
        """Whether the fused forms hold: the output activation is the very record of the link."""
        return output is get_activation(self.link)

    def value(self, output: Activation, z: Any, y: Any) -> Any:
        """J (n,) of each sample, from the raw scores z = z_L (n, k)."""
        if self.fused_J is not None and self.links(output):
            return self.fused_J(z, y)
        return self.J(output.f(z), y)

    def delta(self, output: Activation, z: Any, y: Any) -> Any:
        """delta_L = dJ/dz_L (n, k) of each sample: fused for the link, else by the chain rule."""
        if self.fused_dJ is not None and self.links(output):
            return self.fused_dJ(z, y)
        return output.backward(z, self.dJ(output.f(z), y))

    @property
    def tree(self) -> Expression | None:
        """J of one output as a tree in o and y; None where it is stated as plain text."""
        return Loss.formula.tree(self)

    @property
    def slope_tree(self) -> Expression | None:
        """dJ/do as a tree in o and y; None where it is stated as plain text."""
        return Loss.dJ_formula.tree(self)

    @property
    def classifies(self) -> bool:
        """Whether the targets are classes, so that accuracy is the metric people expect."""
        return self.targets in ("unit", "distribution")

    @property
    def registered(self) -> bool:
        """Whether the name alone is enough to get this very loss again."""
        return self.name in _made and _made[self.name] is self

    def __reduce__(self) -> Any:
        if self.registered:
            return get_loss, (self.name,)
        return Loss, fields_of(self)

    def __repr__(self) -> str:
        return f"Loss({self.name!r})"


def _xp(z: Any) -> Any:
    return z.__array_namespace__()


def _sum(o: Any) -> Any:
    return _xp(o).sum(o, axis=-1)


def _away_from_zero(o: Any, y: Any) -> Any:
    """o, held just so far above 0 that y / o and log o stay finite."""
    xp = _xp(o)
    return xp.maximum(o, xp.maximum(y, xp.ones_like(o)) * float(xp.finfo(o.dtype).smallest_normal))


def _up_to_one(o: Any) -> Any:
    """1 - o for o <= 1, held above 0 by half of what o can be told apart from 1."""
    xp = _xp(o)
    return xp.maximum(1 - o, xp.full_like(o, float(xp.finfo(o.dtype).eps) / 4))


def squared_error() -> Loss:
    """1/2 (o - y)^2 (SPEC A2, B3, C5): with the half, so that its delta is o - y."""
    return Loss(
        "squared_error",
        lambda o, y: 0.5 * _sum((o - y) * (o - y)),
        lambda o, y: o - y,
        fused_J=lambda z, y: 0.5 * _sum((z - y) * (z - y)),
        fused_dJ=lambda z, y: z - y,
        formula=lambda m: m.half * (m.o - m.y) ** 2,
        dJ_formula=lambda m: m.o - m.y,
    )


def log_loss() -> Loss:
    """-y log o - (1 - y) log(1 - o) (SPEC C6); several outputs are several yes/no labels."""

    def J(o: Any, y: Any) -> Any:
        xp = _xp(o)
        return -_sum(y * xp.log(_away_from_zero(o, y)) + (1 - y) * xp.log(_up_to_one(o)))

    def fused(z: Any, y: Any) -> Any:
        xp = _xp(z)
        return _sum(xp.maximum(z, xp.zeros_like(z)) - z * y + xp.log1p(xp.exp(-xp.abs(z))))

    return Loss(
        "log_loss",
        J,
        lambda o, y: (o - y) / (_away_from_zero(o, y) * _up_to_one(o)),
        link="sigmoid",
        fused_J=fused,
        fused_dJ=lambda z, y: get_activation("sigmoid").f(z) - y,
        targets="unit",
        domain=(0.0, 1.0),
        formula=lambda m: -(m.y * m.log(m.o)) - (1 - m.y) * m.log(1 - m.o),
        dJ_formula=lambda m: (m.o - m.y) / (m.o * (1 - m.o)),
    )


def cross_entropy(*sizes: float) -> Loss:
    """-sum_i y_i log o_i over k classes (SPEC C7).

    Of "cross_entropy(3,2)" the outputs are two groups, of three and of two classes, and each
    group's targets are a distribution; J is the sum over the groups.
    """
    groups = group_sizes("cross_entropy", sizes)
    link = "softmax" + in_brackets(groups)

    def fused(z: Any, y: Any) -> Any:
        return sum(map(of_group, apart(z, groups), apart(y, groups)))

    def of_group(z: Any, y: Any) -> Any:
        xp = _xp(z)
        shifted = z - xp.max(z, axis=-1, keepdims=True)
        return xp.log(_sum(xp.exp(shifted))) - _sum(y * shifted)

    return Loss(
        "cross_entropy" + in_brackets(groups),
        lambda o, y: -_sum(y * _xp(o).log(_away_from_zero(o, y))),
        lambda o, y: -y / _away_from_zero(o, y),
        link=link,
        fused_J=fused,
        fused_dJ=lambda z, y: get_activation(link).f(z) - y,
        targets="distribution",
        domain=(0.0, 1.0),
        formula=lambda m: -(m.y * m.log(m.o)),
        dJ_formula=lambda m: -(m.y / m.o),
        groups=groups,
    )


def absolute_error() -> Loss:
    """|o - y|; its derivative at o = y is taken as 0."""
    return Loss(
        "absolute_error",
        lambda o, y: _sum(_xp(o).abs(o - y)),
        lambda o, y: _xp(o).sign(o - y),
        formula=lambda m: m.absolute(m.o - m.y),
        dJ_formula=lambda m: m.sign(m.o - m.y),
        kinks=(0.0,),
    )


def huber(delta: float = 1.0) -> Loss:
    """1/2 r^2 for |r| <= delta, delta (|r| - delta/2) beyond, r = o - y (Huber 1964)."""
    if not delta > 0:
        raise SpecError(f"huber: delta must be > 0, got {delta!r}")

    def J(o: Any, y: Any) -> Any:
        xp = _xp(o)
        r = xp.abs(o - y)
        inner = xp.minimum(r, xp.full_like(r, delta))
        return _sum(inner * (r - 0.5 * inner))

    return Loss(
        "huber" if delta == 1 else f"huber({number(delta)})",
        J,
        lambda o, y: _xp(o).clip(o - y, -delta, delta),
        formula=lambda m: m.given(
            m.cases(
                m.compared(m.absolute(m.r), "<=", delta),
                m.half * m.r**2,
                delta * (m.absolute(m.r) - delta / 2),
            ),
            r=m.o - m.y,
        ),
        dJ_formula=lambda m: m.clipped(m.o - m.y, -delta, delta),
        parameter=delta,
    )


def quantile(level: float = 0.5) -> Loss:
    """The pinball loss: its minimum is the `level` quantile of y (Koenker, Bassett 1978)."""
    if not 0 < level < 1:
        raise SpecError(f"quantile: the level must lie between 0 and 1, got {level!r}")

    def J(o: Any, y: Any) -> Any:
        xp = _xp(o)
        r = y - o
        return _sum(xp.maximum(level * r, (level - 1) * r))

    def dJ(o: Any, y: Any) -> Any:
        xp = _xp(o)
        above = xp.where(o > y, xp.full_like(o, 1 - level), xp.zeros_like(o))
        return xp.where(o < y, xp.full_like(o, -level), above)

    return Loss(
        "quantile" if level == 0.5 else f"quantile({number(level)})",
        J,
        dJ,
        formula=lambda m: m.cases(
            m.compared(m.o, "<", m.y), level * (m.y - m.o), (1 - m.number(level)) * (m.o - m.y)
        ),
        dJ_formula=lambda m: m.cases(
            m.compared(m.o, "<", m.y), -m.number(level), 1 - m.number(level)
        ),
        kinks=(0.0,),
        parameter=level,
    )


def poisson() -> Loss:
    """o - y + y log(y / o): half the Poisson deviance, for counts y >= 0; 0 where o = y."""

    def constant(y: Any) -> Any:
        """y log y - y, with 0 log 0 = 0."""
        xp = _xp(y)
        return y * xp.log(xp.where(y > 0, y, xp.ones_like(y))) - y

    return Loss(
        "poisson",
        lambda o, y: _sum(o - y * _xp(o).log(_away_from_zero(o, y)) + constant(y)),
        lambda o, y: 1 - y / _away_from_zero(o, y),
        link="exp",
        fused_J=lambda z, y: _sum(get_activation("exp").f(z) - y * z + constant(y)),
        fused_dJ=lambda z, y: get_activation("exp").f(z) - y,
        targets="count",
        domain=(0.0, math.inf),
        formula=lambda m: m.o - m.y + m.y * m.log(m.y / m.o),
        dJ_formula=lambda m: 1 - m.y / m.o,
    )


_FACTORIES: Mapping[str, Callable[..., Loss]] = {
    make.__name__: make
    for make in (
        squared_error,
        log_loss,
        cross_entropy,
        absolute_error,
        huber,
        quantile,
        poisson,
    )
}
_made: dict[str, Loss] = {}


def loss_names() -> list[str]:
    """The names that `get_loss` knows."""
    return list(_FACTORIES)


@functools.cache
def _make(spec: str) -> Loss:
    loss = make_record("loss", spec, _FACTORIES)
    return _made.setdefault(loss.name, loss)


def get_loss(spec: str | Loss) -> Loss:
    """The loss of that name ("squared_error", "quantile(0.9)"), or the given record itself.

    Raises SpecError for an unknown name (with the nearest known one) or a bad parameter.
    """
    if isinstance(spec, Loss):
        return spec
    if not isinstance(spec, str):
        raise SpecError(f"a loss must be a name or a deltarule.Loss, got {spec!r}")
    return _make(spec)


def shares(n: int, weight: Array | None, reduction: str, dtype: Any) -> Array:
    """share_i in C = sum_i share_i J_i: 1/n or w_i / sum w ("mean"), 1 or w_i ("sum").

    A batch whose weights are all 0 has C = 0.
    """
    w = np.ones(n, dtype=dtype) if weight is None else weight
    if reduction == "sum":
        return w
    if reduction != "mean":
        raise SpecError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
    total = w.sum(dtype=np.float64)
    return (w / total).astype(dtype) if total > 0 else np.zeros_like(w)
