"""Stored encodings come back to the bit, and a damaged or hostile one is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltarule.errors import DataError, ModelFileError
from deltarule.tabular import TableEncoder, TargetColumn


def stored_encoding() -> dict[str, Any]:
    frame = pl.DataFrame({"x": [1.0, None, 3.0], "w": ["a", "b", "a"]})
    value: dict[str, Any] = json.loads(json.dumps(TableEncoder(min_count=1).fit(frame).to_dict()))
    return value


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        ((), []),
        ((), None),
        (("format",), "other"),
        (("version",), "1"),
        (("version",), 0),
        (("version",), True),
        (("max_categories",), 0),
        (("min_count",), 1.5),
        (("min_count",), 2**70),
        (("columns",), {}),
        (("columns",), []),
        (("columns",), [1]),
        (("columns",), [None] * 1_000_001),
        (("columns", 0, "name"), 3),
        (("columns", 0, "name"), "w"),
        (("columns", 0, "name"), "x" * 100_001),
        (("columns", 0, "type"), "code"),
        (("columns", 0, "kind"), "text"),
        (("columns", 0, "mean"), float("nan")),
        (("columns", 0, "mean"), True),
        (("columns", 0, "mean"), 10**400),
        (("columns", 0, "scale"), float("inf")),
        (("columns", 0, "scale"), -1.0),
        (("columns", 0, "scale"), 1e-320),
        (("columns", 0, "unit"), None),
        (("columns", 0, "fill"), "0"),
        (("columns", 0, "flagged"), 1),
        (("columns", 1, "categories"), "ab"),
        (("columns", 1, "categories"), ["a", "a"]),
        (("columns", 1, "categories"), [["a"]]),
        (("columns", 1, "other"), None),
        (("dropped",), [1]),
        (("notes",), "note"),
    ],
)
def test_hostile_encodings_are_refused(path: tuple[Any, ...], bad: object) -> None:
    value: Any = stored_encoding()
    if path:
        part = value
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = bad
    else:
        value = bad
    with pytest.raises(ModelFileError, match=r"table encoding"):
        TableEncoder.from_dict(value)


def test_each_key_of_a_stored_encoding_is_needed_and_newer_versions_are_named() -> None:
    for key in stored_encoding():
        value = stored_encoding()
        del value[key]
        with pytest.raises(ModelFileError, match=key):
            TableEncoder.from_dict(value)
    with pytest.raises(ModelFileError, match=r"newer deltarule"):
        TableEncoder.from_dict({**stored_encoding(), "version": 2})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["encoder", "column", "target"]), st.data())
def test_no_stored_value_can_do_more_than_be_refused(which: str, data: st.DataObject) -> None:
    target = TargetColumn().fit(pl.DataFrame({"y": ["a", "b"] * 2}), "y").to_dict()
    value = target if which == "target" else stored_encoding()
    part = value["columns"][data.draw(st.integers(0, 1))] if which == "column" else value
    part[data.draw(st.sampled_from(sorted(part)))] = data.draw(JSON)
    try:
        if which == "target":
            TargetColumn.from_dict(value)
        else:
            encoder = TableEncoder.from_dict(value)
            if {c.name for c in encoder.columns} == {"x", "w"}:
                frame = pl.DataFrame({"x": [1.0, None, 1e300], "w": ["a", None, "new"]})
                assert np.isfinite(encoder.transform(frame)).all()
    except (ModelFileError, DataError):
        pass


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("format", "x"),
        ("task", "auto"),
        ("dtype", "Object"),
        ("classes", ["a"]),
        ("classes", ["a", "a"]),
        ("classes", ["a", None]),
        ("classes", ["a", 1]),
        ("classes", []),
        ("classes", {}),
        ("mean", None),
        ("scale", 0),
        ("scale", float("nan")),
        ("name", None),
        ("task", "regress"),
        ("dtype", "Int64"),
        ("version", 99),
    ],
)
def test_hostile_targets_are_refused(key: str, bad: object) -> None:
    value = TargetColumn().fit(pl.DataFrame({"y": ["a", "b"] * 2}), "y").to_dict()
    assert TargetColumn.from_dict(dict(value)).classes == ["a", "b"]
    with pytest.raises(ModelFileError, match=r"target"):
        TargetColumn.from_dict({**value, key: bad})
