"""The description of a network without its parameters: sizes, activations, loss, biases, dtype.

A `Spec` is frozen and hashable. With a flat vector theta it is all that the engines need; a
`Network` is a `Spec` with its theta. What is wrong with a description is said here, by SpecError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from deltarule.equations.activations import Activation, get_activation
from deltarule.equations.backprop import Layer
from deltarule.equations.groups import describe
from deltarule.equations.losses import Loss, get_loss
from deltarule.equations.params import Layout
from deltarule.errors import SpecError


@dataclass(frozen=True)
class Spec:
    """A network without its parameters; `Spec.of` makes one from what a user gives.

    Attributes
    ----------
    sizes : tuple of int
        n_0, ..., n_L.
    activations : tuple of L Activations
        Of layers 1..L.
    loss : Loss
    bias : tuple of L bools
        Whether layer l has a bias.
    dtype : float32 or float64
    folded : bool, default False
        Whether biases are shown as the first row of the weights.
    kept : dict
        What an engine keeps of this description, under its name; no part of it.
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    loss: Loss
    bias: tuple[bool, ...]
    dtype: np.dtype[Any]
    folded: bool = False
    kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        sizes: Sequence[int],
        activations: str | Activation | Sequence[str | Activation],
        loss: str | Loss,
        bias: bool | Sequence[bool],
        dtype: Any,
        output_activation: str | Activation | None = None,
        folded: bool = False,
    ) -> Spec:
        """The checked description; parameters as those of `Network`.

        Nothing is allocated: the sizes may be those of a file that is not trusted yet. Raises
        SpecError if the parts do not fit together, with what to change.
        """
        record = get_loss(loss)
        counted = checked_sizes(sizes)
        L = len(counted) - 1
        functions = checked_activations(activations, output_activation, record, L)
        flags, kind = checked_bias(bias, L), checked_dtype(dtype)
        check_output(functions[-1], record, counted[-1])
        return cls(counted, functions, record, flags, kind, folded)

    @cached_property
    def layout(self) -> Layout:
        """Where the parameters of each layer lie in theta."""
        return Layout(self.sizes, self.bias, self.folded)

    def layers(self, theta: Any) -> list[Layer]:
        """The layers for the equations, over a flat vector of parameters."""
        pairs = self.layout.matrices(theta)
        return [Layer(W, b, f) for (W, b), f in zip(pairs, self.activations, strict=True)]

    def describe(self) -> str:
        """In one line for people: shape, activations, loss, number of parameters, dtype."""
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
            f"{shape}, {hidden}, {self.loss.name}{bias}{folded}, "
            f"{self.layout.size:,} parameters, {self.dtype}"
        )

    def __reduce__(self) -> Any:
        return Spec, (self.sizes, self.activations, self.loss, self.bias, self.dtype, self.folded)


def checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """n_0, ..., n_L, at least two of them, each a whole number >= 1."""
    try:
        listed = list(sizes)
    except TypeError:
        raise SpecError(f"sizes must be a list such as [2, 3, 1], got {sizes!r}") from None
    if len(listed) < 2:
        raise SpecError(f"sizes needs inputs and outputs at least, such as [2, 1]; got {sizes!r}")
    for l, n in enumerate(listed):
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise SpecError(f"sizes: layer {l} must have a whole number of units >= 1, got {n!r}")
    return tuple(int(n) for n in listed)


def checked_activations(
    given: str | Activation | Sequence[str | Activation],
    output: str | Activation | None,
    loss: Loss,
    L: int,
) -> tuple[Activation, ...]:
    """One activation for each layer 1..L, `output` or the loss's canonical one at the end."""
    if isinstance(given, str | Activation):
        last = get_activation(loss.link if output is None else output)
        result = [get_activation(given)] * (L - 1) + [last]
    elif not isinstance(given, Sequence):
        raise SpecError(f"activations must be a name, an Activation or a list, got {given!r}")
    else:
        result = [get_activation(one) for one in given]
        if output is not None and len(result) == L - 1:
            result.append(get_activation(output))
        elif output is not None:
            raise SpecError(
                f"with output_activation, activations names the {L - 1} hidden layers; "
                f"got {len(result)}"
            )
        if len(result) != L:
            raise SpecError(
                f"activations has {len(result)} entries, but there are {L} layers (the output "
                "layer counts, the inputs do not); give one name for all hidden layers, or "
                f"a list of {L}"
            )
    for l, f in enumerate(result[:-1], start=1):
        if f.jacobian_product is not None:
            raise SpecError(f"{f.name} mixes the units of a layer: only the output, not layer {l}")
    return tuple(result)


def checked_bias(bias: bool | Sequence[bool], L: int) -> tuple[bool, ...]:
    """For each layer 1..L, whether it has a bias."""
    if isinstance(bias, bool | np.bool_):
        return (bool(bias),) * L
    flags = tuple(bias) if isinstance(bias, Sequence | np.ndarray) else ()
    if len(flags) != L or not all(isinstance(flag, bool | np.bool_) for flag in flags):
        raise SpecError(f"bias must be a bool, or one bool for each of {L} layers; got {bias!r}")
    return tuple(bool(flag) for flag in flags)


def checked_dtype(dtype: Any) -> np.dtype[Any]:
    """float32 or float64."""
    try:
        result: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype)
    except TypeError:
        result = None
    if result is None or result not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise SpecError(f"dtype must be 'float64' or 'float32', got {dtype!r}")
    return result


def check_output(output: Activation, loss: Loss, n_outputs: int) -> None:
    """Raise SpecError unless the outputs can be those of the activation, and suit the loss."""
    if not (loss.domain[0] <= output.range[0] and output.range[1] <= loss.domain[1]):
        raise SpecError(
            f"{loss.name} is defined for outputs in [{loss.domain[0]:g}, {loss.domain[1]:g}], but "
            f"{output.name} gives values in [{output.range[0]:g}, {output.range[1]:g}]; its "
            f"canonical output activation is {loss.link}"
        )
    if loss.targets == "distribution" and n_outputs < 2:
        raise SpecError(
            f"{loss.name} needs an output for each class, at least 2; for a yes/no answer from "
            "one output take log_loss"
        )
    for name, groups in ((output.name, output.groups), (loss.name, loss.groups)):
        if groups and sum(groups) != n_outputs:
            raise SpecError(
                f"{name} has {describe(groups)} outputs, but the output layer has {n_outputs} units"
            )
    if output.name.partition("(")[0] == "softmax" and max(output.groups or (n_outputs,)) < 2:
        raise SpecError("softmax over 1 output is always 1; take sigmoid")
