"""from_torch and to_torch: PyTorch's outputs and autograd are the oracle for ours."""

from __future__ import annotations

import copy
import io
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import deltarule as dr
from deltarule.equations.activations import get_activation
from deltarule.equations.losses import get_loss, loss_names
from support.oracles import admissible_pairs, hidden_names, targets

torch = pytest.importorskip("torch")
nn = torch.nn

from deltarule.exchange.torch import from_torch, to_torch  # noqa: E402  # after importorskip

HIDDEN = [*hidden_names(), "leaky_relu(0.2)", "elu(0.5)"]
CLOSE = {"float64": {"rtol": 1e-12, "atol": 1e-13}, "float32": {"rtol": 2e-5, "atol": 2e-6}}
# C of the package, the mean over the samples, written with PyTorch's own functions
ERRORS = {
    "squared_error": lambda o, y: 0.5 * nn.functional.mse_loss(o, y, reduction="sum") / len(o),
    "log_loss": lambda o, y: nn.functional.binary_cross_entropy(o, y, reduction="sum") / len(o),
    "cross_entropy": lambda o, y: -(y * o.log()).sum() / len(o),
    "absolute_error": lambda o, y: nn.functional.l1_loss(o, y, reduction="sum") / len(o),
    "huber": lambda o, y: nn.functional.huber_loss(o, y, reduction="sum") / len(o),
    "quantile": lambda o, y: 0.5 * nn.functional.l1_loss(o, y, reduction="sum") / len(o),
    "poisson": lambda o, y: (
        nn.functional.poisson_nll_loss(o, y, log_input=False, eps=0, reduction="sum") / len(o)
    ),
}


def batch(net: dr.Network, n: int = 7) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, net.sizes[0])).astype(net.dtype)
    return X, targets(net.loss, rng, n, net.sizes[-1]).astype(net.dtype)


def torch_gradients(net: dr.Network, module: Any, C: Any, X: Any, Y: Any) -> tuple[float, Any, Any]:
    """C, dC/dtheta in the order of theta, and dC/dX, by autograd."""
    x = torch.from_numpy(X.copy()).requires_grad_()
    module.zero_grad()
    error = C(module(x), torch.from_numpy(Y.copy()))
    error.backward()
    linears = [m for m in module.modules() if isinstance(m, nn.Linear)]
    pieces = net.layout.join(
        [m.weight.grad.T for m in linears],
        [None if m.bias is None else m.bias.grad for m in linears],
    )
    theta = np.concatenate([piece.numpy() for piece in pieces])
    return error.item(), theta, x.grad.numpy()


def outputs(module: Any, X: Any) -> Any:
    with torch.no_grad():
        return module(torch.from_numpy(X.copy())).numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", HIDDEN)
def test_outputs_are_equal_for_every_activation(name: str, dtype: str) -> None:
    net = dr.Network([4, 9, 5, 3], name, output_activation=name, dtype=dtype, rng=0)
    net.theta = np.random.default_rng(1).standard_normal(net.theta.size)
    if name == "exp":
        net.theta = net.theta / 4  # exp of exp of exp
    X, _ = batch(net, 40)
    module = to_torch(net)
    assert str(module[0].weight.dtype) == f"torch.{dtype}"
    got = outputs(module, X)
    assert str(got.dtype) == dtype
    np.testing.assert_allclose(got, net.predict(X), **CLOSE[dtype])


@pytest.mark.parametrize("name", [*HIDDEN, "softmax"])
def test_activations_are_equal_far_out(name: str) -> None:
    """One unit that passes z on: from the tails, where forms differ, to the middle."""
    k = 2 if name == "softmax" else 1
    net = dr.Network(
        [k, k], output_activation=name, rng=0, initializer=lambda _, n, m: np.eye(n, m)
    )
    Z = np.linspace(-700, 700, 2801).reshape(-1, 1)
    X = np.hstack([Z, 0.5 * Z])[:, :k].copy()
    atol = 1e-15 if name == "gelu" else 1e-300  # torch takes Phi(z) as (1 + erf) / 2, 0 below -8
    np.testing.assert_allclose(outputs(to_torch(net), X), net.predict(X), rtol=1e-12, atol=atol)


