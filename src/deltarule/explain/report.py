"""What a check has found, for people and for programs: text, Markdown, HTML, JSON."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deltarule.explain.judge import Judgement, Place
from deltarule.explain.mistakes import get_mistake
from deltarule.explain.search import Explanation
from deltarule.explain.step import Step, Variant

_NAMES = {
    "z": "z",
    "a": "a",
    "loss": "loss",
    "delta": "delta",
    "weight_gradients": "weight gradient",
    "bias_gradients": "bias gradient",
    "input_gradients": "gradient of the input",
    "new_weights": "new weight",
    "new_biases": "new bias",
    "output_after": "output after the step",
    "loss_after": "loss after the step",
}
# Rules in the order of computation, for the order in which mistakes are told.
_RULES = (
    *("z", "a", "loss", "delta", "slope", "back", "share", "weight_gradients", "bias_gradients"),
    *("update", "new_weights", "new_biases", "weights_after"),
)


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
            return f"All {self.checked} numbers are right."
        parts = [f"{right} right", f"{len(self.wrong)} wrong"]
        if self.followers:
            parts.append(f"{len(self.followers)} that merely follow from wrong ones")
        return f"{self.checked} numbers checked: {', '.join(parts)}."

    def _first(self) -> str:
        one = self.first_error
        if one is None:
            return ""
        right = as_claimed(one.expected, one.claimed, apart=True)
        return (
            f"{one.where}: {one.claimed} is claimed, {right} is right "
            f"(difference {one.difference:.3g})"
        )

    def _rows(self) -> list[tuple[str, str, str, str, str]]:
        return [
            (
                one.where,
                one.claimed,
                as_claimed(one.expected, one.claimed, apart=True),
                as_claimed(one.expected_from_own, one.claimed),
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
            lines += ["", "What was done"]
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
            lines += [f"  {one.where}" for one in self.unexplained]
        rows = self._rows()
        if rows:
            lines += ["", *_table([_HEAD, *rows])]
        lines += [""] * bool(self.notes) + self.notes
        return "\n".join(lines)

    __str__ = to_text

    def to_markdown(self) -> str:
        """The report as Markdown."""
        lines = [f"## {self.title}", "", self._verdict()]
        if self.first_error is not None:
            lines += ["", f"**First wrong number:** {self._first()}"]
        for i, one in enumerate(self.mistakes, start=1):
            lines += ["", f"{i}. {one.sentence} (`{one.code}`)"]
            lines += [f"   - done: `{one.wrong}`", f"   - right: `{one.right}`"]
            lines += [
                f"   - the same numbers here: {other.sentence} (`{other.code}`)"
                for other in one.alternatives
            ]
        if self.unexplained:
            names = ", ".join(one.where for one in self.unexplained)
            lines += ["", f"No mistake of the catalogue explains {names}."]
        rows = self._rows()
        if rows:
            lines += ["", "| " + " | ".join(_HEAD) + " |", "|---|--:|--:|--:|---|"]
            lines += ["| " + " | ".join(row) + " |" for row in rows]
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
            parts.append("<h2>What was done</h2><ol>")
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
            names = ", ".join(one.where for one in self.unexplained)
            parts.append(f"<p>No mistake of the catalogue explains {e(names)}.</p>")
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
td:nth-child(n+2):nth-child(-n+4) {{ text-align: right; }}
@media (max-width: 40rem) {{ table {{ display: block; overflow-x: auto; }} }}
</style></head><body>
{body}
</body></html>
"""


def page(title: str, body: str) -> str:
    """One HTML page that needs nothing else, in the look that all reports share."""
    return _PAGE.format(title=html.escape(title), body=body)


