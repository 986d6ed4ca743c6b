"""Registry of activations: value, slope and formulas of each in ONE record (SPEC B2, C4, D1).

The functions work on any array of the array API (NumPy, jax.numpy) and never change their input.
Every one is stable for |z| up to 1e4 and beyond, value and slope, in float32 and float64: slopes
are written in forms that keep their relative accuracy in the tails (not as 1 - a^2).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from deltarule.equations.groups import Groups, by_group, group_sizes, in_brackets
from deltarule.equations.records import Formula, fields_of, make_record, number
from deltarule.errors import SpecError

if TYPE_CHECKING:
    from deltarule.formula.expression import Expression

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Activation:
    """An activation function a = f(z) with its slope f'(z).

    Parameters
    ----------
    name : str
        How it is shown and saved. Registered ones are found by it again, e.g. "leaky_relu(0.2)".
    f, df : callables
        Value and slope, each from an array z to an array of the same shape and dtype.
    formula, df_formula : str, or callable alphabet -> Expression
        Both for people, as plain text, or as trees: `lambda m: 1 / (1 + m.exp(-m.z))` of the
        letters and functions in `deltarule.formula.alphabet`, with m.a for f(z) in df_formula.
        Read as attributes, they are text either way; `tree` and `slope_tree` are the trees.
    range : (float, float)
        The closed interval in which f lies; a loss checks that its outputs can be there.
    kinks : tuple of float
        Where the slope jumps (a gradient check must not straddle them).
    initializer : str
        The initializer that "auto" takes for a layer with this activation.
    parameter : float or None
        The number in brackets of a parametrized one.
    jacobian_product : callable (z, g) -> dJ/dz, or None
        Only for an f that mixes the units of a layer (softmax), with g = dJ/da; df is then unused.
    groups : tuple of int, default ()
        Of an f that mixes only units of the same group: the sizes of the groups, which must fill
        the layer; () is one group of all.
    """

    name: str
    f: Function
    df: Function
    formula: Formula = field(default=Formula(), compare=False)
    df_formula: Formula = field(default=Formula(), compare=False)
    range: tuple[float, float] = (-math.inf, math.inf)
    kinks: tuple[float, ...] = ()
    initializer: str = "glorot_uniform"
    parameter: float | None = None
    jacobian_product: Callable[[Any, Any], Any] | None = field(default=None, repr=False)
    groups: Groups = ()

    def backward(self, z: Any, g: Any) -> Any:
        """dJ/dz from g = dJ/da: the chain rule through this activation."""
        if self.jacobian_product is not None:
            return self.jacobian_product(z, g)
        return g * self.df(z)

    @property
    def tree(self) -> Expression | None:
        """f as a tree in z; None where it is stated as plain text."""
        return Activation.formula.tree(self)

    @property
    def slope_tree(self) -> Expression | None:
        """f' as a tree in z, and a for the value; None where it is stated as plain text."""
        return Activation.df_formula.tree(self)

    @property
    def registered(self) -> bool:
        """Whether the name alone is enough to get this very function again."""
        return self.name in _made and _made[self.name] is self

    def __reduce__(self) -> Any:
        if self.registered:
            return get_activation, (self.name,)
        return Activation, fields_of(self)

    def __repr__(self) -> str:
        return f"Activation({self.name!r})"


def _xp(z: Any) -> Any:
    return z.__array_namespace__()


def _one_where(condition: Any, z: Any) -> Any:
    xp = _xp(z)
    return xp.where(condition, xp.ones_like(z), xp.zeros_like(z))


# e = exp(-|z|) never overflows; sigmoid and its slope are rational in it.


def _identity(z: Any) -> Any:
    return +z


def _sigmoid(z: Any) -> Any:
    xp = _xp(z)
    e = xp.exp(-xp.abs(z))
    return xp.where(z >= 0, 1 / (1 + e), e / (1 + e))


def _sigmoid_slope(z: Any) -> Any:
    xp = _xp(z)
    e = xp.exp(-xp.abs(z))
    return e / ((1 + e) * (1 + e))


def _tanh_slope(z: Any) -> Any:
    return 4 * _sigmoid_slope(2 * z)


def _softplus(z: Any) -> Any:
    xp = _xp(z)
    return xp.maximum(z, xp.zeros_like(z)) + xp.log1p(xp.exp(-xp.abs(z)))


def _silu_slope(z: Any) -> Any:
    return _sigmoid(z) * (1 + z * _sigmoid(-z))


def _softsign_slope(z: Any) -> Any:
    d = 1 + _xp(z).abs(z)
    return 1 / (d * d)


