"""What `make wheel` has built holds what it should, and nothing else; `make wheel` runs it."""

from __future__ import annotations

import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"


def tracked(*paths: str) -> set[str]:
    """The files of the repository below these paths."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    return {name for name in done.stdout.splitlines() if (ROOT / name).exists()}


def test_the_wheel_holds_the_package_and_the_core() -> None:
    (wheel,) = DIST.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {name.removeprefix("src/") for name in tracked("src/deltarule")}
    for ending in ("py.typed", ".css", ".js", ".schema.json", ".pyi"):
        assert any(name.endswith(ending) for name in package)
    cores = {name for name in names if re.fullmatch(r"deltarule/_core\.[^/]*(so|pyd)", name)}
    assert len(cores) == 1
    about = {name for name in names if re.match(r"deltarule-[^/]+\.dist-info/", name)}
    assert {name.partition("/")[2] for name in about} == {
        "METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"
    }  # fmt: skip
    assert names - about - cores == package


def test_the_sdist_holds_what_builds_it() -> None:
    (sdist,) = DIST.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        files = [member.name for member in archive.getmembers() if member.isfile()]
    names = {name.partition("/")[2] for name in files}
    sources = tracked("src/deltarule", "native") - tracked("native/tests")
    about = {"CHANGELOG.md", "CMakeLists.txt", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert names == sources | about
