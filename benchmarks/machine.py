"""The facts that a figure depends on: processor, cores, BLAS, versions, and the measured peak."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.process import ROOT, all_threads, environment

PACKAGES = (
    "deltarule",
    "numpy",
    "scipy",
    "torch",
    "jax",
    "jaxlib",
    "scikit-learn",
    "keras",
    "numba",
)


def _processor() -> str:
    """The processor's name as the system gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _vector_units() -> list[str]:
    """The vector instruction sets that matter here, where Linux lists them."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            flags = next(
                (set(x.split()) for x in lines if x.startswith(("flags", "Features"))), set()
            )
    except OSError:
        return []
    return [f for f in ("avx2", "fma", "avx512f", "avx512_bf16", "asimd", "sve") if f in flags]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _blas() -> str:
    """The BLAS that this NumPy was built with."""
    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    return f"{blas.get('name')} {blas.get('version')}"


def sgemm_gflops() -> float:
    """Best rate of NumPy's float32 product, in this process, at its thread count."""
    n = 2048
    a = np.random.default_rng(0).standard_normal((n, n), dtype=np.float32)
    out = np.empty_like(a)
    np.matmul(a, a, out=out)
    best = float("inf")
    stop = time.perf_counter() + 1.5
    while time.perf_counter() < stop:
        start = time.perf_counter()
        np.matmul(a, a, out=out)
        best = min(best, time.perf_counter() - start)
    return 2e-9 * n**3 / best


def _peak(threads: int) -> float:
    """The estimate of the peak: sgemm of a large product comes within some percent of it."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.machine"],
        env=environment(threads),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def facts(peak: bool = True) -> dict[str, Any]:
    """Everything about this machine that a reader needs; no names of hosts, people or places."""
    threads = all_threads()
    return {
        "processor": _processor(),
        "vector_units": _vector_units(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "blas": _blas(),
        "versions": _versions(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "peak_gflops": {str(n): _peak(n) for n in sorted({1, threads})} if peak else {},
    }


if __name__ == "__main__":
    print(sgemm_gflops())
