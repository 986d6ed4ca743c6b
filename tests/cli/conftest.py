"""For every test of the command line: a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, where each test runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
