"""Networks to and from PyTorch: an `nn.Sequential` of `nn.Linear` and activations.

PyTorch keeps a layer's matrix as (outputs, inputs), the transpose of W_l; all else is a matter of
names. What PyTorch computes differently is refused, never approximated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deltarule.equations.activations import Activation, get_activation
from deltarule.equations.losses import Loss, get_loss
from deltarule.equations.records import number
from deltarule.errors import DeltaruleError, SpecError
from deltarule.network.network import Network


@dataclass(frozen=True)
class _Module:
    """The module of torch.nn that equals an activation of the package."""

    name: str
    parameter: str = ""  # its attribute that is the activation's parameter
    written: Mapping[str, Any] = field(default_factory=dict)  # what else it is made with
    admits: Callable[[Any], bool] = lambda module: True
    needed: str = ""  # `admits` in words


# Above its threshold torch's Softplus gives z: off by 2e-9 at 20, its default, and by nothing in
# float64 at 40.
_MODULES: Mapping[str, _Module] = {
    "sigmoid": _Module("Sigmoid"),
    "tanh": _Module("Tanh"),
    "relu": _Module("ReLU"),
    "leaky_relu": _Module("LeakyReLU", parameter="negative_slope"),
    "elu": _Module("ELU", parameter="alpha"),
    "selu": _Module("SELU"),
    "gelu": _Module("GELU", admits=lambda m: m.approximate == "none", needed="approximate='none'"),
    "silu": _Module("SiLU"),
    "softplus": _Module(
        "Softplus",
        written={"threshold": 40},
        admits=lambda m: m.beta == 1 and m.threshold >= 20,
        needed="beta=1, threshold>=20",
    ),
    "softsign": _Module("Softsign"),
    "mish": _Module("Mish"),
    "softmax": _Module(
        "Softmax", written={"dim": -1}, admits=lambda m: m.dim in (-1, 1), needed="dim=-1"
    ),
    # of torch_modules.py: torch.nn has none
    "exp": _Module("Exp"),
    "softmax by groups": _Module("GroupedSoftmax", parameter="sizes"),
}
_OWN = ("Exp", "GroupedSoftmax")
_NAMES = {module.name: name for name, module in _MODULES.items()}
_ADVICE = {
    "LogSoftmax": "leave it off and take loss='cross_entropy': the network then gives the "
    "probabilities, of which this module gave the logarithm",
    "BatchNorm1d": "in evaluation mode it folds into the Linear before it: "
    "torch.nn.utils.fuse_linear_bn_eval(linear, batch_norm)",
}


@dataclass(frozen=True)
class _Criterion:
    """How a loss module of torch.nn relates to a loss of the package."""

    loss: str
    factor: float = 1.0  # with one output, it is this many times the package's J
    mean_over_outputs: bool = True  # with k outputs, it divides by k besides
    link_inside: bool = False  # it applies the output activation itself
    parameter: str = ""
    admits: Callable[[Any], bool] = lambda module: True
    needed: str = "reduction='mean'"


_CRITERIA: Mapping[str, _Criterion] = {
    "MSELoss": _Criterion("squared_error", factor=2.0),
    "L1Loss": _Criterion("absolute_error"),
    "HuberLoss": _Criterion("huber", parameter="delta"),
    "CrossEntropyLoss": _Criterion(
        "cross_entropy",
        mean_over_outputs=False,
        link_inside=True,
        admits=lambda c: c.weight is None and c.label_smoothing == 0 and c.ignore_index < 0,
        needed="no weight, label_smoothing or ignore_index, reduction='mean'",
    ),
    "BCELoss": _Criterion(
        "log_loss",
        admits=lambda c: c.weight is None,
        needed="no weight, reduction='mean'",
    ),
    "BCEWithLogitsLoss": _Criterion(
        "log_loss",
        link_inside=True,
        admits=lambda c: c.weight is None and c.pos_weight is None,
        needed="no weight or pos_weight, reduction='mean'",
    ),
    "PoissonNLLLoss": _Criterion(
        "poisson",
        link_inside=True,
        admits=lambda c: c.log_input,
        needed="log_input=True, reduction='mean'",
    ),
}


def from_torch(module: Any, loss: Any = "squared_error", *, dtype: Any = None) -> Network:
    """The network that a module of PyTorch is, with a copy of its parameters.

    Parameters
    ----------
    module : torch.nn.Linear, or torch.nn.Sequential (nested ones too)
        Of Linear layers, with or without bias, each followed by at most one of Identity, Sigmoid,
        Tanh, ReLU, LeakyReLU, ELU, SELU, GELU (the exact one), SiLU, Softplus (beta 1), Softsign,
        Mish, and at the end also Softmax. Two Linear layers in a row have "identity" between them.
        Flatten before the first layer is taken to be done by you: `predict` takes rows. Dropout is
        left out, as it is in evaluation mode; to train with it, give `train` its rate.
    loss : str, Loss, or a loss module of torch.nn, default "squared_error"
        By name or as a dr.Loss: if the module ends with a Linear, its output activation is the
        loss's canonical one ("cross_entropy" adds softmax, "log_loss" sigmoid, "poisson" exp), as
        PyTorch's losses on logits do. As a module: CrossEntropyLoss, BCEWithLogitsLoss, BCELoss,
        PoissonNLLLoss, L1Loss, HuberLoss, MSELoss, if its gradient is that of the package's loss
        for this number of outputs. PyTorch takes the mean over the outputs and has no 1/2 in
        MSELoss; where that makes a factor, the error names it, and you give the loss by name. The
        value of PoissonNLLLoss differs by a term that depends on the targets only.
    dtype : "float64", "float32" or None, default None
        None keeps that of the module (half precisions become float32).

    Returns
    -------
    Network
        Its outputs are those of the module in evaluation mode to rounding (followed by the output
        activation that the loss added). Softplus differs by up to 2e-9 above its threshold of 20,
        where PyTorch gives z itself.

    Raises
    ------
    SpecError
        If a module has no counterpart, with its position and type, or the loss would be another.
    DeltaruleError
        If PyTorch is not installed.
    """
    torch = _torch()
    linears, activations = _read(torch, module)
    record = _loss(torch, loss, linears[-1].out_features, activations[-1])
    if activations[-1] is None:
        activations[-1] = get_activation(record.link)
    net = Network(
        [linears[0].in_features, *(linear.out_features for linear in linears)],
        [get_activation("identity") if f is None else f for f in activations],
        record,
        [linear.bias is not None for linear in linears],
        _dtype(torch, linears) if dtype is None else dtype,
        initializer="zeros",
    )
    for (W, b), linear in zip(net.layout.matrices(net.theta), linears, strict=True):
        W[...] = _numpy(torch, linear.weight).T
        if b is not None:
            b[...] = _numpy(torch, linear.bias)
    return net


def to_torch(net: Network, *, logits: bool = False) -> Any:
    """The network as a `torch.nn.Sequential` on the CPU, with a copy of its parameters.

    Parameters
    ----------
    logits : bool, default False
        Leave off the output activation, so that the module gives z_L: what CrossEntropyLoss,
        BCEWithLogitsLoss and PoissonNLLLoss take.

    Returns
    -------
    torch.nn.Sequential
        Of Linear layers and activations, in the network's dtype; "identity" takes no module.

    Raises
    ------
    SpecError
        If a layer has an activation of your own, for which there is no module.
    DeltaruleError
        If PyTorch is not installed.
    """
    torch = _torch()
    modules: list[Any] = []
    layers = net.layers()
    for l, (W, b, f) in enumerate(layers, start=1):
        linear = torch.nn.Linear(
            *W.shape, bias=b is not None, device="meta", dtype=getattr(torch, str(net.dtype))
        ).to_empty(device="cpu")  # no numbers drawn: PyTorch's generator stays as it was
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(W.T)))
            if b is not None:
                linear.bias.copy_(torch.from_numpy(np.array(b)))
        modules.append(linear)
        if f is not get_activation("identity") and not (logits and l == len(layers)):
            modules.append(_module(torch, f, l))
    return torch.nn.Sequential(*modules)


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise DeltaruleError(
            "this needs PyTorch, which is not installed: pip install 'deltarule[torch]'"
        ) from None
    return torch


def _class(torch: Any, name: str) -> Any:
    """The class of a module by its name, None if there is none."""
    if name in _OWN:
        from deltarule.exchange import torch_modules  # needs torch as soon as it is imported

        return getattr(torch_modules, name)
    return getattr(torch.nn, name, None)


def _leaves(torch: Any, module: Any, path: tuple[int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The modules of nested Sequentials in the order in which they act, each with its position."""
    where = f"module {'.'.join(map(str, path))}" if path else "the module"
    if not isinstance(module, torch.nn.Module):
        raise SpecError(f"{where} must be a torch.nn.Module, got {type(module).__name__}")
    if isinstance(module, torch.nn.modules.lazy.LazyModuleMixin):
        raise SpecError(
            f"{where}: {type(module).__name__} has no sizes yet; pass a batch through it first"
        )
    if module._forward_hooks or module._forward_pre_hooks:
        raise SpecError(
            f"{where}: {type(module).__name__} has forward hooks, which may change what it "
            "computes (weight_norm sets one); remove them first"
        )
    if isinstance(module, torch.nn.Sequential) and (
        type(module).forward is torch.nn.Sequential.forward
    ):
        for i, child in enumerate(module):
            yield from _leaves(torch, child, (*path, i))
    else:
        yield where, module


