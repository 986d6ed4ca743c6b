"""Dropout masks: SplitMix64's own words, rates, independence of everything but the counter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.equations import dropout

WORD = (1 << 64) - 1


def splitmix64(seed: int, count: int) -> list[int]:
    """The published generator, state and all (Steele, Lea, Flood 2014; Vigna's C code)."""
    words = []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & WORD
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
        words.append(z ^ (z >> 31))
    return words


def test_the_published_words() -> None:
    assert splitmix64(0, 3) == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert splitmix64(1234567, 1) == [6457827717110365317]
    assert [dropout._mix(seed) for seed in (0, 1234567)] == [
        splitmix64(seed, 1)[0] for seed in (0, 1234567)
    ]


@given(
    st.integers(-(2**70), 2**70),
    st.integers(0, 2**63),
    st.integers(0, 1000),
    st.floats(0.001, 0.999),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
)
def test_each_factor_is_decided_by_its_word(
    seed: int, step: int, layer: int, rate: float, shape: tuple[int, int]
) -> None:
    first = splitmix64(seed & WORD, 1)[0] ^ step
    key = splitmix64(splitmix64(first, 1)[0] ^ layer, 1)[0]
    words = splitmix64(key, shape[0] * shape[1])
    expected = [1 / (1 - rate) if word >= rate * 2**64 else 0.0 for word in words]
    mask = dropout.mask(rate, seed, step, layer, shape, np.float64)
    assert np.array_equal(mask, np.reshape(expected, shape))


FROZEN = [[0, 1, 0, 1, 1, 1, 1, 0], [0, 1, 0, 1, 0, 1, 1, 1]]


def test_frozen_bits() -> None:
    """What every engine on every machine must reproduce."""
    mask = dropout.mask(0.5, seed=1, step=2, layer=3, shape=(2, 8), dtype=np.float32)
    again = dropout.mask(0.5, seed=1, step=2, layer=3, shape=(2, 8), dtype=np.float32)
    assert mask.dtype == np.float32
    assert np.array_equal(mask, again)
    assert (mask > 0).astype(int).tolist() == FROZEN


@pytest.mark.parametrize("rate", [0.01, 0.2, 0.5, 0.9])
def test_rate_and_mean(rate: float) -> None:
    n = 200_000
    mask = dropout.mask(rate, 0, 0, 1, (n // 100, 100), np.float64)
    assert set(np.unique(mask)) == {0.0, 1 / (1 - rate)}
    assert abs((mask == 0).mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / n)
    assert mask.mean() == pytest.approx(1, abs=5 * np.sqrt(rate / (1 - rate) / n))


def test_masks_of_different_steps_layers_and_seeds_are_unrelated() -> None:
    keys = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (1, 1, 0)]
    masks = np.stack([dropout.mask(0.5, *key, (100, 100), np.float64).ravel() for key in keys])
    correlation = np.corrcoef(masks)
    assert abs(correlation - np.eye(len(keys))).max() < 5 / 100
    neighbours = masks[0] - 1
    assert abs((neighbours[1:] * neighbours[:-1]).mean()) < 5 / 100
