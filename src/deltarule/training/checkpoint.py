"""Checkpoints: a run that is killed at any moment resumes to the bits of an uninterrupted one.

One safetensors file per run, replaced atomically at the end of an epoch. It holds parameters,
optimizer state, best parameters and history. Shuffling and dropout are functions of the seed and
the epoch or step, so no generator state has to be kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from deltarule import options
from deltarule.errors import ModelFileError, OutputError, SpecError
from deltarule.files import leftovers, write_atomically

FORMAT = "deltarule checkpoint"
VERSION = "1"
_ABANDONED = 60.0  # seconds after which a half-written file has no living writer


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often a run is saved.

    Parameters
    ----------
    directory : str or Path
        Made if it does not exist; one run per directory.
    every_seconds : float >= 0, default 1
        The least time between two saves; 0 saves after every epoch. The end is always saved.
    """

    directory: str | Path
    every_seconds: float = 1.0

    def __post_init__(self) -> None:
        options.not_negative(self, every_seconds=self.every_seconds)


def get_checkpoint(spec: str | Path | Checkpoint | None) -> Checkpoint | None:
    """A directory or a Checkpoint as a Checkpoint, None as None. SpecError for anything else."""
    if spec is None or isinstance(spec, Checkpoint):
        return spec
    if isinstance(spec, str | Path):
        return Checkpoint(spec)
    raise SpecError(f"checkpoint must be a directory or dr.Checkpoint(...), got {spec!r}")


def digest(*arrays: Any) -> str:
    """A short hash of arrays (dense, or the parts of a CSR matrix), to tell data sets apart."""
    h = hashlib.blake2b(digest_size=16)
    for array in arrays:
        if array is None:
            h.update(b"none")
            continue
        parts = (array.data, array.indices, array.indptr) if hasattr(array, "indptr") else (array,)
        for part in parts:
            h.update(f"{part.shape}{part.dtype}".encode())
            h.update(np.ascontiguousarray(part).data)
    return h.hexdigest()


def _digest_of_all(arrays: dict[str, np.ndarray]) -> str:
    """Tells a damaged file from one that was written here, to the last bit."""
    names = sorted(arrays)
    listed = np.frombuffer("\n".join(names).encode(), dtype=np.uint8)
    return digest(listed, *[arrays[name] for name in names])


class CheckpointFile:
    """The file of one run: `load` what an earlier process left, `save` the present state."""

    def __init__(self, where: Checkpoint, identity: dict[str, Any]) -> None:
        self.path = Path(where.directory) / "checkpoint.safetensors"
        self.every_seconds = where.every_seconds
        plain = json.dumps(identity, default=lambda number: number.item())  # of NumPy's numbers
        self.identity: dict[str, Any] = json.loads(plain)
        self._last = -float("inf")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the checkpoint directory: {error}") from error
        for path in leftovers(self.path):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()

    def load(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """(facts, arrays) of the last save, or None if there is none.

        Raises ModelFileError if the file is damaged, SpecError if it belongs to another run.
        """
        if not self.path.exists():
            return None
        try:
            with safetensors.safe_open(self.path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not iterable
        except (SafetensorError, OSError) as error:
            raise self._damaged(error) from error
        if metadata.get("format") != FORMAT or metadata.get("version") != VERSION:
            raise ModelFileError(f"{self.path} is not a checkpoint of this version of deltarule")
        if metadata.get("digest") != _digest_of_all(arrays):
            raise self._damaged("its digest does not match its content")
        facts: dict[str, Any] = json.loads(arrays.pop("facts").tobytes())
        theirs = facts.pop("identity")
        reached = [digest(arrays[name]) for name in ("theta", "best") if name in arrays]
        if self.identity["starting parameters"] in reached:  # the same network, trained further
            self.identity["starting parameters"] = theirs["starting parameters"]
        changed = [name for name in self.identity if theirs.get(name) != self.identity[name]]
        if changed:
            raise SpecError(
                f"the checkpoint in {self.path.parent} belongs to another run: it differs in "
                f"{', '.join(changed)}. Use another directory, or remove it to start afresh"
            )
        return facts, arrays

    def _damaged(self, why: object) -> ModelFileError:
        return ModelFileError(
            f"{self.path} is not a checkpoint that can be read ({why}); remove it to start afresh"
        )

    def save(self, facts: dict[str, Any], arrays: dict[str, np.ndarray], *, now: bool) -> None:
        """Write the state if `now`, or if the last save is long enough ago."""
        if not now and time.monotonic() - self._last < self.every_seconds:
            return
        text = json.dumps(facts | {"identity": self.identity})
        # a tensor, since safetensors limits the size of its header and a history can be long
        arrays = arrays | {"facts": np.frombuffer(text.encode(), dtype=np.uint8)}
        metadata = {"format": FORMAT, "version": VERSION, "digest": _digest_of_all(arrays)}
        write_atomically(self.path, safetensors.numpy.save(arrays, metadata))
        self._last = time.monotonic()
