"""What activations and losses have in common: their names, and the formulas that they state.

A formula is given as plain text, or as a function that makes its tree of `formula.alphabet`. The
tree is made when it is first asked for: most programs never do, and a tree's nodes take longer to
import than all of the equations.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, overload

from deltarule.errors import SpecError, unknown_name

if TYPE_CHECKING:
    from deltarule.formula.expression import Expression

Given = str | Callable[[Any], Any]
_AS = "as in lambda m: 1 / (1 + m.exp(-m.z))"


class Formula:
    """A field of a record: given as text or as a function that makes a tree, read as text."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, record: None, owner: type) -> Self: ...

    @overload
    def __get__(self, record: Any, owner: type) -> str: ...

    def __get__(self, record: Any, owner: type) -> Self | str:
        if record is None:
            return self
        given: Given = vars(record)[self.name]
        if isinstance(given, str):
            return given
        from deltarule.formula.plain import Plain

        tree = self.tree(record)
        assert tree is not None
        return Plain().quoted(tree)

    def __set__(self, record: Any, given: Given) -> None:
        if given is None or isinstance(given, Formula):
            given = ""
        if not isinstance(given, str) and not callable(given):
            raise SpecError(
                f"{self._whose(record)} must be text or a function that makes a tree, {_AS}; got "
                f"{given!r:.60}"
            )
        vars(record)[self.name] = given

    def __repr__(self) -> str:
        return "''"  # what it is where nothing is given

    def tree(self, record: Any) -> Expression | None:
        """The tree of a record's formula; None for plain text."""
        known = vars(record)
        if isinstance(known[self.name], str):
            return None
        key = f"_{self.name}_tree"
        if key not in known:
            from deltarule.formula import alphabet
            from deltarule.formula.expression import tree as as_tree

            try:
                known[key] = as_tree(known[self.name](alphabet))
            except Exception as error:  # whatever a user's function raises, say whose it was
                raise SpecError(
                    f"{self._whose(record)} makes no tree ({type(error).__name__}: {error}); it "
                    f"must be made of deltarule.formula.alphabet, {_AS}"
                ) from error
        tree: Expression = known[key]
        return tree

    def _whose(self, record: Any) -> str:
        return f"{type(record).__name__.lower()} {vars(record).get('name')!r}: {self.name}"


def fields_of(record: Any) -> tuple[Any, ...]:
    """What a record was made with, in order."""
    return tuple(vars(record)[name] for name in record.__dataclass_fields__)


def number(value: float) -> str:
    """The shortest text that reads back as the same float, as it stands in a record's name."""
    return repr(float(value)).removesuffix(".0")


def make_record(
    kind: str,
    spec: str,
    factories: Mapping[str, Callable[..., Any]],
    aliases: Mapping[str, str] | None = None,
) -> Any:
    """The record for "name", "name(number)" or "name(number,number)" from a registry."""
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(\s*([^()]*?)\s*\))?\s*", spec)
    name = match[1].lower() if match else spec
    name = (aliases or {}).get(name, name)
    factory = factories.get(name)
    if match is None or factory is None:
        raise unknown_name(kind, spec, [*factories, *(aliases or {})])
    if not match[2]:
        return factory()
    values = [_parameter(kind, spec, text.strip()) for text in match[2].split(",")]
    try:
        return factory(*values)
    except TypeError:
        takes = "no parameter" if len(values) == 1 else "fewer parameters"
        raise SpecError(f"{kind} {name!r} takes {takes}, got {spec!r}") from None


def _parameter(kind: str, spec: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise SpecError(f"{kind} {spec!r}: {text!r} is not a number") from None
    if not math.isfinite(value):
        raise SpecError(f"{kind} {spec!r}: the parameter must be finite")
    return value
