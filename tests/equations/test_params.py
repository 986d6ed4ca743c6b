"""The flat vector and its views."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.equations.params import Layout


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    sizes = tuple(draw(st.lists(st.integers(1, 6), min_size=2, max_size=6)))
    bias = tuple(draw(st.lists(st.booleans(), min_size=len(sizes) - 1, max_size=len(sizes) - 1)))
    return Layout(sizes, bias)


@given(layouts())
def test_views_cover_theta_once_in_the_documented_order(layout: Layout) -> None:
    theta = np.arange(layout.size, dtype=float)
    seen = []
    for l, (W, b) in enumerate(layout.matrices(theta)):
        assert W.shape == layout.sizes[l : l + 2]
        assert (b is not None) == layout.bias[l]
        if b is not None:
            assert b.shape == (layout.sizes[l + 1],)
            seen.append(b)
        seen.append(W.ravel())
        assert np.shares_memory(W, theta)
    assert np.array_equal(np.concatenate(seen), theta)
    pieces = layout.join(*map(list, zip(*layout.matrices(theta), strict=True)))
    assert np.array_equal(np.concatenate(pieces), theta)
    slices = layout.layer_slices()
    assert [s.start for s in slices] == [0, *(s.stop for s in slices[:-1])]
    assert slices[-1].stop == layout.size


@given(layouts())
def test_folded_views_are_bias_above_weights(layout: Layout) -> None:  # C3
    theta = np.arange(layout.size, dtype=float)
    apart = layout.matrices(theta)
    folded, biases = Layout(layout.sizes, layout.bias, folded=True).views(theta)
    assert biases == [None] * len(apart)
    for M, (W, b) in zip(folded, apart, strict=True):
        assert np.array_equal(M, W if b is None else np.vstack([b, W]))
        assert np.shares_memory(M, theta)


@given(layouts())
def test_weight_mask_is_false_exactly_at_biases(layout: Layout) -> None:
    mask = layout.weight_mask()
    for W, b in layout.matrices(mask):
        assert W.all()
        assert b is None or not b.any()


@pytest.mark.parametrize("folded", [False, True])
def test_writing_into_a_view_writes_into_theta(folded: bool) -> None:
    theta = np.zeros(9)
    weights, _ = Layout((2, 3), (True,), folded).views(theta)
    weights[0][-1, -1] = 7
    assert theta[-1] == 7
