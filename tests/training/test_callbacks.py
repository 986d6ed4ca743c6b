"""Callbacks: order of calls, stopping, errors; early stopping: what counts, what is restored."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from deltarule.training.stopping import BestSoFar, get_early_stopping

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1 * RNG.normal(size=50)


def network() -> dr.Network:
    return dr.Network([3, 5, 1], "tanh", rng=0)


class Recorder(dr.Callback):
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def on_start(self, progress: dr.Progress) -> None:
        self.calls.append(("start", progress.epoch, len(progress.history)))

    def on_batch(self, progress: dr.Progress) -> None:
        assert math.isfinite(progress.batch_loss)
        self.calls.append(("batch", progress.epoch, progress.batch))

    def on_epoch(self, progress: dr.Progress) -> None:
        self.calls.append(("epoch", progress.epoch, len(progress.history)))

    def on_end(self, progress: dr.Progress) -> None:
        self.calls.append(("end", progress.epoch, len(progress.history)))


def test_order_of_calls() -> None:
    seen = Recorder()
    dr.train(network(), X, Y, epochs=2, batch_size=20, validation=None, callbacks=[seen])
    epoch = [[("batch", e, b) for b in (1, 2, 3)] + [("epoch", e, e)] for e in (1, 2)]
    assert seen.calls == [("start", 0, 0), *epoch[0], *epoch[1], ("end", 2, 2)]


def test_what_a_callback_sees() -> None:
    net = network()

    def look(progress: dr.Progress) -> None:
        assert progress.net is net
        assert progress.epochs == 4
        assert progress.batches == 3
        assert len(progress.history.validation_loss) == progress.epoch

    dr.train(net, X, Y, epochs=4, batch_size=16, callbacks=look)


def test_batch_loss_is_the_mean_over_the_batch_before_its_update() -> None:
    net, seen = network(), []

    class Look(dr.Callback):
        def on_batch(self, progress: dr.Progress) -> None:
            seen.append(progress.batch_loss)

    before = dr.backward(net, X[:20], Y[:20]).loss
    options: dict[str, Any] = {"shuffle": False, "validation": None, "batch_size": 20}
    history = dr.train(net, X, Y, epochs=1, callbacks=[Look()], **options)
    assert seen[0] == pytest.approx(before, rel=1e-14)
    assert history.loss[0] == pytest.approx(np.average(seen, weights=[20, 20, 10]), rel=1e-14)


@pytest.mark.parametrize("optimizer", ["adam", dr.SGD(0.01, momentum=0.9)])
def test_looking_at_batches_does_not_change_a_bit(optimizer: Any) -> None:
    results = []
    for callbacks in ([], [Recorder()]):
        net = network()
        history = dr.train(
            net, X, Y, epochs=4, batch_size=7, optimizer=optimizer, dropout=0.2, l2=1e-3,
            clip_norm=1.0, callbacks=callbacks,
        )  # fmt: skip
        results.append((net.theta.tobytes(), history.loss, history.gradient_norms))
    assert results[0] == results[1]


def test_stop_from_an_epoch() -> None:
    def stop(progress: dr.Progress) -> None:
        if progress.epoch == 3:
            progress.stop("good enough")

    history = dr.train(network(), X, Y, epochs=10, callbacks=[stop])
    assert len(history) == 3
    assert history.stopped == "good enough"


@pytest.mark.parametrize(("batch", "epochs"), [(1, 1), (2, 1), (3, 2)])
def test_stop_from_a_batch_does_not_record_a_part_of_an_epoch(batch: int, epochs: int) -> None:
    class Stop(Recorder):
        def on_batch(self, progress: dr.Progress) -> None:
            super().on_batch(progress)
            if (progress.epoch, progress.batch) == (2, batch):
                progress.stop()

    seen, net = Stop(), network()
    options: dict[str, Any] = {"batch_size": 20, "validation": None}
    history = dr.train(net, X, Y, epochs=5, callbacks=[seen], **options)
    assert len(history) == epochs
    assert history.stopped == "callback"
    assert ("batch", 2, batch) in seen.calls
    assert ("batch", 2, batch + 1) not in seen.calls
    assert seen.calls[-1][0] == "end"


def test_stop_from_the_start_trains_nothing() -> None:
    class No(dr.Callback):
        def on_start(self, progress: dr.Progress) -> None:
            progress.stop("not today")

    net = network()
    before = net.theta.copy()
    history = dr.train(net, X, Y, epochs=5, callbacks=[No()])
    assert (len(history), history.stopped) == (0, "not today")
    np.testing.assert_array_equal(net.theta, before)


@pytest.mark.parametrize("where", ["on_start", "on_batch", "on_epoch", "on_end"])
def test_exceptions_pass_through(where: str) -> None:
    def fail(self: Any, progress: dr.Progress) -> None:
        raise RuntimeError(where)

    broken = type("Broken", (dr.Callback,), {where: fail})()
    with pytest.raises(RuntimeError, match=where):
        dr.train(network(), X, Y, epochs=2, callbacks=[broken])


@pytest.mark.parametrize("bad", [[3], ["print"], [Recorder], Recorder, 3, None])
def test_what_is_not_a_callback_is_refused(bad: Any) -> None:
    with pytest.raises(dr.SpecError, match="callback"):
        dr.train(network(), X, Y, epochs=1, callbacks=bad)


# -- early stopping ---------------------------------------------------------------------------


class Snapshots(dr.Callback):
    def __init__(self) -> None:
        self.theta: list[np.ndarray] = []
        self.end: np.ndarray | None = None

    def on_epoch(self, progress: dr.Progress) -> None:
        self.theta.append(progress.net.theta.copy())

    def on_end(self, progress: dr.Progress) -> None:
        self.end = progress.net.theta.copy()


def overfit(stopping: Any, **options: Any) -> tuple[dr.Network, dr.History, Snapshots]:
    """A large network on few rows of noise: its validation loss soon turns up."""
    rng = np.random.default_rng(1)
    A, b = rng.normal(size=(40, 6)), rng.normal(size=40)
    net, seen = dr.Network([6, 40, 1], "tanh", rng=0), Snapshots()
    settings: dict[str, Any] = {"epochs": 200, "learning_rate": 0.01, "validation": 0.3}
    history = dr.train(net, A, b, early_stopping=stopping, callbacks=[seen], **(settings | options))
    return net, history, seen


@pytest.mark.parametrize("monitor", ["validation_loss", "loss", "r2", "rmse"])
def test_the_best_epoch_is_restored_to_the_bit(monitor: str) -> None:
    net, history, seen = overfit(dr.EarlyStopping(patience=5, monitor=monitor))
    values = history.series(monitor)
    best = int(np.argmax(values) if monitor == "r2" else np.argmin(values))
    assert history.best_epoch == best + 1
    assert net.theta.tobytes() == seen.theta[best].tobytes()
    assert seen.end is not None
    assert seen.end.tobytes() == net.theta.tobytes()
    if monitor != "loss":
        assert history.stopped == "early stopping"
        assert len(history) == best + 1 + 5


def test_the_best_is_restored_if_the_epochs_run_out_or_a_callback_stops() -> None:
    net, history, seen = overfit(dr.EarlyStopping(patience=1000), epochs=60)
    assert history.stopped == "epochs"
    assert history.best_epoch is not None
    assert history.best_epoch < 60
    assert net.theta.tobytes() == seen.theta[history.best_epoch - 1].tobytes()


def test_without_restoring_the_last_parameters_stay() -> None:
    net, history, seen = overfit(dr.EarlyStopping(patience=3, restore_best=False))
    assert history.stopped == "early stopping"
    assert history.best_epoch is None
    assert net.theta.tobytes() == seen.theta[-1].tobytes()


def observe(rule: dr.EarlyStopping, values: list[float]) -> tuple[int | None, int | None]:
    """(the epoch at which it stops, the best epoch) for a series."""
    best = BestSoFar(rule)
    for epoch, value in enumerate(values, start=1):
        if best.observe(epoch, value, np.array([value])):
            return epoch, best.epoch
    return None, best.epoch


def test_patience_counts_epochs_since_the_best() -> None:
    rule = dr.EarlyStopping(patience=3)
    assert observe(rule, [5, 4, 4, 4, 4, 4]) == (5, 2)
    assert observe(rule, [5, 4, 6, 6, 3, 6, 6]) == (None, 5)
    assert observe(dr.EarlyStopping(patience=1), [1, 2]) == (2, 1)


def test_min_delta_is_how_much_better_counts() -> None:
    rule = dr.EarlyStopping(patience=2, min_delta=0.5)
    assert observe(rule, [5, 4.6, 4.5]) == (3, 1)  # just 0.5 better is not more than 0.5
    assert observe(rule, [5, 4.6, 4.4, 4.4]) == (None, 3)
    up = dr.EarlyStopping(patience=2, min_delta=0.1, monitor="accuracy")
    assert observe(up, [0.5, 0.55, 0.7, 0.75, 0.79]) == (5, 3)


def test_values_that_are_not_finite_never_are_the_best() -> None:
    rule = dr.EarlyStopping(patience=3)
    assert observe(rule, [math.nan, 3, math.nan, -math.inf, 2]) == (None, 5)
    assert observe(rule, [math.inf, math.nan, math.nan]) == (3, None)


@pytest.mark.parametrize(
    ("spec", "validated", "want"),
    [
        (None, True, None),
        (False, True, None),
        (True, True, dr.EarlyStopping()),
        (4, True, dr.EarlyStopping(4)),
        (np.int64(4), True, dr.EarlyStopping(4)),
        (1, False, dr.EarlyStopping(1, monitor="loss")),
        (dr.EarlyStopping(2), True, dr.EarlyStopping(2)),
    ],
)
def test_what_early_stopping_may_be(spec: Any, validated: bool, want: Any) -> None:
    known = ["loss", "validation_loss"] if validated else ["loss"]
    assert get_early_stopping(spec, validated, known) == want


@pytest.mark.parametrize(
    ("spec", "validation", "message"),
    [
        (dr.EarlyStopping(), None, r"there is no validation.*: loss"),
        (dr.EarlyStopping(monitor="accuracy"), 0.2, "'accuracy'.*loss, validation_loss, r2, rmse"),
        (0, 0.2, "patience must be a whole number >= 1, got 0"),
        (-3, 0.2, "patience"),
        ("yes", 0.2, "early_stopping must be"),
    ],
)
def test_bad_early_stopping(spec: Any, validation: Any, message: str) -> None:
    with pytest.raises(dr.SpecError, match=message):
        dr.train(network(), X, Y, epochs=1, early_stopping=spec, validation=validation)


@pytest.mark.parametrize("bad", [{"patience": 0}, {"patience": 2.5}, {"min_delta": -1}])
def test_bad_early_stopping_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(dr.SpecError, match=f"EarlyStopping: {next(iter(bad))}"):
        dr.EarlyStopping(**bad)


# -- the progress bar ---------------------------------------------------------------------------

_SCRIPT = """
import numpy as np, deltarule as dr
X = np.random.default_rng(0).normal(size=(50, 3))
net = dr.Network([3, 5, 1], rng=0)
say = lambda progress: print("epoch", progress.epoch)
dr.train(net, X, X.sum(1), epochs=3, progress=True, callbacks=[say])
"""


def test_progress_bar_writes_to_stderr_only() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "epoch 1\nepoch 2\nepoch 3\n"
    assert "3/3" in done.stderr
    assert "r2" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="a terminal of POSIX")
def test_progress_bar_in_a_terminal_leaves_a_redirected_stdout_alone(spawn: Any) -> None:
    import pty

    ours, theirs = pty.openpty()
    process = spawn([sys.executable, "-c", _SCRIPT], stderr=theirs)
    os.close(theirs)
    drawn = b""
    while True:
        try:
            drawn += (chunk := os.read(ours, 65536))
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
    out, _ = process.communicate(timeout=300)
    os.close(ours)
    assert process.returncode == 0
    assert out == "epoch 1\nepoch 2\nepoch 3\n"
    assert b"3/3" in drawn
