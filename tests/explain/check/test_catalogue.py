"""The catalogue that docs/explain/check.md shows is the one that the program has."""

from pathlib import Path

from deltarule.explain.check.mistakes.catalogue import CATALOGUE

PAGE = Path(__file__).parents[3] / "docs" / "explain" / "check.md"


def test_every_mistake_stands_in_the_table_and_no_other() -> None:
    rows = [
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    expected = [
        f"| `{code}` | {one.sentence} | `{one.right}` | `{one.wrong}` |"
        for code, one in CATALOGUE.items()
    ]
    assert [row.replace("\\|", "|") for row in rows] == expected