@pytest.mark.parametrize(("loss", "output"), admissible_pairs())
@pytest.mark.parametrize("hidden", HIDDEN)
def test_gradients_are_those_of_autograd(hidden: str, loss: str, output: str) -> None:
    net = dr.Network([4, 6, 3], hidden, loss, output_activation=output, rng=2)
    for b in net.biases:
        b += 0.3
    if output == "relu":
        net.biases[-1][:] = 4  # log 0 has no gradient
    X, Y = batch(net)
    _, theta, inputs = torch_gradients(net, to_torch(net), ERRORS[loss], X, Y)
    ours = dr.backward(net, X, Y)
    np.testing.assert_allclose(ours.theta, theta, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(ours.inputs / len(X), inputs, rtol=1e-9, atol=1e-13)


LOGITS = {  # what the modules of PyTorch give with one output, or k classes
    "cross_entropy": (nn.CrossEntropyLoss(), 3),
    "log_loss": (nn.BCEWithLogitsLoss(), 1),
    "poisson": (nn.PoissonNLLLoss(), 1),
}


@pytest.mark.parametrize("scale", [1.0, 60.0])  # the second saturates
@pytest.mark.parametrize("loss", LOGITS)
def test_logits_suit_the_losses_of_torch(loss: str, scale: float) -> None:
    criterion, k = LOGITS[loss]
    net = dr.Network([4, 5, k], "tanh", loss, rng=1)
    net.theta = net.theta * (scale if loss != "poisson" else scale**0.3)
    X, Y = batch(net)
    module = to_torch(net, logits=True)
    assert isinstance(module[-1], nn.Linear)
    C, theta, _ = torch_gradients(net, module, criterion, X, Y)
    ours = dr.backward(net, X, Y)
    np.testing.assert_allclose(ours.theta, theta, rtol=1e-9, atol=1e-13)
    if loss != "poisson":  # whose value differs by a term of the targets
        assert ours.loss == pytest.approx(C, rel=1e-12)
    back = from_torch(module, criterion)
    assert (back.loss, back.activations) == (net.loss, net.activations)
    np.testing.assert_array_equal(back.theta, net.theta)


CRITERIA = [
    ("MSELoss", {}, 2, "squared_error", None),
    ("L1Loss", {}, 1, "absolute_error", None),
    ("HuberLoss", {}, 1, "huber", None),
    ("HuberLoss", {"delta": 0.4}, 1, "huber(0.4)", None),
    ("BCELoss", {}, 1, "log_loss", "Sigmoid"),
    ("BCEWithLogitsLoss", {}, 1, "log_loss", None),
    ("CrossEntropyLoss", {}, 4, "cross_entropy", None),
    ("PoissonNLLLoss", {"full": True}, 1, "poisson", None),
]


@pytest.mark.parametrize(("kind", "options", "k", "name", "last"), CRITERIA)
def test_a_loss_of_torch_is_taken_where_its_gradient_is_ours(
    kind: str, options: dict[str, Any], k: int, name: str, last: str | None
) -> None:
    criterion = getattr(nn, kind)(**options)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, k)).double()
    if last:
        module.append(getattr(nn, last)())
    net = from_torch(module, criterion)
    assert net.loss is get_loss(name)
    X, Y = batch(net)
    _, theta, _ = torch_gradients(net, module, criterion, X, Y)
    np.testing.assert_allclose(dr.backward(net, X, Y).theta, theta, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("MSELoss", "squared_error"),
        ("L1Loss", "absolute_error"),
        ("HuberLoss", "huber"),
        ("BCEWithLogitsLoss", "log_loss"),
        ("PoissonNLLLoss", "poisson"),
    ],
)
def test_where_there_is_a_factor_the_error_names_the_right_one(
    kind: str, name: str, k: int
) -> None:
    criterion = getattr(nn, kind)()
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, k)).double()
    net = from_torch(module, name)
    X, Y = batch(net)
    _, theta, _ = torch_gradients(net, module, criterion, X, Y)
    factor = np.linalg.norm(theta) / np.linalg.norm(dr.backward(net, X, Y).theta)
    if factor == pytest.approx(1):
        assert from_torch(module, criterion).loss is net.loss
        return
    with pytest.raises(dr.SpecError, match=rf"{kind} is {factor:.6g} times .*loss='{name}'"):
        from_torch(module, criterion)


