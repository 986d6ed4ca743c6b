"""The record of trials on disk: one JSON object per line, so that a search goes on where it ended.

The first line says of what the study is: data, target, settings, seed. Each further line is one
finished trial, written through to the disk before the next one starts. A line that a kill has torn
is the last one, and is ignored.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import polars as pl

from deltarule.errors import DataError, OutputError, SpecError
from deltarule.tuning.space import Parameters, describe, train_options

try:
    import fcntl
except ImportError:  # Windows: two runs on one study are not kept apart there
    fcntl = None  # type: ignore[assignment]  # a module where it exists

FORMAT, VERSION = "deltarule study", 1


class Job(NamedTuple):
    """Which trial, on which rung: 0 is the cheapest, the last one trains in full."""

    number: int
    rung: int


@dataclass(frozen=True)
class Trial:
    """One finished training of one set of parameters (with folds: one on each).

    Attributes
    ----------
    number : int
        Counted from 1, the defaults. Successive halving trains the same number again, for longer.
    rung : int
        How often it has been promoted (0 in a random search).
    epochs : int
        At most so many were trained.
    parameters : dict
    scores : list of float
        On each fold; empty for a failed trial.
    loss : float
        The validation loss, mean over the folds; infinity for a failed trial.
    best_epochs : list of int
        The epoch of each fold whose parameters early stopping kept.
    seconds : float
        Of all its trainings.
    failed : str or None
        Why it has no score: the loss was no longer finite, ...
    """

    number: int
    rung: int
    epochs: int
    parameters: Parameters
    scores: list[float]
    loss: float
    best_epochs: list[int]
    seconds: float
    failed: str | None = None

    @property
    def job(self) -> Job:
        """Number and rung: what tells it from all others."""
        return Job(self.number, self.rung)

    @property
    def score(self) -> float:
        """The mean score over the folds, minus infinity for a failed trial."""
        return math.fsum(self.scores) / len(self.scores) if self.scores else -math.inf

    @property
    def rank(self) -> tuple[float, float, int, int]:
        """Sorts trials, the best last: by score, then loss, then the earlier and shorter one."""
        return (self.score, -self.loss, -self.number, -self.rung)

    @property
    def options(self) -> dict[str, Any]:
        """Options for the same training: `train_table(data, target, **trial.options)`."""
        p = self.parameters
        network = {"hidden": p["hidden"], "activation": p["activation"], "epochs": self.epochs}
        return network | train_options(p)

    def __str__(self) -> str:
        return describe(self.parameters)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it; the score and loss of a failed trial are None."""
        finite = {
            "score": self.score if self.scores else None,
            "loss": self.loss if math.isfinite(self.loss) else None,
        }
        return dataclasses.asdict(self) | finite

    @classmethod
    def from_dict(cls, value: Any) -> Trial:
        """The inverse of `to_dict`. Raises ValueError for anything else."""
        kinds = {"number": int, "rung": int, "epochs": int, "parameters": dict, "scores": list}
        kinds |= {"best_epochs": list, "seconds": float}
        if not isinstance(value, dict):
            raise ValueError("not an object")
        for name, kind in kinds.items():
            if type(value.get(name)) is not kind:
                raise ValueError(f"{name!r} is not {kind.__name__}")
        failed, loss = value.get("failed"), value.get("loss")
        if not all(type(x) is float for x in value["scores"]) or bool(value["scores"]) != (
            failed is None
        ):
            raise ValueError("its scores are not numbers")
        if failed is None and type(loss) is not float:
            raise ValueError("'loss' is not float")
        given = {name: value[name] for name in kinds}
        return cls(loss=math.inf if loss is None else loss, failed=failed, **given)


class Study:
    """The finished trials of a search, in the order in which they ended.

    Parameters
    ----------
    path : Path or None
        None: only in memory. An existing study is gone on with.
    header : dict
        What the study is of, as JSON can hold it.

    Raises
    ------
    SpecError
        The file is a study of something else (says what differs), or in use by another process.
    DataError
        The file is no study, or damaged before its last line.
    OutputError
        It cannot be written.
    """

    def __init__(self, path: Path | None, header: dict[str, Any]) -> None:
        self.path = path
        self.trials: list[Trial] = []
        self.notes: list[str] = []
        self._file: BinaryIO | None = None
        if path is None:
            return
        try:
            self._file = open(path, "a+b")  # noqa: SIM115  # closed by close()
            self._lock(path)
            self._read(path, self._file, header)
        except OSError as error:
            self.close()
            raise self._cannot_write(error) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def record(self) -> dict[Job, Trial]:
        """The trials by job."""
        return {trial.job: trial for trial in self.trials}

    def add(self, trial: Trial) -> None:
        """Take in a finished trial, on the disk first. Raises OutputError."""
        if self._file is not None:
            try:
                self._append(self._file, trial.to_dict())
            except OSError as error:
                raise self._cannot_write(error) from error
        self.trials.append(trial)

    def _append(self, file: BinaryIO, value: dict[str, Any]) -> None:
        file.write(_line(value))
        file.flush()
        os.fsync(file.fileno())

    def _lock(self, path: Path) -> None:
        if fcntl is None or self._file is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpecError(f"the study {path} is in use by another process") from None

    def _read(self, path: Path, file: BinaryIO, header: dict[str, Any]) -> None:
        file.seek(0)
        content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:
            if not _line(header).startswith(content):
                raise DataError(f"{path} is not a study: give another name")
            file.truncate(0)
            self._append(file, header)
            return
        head, *lines = whole.splitlines()
        self._require_same(path, _parse(path, 1, head), json.loads(_line(header)))
        for number, line in enumerate(lines, 2):
            try:
                trial = Trial.from_dict(json.loads(line))
            except ValueError as error:
                raise DataError(
                    f"{path}, line {number}: not a trial ({error}): correct or remove the line"
                ) from None
            if trial.job not in self.record:
                self.trials.append(trial)
        if len(whole) < len(content):
            file.truncate(len(whole))

    def _require_same(self, path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
        if theirs.get("version") != VERSION:
            raise SpecError(f"the study {path} is of another version of deltarule: start a new one")
        made_by, present = theirs.pop("deltarule", None), ours.pop("deltarule")
        if made_by != present:
            self.notes.append(f"the study {path} was begun by deltarule {made_by}")
        changed = [name for name in ours if theirs.get(name) != ours[name]]
        if changed:
            differ = ", ".join(_difference(n, theirs.get(n), ours[n]) for n in changed)
            raise SpecError(
                f"the study {path} is of other data or settings: it differs in {differ}. Give "
                "another file, or remove it to start afresh"
            )

    def _cannot_write(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write the study {self.path}: {error.strerror or error}")


def table_digest(frame: pl.DataFrame) -> str:
    """A short hash of a table's names, types and cells, to tell tables apart."""
    h = hashlib.blake2b(digest_size=16)
    for series in frame.get_columns():
        h.update(f"{series.name!r} {series.dtype} {series.len()}\n".encode())
        h.update(series.to_frame().write_csv(include_header=False, null_value="\0").encode())
    return h.hexdigest()


def _line(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, allow_nan=False) + "\n").encode()


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """The first line as an object; DataError if the file is no study."""
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise DataError(f"{path} is not a study: give another name")
    return value


def _difference(name: str, theirs: Any, ours: Any) -> str:
    """What differs, with both values if they are short."""
    shown = [json.dumps(value) for value in (theirs, ours)]
    if name == "data" or max(map(len, shown)) > 40:
        return name
    return f"{name} (there {shown[0]}, here {shown[1]})"
