"""The network: sizes, activations, loss and theta; says what is wrong with a bad description."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deltarule.doors import through
from deltarule.equations.activations import Activation
from deltarule.equations.backprop import Layer
from deltarule.equations.initializers import get_initializer
from deltarule.equations.losses import Loss, get_loss
from deltarule.equations.params import Array, Layout
from deltarule.equations.spec import (
    check_output,
    checked_activations,
    checked_bias,
    checked_dtype,
    checked_sizes,
)
from deltarule.errors import SpecError
from deltarule.network import derivative_check
from deltarule.network.data import check_inputs

if TYPE_CHECKING:
    from pathlib import Path


def predict_plain(net: Network, X: Array) -> Array | None:
    """A shorter way to a_L for an array that needs no checks; an engine may put its own here."""
    return None


class Network:
    """A fully connected network with one flat parameter vector.

    Parameters
    ----------
    sizes : sequence of int
        n_0, n_1, ..., n_L: inputs, hidden layers, outputs.
    activations : str, Activation, or a sequence of L of them, default "relu"
        One for all hidden layers (the output layer then takes the loss's canonical one), or one
        per layer, output included. Names may carry a parameter: "leaky_relu(0.2)".
    loss : str or Loss, default "squared_error"
    bias : bool or sequence of L bools, default True
    dtype : "float64" (default) or "float32"
    rng : None, int, SeedSequence or Generator
        Of the initial weights. The same int gives the same bits.
    initializer : str or callable, default "auto"
        "auto" suits each layer's activation; biases start at 0.
    output_activation : str or Activation, optional
        Instead of the loss's canonical one.
    check_derivatives : bool, default True
        Compare the derivatives of your own Activation or Loss with finite differences.

    Raises
    ------
    SpecError
        If the parts do not fit together, with what to change.
    DerivativeError
        If an own derivative does not match its value.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activations: str | Activation | Sequence[str | Activation] = "relu",
        loss: str | Loss = "squared_error",
        bias: bool | Sequence[bool] = True,
        dtype: Any = "float64",
        rng: Any = None,
        *,
        initializer: Any = "auto",
        output_activation: str | Activation | None = None,
        check_derivatives: bool = True,
    ) -> None:
        self._describe(sizes, activations, loss, bias, dtype, output_activation)
        if check_derivatives:
            derivative_check.check_own_functions(self.activations, self.loss, self.sizes[-1])
        self._theta = np.zeros(self.layout.size, dtype=self.dtype)
        generator = _checked_rng(rng)
        for l, (W, _) in enumerate(self.layout.matrices(self._theta)):
            draw = get_initializer(initializer, self.activations[l].initializer)
            drawn = np.asarray(draw(generator, *W.shape))
            if drawn.shape != W.shape:
                raise SpecError(
                    f"the initializer gave shape {drawn.shape} for layer {l + 1}, not {W.shape}"
                )
            W[...] = drawn

    def _describe(
        self,
        sizes: Sequence[int],
        activations: str | Activation | Sequence[str | Activation],
        loss: str | Loss,
        bias: bool | Sequence[bool],
        dtype: Any,
        output_activation: str | Activation | None,
    ) -> None:
        """All of the network but its parameters."""
        self.loss = get_loss(loss)
        self.sizes = checked_sizes(sizes)
        L = len(self.sizes) - 1
        self.activations = checked_activations(activations, output_activation, self.loss, L)
        self.layout = Layout(self.sizes, checked_bias(bias, L))
        self.dtype = checked_dtype(dtype)
        check_output(self.activations[-1], self.loss, self.sizes[-1])

    @classmethod
    def without_parameters(
        cls,
        sizes: Sequence[int],
        activations: Sequence[str | Activation],
        loss: str | Loss,
        bias: Sequence[bool],
        dtype: Any,
    ) -> Network:
        """A description for `from_spec`, checked as a network's but not by derivatives.

        Nothing is allocated: the sizes may be those of a file that is not trusted yet.
        """
        net = cls.__new__(cls)
        net._describe(sizes, activations, loss, bias, dtype, None)
        return net

    # -- parameters ---------------------------------------------------------------------------

    @property
    def theta(self) -> Array:
        """All parameters, one flat vector (see `Layout`); assigning copies into it."""
        return self._theta

    @theta.setter
    def theta(self, values: Any) -> None:
        vector = _numbers("theta", values)
        if vector.shape != self._theta.shape:
            raise SpecError(
                f"theta has {self._theta.size} numbers; got an array of shape {vector.shape}"
            )
        self._theta[...] = vector

    @property
    def weights(self) -> list[Array]:
        """W_l (n_{l-1}, n_l) for l = 1..L, views of theta; assigning a list copies into them."""
        return self.layout.views(self._theta)[0]

    @weights.setter
    def weights(self, values: Sequence[Any]) -> None:
        self._assign("weights", self.weights, values)

    @property
    def biases(self) -> list[Array | None]:
        """b_l (n_l,) or None for l = 1..L, views of theta; assigning a list copies into them."""
        return self.layout.views(self._theta)[1]

    @biases.setter
    def biases(self, values: Sequence[Any]) -> None:
        self._assign("biases", self.biases, values)

    @staticmethod
    def _assign(kind: str, views: Sequence[Array | None], values: Sequence[Any]) -> None:
        given = len(values) if hasattr(values, "__len__") else repr(values)
        if given != len(views):
            raise SpecError(f"{kind}: {len(views)} layers need {len(views)} arrays, got {given}")
        arrays: list[tuple[Array, Array]] = []
        for l, (view, value) in enumerate(zip(views, values, strict=True), start=1):
            if view is None:
                if value is not None:
                    raise SpecError(f"{kind}: layer {l} has none; give None there")
                continue
            array = _numbers(f"{kind} of layer {l}", value)
            if array.shape != view.shape:
                raise SpecError(
                    f"{kind}: layer {l} needs shape {view.shape}, got shape {array.shape}"
                )
            arrays.append((view, array))
        for view, array in arrays:  # only when all fit, so that nothing is half-written
            view[...] = array

    @property
    def bias(self) -> tuple[bool, ...]:
        """For l = 1..L, whether layer l has a bias."""
        return self.layout.bias

    @property
    def folded(self) -> bool:
        """Whether biases are shown as the first row of the weights (see `fold_biases`)."""
        return self.layout.folded

    def layers(self, theta: Any = None) -> list[Layer]:
        """The layers for the equations, over theta or over any other flat vector in its place."""
        pairs = self.layout.matrices(self._theta if theta is None else theta)
        return [Layer(W, b, f) for (W, b), f in zip(pairs, self.activations, strict=True)]

    # -- use ----------------------------------------------------------------------------------

    def predict(self, X: Any, *, engine: str = "auto") -> Array:
        """The output a_L (n, n_L) for inputs X (n, n_0): numbers, or probabilities of classes.

        Raises DataError for a wrong shape, text, NaN or infinity (with row and column).
        """
        if engine == "auto" and type(X) is np.ndarray and X.ndim == 2:
            a_L = predict_plain(self, X)
            if a_L is not None:
                return a_L
        from deltarule.engines import get_engine  # engines stand above the network

        return get_engine(engine, self).predict(self, check_inputs(X, self.sizes[0], self.dtype))

    def save(self, path: str | Path) -> None:
        """Write the network to one safetensors file, atomically (see `saving`)."""
        from deltarule.network.saving import save  # saving stands above the network

        save(self, path)

    def to_torch(self, *, logits: bool = False) -> Any:
        """The network as a `torch.nn.Sequential` on the CPU, with a copy of its parameters.

        `logits=True` leaves off the output activation, which PyTorch's losses on logits apply.
        Raises SpecError for an activation of your own, for which PyTorch has no module, and
        DeltaruleError if PyTorch is not installed.
        """
        return through("torch", "to_torch")(self, logits=logits)

    def to_onnx(self, path: str | Path | None = None, *, dtype: str | None = None) -> Any:
        """The network as an `onnx.ModelProto`, "X" (n, n_0) to "output" (n, n_L), the values a_L.

        It is written to `path`, if given, whole or not at all. `dtype` ("float32", "float64") is
        that of weights and arithmetic; None keeps the network's. Raises SpecError for an activation
        of your own or parameters that are NaN, OutputError if the file cannot be written, and
        DeltaruleError if onnx is not installed.
        """
        return through("onnx", "to_onnx")(self, path, dtype=dtype)

    def copy(self) -> Network:
        """An independent network with the same parameters."""
        return Network.from_spec(self, self._theta)

    @classmethod
    def from_spec(cls, like: Network, theta: Any) -> Network:
        """A network described as `like` with the given parameters."""
        net = cls.__new__(cls)
        net.__dict__.update(like.__dict__)
        net._theta = np.array(theta, dtype=like.dtype)
        return net

    # -- for people ---------------------------------------------------------------------------

    def __repr__(self) -> str:
        shape = "-".join(map(str, self.sizes))
        names = [f.name for f in self.activations]
        hidden = names[0] if len(set(names)) == 1 else ", ".join(names)
        if len(names) > 6 and len(set(names[:-1])) == 1:
            hidden = f"{len(names) - 1} x {names[0]}, {names[-1]}"
        if len(self.sizes) > 12:
            shape = f"{self.sizes[0]}-...({len(self.sizes) - 2} hidden layers)...-{self.sizes[-1]}"
        bias = "" if all(self.bias) else ", no bias" if not any(self.bias) else ", some biases"
        folded = ", biases folded" if self.folded else ""
        return (
            f"Network({shape}, {hidden}, {self.loss.name}{bias}{folded}, "
            f"{self._theta.size:,} parameters, {self.dtype})"
        )

    def _layers(self) -> list[tuple[str, ...]]:
        """Of each layer: units, activation, parameters, size of the weights."""
        pairs = self.layout.matrices(self._theta)
        return [
            (
                str(l),
                f"{n_in} -> {n_out}",
                f.name,
                "yes" if b is not None else "no",
                f"{W.size + (0 if b is None else b.size):,}",
                f"{float(np.sqrt((W.astype(np.float64) ** 2).mean())):.4g}",
            )
            for l, (n_in, n_out, f, (W, b)) in enumerate(
                zip(self.sizes, self.sizes[1:], self.activations, pairs, strict=False), start=1
            )
        ]

    def summary(self) -> str:
        """A table of the layers as text: units, activation, parameters, size of the weights."""
        # only who looks at it needs documents, so importing deltarule does not wait for them
        from deltarule.document import Document, Lines, Table, text

        said = f"loss {self.loss.name}, {self._theta.size:,} parameters, {self.dtype}"
        table = Table(_LAYER, self._layers(), "rlllrr")
        return text.write(Document([table, Lines([said], tight=True)]))

    def _repr_html_(self) -> str:
        from deltarule.document import Document, Table, html

        table = Table(_LAYER, self._layers(), "rlllrr", caption=repr(self))
        return html.fragment(Document([table]))


_LAYER = ("layer", "units", "activation", "bias", "parameters", "rms weight")


def _numbers(what: str, values: Any) -> Array:
    """A copy of values as an array of real numbers: they may be views of what is written to."""
    try:
        array = np.array(values)
    except ValueError as error:
        raise SpecError(f"{what}: not a rectangular array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise SpecError(f"{what}: numbers are needed, got {values!r:.60} ({array.dtype})")
    return array


def _checked_rng(rng: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise SpecError(
            f"rng must be None, a whole number >= 0, a SeedSequence or a Generator, got {rng!r}"
        ) from None


def fold_biases(net: Network) -> Network:
    """The same network with each bias as the weight w_0 of an input fixed to 1 (SPEC C3).

    Its `weights[l]` are (1 + n_{l-1}, n_l) with the bias as row 0, and its `biases` are None. Not a
    bit of any parameter changes: the folded matrix is the same stretch of theta.
    """
    return _with_folding(net, True)


def unfold_biases(net: Network) -> Network:
    """The inverse of `fold_biases`: weights and biases apart again."""
    return _with_folding(net, False)


def _with_folding(net: Network, folded: bool) -> Network:
    result = net.copy()
    result.layout = Layout(net.sizes, net.bias, folded)
    return result
