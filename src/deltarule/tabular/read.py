"""Tables in: a CSV or Parquet file, a data set by name, or a DataFrame, as one Polars DataFrame.

A CSV file is checked before it is parsed, because a parser that guesses (fills short rows, types a
column by its first 100 values, renames columns) makes mistakes that nobody sees.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import sys
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from deltarule.errors import DataError
from deltarule.tabular.values import check_names, clean, clean_text, infer, quote

#: Data sets that ship with scikit-learn, by the name under which `read_table` knows them.
DATASETS = ("breast_cancer", "diabetes", "digits", "iris", "wine")

_CSV = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_PARQUET = (".parquet", ".pq")
_ROWS_AT_ONCE = 50_000


def read_table(source: Any, *, text: Collection[str] = ()) -> pl.DataFrame:
    """Read a table into a Polars DataFrame, with null for every missing value.

    Parameters
    ----------
    source : str, path or DataFrame
        A file (.csv, .tsv, either with .gz, .parquet, .pq); one of the names digits, iris, wine,
        breast_cancer, diabetes (target column "target"); a Polars or pandas DataFrame, or any
        other object with the Arrow PyCapsule interface.
    text : collection of str, default ()
        Columns of a CSV file that stay text whatever they hold. Pass `TableEncoder.text_columns`
        when reading rows to predict, so that the codes "7" and "A7" are read as in training.

    Returns
    -------
    polars.DataFrame
        Text without surrounding blanks. Missing are empty cells and ?, NA, N/A, n/a, #N/A, <NA>,
        NaN, nan, null, NULL, None. The columns of a CSV file are typed by all of their values.

    Raises
    ------
    DataError
        A file that is missing, empty, ragged, not UTF-8, not of its kind; duplicated columns.
    """
    if isinstance(source, str) and source in DATASETS:
        return _load_dataset(source)
    if isinstance(source, (str, Path)):
        path = Path(source)
        suffix = _suffix(path)
        _check_path(path, suffix)
        if suffix not in _PARQUET:
            return _read_csv(path, suffix, text)
        try:
            # From a handle, since Polars would expand * and [ in a path as patterns.
            with path.open("rb") as handle:
                frame = pl.read_parquet(handle)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"{path}: not a readable Parquet file: {reason}") from error
    else:
        frame = _from_memory(source)
    return _with_names(frame, [str(name).strip() for name in frame.columns], "the table")


def _with_names(frame: pl.DataFrame, names: list[str], where: str) -> pl.DataFrame:
    """The frame under checked names, its cells cleaned."""
    names = check_names(names, where)
    columns = zip(names, frame.get_columns(), strict=True)
    return pl.DataFrame([clean(column).alias(name) for name, column in columns])


def _suffix(path: Path) -> str:
    name = path.name.lower()
    known = [s for s in (*_CSV, *_PARQUET) if name.endswith(s)]
    return max(known, key=len) if known else path.suffix.lower()


def _check_path(path: Path, suffix: str) -> None:
    """DataError unless the path is a file of a known kind."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        pass  # explained below, with the names that there are
    except OSError as error:
        raise DataError(f"{quote(str(path))}: cannot be read: {error.strerror or error}") from error
    if path.is_dir():
        raise DataError(f"{path}: a folder; name one CSV or Parquet file in it")
    if not path.exists():
        names = list(DATASETS)
        if path.parent.is_dir():
            names += [p.name for p in path.parent.iterdir() if _suffix(p) in (*_CSV, *_PARQUET)]
        near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(quote, near))}?" if near else ""
        raise DataError(
            f"{path}: no such file.{hint} A file (.csv, .tsv, .parquet) or one of the names "
            f"{', '.join(DATASETS)} is needed"
        )
    if suffix not in (*_CSV, *_PARQUET):
        raise DataError(
            f"{path}: unknown kind of file {quote(suffix)}; known are "
            f"{', '.join((*_CSV, *_PARQUET))}: convert the file, or rename it if it is one of these"
        )
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")


