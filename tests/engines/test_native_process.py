"""The native engine among processes, threads, signals and old CPUs."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
import pytest

import deltarule as dr
from deltarule.engines import Run
from deltarule.equations.optimizers import SGD
from deltarule.network.network import Network
from support.memory import peak_kib

native = pytest.importorskip("deltarule.engines.native")
ENGINE = native.NativeEngine()


def theta_after(sizes: list[int], dtype: str = "float32", steps: int = 3) -> bytes:
    """The bits after a few steps on layers large enough for threads."""
    rng = np.random.default_rng(0)
    net = Network(sizes, "relu", dtype=dtype, rng=1)
    n = 64 * steps
    X = rng.standard_normal((n, sizes[0])).astype(dtype)
    Y = rng.standard_normal((n, sizes[-1])).astype(dtype)
    run = Run(net.spec, net.theta, X, Y, None, 64, SGD(1e-3), {"t": 0})
    ENGINE.steps(run, np.arange(n), np.full(steps, 1e-3), 0, steps)
    return net.theta.tobytes() + ENGINE.predict(net.spec, net.theta, X).tobytes()


LARGE = [300, 512, 700, 10]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_same_bits_on_any_number_of_threads(dtype: str) -> None:
    results = []
    for threads in (1, 2, 3, 4):
        dr.set_num_threads(threads)
        assert dr.get_num_threads() == threads
        results.append(theta_after(LARGE, dtype))
    dr.set_num_threads(None)
    assert len(set(results)) == 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_same_bits_of_many_small_layers(dtype: str) -> None:
    """Which way they go is decided by a clock, and must not show."""
    results = []
    for threads in (1, 2, 3, 4, 4):
        dr.set_num_threads(threads)
        results.append(theta_after([20, *[64] * 20, 5], dtype, steps=20))
    dr.set_num_threads(None)
    assert len(set(results)) == 1


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_a_number_of_threads_that_is_none(n: Any) -> None:
    with pytest.raises(dr.SpecError, match="threads"):
        dr.set_num_threads(n)


def test_many_python_threads_at_once() -> None:
    expected = theta_after(LARGE)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: theta_after(LARGE), range(8))) == {expected}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_goes_on(until: Any) -> None:
    expected = theta_after(LARGE)  # the pool of the parent runs
    pid = os.fork()
    if pid == 0:
        os._exit(0 if theta_after(LARGE) == expected else 1)
    found: list[int] = []

    def ended() -> bool:
        done, status = os.waitpid(pid, os.WNOHANG)
        found.extend([os.waitstatus_to_exitcode(status)] if done else [])
        return bool(done)

    try:
        until(ended)
    finally:
        if not found:  # it hangs
            os.kill(pid, signal.SIGKILL)
    assert found == [0]


def _threads_of_a_worker() -> tuple[int, bytes]:
    return dr.get_num_threads(), theta_after(LARGE)


def test_joblib_workers_take_their_share() -> None:
    expected = theta_after(LARGE)
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        results = joblib.Parallel(timeout=300)(
            joblib.delayed(_threads_of_a_worker)() for _ in range(4)
        )
    assert results == [(1, expected)] * 4


def python(code: str, **environment: str) -> Any:
    """What a fresh interpreter prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="levels of x86-64")
@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_every_cpu_level_learns_the_same(level: str) -> None:
    code = """
        import json
        import numpy as np
        import deltarule as dr
        from deltarule import _core
        from deltarule.engines.native import NativeEngine
        from deltarule.engines.reference import ReferenceEngine

        worst = 0.0
        rng = np.random.default_rng(0)
        nets = [3, 5, 2], [7, 33, 17, 3], [300, 600, 9]
        for sizes, hidden in zip(nets, ["sigmoid", "gelu", "mish"]):
            net = dr.Network(sizes, hidden, rng=1)
            X, Y = rng.standard_normal((70, sizes[0])), rng.standard_normal((70, sizes[-1]))
            whole = net.spec, net.theta
            for rows in (1, 5, 70):
                C, g = NativeEngine().gradients(*whole, X[:rows], Y[:rows], None)
                expected = ReferenceEngine().gradients(*whole, X[:rows], Y[:rows], None)[1]
                worst = max(worst, np.abs(g - expected).max() / np.abs(expected).max())
                a = NativeEngine().predict(*whole, X[:rows])
                worst = max(worst, np.abs(a - ReferenceEngine().predict(*whole, X[:rows])).max())
        print(json.dumps([_core.cpu_level(), worst]))
    """
    in_use, worst = python(code, DELTARULE_CPU=level)
    order = ["baseline", "avx2", "avx512"]
    assert order.index(in_use) <= order.index(level)
    if level == "baseline":
        assert in_use == level
    assert worst < 1e-12


def test_thread_limits_of_the_environment() -> None:
    code = "from deltarule import _core; print(_core.get_num_threads())"
    assert python(code, OMP_NUM_THREADS="1") == 1
    assert python(code) <= (os.cpu_count() or 1)


def test_without_the_extension_everything_runs_on_the_reference() -> None:
    code = """
        import json, sys
        sys.modules["deltarule._core"] = None  # an import of it now fails
        import deltarule as dr
        from deltarule.engines import engine_names
        net = dr.Network([2, 3, 1], rng=0)
        dr.train(net, [[0, 1], [1, 0]], [1, 0], epochs=2, validation=None)
        print(json.dumps(engine_names()))
    """
    assert python(code) == ["reference"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_a_long_epoch_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    true_steps = native.NativeEngine.steps
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))

    def steps(*args: Any) -> Any:
        timer.start()  # not earlier: training listens to Ctrl-C by now
        return true_steps(*args)

    monkeypatch.setattr(native.NativeEngine, "steps", steps)
    net = Network([8, 512, 512, 1], "relu", dtype="float32", rng=0)
    X = np.random.default_rng(0).standard_normal((300_000, 8))  # an epoch takes half a minute
    history = dr.train(net, X, X[:, :1], epochs=1, batch_size=1, validation=None, engine="native")
    timer.join(300)
    assert (history.stopped, len(history)) == ("interrupted", 0)


def test_memory_does_not_grow() -> None:
    rng = np.random.default_rng(0)
    net = Network([20, 40, 3], "tanh", dtype="float32", rng=0)
    X, Y = rng.standard_normal((50, 20)), rng.standard_normal((50, 3))

    def train(epochs: int) -> None:
        dr.train(net, X, Y, epochs=epochs, batch_size=10, validation=None, engine="native")
        for _ in range(epochs):
            net.predict(X)

    train(50)
    before = peak_kib()
    train(1000)
    grown = peak_kib() - before
    assert grown < 3_000  # KiB
