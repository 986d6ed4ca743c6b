"""Ctrl-C: the first ends training cleanly, the second insists; other programs' handlers stay."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.training.interrupt import stop_on_ctrl_c

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))


def network() -> dr.Network:
    return dr.Network([3, 8, 1], "tanh", rng=0)


_SCRIPT = """
import sys
import numpy as np, deltarule as dr
rng = np.random.default_rng(0)
X = rng.normal(size=(2000, 20)); Y = rng.normal(size=2000)
net = dr.Network([20, 50, 1], "tanh", rng=0)
snapshots = []
def tell(progress):
    snapshots.append(progress.net.theta.copy())
    if progress.epoch == 3:
        print("running", flush=True)
options = {OPTIONS}
history = dr.train(net, X, Y, epochs=10**6, callbacks=[tell], **options)
assert len(snapshots) == len(history)
if history.best_epoch is not None:
    assert net.theta.tobytes() == snapshots[history.best_epoch - 1].tobytes()
assert np.isfinite(net.theta).all()
if options.get("optimizer") == "lbfgs":  # not a point of the line search
    assert net.theta.tobytes() == snapshots[-1].tobytes()
import signal
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
print(history.stopped, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to send there")
@pytest.mark.parametrize(
    "options",
    [
        "dict(early_stopping=10**6)",
        "dict(optimizer='lbfgs', batch_size='full')",
        "dict(batch_size=1, progress=True)",
    ],
)
def test_ctrl_c_ends_training(options: str, spawn: Any) -> None:
    process = spawn([sys.executable, "-c", _SCRIPT.replace("{OPTIONS}", options)])
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert out == "interrupted\n"  # with nearly all of its million epochs to go


def interrupt_at(epoch: int, times: int = 1) -> Any:
    def callback(progress: dr.Progress) -> None:
        if progress.epoch == epoch:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    return callback


def test_the_first_ctrl_c_keeps_what_was_learned() -> None:
    net = network()
    history = dr.train(net, X, X.sum(1), epochs=50, callbacks=[interrupt_at(3)])
    assert (len(history), history.stopped) == (3, "interrupted")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_ctrl_c_raises() -> None:
    with pytest.raises(KeyboardInterrupt):
        dr.train(network(), X, X.sum(1), epochs=50, callbacks=[interrupt_at(3, times=2)])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_inside_an_epoch_stops_after_the_batch() -> None:
    class Press(dr.Callback):
        batches = 0

        def on_batch(self, progress: dr.Progress) -> None:
            self.batches += 1
            if self.batches == 5:
                signal.raise_signal(signal.SIGINT)

    press = Press()
    options: dict[str, Any] = {"batch_size": 10, "validation": None}
    history = dr.train(network(), X, X.sum(1), epochs=3, callbacks=[press], **options)
    assert press.batches == 5
    assert (len(history), history.stopped) == (0, "interrupted")


def test_a_program_with_its_own_handler_keeps_it() -> None:
    calls = []
    before = signal.signal(signal.SIGINT, lambda signum, frame: calls.append(signum))
    try:
        mine = signal.getsignal(signal.SIGINT)
        history = dr.train(network(), X, X.sum(1), epochs=5, callbacks=[interrupt_at(2)])
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == [signal.SIGINT]
    assert (len(history), history.stopped) == (5, "epochs")


def test_the_handler_goes_back_after_an_error() -> None:
    def fail() -> None:
        with stop_on_ctrl_c(np.zeros(1, np.uint8)):
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_training_works_in_other_threads() -> None:
    lengths: list[int] = []

    def work(seed: int) -> None:
        lengths.append(len(dr.train(network(), X, X.sum(1), epochs=3, rng=seed)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert lengths == [3, 3, 3]
