"""The exchange loads nothing before it is used, and says what to install where it is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import deltarule as dr


def test_importing_loads_no_other_system() -> None:
    script = (
        "import sys, deltarule.exchange.torch, deltarule.exchange.sklearn;"
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert not set(out.stdout.split()) & {"sklearn", "torch", "onnx", "scipy"}


def test_without_torch_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from deltarule.exchange.torch import from_torch

    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    with pytest.raises(dr.DeltaruleError, match=r"pip install 'deltarule\[torch\]'"):
        dr.Network([2, 1]).to_torch()
    with pytest.raises(dr.DeltaruleError, match=r"pip install 'deltarule\[torch\]'"):
        from_torch(object())
