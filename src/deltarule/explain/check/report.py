"""What a check of worked numbers has found, for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deltarule.document import (
    Code,
    Document,
    Fact,
    Heading,
    Item,
    Items,
    Lines,
    Marked,
    Names,
    Phrase,
    Point,
    Shown,
    Table,
    Tag,
    Title,
)
from deltarule.document.blocks import Block
from deltarule.explain.check.mistakes.catalogue import get_mistake
from deltarule.explain.check.step import Variant


@dataclass(frozen=True)
class Finding:
    """One number that is not right.

    Attributes
    ----------
    quantity : str
    layer : int
        Counted 1..L; 0 for a quantity without layers.
    index : tuple of int
        Within the layer as it is claimed, from 0.
    where : str
        In words, nodes counted from 1.
    claimed : str
        As it is printed.
    expected, expected_from_own : float
        The right number, and what would follow from the author's own earlier numbers.
    follows : bool
        Whether it is consistent with the author's own earlier numbers.
    """

    quantity: str
    layer: int
    index: tuple[int, ...]
    where: str
    claimed: str
    expected: float
    expected_from_own: float
    follows: bool

    @property
    def difference(self) -> float:
        """Claimed less expected."""
        return float(self.claimed) - self.expected

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "quantity": self.quantity,
            "layer": self.layer,
            "index": list(self.index),
            "where": self.where,
            "claimed": self.claimed,
            "expected": self.expected,
            "difference": self.difference,
            "expected_from_own": self.expected_from_own,
            "follows": self.follows,
        }


@dataclass(frozen=True)
class FoundMistake:
    """A mistake of the catalogue that explains wrong numbers.

    Attributes
    ----------
    code : str
    layer : int or None
        Counted 1..L; None for all layers.
    sentence : str
        What was done.
    right, wrong : str
        The equation, and what stands in its place.
    alternatives : tuple of FoundMistake
        Others that give the same numbers here.
    """

    code: str
    layer: int | None
    sentence: str
    right: str
    wrong: str
    alternatives: tuple[FoundMistake, ...] = ()

    @property
    def formula(self) -> str:
        """Wrong against right."""
        return f"{self.wrong}   instead of   {self.right}"

    @classmethod
    def of(cls, variant: Variant, alternatives: Sequence[FoundMistake] = ()) -> FoundMistake:
        """The mistake that a variant makes."""
        mistake = get_mistake(variant.code)
        right, wrong = mistake.formulas(variant)
        layer = variant.layer if variant.layer != 0 else None
        return cls(
            variant.code, layer, mistake.describe(variant), right, wrong, tuple(alternatives)
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "code": self.code,
            "layer": self.layer,
            "sentence": self.sentence,
            "right": self.right,
            "wrong": self.wrong,
            "alternatives": [one.to_dict() for one in self.alternatives],
        }


@dataclass(frozen=True)
class Report(Shown):
    """The outcome of a check.

    Attributes
    ----------
    title : str
    checked : int
        Numbers that were compared.
    wrong : list of Finding
        Wrong by themselves, in the order of computation.
    followers : list of Finding
        Not right, but consistent with earlier wrong numbers.
    mistakes : list of FoundMistake
        What explains the wrong numbers, in the order of computation.
    unexplained : list of Finding
        Wrong numbers that no mistake of the catalogue reproduces.
    notes : list of str
        What else a reader should know.
    """

    title: str
    checked: int
    wrong: list[Finding] = field(default_factory=list)
    followers: list[Finding] = field(default_factory=list)
    mistakes: list[FoundMistake] = field(default_factory=list)
    unexplained: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every number is right."""
        return not self.wrong and not self.followers

    @property
    def first_error(self) -> Finding | None:
        """The first wrong number in the order of computation; None if all are right."""
        return self.wrong[0] if self.wrong else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "title": self.title,
            "ok": self.ok,
            "checked": self.checked,
            "first_error": None if self.first_error is None else self.first_error.to_dict(),
            "wrong": [one.to_dict() for one in self.wrong],
            "followers": [one.to_dict() for one in self.followers],
            "mistakes": [one.to_dict() for one in self.mistakes],
            "unexplained": [one.to_dict() for one in self.unexplained],
            "notes": self.notes,
        }

    # -- for people ---------------------------------------------------------------------------

    def _verdict(self) -> str:
        right = self.checked - len(self.wrong) - len(self.followers)
        if self.ok:
            one = self.checked == 1
            return "The one number is right." if one else f"All {self.checked} numbers are right."
        parts = [f"{right} right", f"{len(self.wrong)} wrong"]
        if self.followers:
            follow = "follows" if len(self.followers) == 1 else "follow"
            parts.append(f"{len(self.followers)} that merely {follow} from wrong ones")
        checked = f"{self.checked} number{'s' * (self.checked > 1)} checked"
        return f"{checked}: {', '.join(parts)}."

    def _first(self) -> str:
        one = self.first_error
        if one is None:
            return ""
        right = as_claimed(one.expected, one.claimed, apart=True)
        off = f" (difference {one.difference:.3g})" if math.isfinite(one.difference) else ""
        return f"{one.where}: {one.claimed} is claimed, {right} is right{off}"

    def _done(self) -> str:
        """The heading of the mistakes: what they explain."""
        if not self.unexplained:
            return "What was done"
        explained = len(self.wrong) - len(self.unexplained)
        return f"What explains {explained} of the {len(self.wrong)} wrong numbers"

    def _not_explained(self) -> list[str]:
        """The places that no mistake explains; of many the first, and how many more."""
        names = [one.where for one in self.unexplained[:_MOST_NAMES]]
        more = len(self.unexplained) - len(names)
        return [*names, f"{more} more"] if more else names

    def _rows(self) -> list[tuple[Phrase, ...]]:
        return [
            (
                one.where,
                one.claimed,
                as_claimed(one.expected, one.claimed, apart=True),
                as_claimed(one.expected_from_own, one.claimed, apart=not one.follows),
                "follows" if one.follows else Marked("wrong", "bad"),
            )
            for one in (*self.wrong, *self.followers)
        ]

    def document(self) -> Document:
        """Verdict, first wrong number, what was done, and every number that is not right."""
        blocks: list[Block] = [Title(self.title)]
        blocks.append(Lines([Marked(self._verdict(), "ok" if self.ok else "bad")], tight=True))
        if self.first_error is not None:
            blocks.append(Point("First wrong number", self._first()))
        if self.mistakes:
            blocks += [Heading(self._done()), Items(list(map(_item, self.mistakes)), "1.")]
        if self.unexplained:
            lead = "No mistake of the catalogue explains"
            blocks.append(Names(lead, self._not_explained()))
        if not self.ok:
            blocks.append(Table(_HEAD, self._rows(), "lrrrl", most=_MOST_ROWS))
        return Document([*blocks, Lines(self.notes)])


