"""Reading an encoding back from JSON that someone else may have written: every value is checked."""

from __future__ import annotations

import math
from typing import Any, NoReturn

from deltarule.errors import ModelFileError

#: The most columns and categories that a stored encoding may have.
MAX_ITEMS = 1_000_000
_MAX_TEXT = 100_000


class Record:
    """One JSON object, read key by key; ModelFileError for whatever is not as it must be."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ModelFileError(f"{where}: an object is needed, not {type(value).__name__}")
        self._value, self._where = value, where

    def _get(self, key: str, kind: type, words: str) -> Any:
        value = self._value.get(key)
        # bool is a kind of int in Python, not in JSON.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.fail(key, f"{words} is needed, not {value!r:.60}")
        return value

    def fail(self, key: str, reason: str) -> NoReturn:
        """Raise the error for this key."""
        raise ModelFileError(
            f"{self._where}: {key}: {reason}. The file is damaged, or no deltarule model"
        )

    def text(self, key: str, among: tuple[str, ...] = ()) -> str:
        """A text, one of `among` where that is given."""
        value: str = self._get(key, str, "text")
        if len(value) > _MAX_TEXT:
            self.fail(key, f"a text of {len(value)} characters is too long")
        if among and value not in among:
            self.fail(key, f"one of {', '.join(among)} is needed, not {value!r:.60}")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value: bool = self._get(key, bool, "true or false")
        return value

    def number(self, key: str, low: float = -math.inf) -> float:
        """A finite number, at least `low`."""
        value = self._value.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fail(key, f"a number is needed, not {value!r:.60}")
        try:
            result = float(value)
        except OverflowError:  # an integer of more than 308 digits
            result = math.inf
        if not math.isfinite(result) or result < low:
            self.fail(key, "a finite number" + f" of at least {low}" * (low > -math.inf))
        return result

    def whole(self, key: str, low: int) -> int:
        """A whole number, at least `low`, of at most 64 bits."""
        value: int = self._get(key, int, "a whole number")
        if not low <= value < 2**63:
            self.fail(key, f"a whole number of at least {low} is needed")
        return value

    def is_null(self, key: str) -> bool:
        """Whether the key is there and null."""
        return key in self._value and self._value[key] is None

    def items(self, key: str) -> list[Any]:
        """A list of at most MAX_ITEMS."""
        value: list[Any] = self._get(key, list, "a list")
        if len(value) > MAX_ITEMS:
            self.fail(key, f"a list of {len(value)} is too long")
        return value

    def texts(self, key: str, distinct: bool = True) -> tuple[str, ...]:
        """A list of texts, no two of them equal."""
        value = self.items(key)
        if not all(isinstance(item, str) and len(item) <= _MAX_TEXT for item in value):
            self.fail(key, "a list of texts is needed")
        if distinct and len(set(value)) != len(value):
            self.fail(key, "two of the texts are equal")
        return tuple(value)

    def head(self, name: str, version: int) -> None:
        """Check "format" and "version"; a newer version is told apart from a foreign file."""
        self.text("format", among=(name,))
        found = self._get("version", int, "a whole number")
        if found > version:
            raise ModelFileError(
                f"{self._where}: version {found} was written by a newer deltarule (this one reads "
                f"up to {version}): upgrade deltarule"
            )
        if found < 1:
            self.fail("version", f"{found} does not exist")
