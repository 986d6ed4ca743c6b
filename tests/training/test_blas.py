"""One BLAS thread while SciPy minimizes: set, shared among threads, and given back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.optimize  # noqa: F401  # loads SciPy's BLAS
from threadpoolctl import ThreadpoolController, threadpool_info

import deltarule as dr
from deltarule.training.blas import one_blas_thread


def threads() -> dict[str, int]:
    """The threads of each BLAS, by its file."""
    return {one["filepath"]: one["num_threads"] for one in threadpool_info()
            if one["user_api"] == "blas"}  # fmt: skip


def of_scipy() -> set[int]:
    return {count for path, count in threads().items() if "numpy.libs" not in path}


def set_threads(counts: dict[str, int]) -> None:
    for library in ThreadpoolController().lib_controllers:
        if library.filepath in counts:
            library.set_num_threads(counts[library.filepath])


def in_a_thread(function: Callable[..., Any], *args: Any) -> None:
    """A thread that has ended no longer keeps others from setting the number (threadpoolctl)."""
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join(300)
    assert not thread.is_alive()


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = threads()
    in_a_thread(set_threads, dict.fromkeys(before, 2))
    if set(threads().values()) != {2}:
        pytest.skip("this BLAS has one thread only")
    yield
    in_a_thread(set_threads, before)


def test_one_thread_inside_and_as_before_outside() -> None:
    before = threads()
    with one_blas_thread():
        assert of_scipy() == {1}
        assert {path: n for path, n in threads().items() if "numpy.libs" in path}.items() <= (
            before.items()
        )
        with one_blas_thread():
            assert of_scipy() == {1}
        assert of_scipy() == {1}
    assert threads() == before
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert threads() == before


@pytest.mark.parametrize("leaves_first", ["the first", "the second"])
def test_threads_come_and_go(leaves_first: str) -> None:
    inside, leave, left = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with one_blas_thread():
            inside.set()
            leave.wait(300)
        left.set()

    worker = threading.Thread(target=first)
    worker.start()
    assert inside.wait(300)
    assert of_scipy() == {1}
    with one_blas_thread():
        assert of_scipy() == {1}
        if leaves_first == "the first":
            leave.set()
            assert left.wait(300)
    leave.set()
    worker.join(300)
    assert not worker.is_alive()
    assert of_scipy() == {2}
    with one_blas_thread():
        assert of_scipy() == {1}
    assert of_scipy() == {2}


def test_lbfgs_minimizes_with_one() -> None:
    seen = []
    X = np.random.default_rng(0).normal(size=(30, 3))
    net = dr.Network([3, 4, 1], "tanh", rng=0)
    dr.train(net, X, X[:, 0], epochs=3, optimizer="lbfgs", validation=None,
             callbacks=[lambda progress: seen.append(of_scipy())])  # fmt: skip
    assert seen == [{1}] * 3
    assert of_scipy() == {2}
