"""The layers of a network as ONNX nodes: every activation by operators that run in its dtype.

ONNX Runtime has the operators Elu, Selu, Softplus, Softsign and Erf for float32 alone, and an
attribute (the slope of LeakyRelu) is a float32 always. In float64 these are composed of others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from deltarule.equations.activations import Activation
from deltarule.equations.params import Array
from deltarule.errors import SpecError
from deltarule.exchange.onnx.answers import split_columns
from deltarule.exchange.onnx.graph import Builder, Dtype, Graph, scalar
from deltarule.network.network import Network

_SINGLE = np.dtype(np.float32)


def export_network(net: Network, dtype: Dtype | None) -> onnx.ModelProto:
    """A bare network as a model: "X" (n, n_0) to "output" (n, n_L)."""
    dtype = dtype or net.dtype
    graph = Graph()
    X = graph.input("X", dtype, [None, net.sizes[0]], "one row per sample")
    a_L = network_output(graph, net, X, dtype)
    graph.output(a_L, "output", dtype, [None, net.sizes[-1]], f"a_{len(net.weights)}")
    return graph.finish("network", repr(net), network_metadata(net))


def network_metadata(net: Network) -> dict[str, str]:
    """What a reader of the file may want to know about its network."""
    return {"network": repr(net), "loss": net.loss.name}


def network_output(builder: Builder, net: Network, X: str, dtype: Dtype, prefix: str = "") -> str:
    """Nodes for a_L (n, n_L) from the value X (n, n_0), both of this dtype; the name of a_L.

    `prefix` stands before the names of W_l, b_l, z_l and a_l. Raises SpecError for an own
    activation (its function cannot be looked into) and for parameters that are not finite.
    """
    a = X
    for l, layer in enumerate(net.layers(), start=1):
        given = [builder.constant(_parameters(layer.W, l, dtype), f"{prefix}W_{l}")]
        if layer.b is not None:
            given.append(builder.constant(_parameters(layer.b, l, dtype), f"{prefix}b_{l}"))
        # Not MatMul where there is no bias: ONNX Runtime draws a factor beside it (selu's scale)
        # into it as a float32, also in float64.
        z = builder.node("Gemm", a, *given)
        builder.call(z, f"{prefix}z_{l}")
        a = _activation(builder, z, layer.f, l, dtype)
        if a != z:
            builder.call(a, f"{prefix}a_{l}")
    return a


def _parameters(values: Array, l: int, dtype: Dtype) -> Array:
    with np.errstate(over="ignore"):  # a float64 may be too large for float32: refused below
        values = values.astype(dtype)
    if not np.isfinite(values).all():
        raise SpecError(f"layer {l} has parameters that are NaN or infinite as {dtype}")
    return values


def _activation(builder: Builder, z: str, f: Activation, l: int, dtype: Dtype) -> str:
    form = _FORMS.get(f.name.partition("(")[0])
    if form is None or not f.registered:
        raise SpecError(
            f"layer {l}: {f.name} is your own activation, which ONNX does not know: export takes "
            f"the package's own ({', '.join(_FORMS)})"
        )
    return form(_Values(builder, dtype), z, f)


class _Values:
    """Short forms of the operators for values of one dtype; a float is a constant."""

    def __init__(self, builder: Builder, dtype: Dtype) -> None:
        self.builder, self.dtype = builder, dtype
        self.single = dtype == _SINGLE

    def op(self, op: str, *inputs: str | float, **attributes: Any) -> str:
        """One node."""
        values = [i if isinstance(i, str) else self.number(i) for i in inputs]
        return self.builder.node(op, *values, **attributes)

    def number(self, value: float) -> str:
        """One constant."""
        return scalar(self.builder, value, self.dtype)

    def exp_minus_abs(self, z: str) -> str:
        """exp(-|z|), which never overflows."""
        return self.op("Exp", self.op("Neg", self.op("Abs", z)))


def _standard(op: str) -> Callable[[_Values, str, Activation], str]:
    return lambda v, z, f: v.op(op, z)


def _leaky_relu(v: _Values, z: str, f: Activation) -> str:
    assert f.parameter is not None  # every leaky_relu has one
    if v.single:
        return v.op("LeakyRelu", z, alpha=f.parameter)
    return v.op("Where", v.op("Greater", z, 0.0), z, v.op("Mul", z, f.parameter))


def _elu(v: _Values, z: str, f: Activation) -> str:
    assert f.parameter is not None  # every elu has one
    if v.single:
        return v.op("Elu", z, alpha=f.parameter)
    below = v.op("Sub", v.op("Exp", v.op("Min", z, 0.0)), 1.0)
    return v.op("Where", v.op("Greater", z, 0.0), z, v.op("Mul", below, f.parameter))


def _selu(v: _Values, z: str, f: Activation) -> str:
    assert f.parameter is not None  # alpha; the scale is what f makes of 1
    scale = float(f.f(np.float64(1.0)))
    if v.single:
        return v.op("Selu", z, alpha=f.parameter, gamma=scale)
    return v.op("Mul", _elu(v, z, f), scale)


def _gelu(v: _Values, z: str, f: Activation) -> str:
    if v.single:  # in the order in which runtimes know it as one function
        erf = v.op("Erf", v.op("Div", z, math.sqrt(2)))
        return v.op("Mul", v.op("Mul", z, v.op("Add", erf, 1.0)), 0.5)
    # z Phi(z) = z q for z < 0 and z (1 - q) for z >= 0, with q = erfc(|z| / sqrt 2) / 2
    q = v.op("Mul", _erfc(v, v.op("Mul", v.op("Abs", z), math.sqrt(0.5))), 0.5)
    cdf = v.op("Where", v.op("Less", z, 0.0), q, v.op("Sub", 1.0, q))
    return v.op("Mul", z, cdf)


def _erfc(v: _Values, x: str) -> str:
    """erfc(x) of x >= 0 by arithmetic: exp(-x^2) / (1 + 2 x) times a polynomial.

    (1 + 2 x) exp(x^2) erfc(x) is smooth up to infinity as a function of t = (x - k) / (x + k)
    (Shepherd and Laframboise, Mathematics of Computation 36, 1981).
    """
    from scipy.special import erfcx  # only gelu in float64 needs it

    k, degree = 3.75, 26

    def smooth(t: Any) -> Any:
        at = k * (1 + t) / (1 - t)
        return (1 + 2 * at) * erfcx(at)

    series = np.polynomial.chebyshev.chebinterpolate(smooth, degree)
    t = v.op("Div", v.op("Sub", x, k), v.op("Add", x, k))
    twice = v.op("Add", t, t)
    before, now = v.number(0.0), v.number(float(series[-1]))
    for c in series[-2:0:-1]:  # Clenshaw's recurrence
        before, now = now, v.op("Add", v.op("Sub", v.op("Mul", twice, now), before), float(c))
    value = v.op("Add", v.op("Sub", v.op("Mul", t, now), before), float(series[0]))
    decay = v.op("Exp", v.op("Neg", v.op("Mul", x, x)))
    return v.op("Div", v.op("Mul", decay, value), v.op("Add", v.op("Add", x, x), 1.0))


def _silu(v: _Values, z: str, f: Activation) -> str:
    if v.single:
        return v.op("Mul", z, v.op("Sigmoid", z))
    # ONNX Runtime 1.18 fuses the product above into an operator that it has for float32 alone.
    return v.op("Div", z, v.op("Add", v.op("Exp", v.op("Neg", z)), 1.0))


def _softplus(v: _Values, z: str, f: Activation) -> str:
    if v.single:
        return v.op("Softplus", z)
    return v.op("Add", v.op("Max", z, 0.0), v.op("Log", v.op("Add", v.exp_minus_abs(z), 1.0)))


def _softsign(v: _Values, z: str, f: Activation) -> str:
    return v.op("Softsign", z) if v.single else v.op("Div", z, v.op("Add", v.op("Abs", z), 1.0))


def _mish(v: _Values, z: str, f: Activation) -> str:
    # tanh(log(1 + exp(z))) = n / (n + 2) with n = exp(z) (exp(z) + 2), over exp(-2 z) for z >= 0
    e = v.exp_minus_abs(z)
    plus, minus = v.op("Add", v.op("Add", e, e), 1.0), v.op("Mul", e, v.op("Add", e, 2.0))
    above = v.op("Div", plus, v.op("Add", plus, v.op("Mul", v.op("Mul", e, e), 2.0)))
    below = v.op("Div", minus, v.op("Add", minus, 2.0))
    return v.op("Mul", z, v.op("Where", v.op("Less", z, 0.0), below, above))


def _exp(v: _Values, z: str, f: Activation) -> str:
    largest = float(f.f(np.array(np.inf, dtype=v.dtype)))  # where f itself stops
    return v.op("Exp", v.op("Min", z, math.log(largest)))


def _softmax(v: _Values, z: str, f: Activation) -> str:
    if len(f.groups) < 2:
        return v.op("Softmax", z, axis=-1)
    parts = [v.op("Softmax", part, axis=-1) for part in split_columns(v.builder, z, f.groups)]
    return v.op("Concat", *parts, axis=1)


_FORMS: dict[str, Callable[[_Values, str, Activation], str]] = {
    "identity": lambda v, z, f: z,
    "sigmoid": _standard("Sigmoid"),
    "tanh": _standard("Tanh"),
    "relu": _standard("Relu"),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "silu": _silu,
    "softplus": _softplus,
    "softsign": _softsign,
    "mish": _mish,
    "exp": _exp,
    "softmax": _softmax,
}
