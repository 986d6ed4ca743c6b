"""Diagnoses during training: what they record, and that training does not notice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.callbacks import Diagnose

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 5))
Y = X[:, :1] * X[:, 1:2]


def trained(callback: Any, epochs: int = 25, **options: Any) -> tuple[dr.Network, dr.History]:
    net = dr.Network([5, 8, 8, 1], "tanh", rng=0, dtype=options.pop("dtype", "float64"))
    callbacks = [] if callback is None else [callback]
    options = {"validation": None} | options
    return net, dr.train(net, X, Y, epochs=epochs, callbacks=callbacks, **options)


def test_it_is_a_callback_by_its_name() -> None:
    import deltarule.training.callbacks

    assert dr.callbacks.Diagnose is Diagnose
    assert issubclass(Diagnose, dr.Callback)
    with pytest.raises(AttributeError, match="no attribute 'Diagnosis'"):
        deltarule.callbacks.Diagnosis  # noqa: B018


def test_training_alone_does_not_load_it() -> None:
    script = (
        "import sys, numpy as np, deltarule as dr;"
        "dr.train(dr.Network([1, 1], rng=0), np.ones((4, 1)), np.ones(4), epochs=1,"
        " validation=None);"
        "print(*[m for m in sys.modules if 'explain' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_records_are_the_diagnoses_of_their_epochs(optimizer: str) -> None:
    callback = Diagnose(every=10, rows=100)
    kept: dict[int, Any] = {}

    def keep(progress: Any) -> None:
        kept[progress.epoch] = progress.net.copy()

    net = dr.Network([5, 8, 8, 1], "tanh", rng=0)
    kept[0] = net.copy()
    weight = RNG.random(400)
    dr.train(
        net,
        X,
        Y,
        epochs=25,
        optimizer=optimizer,
        l2=0.01,
        sample_weight=weight,
        validation=None,
        callbacks=[callback, keep],
    )
    assert [d.epoch for d in callback.records] == [0, 10, 20, 25]
    for d in callback.records:
        assert d.epoch is not None
        whole = dr.diagnose(
            kept[d.epoch],
            X[d.rows],
            Y[d.rows],
            l2=0.01,
            sample_weight=weight[d.rows],
            try_advice=False,
        )
        assert len(d.rows) == 100
        assert d.loss == pytest.approx(whole.loss, rel=1e-12)
        for one, other in zip(d.layers, whole.layers, strict=True):
            assert one.delta_rms == pytest.approx(other.delta_rms, rel=1e-9)
            assert one.weight_gradient_norm == pytest.approx(other.weight_gradient_norm, rel=1e-9)
            assert one.l2_gradient_norm == pytest.approx(other.l2_gradient_norm, rel=1e-9)
            assert (one.saturated, one.dead) == (other.saturated, other.dead)
            assert one.float32 is one.jacobian is None
        json.loads(d.to_json())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_does_not_notice(dtype: str) -> None:
    callback = Diagnose(every=1)
    with_it, history = trained(callback, dtype=dtype)
    without, plain = trained(None, dtype=dtype)
    assert np.array_equal(with_it.theta, without.theta)
    assert history.loss == plain.loss
    assert len(callback.records) == 26
    assert {d.dtype for d in callback.records} == {dtype}


def test_the_last_record_is_of_what_is_kept() -> None:
    callback = Diagnose(every=7)
    net, history = trained(callback, 60, validation=0.3, early_stopping=3, learning_rate=0.05)
    assert history.stopped == "early stopping"
    last = callback.records[-1]
    assert last.epoch == history.best_epoch
    # its rows are rows of the training part
    rng = np.random.default_rng(0)
    assert len(last.rows) == min(256, 280)
    assert last.loss == pytest.approx(_loss_of_training_part(net, callback, rng), rel=1e-12)


def _loss_of_training_part(net: dr.Network, callback: Diagnose, rng: Any) -> float:
    seen: list[Any] = []

    class See(dr.Callback):
        def on_start(self, progress: Any) -> None:
            seen.extend([progress.X, progress.Y])

    other = dr.Network([5, 8, 8, 1], "tanh", rng=0)
    dr.train(other, X, Y, epochs=1, validation=0.3, callbacks=[See()])
    rows = callback.records[-1].rows
    return dr.backward(net, seen[0][rows], seen[1][rows]).loss


def test_what_the_estimators_penalty_is_for_a_batch() -> None:
    callback = Diagnose(every=100)
    model = dr.MLPRegressor(
        hidden_layer_sizes=(4,), alpha=2.0, batch_size=50, max_iter=2, callbacks=[callback], tol=0
    )
    with pytest.warns(Warning, match="iterations"):
        model.fit(X, Y[:, 0])
    d = callback.records[-1]
    assert d.l2 == pytest.approx(2.0 / 50)
    assert d.layers[0].l2_gradient_norm == pytest.approx(
        2.0 / 50 * np.linalg.norm(model.coefs_[0]), rel=1e-6
    )


def test_a_second_training_begins_anew() -> None:
    callback = Diagnose(every=5)
    trained(callback, 10)
    trained(callback, 5)
    assert [d.epoch for d in callback.records] == [0, 5]


def test_findings_along_the_way(tmp_path: Path) -> None:
    callback = Diagnose(every=5)
    net = dr.Network([5, 8, 1], "relu", rng=0)
    biases = net.biases
    assert biases[0] is not None
    biases[0][:4] = -100
    dr.train(net, X, Y, epochs=10, callbacks=[callback], validation=None)
    lines = callback.to_text().splitlines()
    assert re.split("  +", lines[0]) == [
        *("epoch", "loss", "delta 1", "delta L", "1/L", "saturated", "dead", "found")
    ]
    assert [int(line.split()[0]) for line in lines[1:]] == [0, 5, 10]
    assert all("dead (1)" in line and "44.4%" in line for line in lines[1:])
    assert str(callback) == callback.to_text()
    assert "3 records" in repr(callback)
    figure = callback.plot(tmp_path / "c.svg")
    assert (tmp_path / "c.svg").stat().st_size > 1000
    first = [d.layers[0].delta_rms for d in callback.records]
    assert list(figure.axes[0].lines[0].get_ydata()) == first


def test_options_and_order_are_checked() -> None:
    with pytest.raises(dr.SpecError, match="Diagnose: every must be a whole number >= 1"):
        Diagnose(every=0)
    with pytest.raises(dr.SpecError, match="Diagnose: rows must be"):
        Diagnose(rows=-1)
    with pytest.raises(dr.SpecError, match="nothing to plot before a training"):
        Diagnose().plot()
    assert Diagnose().to_text().splitlines()[1:] == []


def test_rows_that_all_weigh_nothing_are_looked_at_as_they_are() -> None:
    callback = Diagnose(rows=1)
    weight = np.ones(400)
    weight[np.random.default_rng(0).choice(400, 1, replace=False)] = 0  # the row that is drawn
    net, _ = trained(callback, 1, sample_weight=weight)
    row = callback.records[-1].rows
    assert weight[row] == 0
    assert callback.records[-1].loss == pytest.approx(dr.backward(net, X[row], Y[row]).loss)


def test_sparse_inputs() -> None:
    from scipy.sparse import csr_array

    callback, dense = Diagnose(), Diagnose()
    for one, inputs in ((callback, csr_array(X)), (dense, X)):
        net = dr.Network([5, 8, 1], rng=0)
        dr.train(net, inputs, Y, epochs=2, callbacks=[one], engine="reference", validation=None)
    assert callback.records[-1].loss == pytest.approx(dense.records[-1].loss, rel=1e-9)
