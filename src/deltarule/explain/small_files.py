"""What a small file holds: JSON, TOML and YAML as the same plain values, each with its place.

Every file of `explain` is parsed here and nowhere else: a key that stands twice, a number that JSON
does not know or a file that is nested too deeply is an error, and nothing in it is ever executed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from deltarule.errors import SpecError

_MOST_SHOWN = 60


def parse_file(path: Path) -> dict[str, Any]:
    """What a file holds whose name ends in one of `PARSERS`, as JSON's kinds of values.

    Raises SpecError (with line and column where the parser knows them) or FileNotFoundError.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        value = PARSERS[path.suffix.lower()](path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise SpecError(f"{path}: nested too deeply") from None
    except ValueError as error:  # of JSON, TOML and of UTF-8
        raise SpecError(f"{path}: not a {path.suffix[1:].upper()} file: {error}") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    if not isinstance(value, dict):
        raise SpecError(f"{path}: an object with 'network' and 'weights' is needed, {got(value)}")
    return value


def _parse_json(text: str) -> Any:
    def no_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not a number that JSON knows")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the key {twice!r} stands twice in one object")
        return found

    return json.loads(text, parse_constant=no_constant, object_pairs_hook=once)


def _parse_toml(text: str) -> Any:
    import tomllib  # only a TOML file needs it

    def with_null(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: with_null(item) for key, item in value.items()}
        if isinstance(value, list):
            return [with_null(item) for item in value]
        return None if value == "null" else value

    return with_null(tomllib.loads(text))


def _parse_yaml(text: str) -> Any:
    try:
        import yaml  # slow, and only a YAML file needs it
    except ImportError:
        raise SpecError(
            "a YAML file needs PyYAML: pip install pyyaml, or write the file as JSON or TOML"
        ) from None

    def construct_mapping(loader: Any, node: Any, deep: bool = False) -> Any:
        keys = [key for key, _ in node.value]
        for i, key in enumerate(keys):
            if any(other.value == key.value for other in keys[:i]):
                line = key.start_mark.line + 1
                raise ValueError(f"the key {key.value!r} stands twice in one object, line {line}")
        return yaml.SafeLoader.construct_mapping(loader, node, deep)

    once = type("Once", (yaml.SafeLoader,), {"construct_mapping": construct_mapping})
    try:
        return yaml.load(text, once)  # a SafeLoader: values only, nothing is executed
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).replace('"<unicode string>",', "").split())) from None


#: How each kind of file is parsed, by the end of its name.
PARSERS: dict[str, Callable[[str], Any]] = {
    ".json": _parse_json,
    ".toml": _parse_toml,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
}


def plain(value: Any) -> Any:
    """A dict of a caller's as a file would hold it: arrays and tuples become lists."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def got(value: Any) -> str:
    """What stands there instead, in a few words for a message."""
    if value is None or isinstance(value, dict):
        return "got nothing" if value is None else "got an object"
    if isinstance(value, list):
        return f"got a list of {len(value)}"
    text = repr(value)
    return f"got {text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + '...'}"


def as_number(value: Any) -> float | None:
    """The number that a value is, or says as text ("0.50"); None if it is none, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(plain_minus(value) if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and "_" not in str(value) else None


def plain_minus(text: str) -> str:
    """The text with hyphens for the minus signs that are copied out of documents."""
    return text.replace("\N{MINUS SIGN}", "-")


class Placed:
    """A reader of one file's contents: what is wrong is said with its place.

    Parameters
    ----------
    name : str
        The file; empty for a dict of a caller's.
    raw : dict
        Its contents.
    """

    def __init__(self, name: str, raw: dict[str, Any]) -> None:
        self.prefix = f"{name}: " if name else ""
        self.raw = raw

    def wrong(self, place: str, need: str) -> NoReturn:
        """Raise SpecError for what stands at a place."""
        raise SpecError(f"{self.prefix}{place}: {need}")

    def choice(self, key: str, known: tuple[str, ...]) -> str | None:
        """One of the words that are known, or None if nothing is said."""
        value = self.raw.get(key)
        if key in self.raw and value not in known:
            self.wrong(key, f"{' or '.join(known)} is needed, got {value!r}")
        return None if value is None else str(value)

    def not_negative(self, key: str) -> float | None:
        """A number >= 0, or None if nothing is said."""
        value = as_number(self.raw.get(key, 0))
        if value is None or value < 0:
            self.wrong(key, f"a number >= 0 is needed, got {self.raw[key]!r}")
        return value if key in self.raw else None