def _tanh_of_softplus(z: Any) -> Any:
    xp = _xp(z)
    e = xp.exp(-xp.abs(z))
    plus = (1 + 2 * e) / (1 + 2 * e + 2 * e * e)
    minus = e * (e + 2) / (e * (e + 2) + 2)
    return xp.where(z >= 0, plus, minus)


def _mish_slope(z: Any) -> Any:
    return _tanh_of_softplus(z) + z * _tanh_slope(_softplus(z)) * _sigmoid(z)


def _normal_cdf(z: Any) -> Any:
    if isinstance(z, np.ndarray | np.generic):
        from scipy.special import erfc  # only gelu needs it, so importing deltarule does not
    else:
        from jax.scipy.special import erfc
    return 0.5 * erfc(-z * math.sqrt(0.5))


def _gelu_slope(z: Any) -> Any:
    density = _xp(z).exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))
    return _normal_cdf(z) + z * density


def _exp(z: Any) -> Any:
    """exp(z), held at the largest float instead of overflowing."""
    xp = _xp(z)
    top = math.log(float(xp.finfo(z.dtype).max)) * (1 - 1e-6)
    return xp.exp(xp.minimum(z, xp.full_like(z, top)))


def _softmax(z: Any) -> Any:
    xp = _xp(z)
    e = xp.exp(z - xp.max(z, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def _softmax_jacobian_product(z: Any, g: Any) -> Any:
    s = _softmax(z)
    return s * (g - _xp(z).sum(g * s, axis=-1, keepdims=True))


def _softmax_has_no_slope(z: Any) -> Any:
    raise SpecError("softmax has no elementwise slope: use Activation.backward (Jacobian product)")


def leaky_relu(negative_slope: float = 0.01) -> Activation:
    """max(z, negative_slope z); the slope at 0 is the negative one."""
    k = negative_slope
    return Activation(
        "leaky_relu" if k == 0.01 else f"leaky_relu({number(k)})",
        lambda z: _xp(z).where(z > 0, z, k * z),
        lambda z: _xp(z).where(z > 0, _xp(z).ones_like(z), _xp(z).full_like(z, k)),
        formula=lambda m: m.if_positive(m.z, m.z, k * m.z),
        df_formula=lambda m: m.if_positive(m.z, 1, k),
        kinks=(0.0,),
        initializer="he_uniform",
        parameter=k,
    )


def _elu(name: str, scale: float, alpha: float, kinks: tuple[float, ...], start: str) -> Activation:
    def f(z: Any) -> Any:
        xp = _xp(z)
        below = alpha * xp.expm1(xp.minimum(z, xp.zeros_like(z)))
        return scale * xp.where(z > 0, z, below)

    def df(z: Any) -> Any:
        xp = _xp(z)
        below = alpha * xp.exp(xp.minimum(z, xp.zeros_like(z)))
        return scale * xp.where(z > 0, xp.ones_like(z), below)

    def scaled(tree: Any) -> Any:
        return tree if scale == 1 else scale * tree

    return Activation(
        name,
        f,
        df,
        formula=lambda m: m.if_positive(m.z, scaled(m.z), scaled(alpha * (m.exp(m.z) - 1))),
        df_formula=lambda m: m.if_positive(m.z, scale, scaled(alpha * m.exp(m.z))),
        range=(-scale * alpha, math.inf),
        kinks=kinks,
        initializer=start,
        parameter=alpha,
    )


def elu(alpha: float = 1.0) -> Activation:
    """z for z > 0, alpha (exp(z) - 1) below (Clevert et al. 2016)."""
    if alpha < 0:
        raise SpecError(f"elu: alpha must be >= 0, got {alpha!r}")
    name = "elu" if alpha == 1 else f"elu({number(alpha)})"
    return _elu(name, 1.0, alpha, () if alpha == 1 else (0.0,), "he_uniform")


def selu() -> Activation:
    """The self-normalizing elu (Klambauer et al. 2017)."""
    return _elu("selu", 1.0507009873554805, 1.6732632423543772, (0.0,), "lecun_normal")


def softmax(*sizes: float) -> Activation:
    """exp(z_i) / sum_j exp(z_j) over all units, or over each group of "softmax(3,2)" by itself."""
    groups = group_sizes("softmax", sizes)
    return Activation(
        "softmax" + in_brackets(groups),
        by_group(_softmax, groups),
        _softmax_has_no_slope,
        formula=lambda m: m.given(
            m.exp(m.z_i) / m.sum_over_units("j", m.exp(m.z_j)),
            *(("j in the group of i",) if groups else ()),
        ),
        df_formula=lambda m: m.given(
            m.derivative(m.a_i, m.z_j, m.a_i * (m.i_is_j - m.a_j)),
            *(("0 between groups",) if groups else ()),
        ),
        range=(0.0, 1.0),
        jacobian_product=by_group(_softmax_jacobian_product, groups),
        groups=groups,
    )


def _plain(name: str, f: Function, df: Function, **more: Any) -> Callable[[], Activation]:
    return lambda: Activation(name, f, df, **more)


_FACTORIES: Mapping[str, Callable[..., Activation]] = {
    "identity": _plain(
        "identity",
        _identity,
        lambda z: _xp(z).ones_like(z),
        formula=lambda m: m.z,
        df_formula=lambda m: m.number(1),
    ),
    "sigmoid": _plain(
        "sigmoid",
        _sigmoid,
        _sigmoid_slope,
        formula=lambda m: 1 / (1 + m.exp(-m.z)),
        df_formula=lambda m: m.a * (1 - m.a),
        range=(0.0, 1.0),
    ),
    "tanh": _plain(
        "tanh",
        lambda z: _xp(z).tanh(z),
        _tanh_slope,
        formula=lambda m: m.tanh(m.z),
        df_formula=lambda m: 1 - m.a**2,
        range=(-1.0, 1.0),
    ),
    "relu": _plain(
        "relu",
        lambda z: _xp(z).maximum(z, _xp(z).zeros_like(z)),
        lambda z: _one_where(z > 0, z),
        formula=lambda m: m.larger(0, m.z),
        df_formula=lambda m: m.if_positive(m.z, 1, 0),
        range=(0.0, math.inf),
        kinks=(0.0,),
        initializer="he_uniform",
    ),
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": selu,
    "gelu": _plain(
        "gelu",
        lambda z: z * _normal_cdf(z),
        _gelu_slope,
        formula=lambda m: m.z * m.Phi(m.z),
        df_formula=lambda m: m.Phi(m.z) + m.z * m.phi(m.z),
        range=(-0.17, math.inf),
        initializer="he_uniform",
    ),
    "silu": _plain(
        "silu",
        lambda z: z * _sigmoid(z),
        _silu_slope,
        formula=lambda m: m.z / (1 + m.exp(-m.z)),
        df_formula=lambda m: m.given(m.s * (1 + m.z * (1 - m.s)), s=1 / (1 + m.exp(-m.z))),
        range=(-0.2785, math.inf),
        initializer="he_uniform",
    ),
    "softplus": _plain(
        "softplus",
        _softplus,
        _sigmoid,
        formula=lambda m: m.log(1 + m.exp(m.z)),
        df_formula=lambda m: 1 / (1 + m.exp(-m.z)),
        range=(0.0, math.inf),
    ),
    "softsign": _plain(
        "softsign",
        lambda z: z / (1 + _xp(z).abs(z)),
        _softsign_slope,
        formula=lambda m: m.z / (1 + m.absolute(m.z)),
        df_formula=lambda m: 1 / (1 + m.absolute(m.z)) ** 2,
        range=(-1.0, 1.0),
    ),
    "mish": _plain(
        "mish",
        lambda z: z * _tanh_of_softplus(z),
        _mish_slope,
        formula=lambda m: m.z * m.tanh(m.log(1 + m.exp(m.z))),
        df_formula=lambda m: m.given(
            m.tanh(m.p) + m.z * (1 - m.tanh(m.p) ** 2) * m.s,
            p=m.log(1 + m.exp(m.z)),
            s=1 / (1 + m.exp(-m.z)),
        ),
        range=(-0.309, math.inf),
        initializer="he_uniform",
    ),
    "exp": _plain(
        "exp",
        _exp,
        _exp,
        formula=lambda m: m.exp(m.z),
        df_formula=lambda m: m.exp(m.z),
        range=(0.0, math.inf),
    ),
    "softmax": softmax,
}
ALIASES = {"logistic": "sigmoid", "linear": "identity", "swish": "silu"}
_made: dict[str, Activation] = {}


def activation_names() -> list[str]:
    """The names that `get_activation` knows, without aliases."""
    return list(_FACTORIES)


@functools.cache
def _make(spec: str) -> Activation:
    activation = make_record("activation", spec, _FACTORIES, ALIASES)
    return _made.setdefault(activation.name, activation)


def get_activation(spec: str | Activation) -> Activation:
    """The activation of that name ("relu", "leaky_relu(0.2)"), or the given record itself.

    Raises SpecError for an unknown name (with the nearest known one) or a bad parameter.
    """
    if isinstance(spec, Activation):
        return spec
    if not isinstance(spec, str):
        raise SpecError(f"an activation must be a name or a deltarule.Activation, got {spec!r}")
    return _make(spec)
