"""Several worksheets, checked one after the other, as one result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deltarule.document import Document, Lines, Marked, Shown
from deltarule.document.blocks import Block
from deltarule.errors import DeltaruleError
from deltarule.explain.check.report import Report
from deltarule.explain.check.worksheet import check_worksheet


@dataclass(frozen=True)
class Checked(Shown):
    """What was found.

    Attributes
    ----------
    found : sequence of (file, Report or str)
        In the order asked for; a str says why a file could not be read.
    """

    found: Sequence[tuple[str, Report | str]]

    @classmethod
    def of(cls, files: Sequence[str]) -> Checked:
        """Check files; what is wrong with one does not keep the others from being checked."""
        found: list[tuple[str, Report | str]] = []
        for file in files:
            try:
                found.append((file, check_worksheet(file)))
            except (DeltaruleError, OSError) as error:
                found.append((file, str(error)))
        return cls(found)

    @property
    def reports(self) -> list[tuple[str, Report]]:
        """Those of the files that could be read."""
        return [(file, one) for file, one in self.found if not isinstance(one, str)]

    @property
    def errors(self) -> list[str]:
        """Why the others could not be read."""
        return [one for _, one in self.found if isinstance(one, str)]

    @property
    def ok(self) -> bool:
        """Whether all could be read, and every number is right."""
        return not self.errors and all(report.ok for _, report in self.reports)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        told = [
            {"file": file}
            | ({"ok": False, "error": one} if isinstance(one, str) else one.to_dict())
            for file, one in self.found
        ]
        return {"ok": self.ok, "files": told}

    def document(self) -> Document:
        """The reports, each below the name of its file if there are several."""
        blocks: list[Block] = []
        for file, report in self.reports:
            blocks += [Lines([Marked(file, "soft")])] * (len(self.found) > 1)
            blocks += report.document().blocks
        return Document(blocks)

    def to_text(self) -> str:
        """As plain text."""
        named = len(self.found) > 1
        return "\n\n".join(f"{file}\n" * named + f"{report}" for file, report in self.reports)
