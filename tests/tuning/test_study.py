"""The study file: what a kill can do to it, and what is refused."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import deltarule as dr
from deltarule.tuning.space import DEFAULTS
from deltarule.tuning.study import FORMAT, VERSION, Study, Trial, table_digest

HEADER: dict[str, Any] = {
    "format": FORMAT,
    "version": VERSION,
    "deltarule": dr.__version__,
    "data": "abc",
    "target": "söhne",
    "seed": 0,
    "space": [{"l2": [0.1] * 30}],
}


def trial(number: int, score: float | None = 0.5, loss: float = 1.0, rung: int = 0) -> Trial:
    return Trial(
        number=number,
        rung=rung,
        epochs=20,
        parameters=dict(DEFAULTS),
        scores=[] if score is None else [score, score],
        loss=math.inf if score is None else loss,
        best_epochs=[] if score is None else [3, 4],
        seconds=0.25,
        failed="the loss is not finite" if score is None else None,
    )


TRIALS = [trial(1), trial(2, None), trial(3, 1 / 3, 0.1), trial(3, 0.7, rung=1)]


def written(path: Path) -> bytes:
    with Study(path, HEADER) as study:
        for one in TRIALS:
            study.add(one)
        assert study.trials == TRIALS
    return path.read_bytes()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    content = written(tmp_path / "s.jsonl")
    lines = [json.loads(line) for line in content.decode().splitlines()]
    assert lines[0] == HEADER
    assert [line["score"] for line in lines[1:]] == [0.5, None, 1 / 3, 0.7]
    with Study(tmp_path / "s.jsonl", HEADER) as study:
        assert study.trials == TRIALS
        assert study.record[(3, 1)] == TRIALS[3]
        assert study.notes == []
    assert (tmp_path / "s.jsonl").read_bytes() == content


def test_a_kill_at_any_byte_loses_the_torn_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    content = written(path)
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(0, len(content) + 1, 7):
        path.write_bytes(content[:cut])
        whole = sum(end <= cut for end in ends)
        with Study(path, HEADER) as study:
            assert study.trials == TRIALS[: max(whole - 1, 0)]
            for one in TRIALS[len(study.trials) :]:
                study.add(one)
        assert path.read_bytes() == content


def test_a_study_in_memory_writes_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with Study(None, HEADER) as study:
        study.add(trial(1))
        assert study.trials == [trial(1)]
    assert list(tmp_path.iterdir()) == []


def test_another_study_is_refused_with_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    content = written(path)
    for changes, message in (
        ({"data": "abd"}, "it differs in data. Give another file"),
        ({"seed": 1}, r"it differs in seed \(there 0, here 1\)\. Give"),
        ({"target": "y", "seed": 1}, r"target \(there .*, here \"y\"\), seed \(there 0, here 1\)"),
        ({"space": []}, "it differs in space. Give"),
        ({"folds": 5}, r"it differs in folds \(there null, here 5\)"),
    ):
        with pytest.raises(dr.SpecError, match=message):
            Study(path, HEADER | changes)
    assert path.read_bytes() == content


def test_versions(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    written(path)
    with Study(path, HEADER | {"deltarule": "99.0"}) as study:
        assert study.notes == [f"the study {path} was begun by deltarule {dr.__version__}"]
        assert len(study.trials) == len(TRIALS)
    path.write_text(json.dumps(HEADER | {"version": VERSION + 1}) + "\n")
    with pytest.raises(dr.SpecError, match="of another version of deltarule: start a new one"):
        Study(path, HEADER)


@pytest.mark.parametrize(
    "content", ["a,b\n1,2\n", "{}\n", "[1]\n", "no line end", '{"format": "other"}\n', "\n"]
)
def test_a_file_that_is_no_study_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(dr.DataError, match=r"table\.csv is not a study: give another name"):
        Study(path, HEADER)
    assert path.read_text() == content


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", None),
        ("number", True),
        ("epochs", 2.5),
        ("parameters", []),
        ("scores", 0.5),
        ("scores", []),
        ("scores", ["0.5"]),
        ("loss", None),
        ("loss", "1"),
        ("seconds", "1"),
        ("failed", "why"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "s.jsonl"
    written(path)
    lines = path.read_text().splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | {name: value})
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(dr.DataError, match=r"s.jsonl, line 2: not a trial \(.*correct or remove"):
        Study(path, HEADER)
    lines[1] = lines[1][:-3]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(dr.DataError, match=r"s.jsonl, line 2: not a trial"):
        Study(path, HEADER)


def test_a_trial_that_stands_twice_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    content = written(path)
    path.write_bytes(content + content.splitlines(keepends=True)[1])
    with Study(path, HEADER) as study:
        assert study.trials == TRIALS


def test_what_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(dr.OutputError, match=r"cannot write the study .*: No such file"):
        Study(tmp_path / "no" / "s.jsonl", HEADER)
    with pytest.raises(dr.OutputError, match=r"cannot write the study .*directory"):
        Study(tmp_path, HEADER)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Study(tmp_path / "s.jsonl", HEADER) as study:
        study.add(trial(1))
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(dr.OutputError, match="No space left on device"):
            study.add(trial(2))
        assert study.trials == [trial(1)]


def test_a_study_is_used_once_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "s.jsonl"
    content = written(path)
    with Study(path, HEADER), pytest.raises(dr.SpecError, match="is in use by another process"):
        Study(path, HEADER)
    Study(path, HEADER).close()
    assert path.read_bytes() == content


def test_digests_tell_tables_apart() -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0, None], "b": ["x", None, ""]})
    others = [
        pl.DataFrame({"a": [1.0, 2.0, 2.0], "b": ["x", None, ""]}),
        pl.DataFrame({"a": [1.0, 2.0, None], "b": ["x", "", None]}),
        pl.DataFrame({"a": [1.0, 2.0, None], "b": ["x", "", ""]}),
        pl.DataFrame({"a": [2.0, 1.0, None], "b": ["x", None, ""]}),
        pl.DataFrame({"c": [1.0, 2.0, None], "b": ["x", None, ""]}),
        frame.with_columns(pl.col("a").cast(pl.Float32)),
        frame.select("b", "a"),
        frame[:2],
    ]
    digests = [table_digest(one) for one in (frame, *others)]
    assert len(set(digests)) == len(digests)
    assert table_digest(frame.clone()) == digests[0]


def test_ranks() -> None:
    worst, *rest = [trial(4, None), trial(5, 0.5, 1.0), trial(3, 0.5, 1.0), trial(9, 0.5, 0.9)]
    best = trial(8, 0.6, 5.0)
    ranked = sorted([*rest, worst, best], key=lambda one: one.rank)
    assert [one.number for one in ranked] == [4, 5, 3, 9, 8]
    assert best.score == 0.6
    assert worst.score == -math.inf