def as_claimed(value: float, claimed: str, *, apart: bool = False) -> str:
    """A number with as many decimals as the claimed one; with `apart` up to two more to differ."""
    mantissa, _, exponent = claimed.lower().partition("e")
    decimals = len(mantissa.partition(".")[2]) - (int(exponent) if exponent else 0)
    for more in (0, 1, 2) if apart else (0,):
        text = f"{value:.{max(decimals, 0) + more}f}"
        if float(text) != float(claimed):
            break
    return text


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(w) if 0 < i < 4 else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def name_of(place: Place, n: int) -> str:
    """A place in words; nodes and samples are counted from 1."""
    name, at = _NAMES[place.quantity], [i + 1 for i in place.index]
    layer = f" of layer {place.layer}" if place.layer else ""
    if place.quantity in ("weight_gradients", "new_weights"):
        return f"{name}{layer}, node {at[0]} to node {at[1]}"
    if place.quantity in ("bias_gradients", "new_biases"):
        return f"{name}{layer}, node {at[0]}"
    if len(at) == 2:
        sample = f", sample {at[0]}" if n > 1 else ""
        return f"{name}{layer}, node {at[1]}{sample}"
    return name + layer


def reported(
    title: str,
    judgement: Judgement,
    explanations: Sequence[Explanation],
    printed: Any,
    notes: Sequence[str] = (),
) -> Report:
    """A Report from what `judge` and `explain` have found.

    Parameters
    ----------
    printed : callable Place -> (str, tuple of int)
        The number as the author has printed it, and its index in what he gave.
    """
    n = judgement.problem.n

    def finding(place: Place, follows: bool) -> Finding:
        text, index = printed(place)
        return Finding(
            place.quantity,
            place.layer,
            index,
            name_of(place, n),
            text,
            judgement.expected(place),
            judgement.expected_from_own(place),
            follows,
        )

    best = explanations[0] if explanations else None
    left = {
        at: mask if best is None else mask & ~best.explained[at]
        for at, mask in judgement.wrong.items()
    }
    notes = [*_rounding(judgement), *notes]
    if best is not None and not best.unexplained:
        notes += _reproduced(judgement, best)
    return Report(
        title,
        sum(int(mask.sum()) for mask in judgement.right.values())
        + sum(
            int(mask.sum()) for mask in (*judgement.wrong.values(), *judgement.following.values())
        ),
        [finding(place, False) for place in judgement.places(judgement.wrong)],
        [finding(place, True) for place in judgement.places(judgement.following)],
        _mistakes(explanations),
        [finding(place, False) for place in judgement.places(left)],
        notes,
    )


def _rounding(judgement: Judgement) -> list[str]:
    """That rounding on the way has moved some last digits, which is no mistake."""
    moved = 0
    for (quantity, layer), mask in judgement.right.items():
        told = judgement.claims[quantity][layer]
        exact = judgement.exact.values[quantity][layer].v
        with np.errstate(invalid="ignore"):
            far = np.abs(told.value - exact) > 1.001 * told.unit + 1e-12 * np.abs(exact)
        moved += int((mask & far).sum())
    if not moved:
        return []
    many = "1 right number differs" if moved == 1 else f"{moved} right numbers differ"
    return [f"{many} in the last digits, as rounding on the way explains (rounding only)."]


def _mistakes(explanations: Sequence[Explanation]) -> list[FoundMistake]:
    """The first explanation's mistakes; what stands in their place in equally good ones beside."""
    if not explanations:
        return []
    best = explanations[0].variants
    result = []
    for variant in best:
        others = {}
        for other in explanations[1:]:
            rest = [one for one in other.variants if one not in best]
            if len(rest) == 1 and variant not in other.variants:
                others[rest[0].identity] = FoundMistake.of(rest[0])
        result.append((variant, FoundMistake.of(variant, list(others.values()))))
    result.sort(key=lambda pair: (_RULES.index(pair[0].rule), -(pair[0].layer or 0)))
    return [found for _, found in result]


def _reproduced(judgement: Judgement, best: Explanation) -> list[str]:
    """What the mistakes make of the result after the step, where that is claimed."""
    lines = []
    step = Step(judgement.problem, best.variants)
    for quantity in ("output_after", "loss_after"):
        told = judgement.claims.get(quantity, {}).get(0)
        if told is None or told.value.size != 1:
            continue
        made, right = (
            float(one.values[quantity][0].v.reshape(())) for one in (step, judgement.exact)
        )
        places = max(4, round(-math.log10(told.unit.item())))
        lines.append(
            f"With {'this' if len(best.variants) == 1 else 'these'} the {_NAMES[quantity]} is "
            f"{made:.{places}f}; right is {right:.{places}f}."
        )
    return lines
