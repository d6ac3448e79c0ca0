"""docs/validation.md tells of every check what the catalog tells, in its order, and of every breakage."""

from __future__ import annotations

from pathlib import Path

from nanocore.validation.catalog import CHECKS
from tests.validation.breakages import BREAKAGES

TEXT = (Path(__file__).parents[2] / "docs" / "validation.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[str]:
    """The lines of the table that begins with this heading."""
    table = TEXT[TEXT.index(heading) :].split("\n\n")[0]
    return table.splitlines()[2:]


def test_the_table_of_checks_is_the_catalog() -> None:
    expected = [f"| `{entry.name}` | {entry.about} | {entry.holds} | {entry.where} |" for entry in CHECKS]
    assert rows("| check | proves |") == expected


def test_the_table_of_breakages_is_the_list() -> None:
    names = {entry.name: [] for entry in CHECKS}
    for each in BREAKAGES:
        names[each.check].append(each.name.replace("_", " "))
    expected = [f"| `{name}` | {'; '.join(broken)} |" for name, broken in names.items() if broken]
    assert rows("| check | breakages") == expected
