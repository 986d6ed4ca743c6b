"""What a gradient check has found: verdict, worst number, a row for each term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deltarule.document import (
    Document,
    Fact,
    Heading,
    Item,
    Items,
    Lines,
    Marked,
    Phrase,
    Point,
    Shown,
    Table,
    Title,
)
from deltarule.document.blocks import Block
from deltarule.explain.gradients.found import (
    KINK,
    RIGHT,
    SOURCES,
    STATUS,
    UNRESOLVED,
    WRONG,
    Coordinate,
    Direction,
    TermCheck,
)

#: The order in which statuses count, by status.
_RANKS = np.array([1, 4, 3, 2, 0])
_HEAD = ("term", "numbers", *STATUS[:4], "relative error", "measured by")


@dataclass(frozen=True, eq=False)
class GradientCheck(Shown):
    """The outcome of `check_gradients` or `check_objective`.

    Attributes
    ----------
    title : str
    directions : list of Direction
    terms : list of TermCheck
        In the order of the forward pass, for each who gives a gradient; empty if the check ended
        with the directions.
    causes : list of str
        What the wrong numbers have in common, in sentences.
    notes : list of str
        What else a reader should know.
    rtol : float
        Relative error that passed.
    """

    title: str
    directions: list[Direction]
    terms: list[TermCheck]
    causes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rtol: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, and something could be measured."""
        found = [one.status for one in self.directions]
        found += [STATUS[s] for term in self.terms for s in np.unique(term.status)]
        return "wrong" not in found and "right" in found

    @property
    def worst(self) -> Coordinate | None:
        """The number with the largest relative error: of the wrong ones, if there are any."""
        found = [one.worst for one in self.terms]
        among = [one for one in found if one is not None]
        wrong = [one for one in among if one.status == "wrong"]
        return max(wrong or among, key=lambda one: one.relative_error, default=None)

    @property
    def first_wrong(self) -> TermCheck | None:
        """The first term with a wrong number, in the order of the backward pass."""
        wrong = [one for one in self.terms if one.count(WRONG)]
        return max(wrong, key=lambda one: one.layer or 0, default=None)

    def term(self, name: str, layer: int | None = None, source: str | None = None) -> TermCheck:
        """The term of that name ("weights", "biases", "inputs", or a block) and layer (1..L).

        Raises KeyError if there is none.
        """
        for one in self.terms:
            if (one.name, one.layer) == (name, layer) and source in (None, one.source):
                return one
        known = ", ".join(dict.fromkeys(one.title for one in self.terms)) or "none was measured"
        layered = "" if layer is None else f" of layer {layer}"
        raise KeyError(f"no term {name}{layered}; there are: {known}")

    def count(self, status: int) -> int:
        """How many numbers have a status; of several gradients of a number, the worst one counts.

        Wrong is worst, then at a kink, unresolved, right.
        """
        merged: dict[tuple[str, int | None], Any] = {}
        for one in self.terms:
            rank = _RANKS[one.status]
            before = merged.get((one.name, one.layer))
            merged[one.name, one.layer] = rank if before is None else np.maximum(before, rank)
        return sum(int((rank == _RANKS[status]).sum()) for rank in merged.values())

    @property
    def checked(self) -> int:
        """How many numbers were looked at one by one."""
        return sum(self.count(status) for status in (RIGHT, WRONG, KINK, UNRESOLVED))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "title": self.title,
            "ok": self.ok,
            "rtol": self.rtol,
            "checked": self.checked,
            "right": self.count(RIGHT),
            "wrong": self.count(WRONG),
            "at_a_kink": self.count(KINK),
            "unresolved": self.count(UNRESOLVED),
            "worst": None if self.worst is None else self.worst.to_dict(),
            "causes": self.causes,
            "directions": [one.to_dict() for one in self.directions],
            "terms": [one.to_dict() for one in self.terms],
            "notes": self.notes,
        }

    # -- for people ---------------------------------------------------------------------------

    @property
    def _sources(self) -> list[str]:
        found = [one.source for one in self.directions] + [one.source for one in self.terms]
        return list(dict.fromkeys(found))

    def verdict(self) -> str:
        """The outcome in a sentence or two."""
        wrong, right = self.count(WRONG), self.count(RIGHT)
        who = " and ".join(SOURCES[one] for one in self._sources if one)
        of = f", by {who}" if who else ""
        if wrong:
            whole = f"All {wrong}" if wrong == self.checked > 1 else f"{wrong} of {self.checked}"
            return f"{whole} numbers are wrong{of}."
        bad = sum(one.status == "wrong" for one in self.directions)
        if bad:
            return f"The slope along {bad} of {len(self.directions)} directions is wrong{of}."
        if not self.ok:
            return f"Nothing could be measured{of}: all is at a kink, too small or too rough."
        if not self.terms:
            tried = len({(one.over, one.numeric) for one in self.directions})
            return f"Right along {_counted(tried, 'random direction')}{of}."
        others = [
            f"{self.count(status)} {text}"
            for status, text in (
                (KINK, "at a kink"),
                (UNRESOLVED, "too small or too rough to measure"),
            )
            if self.count(status)
        ]
        but = f" ({', '.join(others)})" if others else ""
        if others:
            return f"{right} numbers are right, none is wrong{but}{of}."
        return f"All {right} numbers are right{of}."

    def _worst(self) -> str:
        one = self.worst
        if one is None:
            return ""
        return (
            f"{one.where}{self._whose(one.source)}: analytic {one.analytic:.8g}, numeric "
            f"{one.numeric:.8g} +- {one.uncertainty:.1g}, relative error {one.relative_error:.2g}"
        )

    def _rows(self) -> list[tuple[Phrase, ...]]:
        """One for each term; gradients of several sources that fare the same share a row."""
        rows: dict[tuple[str, int | None], list[TermCheck]] = {}
        for one in self.terms:
            rows.setdefault((one.name, one.layer), []).append(one)
        found = []
        for checks in rows.values():
            counts = [[one.count(status) for status in range(4)] for one in checks]
            together = all(one == counts[0] for one in counts)
            for some in [checks] if together else [[one] for one in checks]:
                found.append(self._row(some, named=not together))
        return found

    def _row(self, checks: list[TermCheck], *, named: bool) -> tuple[Phrase, ...]:
        one = checks[0]
        errors = [c.worst.relative_error for c in checks if c.worst is not None]
        size, checked, wrong = one.status.size, one.checked, one.count(WRONG)
        return (
            one.title + (f" ({one.source})" if named else ""),
            f"{checked}" if checked == size else f"{checked} of {size}",
            *(
                Marked(f"{wrong}", "bad") if wrong and status == WRONG else f"{one.count(status)}"
                for status in range(4)
            ),
            f"{max(errors):.1e}" if errors else "",
            one.method,
        )

    def _directions(self) -> list[Item]:
        """What was found along random directions; each of them, if one is not right."""
        items = []
        for over in dict.fromkeys(one.over for one in self.directions):
            some = [one for one in self.directions if one.over == over]
            tried = len(some) // len({one.source for one in some})
            text = f"{_counted(tried, 'random direction')} over {over}: "
            if {one.status for one in some} == {"right"}:
                worst = max(one.relative_error for one in some)
                items.append(Item(f"{text}right, relative error at most {worst:.1e}"))
                continue
            each = [
                Fact(
                    "",
                    f"analytic {one.analytic:.6g}, numeric {one.numeric:.6g}: {one.status}"
                    + self._whose(one.source),
                )
                for one in some
            ]
            items.append(Item(text + self._statuses(some), each))
        return items

    @staticmethod
    def _statuses(directions: Sequence[Direction]) -> str:
        found = [one.status for one in directions]
        return ", ".join(f"{found.count(status)} {status}" for status in dict.fromkeys(found))

    def _whose(self, source: str) -> str:
        return f" ({SOURCES[source]})" if len(self._sources) > 1 else ""

    def document(self) -> Document:
        """Verdict, worst number, what the wrong ones look like, and a row for each term."""
        blocks: list[Block] = [Title(self.title)]
        blocks.append(Lines([Marked(self.verdict(), "ok" if self.ok else "bad")], tight=True))
        if self.worst is not None and self.worst.status == "wrong":
            blocks.append(Point("Worst", self._worst()))
        if self.causes:
            causes = [Item(one) for one in self.causes]
            blocks += [Heading("What it looks like"), Items(causes, "  ", width=100)]
        rows = self._rows()
        return Document(
            [
                *blocks,
                Table(_HEAD, rows, "lrrrrrrl"),
                Items(self._directions(), ""),
                Lines(self.notes),
            ]
        )


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
