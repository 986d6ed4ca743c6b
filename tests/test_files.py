"""Files are written whole or not at all, and nothing is left lying about."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from deltarule.errors import OutputError
from deltarule.files import leftovers, require_writable, write_atomically


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_new_and_replaced(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"one")
    write_atomically(str(tmp_path / "a"), b"two")
    assert content(tmp_path) == {"a": b"two"}


@pytest.mark.parametrize(
    ("function", "number"),
    [
        ("fsync", errno.ENOSPC),
        ("fsync", errno.EIO),
        ("replace", errno.EACCES),
        ("replace", errno.EROFS),
    ],
)
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, number: int
) -> None:
    write_atomically(tmp_path / "a", b"old")

    def fail(*args: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OutputError, match=os.strerror(number)) as caught:
        write_atomically(tmp_path / "a", b"new")
    assert isinstance(caught.value, OSError)
    assert "nothing was written" in str(caught.value)
    assert content(tmp_path) == {"a": b"old"}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    true_open = open

    def refuse(path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        if "x" in mode or "w" in mode:
            raise OSError(number, os.strerror(number), str(path))
        return true_open(path, mode, *args, **options)

    monkeypatch.setattr("builtins.open", refuse)
    for attempt in (lambda p: write_atomically(p, b"new"), require_writable):
        with pytest.raises(OutputError, match=os.strerror(number)):
            attempt(tmp_path / "a")
    monkeypatch.undo()
    assert content(tmp_path) == {"a": b"old"}


def test_a_disk_that_is_really_full() -> None:
    """/dev/full is a device, which is refused before anything is written."""
    for path in ("/dev/full", "/dev/null"):
        with pytest.raises(OutputError, match="not a regular file"):
            write_atomically(path, b"new")
        assert stat.S_ISCHR(Path(path).stat().st_mode)


def test_other_exceptions_pass_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", b"new")
    assert content(tmp_path) == {}


def test_missing_folder(tmp_path: Path) -> None:
    for attempt in (lambda p: write_atomically(p, b"new"), require_writable):
        with pytest.raises(OutputError, match=r"the folder .*no does not exist"):
            attempt(tmp_path / "no" / "a")
    assert content(tmp_path) == {}


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    for attempt in (lambda p: write_atomically(p, b"new"), require_writable):
        with pytest.raises(OutputError, match="nothing was written"):
            attempt(tmp_path / name)


def test_the_longest_name(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("a" * 255), b"new")
    require_writable(tmp_path / ("a" * 255))
    assert content(tmp_path) == {"a" * 255: b"new"}


def test_a_temporary_file_that_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: [p.unlink() for p in tmp_path.iterdir()])
    with pytest.raises(OutputError, match="No such file or directory"):
        write_atomically(tmp_path / "a", b"new")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    for attempt in (lambda p: write_atomically(p, b"new"), require_writable):
        with pytest.raises(OutputError, match="it is a folder"):
            attempt(tmp_path)
    assert content(tmp_path) == {}


def test_require_writable_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    require_writable(tmp_path / "a")
    require_writable(tmp_path / "b")
    assert content(tmp_path) == {"a": b"old"}


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_permissions_are_those_of_any_new_file_or_of_the_old_one(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"one")
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
        (tmp_path / "a").chmod(0o600)
        write_atomically(tmp_path / "a", b"two")
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    finally:
        os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a")
    for text in (b"one", b"two"):
        write_atomically(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink()
        assert content(tmp_path / "there") == {"a": text}


def test_leftovers_are_found(tmp_path: Path) -> None:
    for name in (".a.0123abcd~", ".b.0123abcd~", "a", "a~"):
        (tmp_path / name).write_bytes(b"")
    assert leftovers(tmp_path / "a") == [tmp_path / ".a.0123abcd~"]
