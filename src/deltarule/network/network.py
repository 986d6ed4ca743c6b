"""The network: sizes, activations, loss and theta; says what is wrong with a bad description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from deltarule import options
from deltarule.doors import through
from deltarule.engines import get_engine, predict_plain
from deltarule.equations.activations import Activation
from deltarule.equations.backprop import Layer
from deltarule.equations.initializers import get_initializer
from deltarule.equations.losses import Loss
from deltarule.equations.params import Array, Layout
from deltarule.equations.spec import Spec
from deltarule.errors import SpecError
from deltarule.network import derivative_check
from deltarule.network.data import check_inputs
from deltarule.network.model_file import write_model

if TYPE_CHECKING:
    from pathlib import Path


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
        self._spec = spec = Spec.of(sizes, activations, loss, bias, dtype, output_activation)
        if check_derivatives:
            derivative_check.check_own_functions(spec.activations, spec.loss, spec.sizes[-1])
        self._theta = np.zeros(spec.layout.size, dtype=spec.dtype)
        generator = options.generator(rng)
        for l, (W, _) in enumerate(self.layout.matrices(self._theta)):
            draw = get_initializer(initializer, self.activations[l].initializer)
            drawn = np.asarray(draw(generator, *W.shape))
            if drawn.shape != W.shape:
                raise SpecError(
                    f"the initializer gave shape {drawn.shape} for layer {l + 1}, not {W.shape}"
                )
            W[...] = drawn

    # -- description --------------------------------------------------------------------------

    @property
    def spec(self) -> Spec:
        """The network without its parameters: frozen and hashable."""
        return self._spec

    @property
    def sizes(self) -> tuple[int, ...]:
        """n_0, ..., n_L."""
        return self._spec.sizes

    @property
    def activations(self) -> tuple[Activation, ...]:
        """Of layers 1..L."""
        return self._spec.activations

    @property
    def loss(self) -> Loss:
        """The loss J."""
        return self._spec.loss

    @property
    def bias(self) -> tuple[bool, ...]:
        """For l = 1..L, whether layer l has a bias."""
        return self._spec.bias

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._spec.dtype

    @property
    def layout(self) -> Layout:
        """Where the parameters of each layer lie in theta."""
        return self._spec.layout

    @property
    def folded(self) -> bool:
        """Whether biases are shown as the first row of the weights (see `fold_biases`)."""
        return self._spec.folded

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

    def layers(self, theta: Any = None) -> list[Layer]:
        """The layers for the equations, over theta or over any other flat vector in its place."""
        return self._spec.layers(self._theta if theta is None else theta)

    # -- use ----------------------------------------------------------------------------------

    def predict(self, X: Any, *, engine: str = "auto") -> Array:
        """The output a_L (n, n_L) for inputs X (n, n_0): numbers, or probabilities of classes.

        Raises DataError for a wrong shape, text, NaN or infinity (with row and column).
        """
        if engine == "auto" and type(X) is np.ndarray and X.ndim == 2:
            a_L = predict_plain(self._spec, self._theta, X)
            if a_L is not None:
                return a_L
        chosen = get_engine(engine, self._spec)
        return chosen.predict(self._spec, self._theta, check_inputs(X, self.sizes[0], self.dtype))

    def save(self, path: str | Path) -> None:
        """Write the network to one safetensors file, atomically (see `saving.save`)."""
        write_model(self._spec, self._theta, path)

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
        return Network.from_spec(self._spec, self._theta)

    @classmethod
    def from_spec(cls, spec: Spec, theta: Any) -> Network:
        """The network of that description, with a copy of the given parameters."""
        net = cls.__new__(cls)
        net._spec = spec
        net._theta = np.array(theta, dtype=spec.dtype)
        return net

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_spec" not in state:  # pickled by 0.1.0, which kept each part by itself
            layout = state["layout"]
            parts = (state["sizes"], state["activations"], state["loss"], layout.bias)
            state = {
                "_spec": Spec(*parts, state["dtype"], layout.folded),
                "_theta": state["_theta"],
            }
        self.__dict__.update(state)

    # -- for people ---------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"Network({self._spec.describe()})"

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


def require_network(value: Any) -> None:
    """Raise SpecError for what is no Network."""
    if not isinstance(value, Network):
        raise SpecError(f"a Network is needed, got {value!r:.60}")


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
    return Network.from_spec(replace(net.spec, folded=folded), net.theta)
