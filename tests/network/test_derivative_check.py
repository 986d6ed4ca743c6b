"""A user's wrong derivative is found before training, a right one is let through."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from deltarule.equations.activations import Activation, activation_names, get_activation, leaky_relu
from deltarule.equations.losses import Loss, get_loss, loss_names
from deltarule.errors import DerivativeError, SpecError
from deltarule.network.derivative_check import check_activation, check_loss
from deltarule.network.network import Network
from support.oracles import admissible_pairs, own_sigmoid


def sine(df: Any = np.cos, f: Any = np.sin, **more: Any) -> Activation:
    return Activation("sine", f, df, **more)


def squared(
    dJ: Any = lambda o, y: o - y,
    J: Any = lambda o, y: 0.5 * ((o - y) ** 2).sum(axis=1),
    **more: Any,
) -> Loss:
    return Loss("mine", J, dJ, **more)


# -- right ones pass -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*activation_names(), "elu(0.3)", "leaky_relu(-2)"])
def test_every_registered_activation_passes(name: str) -> None:
    check_activation(get_activation(name), 5)


@pytest.mark.parametrize(("loss", "output"), admissible_pairs())
def test_every_registered_loss_passes(loss: str, output: str) -> None:
    check_loss(get_loss(loss), get_activation(output), 3)


@pytest.mark.parametrize(
    "f",
    [
        sine(),
        own_sigmoid(),
        leaky_relu(0.3),
        sine(f=np.abs, df=np.sign, kinks=(0.0,)),
        sine(f=lambda z: np.maximum(z, 1), df=lambda z: z > 1),  # a slope of bools
        sine(f=lambda z: np.clip(z, -1, 1), df=lambda z: (np.abs(z) < 1).astype(int)),
        sine(f=np.floor, df=np.zeros_like),
        sine(f=lambda z: np.exp(200 * z), df=lambda z: 200 * np.exp(200 * z)),
        sine(kinks=[0.0]),  # type: ignore[arg-type]  # a list, as people write
    ],
    ids=range(9),
)
def test_right_activations_pass(f: Activation) -> None:
    Network([2, 3, 1], f)


@pytest.mark.parametrize(
    "loss",
    [
        squared(),
        squared(lambda o, y: np.sign(o - y), lambda o, y: np.abs(o - y).sum(axis=1)),
        squared(lambda o, y: (o - y) / 5, lambda o, y: ((o - y) ** 2).mean(axis=1) / 2),
        squared(
            lambda o, y: np.arange(5) * (o - y),  # a weight for each output of THIS network
            lambda o, y: 0.5 * (np.arange(5) * (o - y) ** 2).sum(axis=1),
        ),
    ],
    ids=range(4),
)
def test_right_losses_pass(loss: Loss) -> None:
    Network([2, 5], loss=loss)


def test_a_wide_output_layer_is_checked_in_reasonable_time() -> None:
    Network([1, 20_000], loss=squared())
    with pytest.raises(DerivativeError):
        Network([1, 2000], loss=squared(lambda o, y: 2 * (o - y)))


# -- wrong ones are named --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (sine(np.sin), "activation 'sine': df is not the derivative of its value: at z ="),
        (sine(lambda z: np.cos(z) * 1.0001), "38 of 41 points disagree"),
        (sine(lambda z: z * np.nan), "it gives nan"),
        (sine(lambda z: 1.0), "df gave shape () for an array of shape (41,)"),
        (sine(f=lambda z: z.sum()), "f gave shape ()"),
        (sine(f=math.sin), "f failed on an array of shape (41,) (TypeError"),
        (sine(None), "df failed"),
        (sine(f=lambda z: np.sin(z, out=z)), "leave it unchanged"),
        (sine(f=lambda z: z * np.nan), "cannot be checked: the value is not finite"),
    ],
)
def test_wrong_activations(f: Activation, message: str) -> None:
    with pytest.raises(DerivativeError) as caught:
        Network([2, 3, 1], f)
    assert message in str(caught.value)
    assert isinstance(caught.value, SpecError)
    Network([2, 3, 1], f, check_derivatives=False)


def test_the_message_says_where_and_how_far_off() -> None:
    late = sine(lambda z: np.where(z > 3.2, 7.0, np.cos(z)))
    with pytest.raises(DerivativeError, match=r"at z = 3.3 it gives 7, finite differences give -0"):
        Network([2, 3, 1], late)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (squared(lambda o, y: 2 * (o - y)), "loss 'mine': dJ is not the derivative"),
        (squared(lambda o, y: y - o), "at o ="),
        (squared(lambda o, y: (o - y) / len(o)), "dJ is not"),
        (squared(lambda o, y: (o - y).sum(axis=1)), "dJ gave shape (40,)"),
        (squared(J=lambda o, y: 0.5 * ((o - y) ** 2).mean()), "sum over the outputs, not over"),
        (squared(J=lambda o, y: 0.5 * (o - y) ** 2), "J gave shape (40, 3) for outputs (40, 3)"),
        (squared(J=None), "J failed"),
        (squared(lambda o, y: (o - y) * np.nan), "it gives nan"),
        (
            squared(fused_J=lambda z, y: 0.5 * ((z - y) ** 2).sum(axis=1), fused_dJ=lambda z, y: z),
            "fused_dJ is not the derivative of its value: at z =",
        ),
    ],
)
def test_wrong_losses(loss: Loss, message: str) -> None:
    with pytest.raises(DerivativeError) as caught:
        Network([2, 3], loss=loss)
    assert message in str(caught.value)
    Network([2, 3], loss=loss, check_derivatives=False)


def test_a_fused_form_is_checked_only_with_its_own_link() -> None:
    fused: dict[str, Any] = {
        "fused_J": lambda z, y: 0.5 * ((z - y) ** 2).sum(axis=1),
        "fused_dJ": lambda z, y: np.zeros_like(z),
    }
    Network([2, 3], loss=squared(**fused), output_activation="tanh")
    with pytest.raises(DerivativeError, match="fused_dJ"):
        Network([2, 3], loss=squared(**fused))


def own_softmax(product: Any) -> Activation:
    softmax = get_activation("softmax")
    return Activation("own_softmax", softmax.f, softmax.df, jacobian_product=product)


def test_an_own_activation_that_mixes_units() -> None:
    right = get_activation("softmax").jacobian_product
    Network([2, 3], output_activation=own_softmax(right))
    with pytest.raises(DerivativeError, match="jacobian_product is not the derivative"):
        Network([2, 3], output_activation=own_softmax(lambda z, g: g))


def test_own_functions_by_groups() -> None:
    link, pair = get_activation("softmax(3,2)"), get_loss("cross_entropy(3,2)")
    f = Activation("own", link.f, link.df, jacobian_product=link.jacobian_product, groups=(3, 2))
    one_group = get_activation("softmax").jacobian_product
    Network([2, 5], output_activation=f)
    wrong = dataclasses.replace(f, jacobian_product=one_group)
    with pytest.raises(DerivativeError, match="jacobian_product is not the derivative"):
        Network([2, 5], output_activation=wrong)
    # its fused forms hold only where the targets of each group sum to 1
    own = dataclasses.replace(pair, name="own")
    Network([2, 5], loss=own)
    with pytest.raises(DerivativeError, match="fused_J"):
        Network([2, 5], loss=dataclasses.replace(own, groups=()))


def test_the_points_of_the_check_cannot_be_spoiled() -> None:
    with pytest.raises(DerivativeError):
        Network([2, 3, 1], sine(f=lambda z: np.sin(z, out=z)))
    with pytest.raises(DerivativeError):
        Network([2, 3, 1], sine(np.sin))
    Network([2, 3, 1], sine())


def test_own_functions_are_checked_once_each_and_registered_ones_never() -> None:
    calls = []
    counted = sine(lambda z: calls.append(1) or np.cos(z))
    Network([2, 3, 3, 3, 1], counted)
    assert len(calls) == 1
    assert all(get_loss(name).registered for name in loss_names())


def test_fused_value_that_is_not_the_loss_of_the_link_is_refused() -> None:
    def loss(factor: float) -> Loss:
        return Loss(
            "own",
            lambda o, y: 0.5 * ((o - y) ** 2).sum(axis=-1),
            lambda o, y: o - y,
            fused_J=lambda z, y: factor * 0.5 * ((z - y) ** 2).sum(axis=-1),
            fused_dJ=lambda z, y: factor * (z - y),
        )

    check_loss(loss(1.0), get_activation("identity"), 2)
    with pytest.raises(DerivativeError, match=r"fused_J\(z, y\) is not J"):
        check_loss(loss(2.0), get_activation("identity"), 2)


# -- what a record states --------------------------------------------------------------------------


TANH: Any = (np.tanh, lambda z: 1 - np.tanh(z) ** 2)
HALF_SQUARE: Any = (lambda o, y: ((o - y) ** 2).sum(axis=1) / 2, lambda o, y: o - y)


def test_formulas_that_say_what_the_code_computes_are_taken() -> None:
    mine = Activation("mine", *TANH, formula=lambda m: m.tanh(m.z), df_formula=lambda m: 1 - m.a**2)
    loss = Loss(
        "half",
        *HALF_SQUARE,
        formula=lambda m: m.half * (m.o - m.y) ** 2,
        dJ_formula=lambda m: m.o - m.y,
    )
    assert Network([2, 3, 2], mine, loss).loss.formula == "1/2 (o - y)^2"
    assert Activation("mine", *TANH, formula=None).formula == ""  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [*activation_names(), *loss_names()])
def test_the_formulas_of_the_package_are_taken_from_a_record_of_ones_own(name: str) -> None:
    known: Any = get_activation(name) if name in activation_names() else get_loss(name)
    stated = {key: value for key, value in vars(known).items() if key.endswith("formula")}
    mine = dataclasses.replace(known, name="mine", **stated)
    assert not mine.registered
    if isinstance(mine, Loss):
        Network([2, 3], loss=mine)
    else:
        Network([2, 3], mine, output_activation=mine)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"formula": lambda m: m.tanh(2 * m.z)}, "formula is not what f computes: it gives -0.99"),
        ({"df_formula": lambda m: 1 - m.a**3}, "df_formula is not what df computes"),
        ({"formula": lambda m: m.y * m.z}, "formula has a letter 'y'; it may have z only"),
        ({"df_formula": lambda m: m.o}, "df_formula has a letter 'o'; it may have z and a only"),
        ({"formula": lambda m: m.sinh(m.z)}, "formula makes no tree .* no attribute 'sinh'"),
        ({"formula": lambda m: "tanh(z)"}, "formula makes no tree .* as in lambda m: 1 / "),
        ({"formula": 3}, "activation 'mine': formula must be text or a function that makes a tree"),
    ],
)
def test_a_formula_that_says_something_else_is_refused(stated: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Network([2, 3, 2], Activation("mine", *TANH, **stated))


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"formula": lambda m: (m.o - m.y) ** 2}, "loss 'half': formula is not what J computes"),
        ({"dJ_formula": lambda m: m.y - m.o}, "dJ_formula is not what dJ computes"),
        ({"formula": lambda m: m.z}, "formula has a letter 'z'; it may have o and y only"),
    ],
)
def test_a_loss_that_says_something_else_is_refused(stated: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Network([2, 3], loss=Loss("half", *HALF_SQUARE, **stated))
