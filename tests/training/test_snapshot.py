"""Snapshots: copies of large parameters in memory that the next run takes over."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from deltarule.equations.params import Array
from deltarule.training.snapshot import Snapshot

lends = pytest.mark.skipif(not hasattr(mmap, "MADV_FREE"), reason="the system cannot lend memory")
LARGE = 1_100_000


def vector(size: int, dtype: str = "float32") -> Array:
    return np.random.default_rng(0).standard_normal(size).astype(dtype)


def address(snapshot: Snapshot) -> int:
    return int(snapshot.values.__array_interface__["data"][0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 1000, LARGE])
def test_a_copy_that_follows_only_when_asked(size: int, dtype: str) -> None:
    theta = vector(size, dtype)
    snapshot = Snapshot(theta)
    before = theta.copy()
    theta += 1
    np.testing.assert_array_equal(snapshot.values, before)
    snapshot.update(theta)
    np.testing.assert_array_equal(snapshot.values, theta)
    assert snapshot.values.dtype == theta.dtype
    snapshot.release()


@lends
def test_the_next_run_takes_the_memory_over() -> None:
    first = Snapshot(vector(LARGE))
    where = address(first)
    first.release()
    assert first.values.size == 0
    second = Snapshot(2 * vector(LARGE))
    assert address(second) == where
    np.testing.assert_array_equal(second.values, 2 * vector(LARGE))
    second.release()


@lends
def test_two_runs_at_once_share_nothing() -> None:
    Snapshot(vector(LARGE)).release()
    first, second = Snapshot(vector(LARGE)), Snapshot(2 * vector(LARGE))
    np.testing.assert_array_equal(first.values, vector(LARGE))
    np.testing.assert_array_equal(second.values, 2 * vector(LARGE))
    first.release()
    second.release()


@lends
def test_another_size_gets_memory_of_its_own() -> None:
    Snapshot(vector(2 * LARGE)).release()
    snapshot = Snapshot(vector(LARGE))
    np.testing.assert_array_equal(snapshot.values, vector(LARGE))
    snapshot.release()
