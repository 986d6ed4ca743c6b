"""Encoding tables: worked small ones, scikit-learn's encoders as oracle, and any table at all."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltarule.errors import DataError, SpecError
from deltarule.tabular import NumberColumn, TableEncoder, TextColumn, read_table


def column_of(encoder: TableEncoder, frame: pl.DataFrame, feature: str) -> np.ndarray[Any, Any]:
    values = encoder.transform(frame)[:, encoder.feature_names.index(feature)]
    return np.asarray(values)


def test_a_small_table_by_hand() -> None:
    frame = pl.DataFrame(
        {
            "age": [20, 40, None, 60],
            "job": ["a", "b", "a", None],
            "ok": [True, None, False, True],
            "day": [dt.date(2024, 1, d) for d in (1, 2, 3, 4)],
            "same": [3.0] * 4,
        }
    )
    encoder = TableEncoder(min_count=1).fit(frame)
    assert encoder.feature_names == [
        *(
            "age",
            "age missing",
            "job=a",
            "job=b",
            "job=(missing)",
            "ok",
            "ok missing",
            "day",
            "same",
        )
    ]
    sd = np.sqrt(800 / 3)
    day = np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(1.25)
    expected = [
        [-20 / sd, 0, 1, 0, 0, 1, 0, day[0], 0],
        [0, 0, 0, 1, 0, 2 / 3, 1, day[1], 0],
        [0, 1, 1, 0, 0, 0, 0, day[2], 0],
        [20 / sd, 0, 0, 0, 1, 1, 0, day[3], 0],
    ]
    np.testing.assert_allclose(encoder.transform(frame), expected, rtol=1e-12, atol=1e-15)
    assert encoder.transform(frame, dtype=np.float32).dtype == np.float32
    assert encoder.width == 9
    assert encoder.text_columns == ["job"]
    assert repr(encoder) == "TableEncoder(5 columns -> 9 numbers)"


def test_numbers_and_text_as_scikit_learn_encodes_them() -> None:
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    iris = read_table("iris")
    encoder = TableEncoder().fit(iris)
    X = iris.drop("target").to_numpy()
    np.testing.assert_allclose(
        encoder.transform(iris)[:, :4], StandardScaler().fit_transform(X), rtol=0, atol=1e-13
    )
    rng = np.random.default_rng(0)
    text = rng.choice(list("abcdefgh"), 400, p=np.array([40, 30, 20, 5, 2, 1.4, 1, 0.6]) / 100)
    frame = pl.DataFrame({"w": text})
    theirs = OneHotEncoder(min_frequency=7, sparse_output=False).fit(text[:, None])
    ours = TableEncoder(min_count=7).fit(frame)
    both = pl.DataFrame({"w": [*text, "new"]})
    known = np.array([[t if t in set(text) else "h"] for t in both["w"]])  # h is rare in both
    np.testing.assert_array_equal(ours.transform(both), theirs.transform(known))


def test_rows_choose_what_is_measured() -> None:
    frame = pl.DataFrame({"x": [0.0, 2.0, 100.0], "w": ["a", "a", "b"]})
    encoder = TableEncoder(min_count=1).fit(frame, rows=[0, 1])
    assert encoder.feature_names == ["x", "w=a"]
    np.testing.assert_array_equal(encoder.transform(frame), [[-1, 1], [1, 1], [99, 0]])


@pytest.mark.parametrize("size", [1e300, 1e-300, 1.7e308, 5e-324, 1.0])
def test_any_magnitude_is_scaled_without_overflow(size: float) -> None:
    frame = pl.DataFrame({"x": [-size, 0.0, size, size]})
    z = TableEncoder().fit(frame).transform(frame)[:, 0]
    if size > 1e-290:
        np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=1e-14)
    else:
        np.testing.assert_array_equal(z, 0)
    wild = pl.DataFrame({"x": [1.7e308, -1.7e308]})
    small = TableEncoder().fit(pl.DataFrame({"x": [0.0, 1e-9]})).transform(wild, dtype=np.float32)
    np.testing.assert_array_equal(small[:, 0], [1e4, -1e4])


def test_a_heavy_tail_is_bent_and_stays_in_order() -> None:
    gains = np.concatenate([np.zeros(950), np.geomspace(100, 99999, 50)])
    frame = pl.DataFrame({"gain": gains, "even": np.linspace(0, 1, 1000)})
    encoder = TableEncoder().fit(frame)
    gain, even = encoder.columns
    assert isinstance(gain, NumberColumn)
    assert isinstance(even, NumberColumn)
    assert gain.unit == pytest.approx(np.abs(gains - np.median(gains)).mean())
    assert even.unit == 0
    z = encoder.transform(frame)
    bent = np.arcsinh((gains - np.median(gains)) / gain.unit)
    farthest = np.abs(bent - bent.mean()).max()
    assert farthest > 4 * bent.std()
    np.testing.assert_allclose(z[:, 0], (bent - bent.mean()) / (farthest / 4), atol=1e-12)
    assert (np.diff(z[950:, 0]) > 0).all()


@pytest.mark.parametrize("others", [1, 2, 30])
def test_the_farthest_fitted_value_lies_within_4_deviations(others: int) -> None:
    x = np.zeros(1000)
    x[:others] = np.arange(1, others + 1)
    frame = pl.DataFrame({"x": x, "near": np.tile([-1.0, 1.0], 500)})
    encoder = TableEncoder().fit(frame)
    z = encoder.transform(frame)
    assert np.abs(z[:, 0]).max() == pytest.approx(4, abs=1e-12)
    np.testing.assert_array_equal(z[:, 1], frame["near"])  # whose scale is left as it was
    stored = json.loads(json.dumps(encoder.to_dict(), allow_nan=False))
    wild = pl.DataFrame({"x": [*x[:40], 1e6], "near": [0.0] * 41})
    back = TableEncoder.from_dict(stored).transform(wild)
    np.testing.assert_array_equal(back, encoder.transform(wild))
    assert back[-1, 0] > 4  # a value beyond the fitted ones may lie farther out


def test_dates_times_and_durations_are_days() -> None:
    start = dt.datetime(2024, 3, 1, 12)
    for unit in ("ms", "us", "ns"):
        series = pl.Series("t", [start, start + dt.timedelta(days=2)]).dt.cast_time_unit(unit)
        column = TableEncoder().fit(series.to_frame()).columns[0]
        assert isinstance(column, NumberColumn)
        assert (column.kind, column.mean, column.scale) == ("datetime", 19784.5, 1.0)
    frame = pl.DataFrame(
        {"d": [dt.timedelta(hours=0), dt.timedelta(hours=12)], "t": [dt.time(6), dt.time(18)]}
    )
    columns = TableEncoder().fit(frame).columns
    assert [c.scale for c in columns if isinstance(c, NumberColumn)] == [0.25, 0.25]
    dated = TableEncoder().fit(pl.DataFrame({"t": [start, start + dt.timedelta(days=2)]}))
    as_text = pl.DataFrame({"t": ["2024-03-01 12:00:00", "2024-03-03T12:00"]})
    as_text_one_way = as_text.with_columns(
        t=pl.Series(["2024-03-01 12:00:00", "2024-03-03 12:00:00"])
    )
    np.testing.assert_array_equal(dated.transform(as_text_one_way)[:, 0], [-1, 1])
    with pytest.raises(DataError, match=r"'t', row 2 .*is not a datetime"):
        dated.transform(as_text)
    with pytest.raises(DataError, match=r"held datetime values .* now holds number values"):
        dated.transform(pl.DataFrame({"t": [1, 2]}))


def test_rare_unseen_and_missing_categories() -> None:
    text = ["a"] * 10 + ["b"] * 6 + ["c", "d", None]
    encoder = TableEncoder(min_count=5).fit(pl.DataFrame({"w": text}))
    assert encoder.feature_names == ["w=a", "w=b", "w=(other)", "w=(missing)"]
    encoded = encoder.encode(pl.DataFrame({"w": ["b", "c", "new", None, "?"]}))
    np.testing.assert_array_equal(
        encoded.X, [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    )
    assert encoded.notes == []
    full = TableEncoder(min_count=1).fit(pl.DataFrame({"w": ["a", "b", "a"], "x": [1, 2, 3]}))
    encoded = full.encode(pl.DataFrame({"w": ["new", None, "a"], "x": [None, 2, 3]}))
    np.testing.assert_array_equal(encoded.X[:, :2], [[0, 0], [0, 0], [1, 0]])
    assert encoded.X[0, 2] == 0
    assert len(encoded.notes) == 3
    assert "'w': 1 missing" in encoded.notes[0]
    assert "'w': 1 values not seen" in encoded.notes[1]
    assert "'x': 1 missing values, though none was missing in training" in encoded.notes[2]


@pytest.mark.parametrize("name", ["n", "level", "class", "index", ""])
def test_text_columns_of_any_name(name: str) -> None:
    encoder = TableEncoder(min_count=1).fit(pl.DataFrame({name: ["a", "b"] * 5}))
    assert encoder.feature_names == [f"{name}=a", f"{name}=b"]


def test_at_most_max_categories_the_commonest() -> None:
    text = [f"c{i}" for i in range(20) for _ in range(20 - i)]
    encoder = TableEncoder(max_categories=3).fit(pl.DataFrame({"w": text}))
    assert encoder.feature_names == ["w=c0", "w=c1", "w=c2", "w=(other)"]


@pytest.mark.parametrize(("n", "expected"), [(4, 2), (250, 5), (5000, 5), (20_000, 20)])
def test_how_often_a_category_must_occur(n: int, expected: int) -> None:
    frequent, rare = ["a"] * expected, ["b"] * (expected - 1)
    text = frequent + rare + ["z"] * (n - 2 * expected + 1)
    column = TableEncoder().fit(pl.DataFrame({"w": text})).columns[0]
    assert isinstance(column, TextColumn)
    assert "a" in column.categories
    assert "b" not in column.categories


def test_identifiers_are_dropped_with_a_note() -> None:
    n = 100
    frame = pl.DataFrame(
        {
            "name": [f"person {i}" for i in range(n)],
            "cabin": [f"C{i}" if i % 3 else None for i in range(n)],
            "id": range(n),
            "step": range(1, n + 1),
            "x": np.sin(np.arange(n)),
        }
    )
    encoder = TableEncoder().fit(frame)
    assert encoder.feature_names == ["cabin=(other)", "cabin=(missing)", "step", "x"]
    assert encoder.dropped == ("name", "id")
    assert [note.split(":")[0].split("'")[1] for note in encoder.notes] == [
        *("name", "cabin", "id", "step")
    ]
    assert encoder.encode(frame).notes == []
    assert encoder.encode(frame.drop("name", "id")).notes == []
    with pytest.raises(DataError, match=r"no column is left to learn from: column 'name'"):
        TableEncoder().fit(frame, ["name"])


def test_words_among_numbers_are_pointed_at() -> None:
    cells = [str(i % 50) for i in range(200)]
    cells[17] = "unknown"
    encoder = TableEncoder().fit(pl.DataFrame({"x": cells}))
    assert "'x' is text because of 'unknown' in row 18 (line 19" in encoder.notes[0]


def test_columns_by_name_in_any_order_extra_and_missing() -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0], "y": [0, 1]})
    encoder = TableEncoder().fit(frame, ["a", "b"])
    encoded = encoder.encode(frame.select("y", "b", "a"))
    np.testing.assert_array_equal(encoded.X, encoder.transform(frame.select("a", "b")))
    assert encoded.notes == ["columns that the model does not know: 'y': ignored"]
    with pytest.raises(DataError, match=r"does not know: 'y': remove them"):
        encoder.encode(frame, strict=True)
    with pytest.raises(
        DataError, match=r"lacks columns .*'b'. Did you mean 'B'\? It has: 'a', 'B'"
    ):
        encoder.encode(pl.DataFrame({"a": [1.0], "B": [2.0]}))
    with pytest.raises(DataError, match=r"lacks columns: 'c'"):
        TableEncoder().fit(frame, ["a", "c"])
    with pytest.raises(DataError, match=r"duplicated column names: 'a'"):
        TableEncoder().fit(frame, ["a", "a"])
    with pytest.raises(SpecError, match=r"not been fitted"):
        TableEncoder().transform(frame)
    assert repr(TableEncoder()) == "TableEncoder(not fitted)"


def test_text_that_holds_numbers_is_coerced_or_pointed_at() -> None:
    encoder = TableEncoder().fit(pl.DataFrame({"x": [0, 2], "b": [True, False]}))
    coerced = encoder.transform(pl.DataFrame({"x": [" 2.0 ", "0"], "b": ["True", "0"]}))
    np.testing.assert_array_equal(coerced, [[1, 1], [-1, 0]])
    with pytest.raises(DataError, match=r"column 'x', row 2 .line 3 .*'two' is not a number"):
        encoder.transform(pl.DataFrame({"x": ["1", "two"], "b": [True, True]}))
    with pytest.raises(DataError, match=r"column 'b', row 1 .*'maybe' is not a boolean"):
        encoder.transform(pl.DataFrame({"x": [1], "b": ["maybe"]}))
    text = TableEncoder(min_count=1).fit(pl.DataFrame({"w": ["1", "2", "true", "2.5"] * 2}))
    for cells, feature in [([1.0], "w=1"), ([2], "w=2"), ([True], "w=true"), ([2.5], "w=2.5")]:
        assert column_of(text, pl.DataFrame({"w": cells}), feature).tolist() == [1]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series("x", [1.0, float("inf"), 2.0]), r"column 'x', row 2 \(line 3 .*: inf is not a"),
        (pl.Series("x", [None, None, None], dtype=pl.Float64), "column 'x' holds no value: all 3"),
        (pl.Series("x", [None, None, None], dtype=pl.String), "column 'x' holds no value: all 3"),
        (pl.Series("x", [float("nan")] * 3), r"column 'x' holds no value: all 3"),
        (pl.Series("x", [" ?"] * 3), r"column 'x' holds no value: all 3"),
        (pl.Series("x", [[1], [2], [3]]), "column 'x' holds List"),
        (pl.Series("x", [{"a": 1}] * 3), "column 'x' holds Struct"),
        (pl.Series("x", [b"1"] * 3), "column 'x' holds Binary"),
        (pl.Series("x", [object()] * 3, dtype=pl.Object), "column 'x' holds Object"),
        (pl.Series("x", [], dtype=pl.Float64), "no rows"),
    ],
)
def test_columns_that_cannot_be_encoded(column: pl.Series, message: str) -> None:
    with pytest.raises(DataError, match=message):
        TableEncoder().fit(column.to_frame())


def test_feature_names_are_unique() -> None:
    frame = pl.DataFrame({"a": [1, None], "a missing": [1, 2], "w": ["(other)", None]})
    assert TableEncoder(min_count=1).fit(frame).feature_names == [
        *("a", "a missing", "a missing (2)", "w=(other)", "w=(missing)")
    ]
    text = pl.DataFrame({"w": ["(other)", "(other)", "rare"]})
    assert TableEncoder(min_count=2).fit(text).feature_names == ["w=(other)", "w=(other) (2)"]


def test_bad_options_and_empty_tables() -> None:
    with pytest.raises(SpecError, match=r"max_categories"):
        TableEncoder(max_categories=0)
    with pytest.raises(SpecError, match=r"min_count"):
        TableEncoder(min_count=0)
    encoder = TableEncoder().fit(pl.DataFrame({"x": [1, 2]}))
    with pytest.raises(DataError, match=r"no rows"):
        encoder.transform(pl.DataFrame({"x": []}, schema={"x": pl.Int64}))


def test_all_number_types_are_alike() -> None:
    values = [1, 2, 2, 7]
    expected = (
        TableEncoder().fit(pl.DataFrame({"x": values})).transform(pl.DataFrame({"x": values}))
    )
    for dtype in (pl.Int8, pl.UInt64, pl.Int128, pl.Float32, pl.Decimal(10, 2)):
        frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
        np.testing.assert_array_equal(TableEncoder().fit(frame).transform(frame), expected)
    for of_text in (pl.Categorical(), pl.Enum(["u", "v"])):
        frame = pl.DataFrame({"w": pl.Series(["u", "v", None, "u", "v"], dtype=of_text)})
        assert TableEncoder().fit(frame).feature_names == ["w=u", "w=v", "w=(missing)"]


FINITE = st.floats(allow_nan=False, allow_infinity=False)
STAMPS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))
CELL_KINDS: list[tuple[Any, Any]] = [
    (FINITE, pl.Float64),
    (st.integers(-(2**63), 2**63 - 1), pl.Int64),
    (st.booleans(), pl.Boolean),
    (st.sampled_from(["a", "b", "?", " c ", "(other)"]), pl.String),
    (st.text(max_size=3), pl.String),
    (STAMPS, pl.Datetime("us")),
    (STAMPS.map(lambda t: t.date()), pl.Date),
]


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    n = draw(st.integers(1, 12))
    columns = []
    for j in range(draw(st.integers(1, 5))):
        cells, dtype = draw(st.sampled_from(CELL_KINDS))
        values = draw(st.lists(st.none() | cells, min_size=n, max_size=n))
        columns.append(pl.Series(f"c{j}", values, dtype=dtype))
    return read_table(pl.DataFrame(columns))


@settings(deadline=None, max_examples=200)
@given(frames())
def test_any_table_is_encoded_finite_and_comes_back_from_json(frame: pl.DataFrame) -> None:
    names = [s.name for s in frame if s.null_count() < s.len()]
    encoder = TableEncoder(min_count=1)
    try:
        encoder.fit(frame, names)
    except DataError as error:
        message = str(error)
        assert message.startswith("no column is left")
        return
    encoded = encoder.encode(frame.select(names))
    assert encoded.notes == []
    assert encoded.X.shape == (frame.height, len(encoder.feature_names))
    assert np.isfinite(encoded.X).all()
    assert (np.abs(encoded.X) <= np.sqrt(frame.height) + 1e-9).all()
    stored = json.loads(json.dumps(encoder.to_dict(), allow_nan=False))
    back = TableEncoder.from_dict(stored)
    np.testing.assert_array_equal(back.transform(frame), encoded.X)
    assert back.to_dict() == encoder.to_dict()
    assert back.feature_names == encoder.feature_names
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        assert np.isfinite(encoder.transform(frame, dtype=np.float32)).all()