def _read(torch: Any, module: Any) -> tuple[list[Any], list[Activation | None]]:
    """The Linear layers, and the activation after each: None where there is none."""
    linears: list[Any] = []
    activations: list[Activation | None] = []
    for where, one in _leaves(torch, module):
        kind = type(one).__name__
        known = type(one) is _class(torch, kind)  # a subclass may compute anything
        if known and kind == "Linear":
            _check_linear(one, linears, where)
            linears.append(one)
            activations.append(None)
        elif known and kind in _NAMES:
            if not linears:
                raise SpecError(f"{where}: {kind} stands before the first Linear; apply it to X")
            if activations[-1] is not None:
                raise SpecError(
                    f"{where}: {kind} follows another activation; a layer has one, so put a Linear "
                    "between them"
                )
            activations[-1] = _activation(one, kind, where)
        elif not (known and _changes_nothing(one, kind, first=not linears)):
            advice = _ADVICE.get(kind) or (
                f"from_torch takes nn.Sequential of Linear, {', '.join(_NAMES)}, Identity, "
                "Dropout, AlphaDropout, and Flatten(1, -1) before the first Linear; of a class of "
                "your own, give the Sequential inside it"
            )
            raise SpecError(f"{where}: {kind} has no counterpart here; {advice}")
    if not linears:
        raise SpecError("the module has no Linear layer, so it has no parameters to take over")
    return linears, activations


