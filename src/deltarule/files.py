"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from deltarule.errors import OutputError


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write `content` to `path`: afterwards the file is the new one whole, or what it was before.

    A file that stands there keeps its permissions; a link is followed.

    Raises OutputError (an OSError) if the folder is missing or read-only, if the disk is full, or
    if something that is not a file stands there.
    """
    path = Path(path)
    target = _target(path)
    temporary = _beside(target)
    try:
        with open(temporary, "xb") as file:
            if target.exists():
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _cannot_write(path, error) from error
        raise


def require_writable(path: str | Path) -> None:
    """Raise OutputError if a file cannot be written at `path`, before long work is done for it."""
    path = Path(path)
    temporary = _beside(_target(path))
    try:
        with open(temporary, "xb"):
            pass
        temporary.unlink()
    except OSError as error:
        raise _cannot_write(path, error) from error


def leftovers(path: Path) -> list[Path]:
    """Temporary files that processes killed while writing `path` have left beside it."""
    return list(path.parent.glob(f".{path.name[:50]}.*~"))


def _target(path: Path) -> Path:
    """The file that is to be replaced: where a link points to, and never a device or a folder."""
    try:
        target = Path(os.path.realpath(path))
        is_folder, is_other = target.is_dir(), target.exists() and not target.is_file()
    except (OSError, ValueError) as error:  # a name too long, or with a zero byte in it
        raise _cannot_write(path, error) from error
    if is_folder:
        raise OutputError(f"cannot write {path}: it is a folder; give a file name in it")
    if is_other:
        raise OutputError(f"cannot write {path}: it is not a regular file; nothing was written")
    return target


def _beside(target: Path) -> Path:
    """A new name in the same folder, so that the last step is one atomic rename."""
    return target.with_name(f".{target.name[:50]}.{secrets.token_hex(4)}~")


def _cannot_write(path: Path, error: OSError | ValueError) -> OutputError:
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
        reason = f"the folder {path.parent} does not exist"
    return OutputError(f"cannot write {path}: {reason}; nothing was written")
