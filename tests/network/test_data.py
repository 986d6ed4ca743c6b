"""What comes in: every way of writing the same numbers, and every error with its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deltarule.equations.losses import get_loss, shares
from deltarule.errors import DataError, SpecError
from deltarule.network.data import check_inputs, check_sample_weight, check_targets, is_sparse

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


def inputs(values: Any, n_inputs: int = 2, dtype: Any = np.float64) -> Any:
    return check_inputs(values, n_inputs, np.dtype(dtype))


def outputs(loss: str, Y: Any, n: int, k: int, dtype: Any = np.float64) -> Any:
    return check_targets(get_loss(loss), Y, n, k, np.dtype(dtype))


# -- inputs ----------------------------------------------------------------------------------------


def test_the_same_numbers_in_many_forms() -> None:
    pd = pytest.importorskip("pandas")
    import polars as pl

    forms = [
        X.tolist(),
        [tuple(row) for row in X],
        X.astype(int),
        X.astype(np.float32),
        X.astype(object),
        X.astype(">f8"),
        np.asfortranarray(X),
        np.repeat(X, 2, axis=0)[::2],
        X[::-1][::-1],
        np.ma.masked_array(X),
        pd.DataFrame(X, columns=["a", "b"]),
        pd.DataFrame({"a": pd.array([1, 3, 5], dtype="Int64"), "b": [2.0, 4.0, 6.0]}),
        pl.DataFrame({"a": X[:, 0], "b": X[:, 1]}),
    ]
    for form in forms:
        for dtype in (np.float32, np.float64):
            got = inputs(form, dtype=dtype)
            assert np.array_equal(got, X)
            assert got.dtype == dtype
            assert got.flags.c_contiguous
    assert inputs(X) is X  # nothing to do, nothing copied
    assert inputs([[True, False]]).tolist() == [[1.0, 0.0]]


@given(
    hnp.arrays(
        hnp.scalar_dtypes().filter(lambda d: d.kind in "biuf"),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
def test_any_real_dtype_and_shape(array: Any) -> None:
    with np.errstate(over="ignore"):
        expected = array.astype(np.float64)
    got = inputs(array, array.shape[1])
    assert np.array_equal(got, expected)
    assert got.dtype == np.float64
    assert got.flags.c_contiguous


@given(hnp.array_shapes(min_dims=0, max_dims=4, max_side=3).filter(lambda s: s[1:] != (2,)))
def test_any_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    if len(shape) == 2 and shape[1] == 2:
        return
    with pytest.raises(DataError):
        inputs(np.ones(shape))


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array])
def test_sparse_inputs_become_csr(kind: Any) -> None:
    got = inputs(kind(X), dtype=np.float32)
    assert is_sparse(got)
    assert got.format == "csr"
    assert got.dtype == np.float32
    assert np.array_equal(got.toarray(), X)
    assert not is_sparse(X)


HUGE = 10**400
BAD_INPUTS = [
    ([[1, np.nan], [2, 3]], "X holds NaN at row 0, column 1, counted from 0"),
    ([[1, 2], [np.nan, np.nan]], "NaN at row 1, column 0 (and 1 more)"),
    ([[1, 2], [3, -np.inf]], "X holds infinity at row 1, column 1"),
    ([[np.inf, -np.inf]], "X holds infinity at row 0, column 0 (and 1 more)"),
    ([1.0, 2.0], "X is one-dimensional (2 numbers); rows are samples: use X.reshape(1, -1)"),
    (3.0, "one-dimensional (1 numbers)"),
    (np.ones((2, 2, 2)), "X has 3 dimensions; an array (samples, 2) is needed"),
    (np.ones((0, 2)), "X has no rows"),
    (np.ones((3, 5)), "X has 5 columns, but the network has 2 inputs"),
    ([["1", "x"]], "X holds '1' (str) at row 0, column 0, not a number; encode text columns"),
    (np.array([[1, "b"]], dtype=object), "X holds 'b' (str) at row 0, column 1"),
    ([[1, None]], "X has no value (None) at row 0, column 1; fill or drop it"),
    (None, "X has no value (None) at the value"),
    ([[1, 2], [3]], "X is not a rectangular array"),
    ([[1j, 2]], "X holds complex numbers"),
    (np.array([["2020-01-01", "2020-01-02"]], "M8[D]"), "X has dtype datetime64[D]"),
    ({"a": 1}, "X holds {'a': 1} (dict)"),
    ([[HUGE, 1]], "too large for a float64"),
    (np.ma.masked_array(X, X > 5), "X has masked values"),
    (sp.csr_array([[1, 2], [0, np.nan]]), "NaN or infinity at row 1, column 1"),
    (sp.csr_array(np.ones((2, 3))), "X has 3 columns"),
    (sp.csr_array([[1j, 0]]), "X holds complex numbers"),
    (sp.csr_array((0, 2)), "X has no rows"),
]


@pytest.mark.parametrize(("values", "message"), BAD_INPUTS)
def test_bad_inputs(values: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        inputs(values)
    assert message in str(caught.value)


def test_missing_values_of_pandas() -> None:
    pd = pytest.importorskip("pandas")

    table = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"no value \(<NA>\) at row 1, column 0"):
        inputs(table)
    with pytest.raises(DataError, match=r"holds 'x' \(str\) at row 0, column 0"):
        inputs(pd.DataFrame({"a": pd.Categorical(["x", "y"]), "b": [1.0, 2.0]}))


@pytest.mark.parametrize("values", [[[1e300, 0]], sp.csr_array([[1e300, 0]])])
def test_too_large_for_float32(values: Any) -> None:
    inputs(values)
    with pytest.raises(DataError, match=r"infinity at row 0, column 0.*as float32"):
        inputs(values, dtype=np.float32)


def test_huge_but_finite_numbers_pass() -> None:
    assert np.array_equal(inputs([[1e308, 1e308]]), [[1e308, 1e308]])


# -- targets ---------------------------------------------------------------------------------------


def test_targets_in_their_forms() -> None:
    assert outputs("squared_error", [1, 2, 3], 3, 1).tolist() == [[1], [2], [3]]
    assert outputs("squared_error", [[1, 2]], 1, 2).tolist() == [[1, 2]]
    assert outputs("log_loss", [True, False], 2, 1).tolist() == [[1], [0]]
    for labels in ([2, 0], np.array([2.0, 0.0]), np.array([[2], [0]]), np.uint8([2, 0])):
        assert outputs("cross_entropy", labels, 2, 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert outputs("cross_entropy", [[0.2, 0.8]], 1, 2).tolist() == [[0.2, 0.8]]
    thirds = np.full((4, 3), 1 / 3, dtype=np.float32)
    assert np.array_equal(outputs("cross_entropy", thirds, 4, 3, np.float32), thirds)
    assert outputs("poisson", [0, 7], 2, 1, np.float32).dtype == np.float32


@given(st.integers(2, 6), st.data())
def test_one_hot_rows_and_labels_are_the_same_targets(k: int, data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.integers(0, k - 1), min_size=1, max_size=9))
    n = len(labels)
    assert np.array_equal(
        outputs("cross_entropy", labels, n, k), outputs("cross_entropy", np.eye(k)[labels], n, k)
    )


@given(st.lists(st.integers(2, 5), min_size=2, max_size=4).map(tuple), st.integers(0, 99))
def test_one_label_for_each_group(groups: tuple[int, ...], seed: int) -> None:
    loss = f"cross_entropy({','.join(map(str, groups))})"
    labels = np.random.default_rng(seed).integers(0, groups, (6, len(groups)))
    one_hot = np.hstack([np.eye(k)[labels[:, j]] for j, k in enumerate(groups)])
    for given_as in (labels, labels.astype(float), labels.tolist(), one_hot):
        assert np.array_equal(outputs(loss, given_as, 6, sum(groups)), one_hot)
    assert outputs(loss, labels, 6, sum(groups), np.float32).dtype == np.float32


def test_one_group_with_a_size_is_as_one_without() -> None:
    assert outputs("cross_entropy(3)", [2, 0], 2, 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert outputs("cross_entropy(3)", [[2], [0]], 2, 3).tolist() == [[0, 0, 1], [1, 0, 0]]


BAD_TARGETS = [
    ("squared_error", [1, 2], 3, 1, "Y has shape (2,), but there are 3 samples with 1 output"),
    ("squared_error", [[1, 2]], 1, 3, "Y has shape (1, 2), but squared_error with 3 outputs"),
    ("squared_error", [1, 2], 2, 2, "needs (2, 2)"),
    ("squared_error", [[1, 2]], 1, 1, "squared_error with 1 output needs (1, 1)"),
    ("squared_error", np.ones((2, 1, 1)), 2, 1, "Y has shape (2, 1, 1)"),
    ("squared_error", [1, np.nan], 2, 1, "Y holds NaN at row 1"),
    ("squared_error", ["a", "b"], 2, 1, "Y holds 'a' (str) at row 0, not a number"),
    ("squared_error", [1, None], 2, 1, "Y has no value (None) at row 1"),
    ("cross_entropy", [0, 3], 2, 3, "the label 3 at row 1; with 3 outputs a label is a whole"),
    ("cross_entropy", [0, -1], 2, 3, "the label -1 at row 1"),
    ("cross_entropy", [0, 0.5], 2, 3, "the label 0.5 at row 1"),
    ("cross_entropy", [[1, 1, 0]], 1, 3, "Y: row 0 sums to 2; for cross_entropy a row is one-hot"),
    ("cross_entropy", [[2, -1, 0]], 1, 3, "Y holds 2 at row 0, column 0"),
    ("cross_entropy", [[0.5, 0.4]], 1, 2, "row 0 sums to 0.9"),
    (
        "cross_entropy(3,2)",
        [[0, 1], [1, 2]],
        2,
        5,
        "the label 2 at row 1, column 1; with 2 outputs",
    ),
    ("cross_entropy(3,2)", [[0, 1], [-1, 1]], 2, 5, "the label -1 at row 1, column 0; with 3 out"),
    ("cross_entropy(3,2)", [0, 1], 2, 5, "needs (2, 5), or labels (2, 2)"),
    ("cross_entropy(3,2)", [[0], [1]], 2, 5, "needs (2, 5), or labels (2, 2)"),
    ("cross_entropy(3,2)", [[0.2, 0.8, 0, 1, 1]], 1, 5, "Y: row 0, group 1 sums to 2; for cross"),
    ("cross_entropy(3,2)", [[0.2, 0.4, 0, 0, 1]], 1, 5, "row 0, group 0 sums to 0.6"),
    ("cross_entropy(3,2)", [[2, -1, 0, 0, 1]], 1, 5, "Y holds 2 at row 0, column 0"),
    ("log_loss", [-1, 1], 2, 1, "Y holds -1 at row 0, column 0; for log_loss a target is between"),
    ("log_loss", [0, 2], 2, 1, "Y holds 2 at row 1"),
    ("poisson", [3, -2], 2, 1, "Y holds -2 at row 1, column 0; for poisson a target is a number >"),
]


@pytest.mark.parametrize(("loss", "Y", "n", "k", "message"), BAD_TARGETS)
def test_bad_targets(loss: str, Y: Any, n: int, k: int, message: str) -> None:
    with pytest.raises(DataError) as caught:
        outputs(loss, Y, n, k)
    assert message in str(caught.value)


def test_a_target_too_large_for_float32() -> None:
    assert outputs("squared_error", [1e300], 1, 1) == 1e300
    with pytest.raises(DataError, match="Y holds infinity at row 0"):
        outputs("squared_error", [1e300], 1, 1, np.float32)


# -- sample weights --------------------------------------------------------------------------------


def test_weights_and_shares() -> None:
    assert check_sample_weight(None, 3, np.float64) is None
    w = check_sample_weight([1, 0, 3], 3, np.float32)
    assert w is not None
    assert w.dtype == np.float32
    assert shares(3, w, "mean", np.float32).tolist() == [0.25, 0, 0.75]
    assert shares(3, w, "sum", np.float32).tolist() == [1, 0, 3]
    assert shares(4, None, "mean", np.float64).tolist() == [0.25] * 4
    assert shares(2, None, "sum", np.float64).tolist() == [1, 1]
    assert shares(2, np.zeros(2), "mean", np.float64).tolist() == [0, 0]
    assert shares(4, None, "mean", np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, 2], "sample_weight has shape (2,); one per sample is (3,)"),
        ([[1], [2], [3]], "has shape (3, 1)"),
        ([1, -2, 3], "sample_weight is negative (-2) at row 1"),
        ([0, 0, 0], "sample_weight is 0 for every sample"),
        ([1, np.nan, 1], "sample_weight holds NaN at row 1"),
        ([1, np.inf, 1], "sample_weight holds infinity at row 1"),
        (["a", "b", "c"], "sample_weight holds 'a'"),
        ("balanced", "sample_weight holds 'balanced'"),
    ],
)
def test_bad_weights(weight: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        check_sample_weight(weight, 3, np.float64)
    assert message in str(caught.value)


def test_an_unknown_reduction_is_a_bad_option() -> None:
    with pytest.raises(SpecError, match="reduction must be 'mean' or 'sum', got 'avg'"):
        shares(3, None, "avg", np.float64)


def test_sparse_indices_outside_the_matrix_are_refused() -> None:
    X = sp.csr_array(np.eye(3))
    X.indices[1] = 7
    with pytest.raises(DataError, match="X is not a valid sparse matrix"):
        check_inputs(X, 3, np.float64)
