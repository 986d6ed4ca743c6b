"""A derivation for programs: its steps, formulas as plain text and as LaTeX."""

from __future__ import annotations

from typing import Any

from deltarule.explain.derive.layout import paired, title
from deltarule.explain.derive.steps import Derived, Step
from deltarule.formula.expression import Expression
from deltarule.formula.latex import Latex
from deltarule.formula.text import Text

FORMAT = "deltarule.derivation"
VERSION = 1


def as_dict(derivation: Derived) -> dict[str, Any]:
    """What `Derivation.to_dict` gives."""
    task = derivation.task
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": title(task),
        "notation": task.notation.name,
        "layers": task.L,
        "loss": task.loss.name,
        "network": None if task.net is None else repr(task.net),
        "sought": _formula(derivation.steps[0], task.wanted),
        "value": derivation.value,
        "steps": [_step(one, derivation.values.get(one.number)) for one in derivation.steps],
    }


def beside_as_dict(first: Derived, second: Derived) -> dict[str, Any]:
    """What `Beside.to_dict` gives."""
    pairs = [
        [None if one is None else one.number for one in pair] for pair in paired(first, second)
    ]
    return {"first": as_dict(first), "second": as_dict(second), "pairs": pairs}


def _step(step: Step, value: float | None) -> dict[str, Any]:
    return {
        "number": step.number,
        "rule": step.rule,
        "why": step.why,
        "phase": step.phase,
        "names": [
            {"symbol": _formula(step, one.symbol), "expression": _formula(step, one.expression)}
            for one in step.names
        ],
        "expression": _formula(step, step.expression),
        "value": value,
    }


def _formula(step: Step, expression: Expression) -> dict[str, str]:
    """In the notation of a step."""
    return {
        "text": step.task.writer(Text).plain(expression),
        "latex": step.task.writer(Latex).write(expression),
    }