def _load_dataset(name: str) -> pl.DataFrame:
    from sklearn import datasets  # loaded here: it takes longer than everything else together

    data = getattr(datasets, f"load_{name}")()
    columns = {str(f): data.data[:, j] for j, f in enumerate(data.feature_names)}
    target = data.target
    class_names = getattr(data, "target_names", None)
    if class_names is not None and np.asarray(class_names).dtype.kind == "U":
        target = [str(class_names[label]) for label in target]
    return pl.DataFrame({**columns, "target": target})


def _from_memory(source: Any) -> pl.DataFrame:
    pandas = sys.modules.get("pandas")
    if isinstance(source, pl.DataFrame):
        return source
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    if pandas is not None and isinstance(source, pandas.DataFrame):
        return _from_pandas(source)
    if hasattr(source, "__arrow_c_stream__"):
        check_names([str(n) for n in getattr(source, "column_names", [])], "the table")
        return pl.DataFrame(source)
    if hasattr(source, "__dataframe__"):
        return pl.from_dataframe(source)
    raise DataError(
        f"a table cannot be read from {type(source).__module__}.{type(source).__qualname__}: "
        "pass a path, a data set's name, or a Polars or pandas DataFrame"
    )


def _from_pandas(source: Any) -> pl.DataFrame:
    """Column by column, since Polars' own conversion would need pyarrow; the index is left out."""
    names = check_names([str(name) for name in source.columns], "the table")
    columns = []
    for j, name in enumerate(names):
        column = source.iloc[:, j]
        if getattr(column.dtype, "kind", "O") in "biufmM" and isinstance(column.dtype, np.dtype):
            columns.append(pl.Series(name, column.to_numpy()))
            continue
        cells = column.astype(object).where(column.notna(), None).tolist()
        try:
            columns.append(pl.Series(name, cells))
        except (TypeError, pl.exceptions.PolarsError):  # text and numbers mixed in one column
            columns.append(pl.Series(name, [None if c is None else str(c) for c in cells]))
    return pl.DataFrame(columns)


def _read_csv(path: Path, suffix: str, text: Collection[str]) -> pl.DataFrame:
    raw = _read_bytes(path, suffix)
    body = raw.lstrip(b"\r\n")
    first_line = 1 + raw[: len(raw) - len(body)].count(b"\n")
    body = body.rstrip(b"\r\n")
    header_line = body[: body.find(b"\n")] if b"\n" in body else body
    if not header_line.strip():
        raise DataError(f"{path}: the file is empty")
    separator = "\t" if suffix.startswith(".tsv") else _separator(header_line.decode())
    records = _records(path, body, separator, first_line)
    names = check_names(next(records), f"{path}, line {first_line}")
    if b'"' in body:
        columns = _parse_quoted(records, len(names))
    else:
        _check_widths(path, body, separator, len(names), first_line)
        columns = _parse_plain(body, separator, len(names))
    if not columns or columns[0].len() == 0:
        raise DataError(f"{path}: a header but no rows")
    typed = []
    for name, column in zip(names, columns, strict=True):
        cells = clean_text(column)
        typed.append((cells if name in text else infer(cells, separator == ";")).alias(name))
    return pl.DataFrame(typed)


def _read_bytes(path: Path, suffix: str) -> bytes:
    """The file's bytes, uncompressed, without a byte order mark, checked to be UTF-8 text."""
    try:
        raw = path.read_bytes()
        if suffix.endswith(".gz"):
            raw = gzip.decompress(raw)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: not a readable gzip file: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if raw[:4] == b"PK\x03\x04":
        raise DataError(f"{path}: a zip or Excel file, not CSV: unpack it, or export it as CSV")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in raw[:4096]:
        raise DataError(
            f"{path}: not UTF-8 text (it looks like UTF-16 or binary data): save it as UTF-8"
        )
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: not UTF-8 text (byte 0x{raw[error.start]:02x} at position "
            f"{error.start}): re-encode the file to UTF-8, for example with "
            "`iconv -f LATIN1 -t UTF-8`"
        ) from None
    raw = raw.removeprefix(b"\xef\xbb\xbf")  # the byte order mark that Excel writes
    return raw if b"\n" in raw else raw.replace(b"\r", b"\n")


