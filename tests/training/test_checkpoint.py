"""Checkpoints: killed at any moment, resumed to the same bits; other runs and damage refused."""

from __future__ import annotations

import dataclasses
import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import deltarule as dr
from deltarule.network import saving
from deltarule.training.checkpoint import digest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4))
Y = np.tanh(X @ [1.0, -2.0, 0.5, 0.0])


def network(rng: int = 0, sizes: tuple[int, ...] = (4, 6, 1)) -> dr.Network:
    return dr.Network(sizes, "tanh", rng=rng)


def train(net: dr.Network, where: Any, epochs: int = 6, **options: Any) -> dr.History:
    return dr.train(net, X, Y, epochs=epochs, checkpoint=where, **options)


def bits(net: dr.Network, history: dr.History) -> tuple[Any, ...]:
    facts = history.to_dict()
    assert len(facts.pop("seconds")) == len(history)
    return net.theta.tobytes(), facts


# What a killed and resumed run must give the bits of.
_SCRIPT = """
import json, signal, sys
import numpy as np, deltarule as dr
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4)); Y = np.tanh(X @ [1.0, -2.0, 0.5, 0.0]) + 0.3 * rng.normal(size=200)
net = dr.Network([4, 16, 8, 1], "tanh", rng=0)
where = dr.Checkpoint(sys.argv[1], every_seconds=0) if sys.argv[1] else None
last, delay = int(sys.argv[2]), float(sys.argv[3])
epochs = []
def kill_later(progress):  # by the system's own timer, which waits for nothing in here
    epochs.append(progress.epoch)
    if len(epochs) == last:
        signal.setitimer(signal.ITIMER_REAL, delay)
history = dr.train(
    net, X, Y, epochs=300, batch_size=16, optimizer="adam", learning_rate=0.02, dropout=0.2,
    l2=1e-4, clip_norm=1.0, schedule=dr.Warmup(epochs=3, then=dr.Adaptive(patience=2)), rng=7,
    early_stopping=dr.EarlyStopping(patience=120, min_delta=1e-4), validation=0.2, checkpoint=where,
    callbacks=[kill_later],
)
facts = history.to_dict(); facts.pop("seconds")
print(json.dumps([net.theta.tobytes().hex(), facts]))
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers of POSIX")
def test_killed_at_any_moment_it_ends_at_the_same_bits(tmp_path: Path) -> None:
    def run(folder: Path | str, last: int = 0, delay: float = 0.0) -> tuple[str, int]:
        """Killed so many seconds after the end of its `last` epoch, or run to the end."""
        command = [sys.executable, "-c", _SCRIPT, str(folder), str(last), str(delay)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300)
        return done.stdout, done.returncode

    whole, _ = run("")
    assert '"stopped": "early stopping"' in whole
    chance, saved = random.Random(0), tmp_path / "checkpoint.safetensors"
    for _ in range(4):  # anywhere within an epoch, or within a save
        killed = run(tmp_path, chance.randrange(3, 20), chance.uniform(1e-6, 0.005))
        assert killed == ("", -signal.SIGALRM)
    assert run(tmp_path) == (whole, 0)
    left = {path.name for path in tmp_path.iterdir()} - {saved.name}
    assert len(left) <= 4
    assert all(name.startswith(f".{saved.name}.") for name in left)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": dr.SGD(0.05)},
        {"optimizer": dr.SGD(0.05, momentum=0.9, nesterov=True), "shuffle": False},
        {"optimizer": "rmsprop", "schedule": "invscaling"},
        {"optimizer": "adagrad", "schedule": dr.Step(every=2)},
        {"optimizer": "adamw", "schedule": "one_cycle", "dropout": 0.3},
        {"batch_size": "full", "l1": 1e-3, "sample_weight": np.arange(80.0)},
        {"early_stopping": 2, "validation": (X[:20], Y[:20])},
    ],
)
def test_every_kind_of_run_resumes_at_every_epoch(tmp_path: Path, options: dict[str, Any]) -> None:
    whole = network()
    want = bits(whole, dr.train(whole, X, Y, epochs=5, **options))
    for cut in range(1, 5):

        class Killed(BaseException):
            """Nothing catches it, as nothing catches a kill."""

        def kill(progress: dr.Progress, cut: int = cut, killed: Any = Killed) -> None:
            if progress.epoch == cut + 1:
                raise killed

        where = dr.Checkpoint(tmp_path / str(cut), every_seconds=0)
        with pytest.raises(Killed):
            train(network(), where, 5, callbacks=[kill], **options)
        net = network()
        assert bits(net, train(net, where, 5, **options)) == want


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    net, again, calls = network(), network(), []
    want = bits(net, train(net, tmp_path))
    history = train(again, tmp_path, callbacks=[calls.append])
    assert calls == []
    assert bits(again, history) == want


def test_more_epochs_go_on_where_it_ended(tmp_path: Path) -> None:
    whole, net = network(), network()
    want = bits(whole, train(whole, None, epochs=9))
    train(net, tmp_path, epochs=4)
    assert bits(net, train(net, tmp_path, epochs=9)) == want  # the same object, trained further
    fresh = network()
    assert bits(fresh, train(fresh, tmp_path, epochs=9)) == want


def test_going_on_with_the_best_parameters_of_the_same_run(tmp_path: Path) -> None:
    net, whole = network(), network()
    options: dict[str, Any] = {"early_stopping": dr.EarlyStopping(50, min_delta=10.0)}
    first = train(net, tmp_path, epochs=8, **options)
    assert first.best_epoch == 1
    want = bits(whole, train(whole, None, epochs=12, **options))
    assert bits(net, train(net, tmp_path, epochs=12, **options)) == want


def test_fewer_epochs_than_it_has_are_refused(tmp_path: Path) -> None:
    train(network(), tmp_path, epochs=6)
    with pytest.raises(dr.SpecError, match="already has 6 epochs, more than the 3"):
        train(network(), tmp_path, epochs=3)


def test_what_a_callback_stopped_stays_stopped(tmp_path: Path) -> None:
    def stop(progress: dr.Progress) -> None:
        if progress.epoch == 2:
            progress.stop("seen enough")

    train(network(), tmp_path, callbacks=[stop])
    history = train(network(), tmp_path)
    assert (len(history), history.stopped) == (2, "seen enough")


def test_ctrl_c_saves_and_the_next_call_goes_on(tmp_path: Path) -> None:
    def press(progress: dr.Progress) -> None:
        if progress.epoch == 3:
            signal.raise_signal(signal.SIGINT)

    net, whole = network(), network()
    where = dr.Checkpoint(tmp_path, every_seconds=1e6)
    assert train(net, where, callbacks=[press]).stopped == "interrupted"
    history = train(net, where)
    assert history.stopped == "epochs"
    assert bits(net, history) == bits(whole, train(whole, None))


def test_saves_are_seldom_by_default_and_the_end_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = []
    true_replace = os.replace

    def count(*args: Any) -> None:
        replaced.append(args)
        true_replace(*args)

    monkeypatch.setattr(os, "replace", count)
    train(network(), dr.Checkpoint(tmp_path / "seldom", every_seconds=1e6), epochs=10)
    assert len(replaced) == 2  # the first epoch and the last
    train(network(), dr.Checkpoint(tmp_path / "always", every_seconds=0), epochs=10)
    assert len(replaced) == 12


CHANGES: dict[str, dict[str, Any]] = {
    "network": {"net": network(sizes=(4, 7, 1))},
    "starting parameters": {"net": network(rng=1)},
    "data": {"X": X + 1e-12},
    "validation": {"validation": 0.2},
    "batch_size": {"batch_size": 8},
    "optimizer": {"optimizer": "rmsprop"},
    "schedule": {"schedule": "step"},
    "penalties": {"l2": 1e-3},
    "dropout": {"dropout": 0.1},
    "clip_norm": {"clip_norm": 1.0},
    "early_stopping": {"early_stopping": 3},
    "shuffle": {"shuffle": False},
    "rng": {"rng": 1},
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_runs_checkpoint_is_refused_and_kept(tmp_path: Path, name: str) -> None:
    train(network(), tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    options = {"net": network(), "X": X, "Y": Y} | CHANGES[name]
    net, A, b = options.pop("net"), options.pop("X"), options.pop("Y")
    start = net.theta.copy()
    with pytest.raises(dr.SpecError, match=f"belongs to another run: it differs in .*{name}"):
        dr.train(net, A, b, epochs=6, checkpoint=tmp_path, **options)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    np.testing.assert_array_equal(net.theta, start)


def test_deep_networks_that_print_alike_are_told_apart(tmp_path: Path) -> None:
    sizes = [4, *[6] * 14, 1]
    other = [4, *[6] * 7, 5, 7, *[6] * 5, 1]
    train(dr.Network(sizes, "tanh", rng=0), tmp_path, epochs=1)
    with pytest.raises(dr.SpecError, match="network"):
        train(dr.Network(other, "tanh", rng=0), tmp_path, epochs=1)


def test_a_schedule_that_plans_ahead_needs_the_same_epochs(tmp_path: Path) -> None:
    train(network(), tmp_path, epochs=4, schedule="cosine")
    with pytest.raises(dr.SpecError, match="epochs"):
        train(network(), tmp_path, epochs=8, schedule="cosine")


def test_options_as_numpy_numbers(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "optimizer": dr.SGD(np.float32(0.1)),
        "early_stopping": np.int64(3),
        "clip_norm": np.float32(1),
        "batch_size": np.int32(16),
        "epochs": np.int16(3),
    }
    train(network(), tmp_path, **options)
    assert len(train(network(), tmp_path, **options)) == 3


def test_damage_anywhere_is_noticed(tmp_path: Path) -> None:
    train(network(), tmp_path, epochs=2)
    path = tmp_path / "checkpoint.safetensors"
    whole = path.read_bytes()
    chance = random.Random(0)
    damaged = [whole[:cut] for cut in chance.sample(range(len(whole)), 60)]
    for place in [*range(40), *chance.sample(range(len(whole)), 160)]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << chance.randrange(8)
        damaged.append(bytes(flipped))
    damaged += [b"", b"{}", whole + b"x", b"PK\x03\x04" * 100, os.urandom(500)]
    for content in damaged:
        path.write_bytes(content)
        net = network()
        start = net.theta.tobytes()
        with pytest.raises(dr.ModelFileError, match="checkpoint"):
            train(net, tmp_path, epochs=2)
        assert net.theta.tobytes() == start
    path.write_bytes(whole)
    assert len(train(network(), tmp_path, epochs=2)) == 2


def test_a_model_file_is_no_checkpoint(tmp_path: Path) -> None:
    saving.save(network(), tmp_path / "checkpoint.safetensors")
    with pytest.raises(dr.ModelFileError, match="not a checkpoint of this version"):
        train(network(), tmp_path)


def test_what_kills_have_left_is_cleared_but_not_what_is_being_written(tmp_path: Path) -> None:
    old, new = tmp_path / ".checkpoint.safetensors.0123~", tmp_path / ".checkpoint.safetensors.45~"
    for path in (old, new, tmp_path / "notes~"):
        path.write_bytes(b"half a file")
    os.utime(old, (0, 0))
    os.utime(tmp_path / "notes~", (0, 0))
    train(network(), tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [new.name, "checkpoint.safetensors", "notes~"]


def test_a_full_disk_keeps_the_last_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where, true_fsync, calls = dr.Checkpoint(tmp_path, every_seconds=0), os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        true_fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(dr.OutputError, match="No space left"):
        train(network(), where)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    net, whole = network(), network()
    assert bits(net, train(net, where)) == bits(whole, train(whole, None))


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for where in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(dr.OutputError, match="checkpoint directory"):
            train(network(), where)


def test_missing_directories_are_made(tmp_path: Path) -> None:
    train(network(), str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b" / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("rng", [None, np.random.default_rng(0)])
def test_a_checkpoint_needs_a_fixed_rng(tmp_path: Path, rng: Any) -> None:
    with pytest.raises(dr.SpecError, match="fixed rng"):
        train(network(), tmp_path / "x", rng=rng)
    assert not (tmp_path / "x").exists()


def test_seed_sequences_are_fixed(tmp_path: Path) -> None:
    train(network(), tmp_path, epochs=2, rng=np.random.SeedSequence(5))
    assert len(train(network(), tmp_path, epochs=4, rng=np.random.SeedSequence(5))) == 4


@pytest.mark.parametrize("bad", [3, True, b"dir"])
def test_what_is_not_a_checkpoint_is_refused(bad: Any) -> None:
    with pytest.raises(dr.SpecError, match="checkpoint must be"):
        train(network(), bad)


def test_bad_settings() -> None:
    for value in (-1, float("nan"), "often"):
        with pytest.raises(dr.SpecError, match="every_seconds"):
            dr.Checkpoint("x", every_seconds=value)  # type: ignore[arg-type]
    assert dataclasses.asdict(dr.Checkpoint("x")) == {"directory": "x", "every_seconds": 1.0}


def test_digest_tells_values_shapes_dtypes_and_order_apart() -> None:
    A = np.arange(6.0)
    B = sparse.csr_array(np.eye(3))
    seen = [
        digest(A), digest(A.reshape(2, 3)), digest(A.reshape(3, 2)), digest(A.astype(np.float32)),
        digest(A, None), digest(None, A), digest(B), digest(B.toarray()), digest(),
        digest(sparse.csr_array(np.eye(3)[::-1])),
    ]  # fmt: skip
    assert len(set(seen)) == len(seen)
    assert digest(A[::2]) == digest(A[::2].copy())
