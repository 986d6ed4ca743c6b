"""What a gradient check has found: verdict, worst number, a row for each term; text, HTML, dict."""

from __future__ import annotations

import html
import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
class GradientCheck:
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

    def to_json(self) -> str:
        """`to_dict` as text; NaN and infinity become null."""
        return json.dumps(_finite(self.to_dict()), indent=2, allow_nan=False)

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

    def _rows(self) -> list[tuple[str, ...]]:
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

    def _row(self, checks: list[TermCheck], *, named: bool) -> tuple[str, ...]:
        one = checks[0]
        errors = [c.worst.relative_error for c in checks if c.worst is not None]
        size, checked = one.status.size, one.checked
        return (
            one.title + (f" ({one.source})" if named else ""),
            f"{checked}" if checked == size else f"{checked} of {size}",
            *(str(one.count(status)) for status in range(4)),
            f"{max(errors):.1e}" if errors else "",
            one.method,
        )

    def _directions(self) -> list[str]:
        lines = []
        for over in dict.fromkeys(one.over for one in self.directions):
            some = [one for one in self.directions if one.over == over]
            tried = len(some) // len({one.source for one in some})
            text = f"{_counted(tried, 'random direction')} over {over}: "
            if {one.status for one in some} == {"right"}:
                worst = max(one.relative_error for one in some)
                lines.append(f"{text}right, relative error at most {worst:.1e}")
                continue
            lines.append(text + self._statuses(some))
            lines += [
                f"  analytic {one.analytic:.6g}, numeric {one.numeric:.6g}: {one.status}"
                + self._whose(one.source)
                for one in some
            ]
        return lines

    @staticmethod
    def _statuses(directions: Sequence[Direction]) -> str:
        found = [one.status for one in directions]
        return ", ".join(f"{found.count(status)} {status}" for status in dict.fromkeys(found))

    def _whose(self, source: str) -> str:
        return f" ({SOURCES[source]})" if len(self._sources) > 1 else ""

    def to_text(self) -> str:
        """The report as plain text."""
        lines = [self.title, self.verdict()]
        if not self.ok and self.worst is not None and self.worst.status == "wrong":
            lines += ["", "Worst", f"  {self._worst()}"]
        if self.causes:
            lines += ["", "What it looks like", *(_wrapped(one) for one in self.causes)]
        if self.terms:
            lines += ["", *_aligned([_HEAD, *self._rows()])]
        lines += ["", *self._directions()] if self.directions else []
        lines += [""] * bool(self.notes) + self.notes
        return "\n".join(lines)

    __str__ = to_text

    def to_html(self) -> str:
        """The report as one HTML page that needs nothing else."""
        from deltarule.explain.check.report import page

        return page(self.title, self._body())

    def _repr_html_(self) -> str:
        return self._body()

    def _body(self) -> str:
        e = html.escape
        parts = [f"<h1>{e(self.title)}</h1>"]
        parts.append(f'<p class="{"ok" if self.ok else "bad"}">{e(self.verdict())}</p>')
        if self.count(WRONG):
            parts.append(f"<h2>Worst</h2><p>{e(self._worst())}</p>")
        if self.causes:
            listed = "".join(f"<li>{e(one)}</li>" for one in self.causes)
            parts.append(f"<h2>What it looks like</h2><ul>{listed}</ul>")
        if self.terms:
            head = "".join(f"<th>{e(cell)}</th>" for cell in _HEAD)
            body = "".join(_html_row(row) for row in self._rows())
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        parts += [f"<p>{e(line)}</p>" for line in [*self._directions(), *self.notes]]
        return "\n".join(parts)


def _html_row(row: tuple[str, ...]) -> str:
    bad = ' class="bad"' if row[3] != "0" else ""
    cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
    return f"<tr{bad}>{cells}</tr>"


def _wrapped(sentence: str) -> str:
    return textwrap.fill(sentence, 100, initial_indent="  ", subsequent_indent="    ")


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = len(widths) - 1
    return [
        "  ".join(
            cell.ljust(w) if i in (0, last) else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