def _separator(header: str) -> str:
    """Comma, unless the header has none and has another usual separator."""
    return next((s for s in ",;\t|" if s in header), ",")


def _records(path: Path, body: bytes, separator: str, first_line: int) -> Iterator[list[str]]:
    """The records of the file as the csv module has them, all of the header's width.

    Blank lines are skipped, save in a table of one column, where they are missing values.
    """
    stream = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", newline="")
    reader = csv.reader(
        stream, delimiter=separator, skipinitialspace=separator != "\t", strict=True
    )
    width, start = 0, first_line
    try:
        for record in reader:
            stop = first_line + reader.line_num
            if record or width == 1:
                width = width or len(record)
                if len(record or [""]) != width:
                    raise _ragged(path, start, width, len(record), stop - start > 1)
                yield record or [""]
            start = stop
    except csv.Error as error:
        raise DataError(f"{path}, line {start}: {error}: is a quote left open?") from error


def _ragged(path: Path, line: int, width: int, found: int, spans_lines: bool) -> DataError:
    hint = "; the record spans several lines: is a quote left open?" if spans_lines else ""
    return DataError(
        f"{path}, line {line}: {found} fields, but the header has {width}{hint}: correct the line"
    )


def _parse_quoted(records: Iterator[list[str]], width: int) -> list[pl.Series]:
    """Columns of a file with quotes, in portions: Polars refuses quotes inside or before text."""
    portions: list[list[pl.Series]] = [[] for _ in range(width)]
    rows: list[list[str]] = []

    def flush() -> None:
        for j, cells in enumerate(zip(*rows, strict=True)):
            portions[j].append(pl.Series(cells, dtype=pl.String))
        rows.clear()

    for record in records:
        rows.append(record)
        if len(rows) == _ROWS_AT_ONCE:
            flush()
    flush()
    return [pl.concat(parts) for parts in portions if parts]


def _check_widths(path: Path, body: bytes, separator: str, width: int, first_line: int) -> None:
    """DataError for the first line of another width (a file without quotes: separators count)."""
    data = np.frombuffer(body, dtype=np.uint8)
    ends = np.append(np.flatnonzero(data == ord("\n")), len(body))
    commas = np.searchsorted(np.flatnonzero(data == ord(separator)), ends)
    found = np.diff(commas, prepend=0) + 1
    length = np.diff(ends, prepend=-1) - 1
    blank = (length == 0) | ((length == 1) & (data[np.minimum(ends, len(body)) - 1] == ord("\r")))
    bad = np.flatnonzero((found != width) & ~blank)
    if bad.size:
        raise _ragged(path, first_line + int(bad[0]), width, int(found[bad[0]]), False)


def _parse_plain(body: bytes, separator: str, width: int) -> list[pl.Series]:
    """Columns of a checked file without quotes, by Polars, every cell as text."""
    if b"\n" not in body:
        return []
    frame = pl.read_csv(
        body[body.find(b"\n") + 1 :],
        has_header=False,
        new_columns=[f"c{j}" for j in range(width)],
        separator=separator,
        quote_char=None,
        infer_schema=False,
    )
    if width > 1:  # Polars gives a blank line as a row of nulls, as it does ",,,"
        blank = pl.all_horizontal(pl.all().is_null())
        if frame.select(blank.any()).item():
            lines = body[body.find(b"\n") + 1 :].split(b"\n")
            frame = frame.filter(pl.Series([line.strip(b"\r") != b"" for line in lines]))
    return frame.get_columns()
