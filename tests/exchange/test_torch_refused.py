"""What from_torch and to_torch cannot express is refused, by position, type and what to do."""

from __future__ import annotations

from typing import Any

import pytest

import deltarule as dr
from support.oracles import own_sigmoid

torch = pytest.importorskip("torch")
nn = torch.nn

from deltarule.exchange.torch import from_torch, to_torch  # noqa: E402  # after importorskip


class OwnLinear(nn.Linear):
    """May compute anything."""


class OwnSequential(nn.Sequential):
    def forward(self, x: Any) -> Any:
        return x + super().forward(x)


class NamedSequential(nn.Sequential):
    """Has no forward of its own."""


def test_a_sequential_by_another_name() -> None:
    assert from_torch(NamedSequential(nn.Linear(2, 1))).sizes == (2, 1)


L1, L2 = nn.Linear(3, 3), nn.Linear(3, 3)
REFUSED = [
    (nn.Sequential(L1, nn.Sequential(nn.ReLU(), nn.LayerNorm(3))), "module 1.1: LayerNorm has no"),
    (nn.Sequential(L1, nn.BatchNorm1d(3)), "module 1: BatchNorm1d .*fuse_linear_bn_eval"),
    (nn.Sequential(L1, nn.LogSoftmax(-1)), "module 1: LogSoftmax .*loss='cross_entropy'"),
    (nn.Sequential(L1, nn.GELU("tanh")), r"module 1: GELU.* only GELU\(approximate='none'\)"),
    (nn.Sequential(L1, nn.Softplus(beta=2)), r"module 1: Softplus\(beta=2.* only Softplus\(beta=1"),
    (nn.Sequential(L1, nn.Softplus(threshold=5)), "module 1: Softplus.*threshold=5"),
    (nn.Sequential(L1, nn.Softmax(dim=0)), "module 1: Softmax.*only Softmax"),
    (nn.Sequential(L1, nn.Softmax(dim=None)), "module 1: Softmax.*only Softmax"),
    (nn.Sequential(L1, nn.ELU(-1.0)), "module 1: elu: alpha must be >= 0"),
    (nn.Sequential(L1, nn.LeakyReLU(float("nan"))), "module 1: .*must be finite"),
    (nn.Sequential(L1, nn.Softmax(1), L2), "softmax mixes the units"),
    (nn.Sequential(nn.ReLU(), L1), "module 0: ReLU stands before the first Linear"),
    (nn.Sequential(L1, nn.ReLU(), nn.Tanh()), "module 2: Tanh follows another activation"),
    (nn.Sequential(L1, L2, L1), "module 2: this Linear stands twice"),
    (nn.Sequential(L1, nn.Flatten(), L2), "module 1: Flatten has no counterpart"),
    (nn.Sequential(nn.Flatten(0), L1), "module 0: Flatten has no counterpart"),
    (nn.Sequential(nn.Linear(3, 4), L1), "module 1: Linear takes 3 numbers.* gives 4"),
    (nn.Sequential(nn.LazyLinear(3)), "module 0: LazyLinear has no sizes yet"),
    (nn.Linear(3, 2, device="meta"), "the module: Linear is on the meta device"),
    (nn.Linear(3, 2, dtype=torch.complex64), "the module: Linear is of torch.complex64"),
    (
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))),
        "module 0: Parametrized",
    ),
    (OwnLinear(3, 2), "the module: OwnLinear has no counterpart.* give the Sequential inside it"),
    (OwnSequential(L1), "the module: OwnSequential has no counterpart"),
    (nn.Sequential(), "no Linear layer"),
    (nn.Sequential(nn.Flatten()), "no Linear layer"),
    ([L1], "the module must be a torch.nn.Module, got list"),
]


@pytest.mark.parametrize(("module", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_has_no_counterpart_is_refused_by_position_and_type(module: Any, message: str) -> None:
    with pytest.raises(dr.SpecError, match=message):
        from_torch(module)


def test_hooks_are_refused() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    handle = module[1].register_forward_hook(lambda module, x, y: y + 1)
    with pytest.raises(dr.SpecError, match="module 1: ReLU has forward hooks"):
        from_torch(module)
    handle.remove()
    from_torch(module)


def test_own_functions_have_no_module() -> None:
    net = dr.Network([2, 3, 1], own_sigmoid(), rng=0)
    with pytest.raises(dr.SpecError, match=r"layer 1: .*'mine' of your own"):
        to_torch(net)
    last = dr.Network([2, 3, 1], "relu", output_activation=own_sigmoid("sigmoid"), rng=0)
    with pytest.raises(dr.SpecError, match=r"layer 2: .*'sigmoid' of your own"):
        to_torch(last)
    assert len(to_torch(last, logits=True)) == 3


@pytest.mark.parametrize(
    "criterion",
    [
        nn.MSELoss(reduction="sum"),
        nn.CrossEntropyLoss(label_smoothing=0.1),
        nn.CrossEntropyLoss(weight=torch.ones(2)),
        nn.CrossEntropyLoss(ignore_index=0),
        nn.CrossEntropyLoss(reduction="none"),
        nn.PoissonNLLLoss(log_input=False),
        nn.BCEWithLogitsLoss(pos_weight=torch.ones(2)),
        nn.BCELoss(weight=torch.ones(2)),
    ],
    ids=str,
)
def test_losses_that_would_be_others_are_refused(criterion: Any) -> None:
    with pytest.raises(dr.SpecError, match=f"{type(criterion).__name__} is taken with .* only"):
        from_torch(nn.Linear(3, 2), criterion)


def test_losses_that_apply_the_link_and_modules_that_do_too() -> None:
    twice = nn.Sequential(nn.Linear(3, 2), nn.Softmax(dim=-1))
    with pytest.raises(dr.SpecError, match="CrossEntropyLoss applies softmax itself"):
        from_torch(twice, nn.CrossEntropyLoss())
    with pytest.raises(dr.SpecError, match="BCELoss takes probabilities"):
        from_torch(nn.Linear(3, 1), nn.BCELoss())
    with pytest.raises(dr.SpecError, match="the loss NLLLoss has no counterpart"):
        from_torch(twice, nn.NLLLoss())
    with pytest.raises(dr.SpecError, match="Did you mean 'cross_entropy'"):
        from_torch(twice, "crossentropy")
