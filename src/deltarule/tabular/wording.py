"""How results speak of tables: what is predicted, parts and scores, names on one line."""

from __future__ import annotations

from collections.abc import Mapping

from deltarule.document import Table
from deltarule.tabular.target import TargetColumn

#: What the parts of a table are called.
PARTS = {"train": "training", "validation": "validation", "test": "test"}


def label(name: object, limit: int = 30) -> str:
    """A name from a table on one line: control characters escaped, a long end cut off."""
    text = str(name).lower() if isinstance(name, bool) else str(name)
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= limit else f"{text[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"


def goal_line(target: TargetColumn) -> str:
    """What a model predicts, in one line."""
    classes = target.task == "classify"
    kind = f"one of {len(target.classes)} classes" if classes else "a quantity"
    return f"predicts {label(target.name, 60)!r} ({target.task}: {kind})"


def score_table(scores: Mapping[str, tuple[int, Mapping[str, float]]]) -> Table:
    """Rows and scores of each part of a table, by the part's name."""
    names = list(next(iter(scores.values()))[1])
    rows = [
        (
            part,
            f"{rows:,}",
            *(f"{of[n]:.4f}" if n in ("accuracy", "r2") else f"{of[n]:.4g}" for n in names),
        )
        for part, (rows, of) in scores.items()
    ]
    return Table(("", "rows", *names), rows, "lr" + "r" * len(names))
