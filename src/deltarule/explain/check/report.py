"""What a check has found, for people and for programs: text, Markdown, HTML, JSON."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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
class Report:
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

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2)

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

    def _rows(self) -> list[tuple[str, str, str, str, str]]:
        return [
            (
                one.where,
                one.claimed,
                as_claimed(one.expected, one.claimed, apart=True),
                as_claimed(one.expected_from_own, one.claimed, apart=not one.follows),
                "follows" if one.follows else "wrong",
            )
            for one in (*self.wrong, *self.followers)
        ]

    def to_text(self) -> str:
        """The report as plain text."""
        lines = [self.title, self._verdict()]
        if self.first_error is not None:
            lines += ["", "First wrong number", f"  {self._first()}"]
        if self.mistakes:
            lines += ["", self._done()]
            for i, one in enumerate(self.mistakes, start=1):
                lines += [
                    f"  {i}. {one.sentence}  [{one.code}]",
                    f"     done:   {one.wrong}",
                    f"     right:  {one.right}",
                ]
                lines += [
                    f"     the same numbers here: {other.sentence}  [{other.code}]"
                    for other in one.alternatives
                ]
        if self.unexplained:
            lines += ["", "No mistake of the catalogue explains"]
            lines += [f"  {name}" for name in self._not_explained()]
        rows = self._rows()
        if rows:
            lines += ["", *_table([_HEAD, *rows[:_MOST_ROWS]]), *_more(rows)]
        lines += [""] * bool(self.notes) + self.notes
        return "\n".join(lines)

    __str__ = to_text

    def to_markdown(self) -> str:
        """The report as Markdown."""
        lines = [f"## {self.title}", "", self._verdict()]
        if self.first_error is not None:
            lines += ["", f"**First wrong number:** {self._first()}"]
        if self.mistakes:
            lines += ["", f"**{self._done()}:**"]
        for i, one in enumerate(self.mistakes, start=1):
            lines += ["", f"{i}. {one.sentence} (`{one.code}`)"]
            lines += [f"   - done: `{one.wrong}`", f"   - right: `{one.right}`"]
            lines += [
                f"   - the same numbers here: {other.sentence} (`{other.code}`)"
                for other in one.alternatives
            ]
        if self.unexplained:
            names = "; ".join(self._not_explained())
            lines += ["", f"No mistake of the catalogue explains: {names}."]
        rows = self._rows()
        if rows:
            lines += ["", "| " + " | ".join(_HEAD) + " |", "|---|--:|--:|--:|---|"]
            lines += ["| " + " | ".join(row) + " |" for row in rows[:_MOST_ROWS]]
            lines += ["", *_more(rows)] if len(rows) > _MOST_ROWS else []
        return "\n".join([*lines, "", *self.notes]).rstrip() + "\n"

    def to_html(self) -> str:
        """The report as one HTML page that needs nothing else."""
        return page(self.title, self._body())

    def _repr_html_(self) -> str:
        return self._body()

    def _body(self) -> str:
        e = html.escape
        parts = [f"<h1>{e(self.title)}</h1>"]
        parts.append(f'<p class="{"ok" if self.ok else "bad"}">{e(self._verdict())}</p>')
        if self.first_error is not None:
            parts.append(f"<h2>First wrong number</h2><p>{e(self._first())}</p>")
        if self.mistakes:
            parts.append(f"<h2>{self._done()}</h2><ol>")
            for one in self.mistakes:
                others = "".join(
                    f"<br><small>the same numbers here: {e(o.sentence)} <code>{e(o.code)}</code>"
                    "</small>"
                    for o in one.alternatives
                )
                parts.append(
                    f"<li>{e(one.sentence)} <code>{e(one.code)}</code><br>"
                    f"<del>{e(one.wrong)}</del><br><ins>{e(one.right)}</ins>{others}</li>"
                )
            parts.append("</ol>")
        if self.unexplained:
            names = "; ".join(self._not_explained())
            parts.append(f"<p>No mistake of the catalogue explains: {e(names)}.</p>")
        rows = self._rows()
        if rows:
            head = "".join(f"<th>{e(cell)}</th>" for cell in _HEAD)
            body = "".join(
                f'<tr class="{row[-1]}">' + "".join(f"<td>{e(cell)}</td>" for cell in row) + "</tr>"
                for row in rows
            )
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        parts += [f"<p>{e(note)}</p>" for note in self.notes]
        return "\n".join(parts)


_MOST_NAMES = 10  # of places without an explanation; the table has them too
_MOST_ROWS = 60  # in texts; JSON and pages have all
_MOST_DECIMALS = 12
_HEAD = ("number", "claimed", "right", "from own numbers", "verdict")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; --bad: #b3261e; --ok: #1b6e33; --line: #8886; }}
@media (prefers-color-scheme: dark) {{ :root {{ --bad: #ff8a80; --ok: #81c995; }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; }}
body {{ padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.1rem; margin-top: 1.6rem; }}
.bad, tr.wrong td:last-child, del {{ color: var(--bad); }} .ok, ins {{ color: var(--ok); }}
del, ins {{ text-decoration: none; font-family: ui-monospace, monospace; font-size: .9rem; }}
del::before {{ content: "done: "; }} ins::before {{ content: "right: "; }}
table {{ border-collapse: collapse; margin-top: 1.2rem; font-variant-numeric: tabular-nums; }}
th, td {{ border-bottom: 1px solid var(--line); padding: .25rem .8rem .25rem 0; text-align: left; }}
:is(th, td):nth-child(n+2):nth-child(-n+4) {{ text-align: right; }}
@media (max-width: 40rem) {{ table {{ display: block; overflow-x: auto; }} }}
</style></head><body>
{body}
</body></html>
"""


def page(title: str, body: str) -> str:
    """One HTML page that needs nothing else, in the look that all reports share."""
    return _PAGE.format(title=html.escape(title), body=body)


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


def _more(rows: Sequence[object]) -> list[str]:
    left = len(rows) - _MOST_ROWS
    return [f"... and {left} more; JSON and HTML have all of them"] if left > 0 else []


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(w) if 0 < i < 4 else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