@given(st.data())
def test_round_trips_keep_every_bit(data: Any) -> None:
    L = data.draw(st.integers(1, 4))
    sizes = data.draw(st.lists(st.integers(2, 6), min_size=L + 1, max_size=L + 1))
    hidden = data.draw(st.lists(st.sampled_from(HIDDEN), min_size=L - 1, max_size=L - 1))
    loss, output = data.draw(st.sampled_from(admissible_pairs()))
    bias = data.draw(st.lists(st.booleans(), min_size=L, max_size=L))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    net = dr.Network(sizes, [*hidden, output], loss, bias, dtype, data.draw(st.integers(0, 99)))
    net.theta = np.random.default_rng(0).standard_normal(net.theta.size)
    module = to_torch(net)
    assert sum(p.numel() for p in module.parameters()) == net.theta.size
    back = from_torch(module, loss)
    assert (back.sizes, back.activations, back.loss) == (net.sizes, net.activations, net.loss)
    assert (back.bias, back.dtype) == (net.bias, net.dtype)
    np.testing.assert_array_equal(back.theta, net.theta)
    again = to_torch(back)
    assert str(again) == str(module)
    for ours, theirs in zip(again.parameters(), module.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@given(st.lists(st.integers(1, 7), min_size=2, max_size=5), st.integers(1, 9), st.booleans())
def test_outputs_are_equal_for_any_shape(sizes: list[int], n: int, bias: bool) -> None:
    net = dr.Network(sizes, "gelu", bias=bias, rng=1)
    X, _ = batch(net, n)
    np.testing.assert_allclose(outputs(to_torch(net), X), net.predict(X), rtol=1e-12, atol=1e-14)


def test_a_module_as_people_write_it() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        OrderedDict(
            flat=nn.Flatten(),
            body=nn.Sequential(
                nn.Linear(6, 8),
                nn.Dropout(0.5),
                nn.ReLU(inplace=True),
                nn.Identity(),
                nn.Linear(8, 5),
            ),
            act=nn.ELU(0.7),
            middle=nn.Linear(5, 4, bias=False),
            head=nn.Sequential(nn.Linear(4, 3)),
        )
    ).eval()
    net = from_torch(module, "cross_entropy")
    assert net.sizes == (6, 8, 5, 4, 3)
    assert [f.name for f in net.activations] == ["relu", "elu(0.7)", "identity", "softmax"]
    assert net.bias == (True, True, False, True)
    assert net.dtype == np.float32
    images = np.random.default_rng(0).standard_normal((10, 2, 3)).astype(np.float32)
    expected = nn.functional.softmax(torch.from_numpy(outputs(module, images)), dim=1)
    np.testing.assert_allclose(net.predict(images.reshape(10, 6)), expected, rtol=1e-5, atol=1e-7)
    wide = from_torch(module, "cross_entropy", dtype="float64")
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide.theta, net.theta)


def test_the_example_of_the_docs() -> None:
    page = Path(__file__).parents[2] / "docs" / "guide" / "exchange.md"
    section = page.read_text(encoding="utf-8").partition("## PyTorch")[2]
    seen: dict[str, Any] = {}
    exec(section.partition("```python\n")[2].partition("```")[0], seen)
    with torch.no_grad():
        expected = seen["module"](seen["images"]).softmax(1)
    np.testing.assert_allclose(seen["probabilities"], expected, rtol=1e-4, atol=1e-6)
    assert seen["step"].loss == pytest.approx(seen["loss"].item(), rel=1e-5)
    assert len(seen["scores"]) == 3


def test_a_single_linear_and_a_module_that_is_used_twice() -> None:
    linear = nn.Linear(3, 2, dtype=torch.float64)
    net = from_torch(linear)
    assert repr(net) == "Network(3-2, identity, squared_error, 8 parameters, float64)"
    np.testing.assert_array_equal(net.weights[0], linear.weight.detach().numpy().T)
    tanh = nn.Tanh()
    net = from_torch(nn.Sequential(nn.Linear(3, 3), tanh, nn.Linear(3, 3), tanh))
    assert [f.name for f in net.activations] == ["tanh", "tanh"]


