"""Outputs in groups, each a distribution of its own: several questions answered by one network.

"softmax(3,2)" has five outputs, the first three of which sum to 1, and the last two. No groups mean
one group of all.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

from deltarule.errors import SpecError

Groups = tuple[int, ...]


def group_sizes(owner: str, given: tuple[float, ...]) -> Groups:
    """The numbers in the brackets of a name as sizes of groups.

    Raises SpecError unless each is a whole number >= 1.
    """
    for size in given:
        if size < 1 or size != int(size):
            raise SpecError(
                f"{owner}: the size of each group is a whole number >= 1, got {size:g}; "
                f'"{owner}(3,2)" has a group of three outputs and one of two'
            )
    return tuple(int(size) for size in given)


def in_brackets(groups: Groups) -> str:
    """The groups as they stand in a record's name: "(3,2)", or nothing."""
    return f"({','.join(map(str, groups))})" if groups else ""


def apart(values: Any, groups: Groups) -> list[Any]:
    """The parts (..., k_j) of values (..., n_L) that belong to each group.

    Raises SpecError if the groups do not add up to n_L.
    """
    if not groups:
        return [values]
    if values.shape[-1] != sum(groups):
        raise SpecError(f"{values.shape[-1]} outputs are not {describe(groups)}")
    return [values[..., end - k : end] for k, end in zip(groups, accumulate(groups), strict=True)]


def by_group(function: Callable[..., Any], groups: Groups) -> Callable[..., Any]:
    """The function of arrays (..., n_L) that works on each group as `function` does on all."""
    if not groups:
        return function

    def grouped(*arrays: Any) -> Any:
        parts = zip(*(apart(array, groups) for array in arrays), strict=True)
        xp = arrays[0].__array_namespace__()
        return xp.concat([function(*part) for part in parts], axis=-1)

    return grouped


def describe(groups: Groups) -> str:
    """The groups in words: "groups of 3 + 2 = 5"."""
    return f"groups of {' + '.join(map(str, groups))} = {sum(groups)}"
