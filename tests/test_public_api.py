"""What `import deltarule` gives: every name documented, nothing slow loaded, nothing undeclared."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import subprocess
import sys

import pytest

import deltarule as dr


@pytest.mark.parametrize("name", dr.__all__)
def test_every_public_name_exists_and_is_documented(name: str) -> None:
    thing = getattr(dr, name)
    own = thing.__doc__ or ""
    if dataclasses.is_dataclass(thing):
        assert not own.startswith(f"{name}("), "the docstring that dataclass makes up"
    assert len(own.split()) >= 3
    if not inspect.isclass(thing):
        return
    for member, value in vars(thing).items():
        inner = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if member.startswith("_") or not (inspect.isroutine(inner) or isinstance(inner, property)):
            continue
        assert inspect.getdoc(getattr(thing, member)), f"{name}.{member} has no docstring"


def test_all_is_sorted_and_star_import_works() -> None:
    assert len(set(dr.__all__)) == len(dr.__all__)
    space: dict[str, object] = {}
    exec("from deltarule import *", space)
    assert set(dr.__all__) <= set(space)


def test_unknown_attributes_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Netwrok'"):
        dr.Netwrok  # noqa: B018


def test_importing_is_light() -> None:
    """What is slow to import is loaded when it is first used."""
    script = (
        "import sys; before = set(sys.modules); import deltarule;"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    loaded = set(out.stdout.split())
    assert "deltarule" in loaded
    heavy = {"sklearn", "polars", "pandas", "rich", "typer", "scipy", "jax", "matplotlib"}
    assert not loaded & heavy


def test_training_loads_only_what_it_uses() -> None:
    script = (
        "import sys, numpy as np, deltarule as dr;"
        "X = np.ones((20, 2)); net = dr.Network([2, 3, 1], rng=0);"
        "dr.train(net, X, X[:, 0], epochs=2); net.predict(X);"
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert not set(out.stdout.split()) & {"sklearn", "polars", "rich", "typer", "scipy", "jax"}


def test_errors_are_of_one_family_and_of_the_builtin_kind() -> None:
    kinds = {
        dr.SpecError: ValueError,
        dr.DataError: ValueError,
        dr.DerivativeError: ValueError,
        dr.ModelFileError: ValueError,
        dr.OutputError: OSError,
        dr.DivergenceError: FloatingPointError,
    }
    for error, builtin in kinds.items():
        assert issubclass(error, dr.DeltaruleError)
        assert issubclass(error, builtin)


def test_the_version_is_the_packages() -> None:
    try:
        installed = importlib.metadata.version("deltarule")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("run from the source tree, not installed")
    assert dr.__version__ == installed


def test_the_signature_of_train_is_what_others_build_on() -> None:
    parameters = inspect.signature(dr.train).parameters
    assert list(parameters)[:3] == ["net", "X", "Y"]
    defaults = {
        "batch_size": 32,
        "optimizer": "adam",
        "learning_rate": None,
        "schedule": None,
        "l2": 0,
        "l1": 0,
        "dropout": 0,
        "clip_norm": None,
        "validation": 0.1,
        "early_stopping": None,
        "sample_weight": None,
        "shuffle": True,
        "engine": "auto",
        "callbacks": (),
        "rng": 0,
        "progress": False,
        "checkpoint": None,
    }
    for name, default in defaults.items():
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default == default
    assert parameters["epochs"].default is inspect.Parameter.empty