def test_the_default_softplus_of_torch_is_ours_to_2e_9() -> None:
    net = from_torch(nn.Sequential(nn.Linear(1, 1, bias=False), nn.Softplus()).double())
    net.theta = [1.0]
    Z = np.linspace(-50, 50, 2001).reshape(-1, 1)
    gap = np.abs(nn.Softplus()(torch.from_numpy(Z)).numpy() - net.predict(Z))
    assert 1e-10 < gap.max() <= 2.1e-9


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32_exactly(dtype: Any) -> None:
    linear = nn.Linear(3, 2, dtype=dtype)
    net = from_torch(linear)
    assert net.dtype == np.float32
    np.testing.assert_array_equal(net.weights[0].T, linear.weight.detach().float().numpy())


def test_parameters_are_copies_that_torch_can_train() -> None:
    net = dr.Network([2, 3, 1], rng=0)
    before, state = net.theta.copy(), torch.get_rng_state()
    module = to_torch(net)
    assert torch.equal(torch.get_rng_state(), state)
    assert module.training
    assert all(p.requires_grad and p.is_leaf for p in module.parameters())
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    module(torch.ones(4, 2, dtype=torch.float64)).square().mean().backward()
    optimizer.step()
    np.testing.assert_array_equal(net.theta, before)
    trained = from_torch(module)
    assert not np.array_equal(trained.theta, before)
    taken = trained.theta.copy()
    with torch.no_grad():
        module[0].weight.zero_()
    np.testing.assert_array_equal(trained.theta, taken)


def test_one_step_of_gradient_descent_is_the_same_in_both() -> None:
    net = dr.Network([3, 8, 4], "silu", "cross_entropy", rng=0)
    X, _ = batch(net, 20)
    y = np.arange(20) % 4
    module = to_torch(net, logits=True)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(torch.from_numpy(X)), torch.from_numpy(y)).backward()
        optimizer.step()
    dr.train(net, X, y, epochs=5, batch_size=20, optimizer=dr.SGD(0.5), validation=None)
    np.testing.assert_allclose(net.theta, from_torch(module, "cross_entropy").theta, rtol=1e-11)


def test_folded_biases_and_networks_after_pickling_and_copying() -> None:
    net = dr.fold_biases(dr.Network([3, 4, 2], "tanh", "poisson", rng=0))
    X, _ = batch(net)
    module = to_torch(net)
    np.testing.assert_allclose(outputs(module, X), net.predict(X), rtol=1e-12)
    file = io.BytesIO()
    torch.save(module, file)  # with Exp, a class of the package
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    np.testing.assert_array_equal(outputs(loaded, X), outputs(copy.deepcopy(module), X))
    np.testing.assert_array_equal(from_torch(loaded, "poisson").theta, net.theta)


def test_softmax_by_groups() -> None:
    net = dr.Network([4, 6, 5], "tanh", "cross_entropy(3,2)", rng=0)
    X, _ = batch(net)
    Y = np.hstack([np.eye(3)[np.arange(7) % 3], np.eye(2)[np.arange(7) % 2]])
    module = to_torch(net)
    np.testing.assert_allclose(outputs(module, X), net.predict(X), rtol=1e-12)
    C, theta, _ = torch_gradients(net, module, ERRORS["cross_entropy"], X, Y)
    ours = dr.backward(net, X, Y)
    assert ours.loss == pytest.approx(C, rel=1e-12)
    np.testing.assert_allclose(ours.theta, theta, rtol=1e-9, atol=1e-13)
    back = from_torch(module, "cross_entropy(3,2)")
    assert back.activations == net.activations
    np.testing.assert_array_equal(back.theta, net.theta)


def test_exp_does_not_overflow() -> None:
    net = dr.Network([1, 1], loss="poisson", dtype="float32", initializer=lambda *_: [[1.0]])
    X = np.float32([[1e4], [88.0]])
    assert np.isfinite(outputs(to_torch(net), X)).all()
    np.testing.assert_allclose(outputs(to_torch(net), X), net.predict(X), rtol=1e-4)


def test_every_loss_and_activation_has_been_asked_about() -> None:
    assert set(ERRORS) == set(loss_names())
    assert all(get_activation(name).registered for name in HIDDEN)
