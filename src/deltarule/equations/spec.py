"""What is wrong with the description of a network: sizes, activations, loss, biases, dtype.

Each function gives its part back in the form that a network keeps, or raises SpecError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deltarule.equations.activations import Activation, get_activation
from deltarule.equations.groups import describe
from deltarule.equations.losses import Loss
from deltarule.errors import SpecError


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
