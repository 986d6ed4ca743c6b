"""From the naive to the fast: one step of training on every rung, each held to the same numbers.

    python -m benchmarks.ladder

Rungs: loops over single numbers in Python (document D's index form), the reference engine (NumPy),
and the compiled engine at every CPU level of this machine, on one thread.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

import deltarule as dr

CASES = (((4, 16, 3), 32), ((64, 128, 10), 32), ((784, 30, 10), 10))
RATE = 0.1
STEPS = 3  # trained on every rung and compared
LEVELS = ("baseline", "avx2", "avx512")


def problem(sizes: tuple[int, ...], batch: int) -> tuple[dr.Network, Any, Any]:
    """A sigmoid network with linear outputs, and one batch."""
    rng = np.random.default_rng(0)
    net = dr.Network(sizes, "sigmoid", dtype="float32", rng=0)
    X = rng.standard_normal((batch, sizes[0]), dtype=np.float32)
    return net, X, rng.standard_normal((batch, sizes[-1]), dtype=np.float32)


def loops(net: dr.Network, X: Any, Y: Any, steps: int) -> None:
    """Back-propagation with one number at a time: net inputs, outputs, error terms, updates."""
    W = [w.tolist() for w in net.weights]
    b = [[] if v is None else v.tolist() for v in net.biases]
    L = len(W)
    for _ in range(steps):
        dW = [[[0.0] * len(row) for row in w] for w in W]
        db = [[0.0] * len(v) for v in b]
        for x, t in zip(X.tolist(), Y.tolist(), strict=True):
            y = [x]
            for l in range(L):
                z = [
                    b[l][j] + sum(y[l][k] * W[l][k][j] for k in range(len(W[l])))
                    for j in range(len(b[l]))
                ]
                y.append(z if l == L - 1 else [1 / (1 + math.exp(-v)) for v in z])
            delta = [o - goal for o, goal in zip(y[L], t, strict=True)]
            for l in range(L - 1, -1, -1):
                for j, d in enumerate(delta):
                    db[l][j] += d
                    for k, value in enumerate(y[l]):
                        dW[l][k][j] += d * value
                delta = [
                    a * (1 - a) * sum(d * W[l][k][j] for j, d in enumerate(delta))
                    for k, a in enumerate(y[l])
                ]
        for l in range(L):
            b[l] = [v - RATE / len(X) * g for v, g in zip(b[l], db[l], strict=True)]
            for k, row in enumerate(W[l]):
                W[l][k] = [v - RATE / len(X) * g for v, g in zip(row, dW[l][k], strict=True)]
    net.weights, net.biases = W, b


def descend(net: dr.Network, X: Any, Y: Any, steps: int, engine: str) -> None:
    """The same with `dr.train`: the batch again and again, in order."""
    many = (np.tile(X, (steps, 1)), np.tile(Y, (steps, 1)))
    options: dict[str, Any] = {"validation": None, "shuffle": False, "engine": engine}
    dr.train(net, *many, epochs=1, batch_size=len(X), optimizer=dr.SGD(RATE), **options)


def rung(name: str) -> None:
    """Time one rung on every case, check it, and print a line of microseconds per step."""
    cells = []
    for sizes, batch in CASES:
        net, X, Y = problem(sizes, batch)
        expected = net.copy()
        descend(expected, X, Y, STEPS, "reference")

        def train(net: dr.Network, steps: int, X: Any = X, Y: Any = Y) -> None:
            if name == "loops":
                loops(net, X, Y, steps)
            else:
                descend(net, X, Y, steps, "reference" if name == "reference" else "native")

        train(net, STEPS)
        error = float(np.abs(net.theta - expected.theta).max())
        if not error < 1e-4:
            raise SystemExit(f"{name}, {sizes}: off by {error:.2g}")
        steps = 1 if name == "loops" else 200 if name == "reference" else 2000
        times = []
        for _ in range(5):
            start = time.perf_counter()
            train(net, steps)
            times.append((time.perf_counter() - start) / steps * 1e6)
        cells.append(f"{statistics.median(times):.3g}")
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Every rung in a process of its own, since a CPU level is chosen when the core is loaded."""
    if len(sys.argv) == 2:
        rung(sys.argv[1])
        return
    heads = [f"{'-'.join(map(str, sizes))}, batch {batch}" for sizes, batch in CASES]
    print("| microseconds per step | " + " | ".join(heads) + " |")
    print("|---|" + "---:|" * len(heads), flush=True)
    for name in ("loops", "reference", *LEVELS):
        more = {"DELTARULE_CPU": name} if name in LEVELS else {}
        one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        program = [sys.executable, "-m", "benchmarks.ladder", name]
        subprocess.run(program, env=os.environ | one | more, check=True)


if __name__ == "__main__":
    main()
