"""The equations: cached against expanded, the four documents' own forms, cost, depth, oracles."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from deltarule.equations import backprop
from deltarule.equations.losses import get_loss, loss_names
from deltarule.network.gradients import backward, forward
from deltarule.network.network import Network
from support.oracles import (
    admissible_pairs,
    numeric_gradient,
    own_sigmoid,
    slopes,
    stacked_error,
    targets,
)

BIASES: list[Any] = [True, False, [True, False, True]]


def problem(
    sizes: tuple[int, ...] = (4, 5, 3, 2),
    activations: Any = ("tanh", "sigmoid", "identity"),
    loss: str = "squared_error",
    bias: Any = True,
    n: int = 6,
    seed: int = 0,
) -> tuple[Network, Any, Any]:
    rng = np.random.default_rng(seed)
    net = Network(sizes, activations, loss, bias, rng=seed)
    net.theta = rng.normal(0, 0.7, net.theta.size)
    return net, rng.standard_normal((n, sizes[0])), targets(net.loss, rng, n, sizes[-1])


def pieces(net: Network, X: Any, Y: Any) -> tuple[list[Any], list[Any], list[Any], list[Any], Any]:
    layers = net.layers()
    z, a = backprop.forward(layers, X)
    delta = backprop.deltas(layers, net.loss, z, Y)
    return layers, z, a, delta, np.full(len(X), 1 / len(X))


# -- cached and expanded forms ---------------------------------------------------------------------


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize(("loss", "output"), admissible_pairs())
def test_cached_and_expanded_forms_agree(loss: str, output: str, bias: Any) -> None:  # A3, B4, B5
    for depth in (1, 2, 3, 6):
        flags = bias if isinstance(bias, bool) else (bias * 2)[:depth]
        hidden = ["tanh", "relu", "gelu", "sigmoid", "softplus"][: depth - 1]
        net, X, Y = problem((4, *range(3, 3 + depth)), [*hidden, output], loss, flags)
        layers, z, a, delta, share = pieces(net, X, Y)
        cached = backprop.gradients(layers, a, delta, share)
        expanded = backprop.expanded_gradients(layers, net.loss, z, a, Y, share)
        for ours, theirs in zip(cached, expanded, strict=True):
            for one, other in zip(ours, theirs, strict=True):
                if one is None:
                    assert other is None
                    continue
                np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


class Counting(np.ndarray):
    """An array that counts the matrix products it takes part in."""

    products = 0

    def __matmul__(self, other: Any) -> Any:
        Counting.products += 1
        return np.asarray(self) @ np.asarray(other) + np.zeros(1).view(Counting)


@pytest.mark.parametrize("L", [2, 5, 20, 40])
def test_cost_is_linear_in_depth_with_caching_and_quadratic_without(L: int) -> None:  # A7
    net, X, Y = problem((3,) * (L + 1), "tanh")
    layers = [layer._replace(W=layer.W.view(Counting)) for layer in net.layers()]
    share = np.full(len(X), 1 / len(X))

    def counted(function: Any, *arguments: Any) -> tuple[int, Any]:
        Counting.products = 0
        result = function(*arguments)
        return Counting.products, result

    passes, (z, a) = counted(backprop.forward, layers, X.view(Counting))
    down, delta = counted(backprop.deltas, layers, net.loss, z, Y)
    outer, _ = counted(backprop.gradients, layers, a, delta, share)
    assert passes == L
    assert down + outer == 2 * L - 1  # about twice the forward pass
    whole, _ = counted(backprop.expanded_gradients, layers, net.loss, z, a, Y, share)
    assert whole == L + L * (L - 1) // 2


# -- the documents' own forms, written out with loops ----------------------------------------------


def sigma(z: float) -> float:
    return 1 / (1 + np.exp(-z))


def test_document_A_column_form_without_biases() -> None:  # A1, A2, A4, A5, A8
    net, X, Y = problem((3, 4, 3, 2), ["sigmoid"] * 3, bias=False, n=5)
    W = [w.T for w in net.weights]  # w_ji leads from i to j: the transpose of ours
    ours = backward(net, X, Y, reduction="sum")
    J, dW = 0.0, [np.zeros_like(w) for w in W]
    for x, y, delta, dO_ours in zip(
        X, Y, zip(*ours.delta, strict=True), zip(*ours.activations, strict=True), strict=True
    ):
        O = [x]
        for w in W:
            net_sums = [sum(w[j, i] * O[-1][i] for i in range(w.shape[1])) for j in range(len(w))]
            O.append(np.array([sigma(s) for s in net_sums]))
        J += 0.5 * sum((o - t) ** 2 for o, t in zip(O[-1], y, strict=True))
        dO = [O[-1] - y]
        for k in range(len(W) - 1, -1, -1):
            above, o = dO[0], O[k + 1]
            for j in range(len(o)):
                slope = o[j] * (1 - o[j])
                assert delta[k][j] == pytest.approx(above[j] * slope)  # A8: delta is dJ/dnet
                for i in range(len(O[k])):
                    dW[k][j, i] += above[j] * slope * O[k][i]
            dO.insert(
                0,
                np.array(
                    [
                        sum(above[j] * o[j] * (1 - o[j]) * W[k][j, i] for j in range(len(o)))
                        for i in range(len(O[k]))
                    ]
                ),
            )
        for mine, theirs in zip(dO_ours, dO, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-12)
    assert ours.loss == pytest.approx(J, rel=1e-13)
    for mine, theirs in zip(ours.weights, dW, strict=True):
        np.testing.assert_allclose(mine, theirs.T, rtol=1e-12)


def test_document_B_row_form_with_layers_from_one() -> None:  # B1, B5
    net, X, y = problem((3, 4, 5, 2), ["sigmoid"] * 3, n=1)
    l = 4
    w = {i + 1: W for i, W in enumerate(net.weights)}
    b = {i + 1: b for i, b in enumerate(net.biases)}
    a, z = {1: X}, {}
    for i in range(2, l + 1):
        z[i] = a[i - 1] @ w[i - 1] + b[i - 1]
        a[i] = sigma(z[i])
    slope = {i: sigma(z[i]) * (1 - sigma(z[i])) for i in z}
    delta = {l: (a[l] - y) * slope[l]}
    for i in range(l - 1, 1, -1):
        delta[i] = delta[i + 1] @ w[i].T * slope[i]
    ours = backward(net, X, y)
    for i in range(1, l):
        np.testing.assert_allclose(ours.delta[i - 1], delta[i + 1], rtol=1e-12)
        np.testing.assert_allclose(ours.weights[i - 1], a[i].T @ delta[i + 1], rtol=1e-12)
        np.testing.assert_allclose(ours.biases[i - 1], delta[i + 1][0], rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_document_B_a_small_step_downhill_loses_the_squared_gradient(seed: int) -> None:  # B3
    net, X, Y = problem(seed=seed)
    here = backward(net, X, Y)
    step = 1e-6
    lower = net.copy()
    lower.theta = net.theta - step * here.theta
    lost = here.loss - backward(lower, X, Y).loss
    squares = sum((g**2).sum() for g in [*here.weights, *here.biases] if g is not None)
    assert lost == pytest.approx(step * squares, rel=1e-3)
    assert lost > 0


def test_document_C_scalar_delta_rule_and_its_three_phases() -> None:  # C1, C2, C4, C8, C9, C11
    net, X, Y = problem((3, 4, 2, 3), ["sigmoid"] * 3, "log_loss", n=4)
    alpha, n = 0.5, len(X)
    gradients: dict[tuple[int, ...], float] = {}
    for x, y in zip(X, Y, strict=True):
        a = {0: x}
        for l, (W, b) in enumerate(zip(net.weights, net.biases, strict=True), start=1):
            a[l] = np.array(
                [
                    sigma(sum(W[j, i] * a[l - 1][j] for j in range(len(W))) + b[i])
                    for i in range(W.shape[1])
                ]
            )
        delta = {3: a[3] - y}
        for l in (2, 1):
            W = net.weights[l]
            delta[l] = np.array(
                [
                    a[l][i]
                    * (1 - a[l][i])
                    * sum(W[i, j] * delta[l + 1][j] for j in range(len(W[i])))
                    for i in range(len(a[l]))
                ]
            )
        for l in (1, 2, 3):
            for i in range(len(a[l])):
                gradients[l, i] = gradients.get((l, i), 0) + delta[l][i] / n
                for j in range(len(a[l - 1])):
                    key = (l, i, j)
                    gradients[key] = gradients.get(key, 0) + delta[l][i] * a[l - 1][j] / n
    ours = backward(net, X, Y)
    stepped = net.copy()
    stepped.theta = net.theta - alpha * ours.theta
    for key, gradient in gradients.items():
        l, i, *j = key
        before = net.weights[l - 1][j[0], i] if j else net.biases[l - 1][i]
        after = stepped.weights[l - 1][j[0], i] if j else stepped.biases[l - 1][i]
        assert after == pytest.approx(before - alpha * gradient, rel=1e-12)


def test_document_D_error_terms_of_a_five_layer_network() -> None:  # D1, D4, D5, D6
    names = ["sigmoid", "tanh", "softplus", "identity", "softsign"]
    net, X, Y = problem((8, 8, 4, 3, 4, 2), names, n=1)
    passed, ours = forward(net, X), backward(net, X, Y)
    t, x, y = Y[0], [None, *(z[0] for z in passed.z)], [a[0] for a in passed.a]

    def w(i: int, j: int, k: int) -> float:  # into node j of layer i from node k of layer i - 1
        return net.weights[i - 1][k, j]

    def slope(i: int, j: int) -> float:
        return net.activations[i - 1].df(np.array(x[i][j]))

    e = {(5, i): (t[i] - y[5][i]) * slope(5, i) for i in range(2)}
    for i in (4, 3, 2, 1):
        for j in range(net.sizes[i]):
            e[i, j] = sum(e[i + 1, k] * w(i + 1, k, j) for k in range(net.sizes[i + 1])) * slope(
                i, j
            )
    for (i, j), error in e.items():
        assert ours.delta[i - 1][0, j] == pytest.approx(-error, rel=1e-12)
    assert ours.weights[0][3, 7] == pytest.approx(-e[1, 7] * y[0][3], rel=1e-12)  # w_173
    to_input = -sum(e[1, m] * w(1, m, 5) for m in range(net.sizes[1]))
    assert ours.inputs[0, 5] == pytest.approx(to_input, rel=1e-12)


# -- every gradient against differences ------------------------------------------------------------


@pytest.mark.parametrize("bias", BIASES)
def test_biases_wherever_they_are(bias: Any) -> None:  # A1, B1
    net, X, Y = problem(bias=bias)
    share = np.full(len(X), 1 / len(X))
    measured = numeric_gradient(stacked_error(net, X, Y, share), net.theta)
    ours = backward(net, X, Y)
    np.testing.assert_allclose(ours.theta, measured, rtol=1e-7, atol=1e-10)
    for b, has_bias in zip(ours.biases, net.bias, strict=True):
        assert (b is not None) == has_bias


BENT = ("relu", "leaky_relu", "selu", "absolute_error", "quantile")  # met in test_losses.py


@pytest.mark.parametrize(
    ("loss", "output"), [pair for pair in admissible_pairs() if not set(pair) & set(BENT)]
)
def test_gradients_of_inputs_and_of_every_layers_outputs(  # A5, D5, X1
    loss: str, output: str
) -> None:
    net, X, Y = problem((3, 4, 5, 3), ["tanh", "sigmoid", output], loss)
    ours, layers, a = backward(net, X, Y), net.layers(), forward(net, X).a

    def J(column: Any, l: int, i: int) -> Any:
        moved = a[l].copy()
        moved[:, i] = column
        return net.loss.J(backprop.forward(layers[l:], moved)[1][-1], Y)

    for l, given in enumerate(ours.activations):
        for i in range(net.sizes[l]):
            measured = slopes(functools.partial(J, l=l, i=i), a[l][:, i], 1e-4)
            np.testing.assert_allclose(given[:, i], measured, rtol=1e-6, atol=1e-8)
    assert ours.inputs is ours.activations[0]


def test_the_chain_rule_through_two_functions_by_hand() -> None:  # A3
    """f(g_1(h), g_2(h)) with h = w x: df/dw = sum_i df/dg_i dg_i/dh dh/dw."""
    net = Network([1, 1, 2, 1], ["identity", "sigmoid", "identity"], bias=False)
    net.weights = [[[0.7]], [[1.0, -2.0]], [[3.0], [0.5]]]
    h = 0.7 * 2.0
    g = [sigma(h), sigma(-2 * h)]
    f = 3 * g[0] + 0.5 * g[1]
    dg_dh = [g[0] * (1 - g[0]), -2 * g[1] * (1 - g[1])]
    df_dw = (3 * dg_dh[0] + 0.5 * dg_dh[1]) * 2.0
    ours = backward(net, [[2.0]], [[0.3]])
    assert ours.weights[0][0, 0] == pytest.approx((f - 0.3) * df_dw, rel=1e-13)


# -- very deep networks ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", ["logistic", "tanh", "relu"])
def test_a_hundred_layers_run_and_keep_their_accuracy(hidden: str, dtype: str) -> None:  # A6
    net = Network([5, *[16] * 99, 3], hidden, "log_loss", dtype=dtype, rng=1)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 5)).astype(dtype)
    Y = rng.integers(0, 2, (8, 3)).astype(dtype)
    _, z, a, delta, _ = pieces(net, X, Y)  # warnings are errors, here and below
    share = np.full(8, 1 / 8, dtype=dtype)
    dW, _ = backprop.gradients(net.layers(), a, delta, share)
    assert all(np.isfinite(array).all() for array in [*z, *a, *delta, *dW])
    norms = np.array([np.linalg.norm(d.astype(float)) for d in delta])
    if hidden == "logistic":  # C14: each layer passes on a quarter at most
        assert norms[0] < 1e-30 < norms[-1]
        assert (norms[-30:][:-1] < norms[-30:][1:]).all()
    else:
        assert norms[0] > 1e-12
    exact = [layer._replace(W=layer.W.astype("g"), b=layer.b.astype("g")) for layer in net.layers()]
    z_exact, _ = backprop.forward(exact, X.astype("g"))
    exact_delta = backprop.deltas(exact, net.loss, z_exact, Y.astype("g"))
    eps = np.finfo(dtype).eps
    for l, (ours, true) in enumerate(zip(delta, exact_delta, strict=True)):
        scale = np.linalg.norm(true.astype(float))
        if scale > 1e4 * np.finfo(dtype).smallest_normal and hidden != "relu":  # relu may flip
            assert np.linalg.norm(ours - true) < 3000 * eps * scale, l


# -- other packages as oracles ---------------------------------------------------------------------


@pytest.mark.parametrize("hidden", ["logistic", "tanh", "relu"])
@pytest.mark.parametrize("task", ["regression", "binary", "classes"])
def test_against_scikit_learn(task: str, hidden: str) -> None:
    """A step of plain descent at rate 1 is minus the gradient: theirs against ours."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 4))
    loss, k = {
        "regression": ("squared_error", 1),
        "binary": ("log_loss", 1),
        "classes": ("cross_entropy", 3),
    }[task]
    y = rng.standard_normal(12) if task == "regression" else np.arange(12) % max(k, 2)
    kind = MLPRegressor if task == "regression" else MLPClassifier
    options: dict[str, Any] = {} if task == "regression" else {"classes": np.unique(y)}
    theirs = kind(
        hidden_layer_sizes=(5, 6),
        activation=hidden,
        solver="sgd",
        alpha=0,
        batch_size=12,
        learning_rate_init=1.0,
        momentum=0,
        nesterovs_momentum=False,
        random_state=0,
    )
    theirs.partial_fit(X, y, **options)
    net = Network([4, 5, 6, k], hidden, loss)
    net.weights, net.biases = theirs.coefs_, theirs.intercepts_
    before = net.theta.copy()
    theirs.partial_fit(X, y)
    ours = backward(net, X, y).theta
    net.weights, net.biases = theirs.coefs_, theirs.intercepts_
    np.testing.assert_allclose(before - net.theta, ours, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("loss", "output"),
    [
        *((loss, get_loss(loss).link) for loss in loss_names()),
        ("squared_error", "softmax"),
        ("cross_entropy", "sigmoid"),
        ("cross_entropy(2,1)", "softmax(2,1)"),
    ],
)
def test_against_jax(loss: str, output: str) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    net, X, Y = problem((4, 5, 6, 3), ["gelu", "mish", output], loss)

    def C(theta: Any) -> Any:
        _, a = backprop.forward(net.layers(theta), X)
        return net.loss.J(a[-1], Y).mean()

    value, gradient = jax.jit(jax.value_and_grad(C))(jax.numpy.asarray(net.theta))
    ours = backward(net, X, Y)
    assert ours.loss == pytest.approx(float(value), rel=1e-11)
    np.testing.assert_allclose(ours.theta, gradient, rtol=1e-8, atol=1e-10)

    @jax.jit
    def under_jax(theta: Any) -> Any:
        layers = net.layers(theta)
        z, a = backprop.forward(layers, jax.numpy.asarray(X))
        delta = backprop.deltas(layers, net.loss, z, Y)
        share = jax.numpy.full(len(X), 1 / len(X))
        return jax.numpy.concatenate(net.layout.join(*backprop.gradients(layers, a, delta, share)))

    np.testing.assert_allclose(under_jax(net.theta), ours.theta, rtol=1e-10, atol=1e-12)


