"""Reading tables: files, data sets by name and frames in memory, and what each bad one is told.

Oracles: Python's csv module, pandas and scikit-learn's loaders.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltarule.errors import DataError
from deltarule.tabular import DATASETS, read_table


def write(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read_text(folder: Path, content: str | bytes, name: str = "table.csv") -> pl.DataFrame:
    return read_table(write(folder, content, name))


def test_csv_types_blanks_and_missing_tokens(tmp_path: Path) -> None:
    frame = read_text(
        tmp_path,
        "n, word ,x,day,yes,when\n"
        "1, red ,?,2024-01-02,true,2024-01-02 10:00:00\n"
        "NA,blue,2.5,NaN,False,2024-01-02T11:00\n",
    )
    assert frame.columns == ["n", "word", "x", "day", "yes", "when"]
    assert frame.row(0) == (1, "red", None, dt.date(2024, 1, 2), True, "2024-01-02 10:00:00")
    assert frame.row(1) == (None, "blue", 2.5, None, False, "2024-01-02T11:00")


@pytest.mark.parametrize(
    "token",
    ["", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None", " ?", "  "],
)
def test_missing_tokens_in_numbers_and_in_text(tmp_path: Path, token: str) -> None:
    frame = read_text(tmp_path, f"x,w\n1,a\n{token},{token}\n2,b\n")
    assert frame["x"].to_list() == [1, None, 2]
    assert frame["w"].to_list() == ["a", None, "b"]


def test_types_come_from_the_whole_file(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i},{i}\n" for i in range(5000))
    frame = read_text(tmp_path, f"a,b,c\n{rows}0.5,word,99999999999999999999\n")
    assert frame.dtypes == [pl.Float64, pl.String, pl.Float64]
    assert frame.row(-1) == (0.5, "word", 1e20)


def test_codes_with_leading_zeros_stay_text_and_text_can_be_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "zip,code\n02134,7\n90210,8\n")
    assert read_table(path)["zip"].to_list() == ["02134", "90210"]
    assert read_table(path, text=["code"])["code"].to_list() == ["7", "8"]


@pytest.mark.parametrize("cell", ["1.5", "2"])
def test_other_separators_and_decimal_commas(tmp_path: Path, cell: str) -> None:
    for name, separator in [("a.csv", ";"), ("a.csv", "\t"), ("a.csv", "|"), ("a.tsv", "\t")]:
        frame = read_text(tmp_path, f"a{separator}b\n{cell}{separator}x\n", name)
        assert frame.row(0) == (float(cell), "x")
    assert read_text(tmp_path, "a;b\n1,5;x\n,25;y\n")["a"].to_list() == [1.5, 0.25]


def test_line_ends_byte_order_mark_and_gzip(tmp_path: Path) -> None:
    expected = {"a": [1, 3], "b": ["é", "x"]}
    for content in (
        "a,b\n1,é\n3,x",
        "a,b\r\n1,é\r\n\r\n3,x\r\n\r\n",
        "a,b\r1,é\r3,x\r",
        "\n\na,b\n1,é\n3,x\n",
    ):
        raw = content.encode()
        assert read_text(tmp_path, raw).to_dict(as_series=False) == expected
        assert read_text(tmp_path, b"\xef\xbb\xbf" + raw).to_dict(as_series=False) == expected
        packed = gzip.compress(raw)
        assert read_text(tmp_path, packed, "t.csv.gz").to_dict(as_series=False) == expected


def test_blank_lines_are_skipped_but_missing_values_of_one_column_are_not(tmp_path: Path) -> None:
    assert read_text(tmp_path, "a,b\n1,2\n\n,\n3,4\n\n").rows() == [(1, 2), (None, None), (3, 4)]
    assert read_text(tmp_path, 'a,b\n1,"2"\n\n,\n3,4\n\n').rows() == [(1, 2), (None, None), (3, 4)]
    assert read_text(tmp_path, "a\n1\n\n3\n\n")["a"].to_list() == [1, None, 3]
    assert read_text(tmp_path, 'a\n"1"\n\n3\n\n')["a"].to_list() == [1, None, 3]


def test_quoted_cells(tmp_path: Path) -> None:
    frame = read_text(tmp_path, 'a,"b, c"\n1,"x,""y""\n z"\n2,5" pipe\n3, "q, r"\n')
    assert frame.columns == ["a", "b, c"]
    assert frame["b, c"].to_list() == ['x,"y"\n z', '5" pipe', "q, r"]


def test_unnamed_columns_get_names(tmp_path: Path) -> None:
    assert read_text(tmp_path, ",a,\n0,1,2\n").columns == ["unnamed_1", "a", "unnamed_3"]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\x1c\x1d\x1e\x1f"), max_size=8)


@settings(deadline=None)
@given(
    st.integers(2, 4).flatmap(
        lambda w: st.lists(st.lists(CELLS, min_size=w, max_size=w), min_size=1, max_size=6)
    )
)
def test_any_csv_is_read_as_the_csv_module_reads_it(rows: list[list[str]]) -> None:
    # Outside oracle: the csv module writes; cells come back up to blanks and missing tokens.
    import tempfile

    names = [f"c{j}" for j in range(len(rows[0]))]
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([names, *rows])
    with tempfile.TemporaryDirectory() as folder:
        frame = read_table(write(Path(folder), stream.getvalue()), text=names)
    tokens = {"", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None"}
    stripped = [[cell.strip() for cell in row] for row in rows]
    assert [list(r) for r in frame.rows()] == [
        [None if cell in tokens else cell for cell in row] for row in stripped
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("a,b\n", "a header but no rows"),
        ('"a",b', "a header but no rows"),
        ("a,b\n1,2\n\n3\n", "line 4: 1 fields, but the header has 2"),
        ("a,b\n1,2\n3,4,5\n", "line 3: 3 fields, but the header has 2"),
        ('a,b\n"1\n1",2\n3\n', "line 4: 1 fields, but the header has 2"),
        ('a,b\n1,2\n3,"open\n5,6\n', "line 3: .*quote left open"),
        ('a,b\n1,"x"y\n', "line 2: .*quote left open"),
        (b"a,b\n1,2\n3,\xe9\n", "line 3: not UTF-8 text .byte 0xe9 at position 10.*re-encode"),
        ("a,b\n1,2\n".encode("utf-16"), "looks like UTF-16"),
        (b"PK\x03\x04rest", "zip or Excel"),
        ("a,b, a\n1,2,3\n", "line 1: duplicated column names: 'a'"),
    ],
)
def test_bad_csv(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_text(tmp_path, content)


def test_bad_files(tmp_path: Path) -> None:
    write(tmp_path, "a\n1\n", "people.csv")
    with pytest.raises(DataError, match=r"no such file. Did you mean 'people.csv'"):
        read_table(tmp_path / "poeple.csv")
    with pytest.raises(DataError, match=r"Did you mean 'iris'.*breast_cancer, diabetes, digits"):
        read_table("irsi")
    with pytest.raises(DataError, match=r"no such file"):
        read_table(tmp_path / "nowhere" / "x.csv")
    with pytest.raises(DataError, match=r"no such file"):
        read_table("a\0.csv")
    with pytest.raises(DataError, match=r"cannot be read: File name too long"):
        read_table(f"{'x' * 5000}.csv")
    with pytest.raises(DataError, match=r"a folder"):
        read_table(tmp_path)
    with pytest.raises(DataError, match=r"unknown kind of file '.txt'.*\.csv"):
        read_table(write(tmp_path, "a\n1\n", "x.txt"))
    with pytest.raises(DataError, match=r"not a readable Parquet file"):
        read_table(write(tmp_path, b"PAR1 no", "x.parquet"))
    with pytest.raises(DataError, match=r"not a readable gzip file"):
        read_table(write(tmp_path, b"a,b", "x.csv.gz"))
    with pytest.raises(DataError, match=r"not a readable gzip file"):
        read_table(write(tmp_path, gzip.compress(b"a,b\n1,2\n" * 99)[:-9], "x.csv.gz"))
    with pytest.raises(DataError, match=r"cannot be read from builtins.list"):
        read_table([[1, 2]])


def test_parquet(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1.5, float("nan")], " w ": [" x", "?"], "l": [[1], [2]]})
    frame.write_parquet(tmp_path / "t[1].parquet")
    back = read_table(tmp_path / "t[1].parquet")
    assert back.columns == ["a", "w", "l"]
    assert back.rows() == [(1.5, "x", [1]), (None, None, [2])]


@pytest.mark.parametrize("name", DATASETS)
def test_data_sets_by_name(name: str) -> None:
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    frame = read_table(name)
    assert frame.columns == [*map(str, data.feature_names), "target"]
    np.testing.assert_array_equal(frame.drop("target").to_numpy(), data.data)
    if name in ("digits", "diabetes"):
        np.testing.assert_array_equal(frame["target"].to_numpy(), data.target)
    else:
        assert frame["target"].to_list() == data.target_names[data.target].tolist()


def test_frames_in_memory() -> None:
    pd = pytest.importorskip("pandas")
    pa = pytest.importorskip("pyarrow")
    expected = {"i": [1, 2], "f": [0.5, None], "w": ["a", None], "b": [True, False]}
    cells = {"i": [1, 2], "f": [0.5, float("nan")], "w": [" a", "?"], "b": [True, False]}
    for source in (pl.DataFrame(cells), pl.LazyFrame(cells), pd.DataFrame(cells), pa.table(cells)):
        assert read_table(source).to_dict(as_series=False) == expected
    odd = pd.DataFrame(
        {
            0: pd.array([1, None], dtype="Int64"),
            "c": pd.Categorical(["x", None]),
            "t": pd.to_datetime(["2024-01-02", None]),
            "m": np.array([1, "two"], dtype=object),
        },
        index=[7, 9],
    )
    assert read_table(odd).to_dict(as_series=False) == {
        "0": [1, None],
        "c": ["x", None],
        "t": [dt.datetime(2024, 1, 2), None],
        "m": ["1", "two"],
    }
    with pytest.raises(DataError, match=r"duplicated column names: 'a'"):
        read_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match=r"duplicated column names: 'a'"):
        read_table(pa.table([[1], [2]], names=["a", "a"]))


def test_scikit_learn_is_not_loaded_by_reading_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, "a\n1\n")
    code = (
        "import sys; from deltarule.tabular import read_table; "
        f"read_table({str(path)!r}); print('sklearn' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout == "False\n"