def _changes_nothing(one: Any, kind: str, first: bool) -> bool:
    """Whether rows come out as they went in: in evaluation mode, and for rows of numbers."""
    flattens = first and kind == "Flatten" and (one.start_dim, one.end_dim) == (1, -1)
    return flattens or kind in ("Identity", "Dropout", "AlphaDropout")


def _check_linear(linear: Any, before: list[Any], where: str) -> None:
    if any(linear is other for other in before):
        raise SpecError(f"{where}: this Linear stands twice; layers cannot share their weights")
    if linear.weight.is_meta:
        raise SpecError(f"{where}: Linear is on the meta device, so it has no numbers to take over")
    if not linear.weight.dtype.is_floating_point:
        raise SpecError(f"{where}: Linear is of {linear.weight.dtype}; real numbers are needed")
    if before and linear.in_features != before[-1].out_features:
        raise SpecError(
            f"{where}: Linear takes {linear.in_features} numbers, but the one before it gives "
            f"{before[-1].out_features}"
        )


def _activation(one: Any, kind: str, where: str) -> Activation:
    name = _NAMES[kind]
    module = _MODULES[name]
    if not module.admits(one):
        raise SpecError(f"{where}: {one} has no counterpart here, only {kind}({module.needed})")
    if not module.parameter:
        return get_activation(name)
    value = getattr(one, module.parameter)
    text = ",".join(map(str, value)) if name == "softmax by groups" else number(value)
    try:
        return get_activation(f"{name.split()[0]}({text})")
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None


def _module(torch: Any, f: Activation, l: int) -> Any:
    name, _, text = f.name.rstrip(")").partition("(")
    value: Any = f.parameter
    if name == "softmax" and text:
        name, value = "softmax by groups", [int(size) for size in text.split(",")]
    if not f.registered or name not in _MODULES:
        own = "" if f.registered else " of your own"
        raise SpecError(f"layer {l}: PyTorch has no module for the activation {f.name!r}{own}")
    module = _MODULES[name]
    parameter = {module.parameter: value} if module.parameter else {}
    return _class(torch, module.name)(**module.written, **parameter)


def _loss(torch: Any, loss: Any, n_outputs: int, output: Activation | None) -> Loss:
    if not isinstance(loss, torch.nn.Module):
        return get_loss(loss)
    kind = type(loss).__name__
    criterion = _CRITERIA.get(kind)
    if criterion is None or type(loss) is not _class(torch, kind):
        raise SpecError(
            f"the loss {kind} has no counterpart here; give the loss by name, or one of "
            f"{', '.join(_CRITERIA)}"
        )
    if loss.reduction != "mean" or not criterion.admits(loss):
        raise SpecError(f"{kind} is taken with {criterion.needed} only; give the loss by name")
    spec = criterion.loss
    if criterion.parameter:
        spec = f"{spec}({number(getattr(loss, criterion.parameter))})"
    record = get_loss(spec)
    if criterion.link_inside and output is not None:
        raise SpecError(
            f"{kind} applies {record.link} itself, so the module must end with a Linear, "
            f"not with {output.name}"
        )
    if kind == "BCELoss" and output is None:
        raise SpecError(
            "BCELoss takes probabilities, but the module ends with a Linear: add Sigmoid, or take "
            "BCEWithLogitsLoss"
        )
    factor = criterion.factor / (n_outputs if criterion.mean_over_outputs else 1)
    if factor != 1:
        raise SpecError(
            f"with {n_outputs} output{'s' if n_outputs > 1 else ''}, {kind} is {factor:.6g} times "
            f"the loss {record.name!r} of the package; give loss={record.name!r}, and multiply the "
            f"learning rate by {factor:.6g} for the same steps of gradient descent"
        )
    return record


def _dtype(torch: Any, linears: list[Any]) -> str:
    doubles = (linear.weight.dtype == torch.float64 for linear in linears)
    return "float64" if any(doubles) else "float32"


def _numpy(torch: Any, parameter: Any) -> Any:
    """The numbers of a parameter as a NumPy array; halves, which NumPy lacks, become float32."""
    values = parameter.detach().cpu()
    return (values if values.dtype == torch.float64 else values.to(torch.float32)).numpy()
