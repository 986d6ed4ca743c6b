"""What released versions wrote still loads and means the same: pickles, models, a checkpoint, ...

Each folder beside this file holds what one version wrote (`make_<version>.py` there says how), with
`expected.json`: what `described` gave for it then.
"""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deltarule as dr
from compatibility.described import FOLDS_AND_SPACE, described, numbers, table, train_with

HERE = Path(__file__).parent
VERSIONS = ("v0_1_0",)


@pytest.fixture(autouse=True)
def _a_terminal_of_100_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that wrap in the terminal's width are compared."""
    monkeypatch.setenv("COLUMNS", "100")


def _expected(version: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        (HERE / version / "expected.json").read_text(encoding="utf-8")
    )
    return loaded


def _cases(part: str) -> list[Any]:
    return [
        pytest.param(version, name, id=f"{version}-{name}")
        for version in VERSIONS
        for name in _expected(version)[part]
    ]


def _agree(found: dict[str, Any], expected: dict[str, Any]) -> None:
    exact = json.loads(json.dumps(found.get("exact")))
    assert found["kind"] == expected["kind"]
    assert exact == expected["exact"]
    close = expected.get("close", [])
    assert found.get("close", []) == pytest.approx(close, rel=1e-5, abs=1e-6, nan_ok=True)


@pytest.mark.filterwarnings("default:.*:sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.parametrize(("version", "name"), _cases("pickles"))
def test_a_pickle_loads(version: str, name: str) -> None:
    content = (HERE / version / "pickles" / f"{name}.pickle").read_bytes()
    value = pickle.loads(content)
    _agree(described(value), _expected(version)["pickles"][name])
    again = pickle.loads(pickle.dumps(value))
    _agree(described(again), _expected(version)["pickles"][name])


@pytest.mark.parametrize(("version", "name"), _cases("networks"))
def test_a_network_file_loads(version: str, name: str) -> None:
    own = [dr.Activation("sine", np.sin, np.cos)]
    net = dr.load(HERE / version / "models" / f"{name}.safetensors", custom=own)
    _agree(described(net), _expected(version)["networks"][name])


@pytest.mark.parametrize(("version", "name"), _cases("tables"))
def test_a_model_of_a_table_loads(version: str, name: str) -> None:
    model = dr.TableModel.load(HERE / version / "models" / f"{name}.safetensors")
    _agree(described(model), _expected(version)["tables"][name])


@pytest.mark.parametrize(("version", "name"), _cases("networks") + _cases("tables"))
def test_a_file_is_written_as_it_was(version: str, name: str, tmp_path: Path) -> None:
    path = HERE / version / "models" / f"{name}.safetensors"
    table_file = name in _expected(version)["tables"]
    own = [dr.Activation("sine", np.sin, np.cos)]
    model: Any = dr.TableModel.load(path) if table_file else dr.load(path, custom=own)
    model.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_checkpoint_goes_on(version: str, tmp_path: Path) -> None:
    expected = _expected(version)["checkpoint"]
    shutil.copytree(HERE / version / "checkpoint", tmp_path / "run")
    epochs: list[int] = []
    net, history = train_with(tmp_path / "run", callbacks=[lambda p: epochs.append(p.epoch)])
    assert epochs == list(range(expected["saved"] + 1, 7))  # those before are not computed again
    assert history.loss[: expected["saved"]] == expected["loss"][: expected["saved"]]
    assert history.loss == pytest.approx(expected["loss"], rel=1e-9)
    assert numbers(net.theta) == pytest.approx(expected["theta"], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_study_goes_on(version: str, tmp_path: Path) -> None:
    expected = _expected(version)["study"]
    shutil.copy(HERE / version / "study.jsonl", tmp_path)
    frame = table().select("x", "colour", "kind")
    done = dr.tune(frame, "kind", trials=2, study=tmp_path / "study.jsonl", **FOLDS_AND_SPACE)
    assert done.resumed == 2
    found = [{k: v for k, v in one.to_dict().items() if k != "seconds"} for one in done.trials]
    assert json.loads(json.dumps(found)) == expected["trials"]
    assert done.best.number == expected["best"]