TORCH_LOSSES = {
    "squared_error": lambda F, o, y: 0.5 * F.mse_loss(o, y, reduction="none").sum(1).mean(),
    "log_loss": lambda F, o, y: (
        F.binary_cross_entropy_with_logits(o, y, reduction="none").sum(1).mean()
    ),
    "cross_entropy": lambda F, o, y: F.cross_entropy(o, y),
    "absolute_error": lambda F, o, y: F.l1_loss(o, y, reduction="none").sum(1).mean(),
    "huber": lambda F, o, y: F.huber_loss(o, y, reduction="none").sum(1).mean(),
    "poisson": lambda F, o, y: F.poisson_nll_loss(o, y, reduction="none").sum(1).mean(),
}


@pytest.mark.parametrize("loss", TORCH_LOSSES)
def test_against_pytorch(loss: str) -> None:
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    net, X, Y = problem((4, 5, 6, 3), ["elu", "gelu", get_loss(loss).link], loss)
    tensors = [torch.tensor(p, requires_grad=True) for W_b in net.layers() for p in W_b[:2]]
    W1, b1, W2, b2, W3, b3 = tensors
    o = F.gelu(F.elu(torch.tensor(X) @ W1 + b1) @ W2 + b2) @ W3 + b3
    TORCH_LOSSES[loss](F, o, torch.tensor(Y)).backward()
    ours = backward(net, X, Y)
    mine = [g for pair in zip(ours.weights, ours.biases, strict=True) for g in pair]
    for one, other in zip(mine, tensors, strict=True):
        np.testing.assert_allclose(one, other.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_an_own_activation_is_any_activation() -> None:  # B2, C4
    net, X, Y = problem(activations=[own_sigmoid()] * 3)
    same, _, _ = problem(activations=["sigmoid"] * 3)
    np.testing.assert_allclose(backward(net, X, Y).theta, backward(same, X, Y).theta, rtol=1e-12)


def test_the_equations_stand_on_one_screen() -> None:  # C12
    import inspect

    for function in (backprop.forward, backprop.deltas, backprop.gradients):
        assert len(inspect.getsource(function).splitlines()) <= 20
    assert len(inspect.getsource(backprop).splitlines()) <= 90