_MOST_NAMES = 10  # of places without an explanation; the table has them too
_MOST_ROWS = 60  # in texts; JSON and pages have all
_MOST_DECIMALS = 12
_HEAD = ("number", "claimed", "right", "from own numbers", "verdict")


def _item(one: FoundMistake) -> Item:
    """What was done, beside what is right, and what else gives the same numbers."""
    facts = [Fact("done", Code(one.wrong), "bad"), Fact("right", Code(one.right), "ok")]
    facts += [
        Fact("the same numbers here", (other.sentence, Tag(other.code)))
        for other in one.alternatives
    ]
    return Item((one.sentence, Tag(one.code)), facts)


def as_claimed(value: float, claimed: str, *, apart: bool = False) -> str:
    """A number with as many decimals as the claimed one, and more where it would say too little.

    That is where it is not the claimed number and keeps less than two significant digits (four
    beside a whole number), and with `apart` where it could not be told from it.
    """
    if not math.isfinite(value):
        return str(value)
    mantissa, _, exponent = claimed.lower().partition("e")
    printed = max(len(mantissa.partition(".")[2]) - (int(exponent) if exponent else 0), 0)
    same = f"{value:.{printed}f}"
    if not apart and float(same) == float(claimed):
        return f"{float(same) + 0.0:.{printed}f}"  # without the sign of -0
    digits = 2 if printed else 4
    enough = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
    if enough > max(printed, _MOST_DECIMALS):
        return f"{value:.{digits}g}"
    for decimals in range(max(printed, enough), max(printed, enough) + 3):
        text = f"{value:.{decimals}f}"
        if float(text) != float(claimed):
            break
    return text.rstrip("0").rstrip(".") if decimals and not printed else text
