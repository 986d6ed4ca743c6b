"""Networks saved to and loaded from one file; the file itself is `model_file.py`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deltarule.equations.activations import Activation
from deltarule.equations.losses import Loss
from deltarule.network.model_file import read_model, write_model
from deltarule.network.network import Network


def save(net: Network, path: str | Path, sections: Mapping[str, Any] | None = None) -> None:
    """Write a network to `path`, whole or not at all.

    Own activations and losses are saved by name; `load` then needs them in `custom`.

    Raises
    ------
    OutputError
        The file cannot be written.
    SpecError
        It could not be loaded again: NaN or infinite parameters, or two own activations that have
        one name.
    """
    write_model(net.spec, net.theta, path, sections)


def load(path: str | Path, custom: Sequence[Activation | Loss] = ()) -> Network:
    """The network saved at `path`.

    Parameters
    ----------
    custom : sequence of Activation and Loss
        The own functions that the network was saved with, found by their names.

    Raises
    ------
    ModelFileError
        The file is not a deltarule model, is damaged, or was written by a newer version.
    FileNotFoundError
    """
    return read(path, custom)[0]


def read(
    path: str | Path, custom: Sequence[Activation | Loss] = ()
) -> tuple[Network, dict[str, Any]]:
    """The network saved at `path`, and the other JSON sections of the file; see `load`."""
    spec, theta, sections = read_model(path, custom)
    return Network.from_spec(spec, theta), sections
