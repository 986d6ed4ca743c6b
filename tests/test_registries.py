"""What is registered in one place is known everywhere: CONTRIBUTING.md promises it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils._param_validation import InvalidParameterError
from typer.testing import CliRunner

import deltarule as dr
from deltarule.cli import app
from deltarule.equations.activations import get_activation
from deltarule.equations.losses import get_loss, loss_names
from deltarule.equations.optimizers import OPTIMIZERS
from deltarule.equations.schedules import SCHEDULES
from support.oracles import hidden_names, targets

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 2))


def network(hidden: str = "tanh", loss: str = "squared_error") -> dr.Network:
    return dr.Network([2, 3, 2], [hidden, get_loss(loss).link], loss, rng=0)


def train(net: dr.Network, **options: Any) -> dr.History:
    Y = targets(net.loss, RNG, len(X), 2)
    return dr.train(net, X, Y, epochs=1, validation=None, engine="native", **options)


@pytest.mark.parametrize("name", hidden_names())
def test_an_activation_is_shown_compiled_and_exported(name: str) -> None:
    pytest.importorskip("onnx")
    net = network(name)
    record = get_activation(name)
    assert record.formula
    assert record.df_formula
    assert train(net).stopped == "epochs"
    assert record.formula in dr.trace(net, X[:1], [[0, 1]]).to_text()
    assert net.to_onnx().graph.node


@pytest.mark.parametrize("name", loss_names())
def test_a_loss_has_its_formulas_and_is_compiled(name: str) -> None:
    net = network(loss=name)
    assert net.loss.formula
    assert net.loss.dJ_formula
    assert train(net).stopped == "epochs"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_public_compiled_and_a_solver(name: str) -> None:
    kind = OPTIMIZERS[name]
    assert getattr(dr, kind.__name__) is kind
    batch = {"batch_size": "full"} if name == "lbfgs" else {}
    assert train(network(), optimizer=name, **batch).stopped == "epochs"
    ours = dr.MLPRegressor(
        hidden_layer_sizes=(4,), solver=name, max_iter=300, tol=1.0, random_state=0
    )
    assert np.isfinite(ours.fit(X, X[:, 0]).predict(X)).all()
    with pytest.raises(InvalidParameterError, match=name):
        dr.MLPRegressor(hidden_layer_sizes=(4,), solver="none").fit(X, X[:, 0])


def test_the_command_line_names_every_optimizer_and_schedule() -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["train", "--help"]).stdout
    assert [name for name in (*OPTIMIZERS, *SCHEDULES) if name not in shown] == []
