"""Tables and sections as wide as the terminal: what is too wide stands in several tables, and no line is torn."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nanoconsole.cli.output import table, tell
from nanoconsole.services.format import NOTHING

if TYPE_CHECKING:
    from nanocore.compare.sections import Section

BETWEEN = 2  # blanks between columns


def terminal_width() -> int | None:
    """Columns of the terminal that stdout is; None where it is a file or a pipe, which have no width."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fitted(headings: Sequence[str], rows: Sequence[Sequence[object]], width: int | None) -> None:
    """A table, without columns in which nothing stands, in pieces of at most `width`; each begins with the first column."""
    if width is None:
        return table(headings, rows)
    for place, columns in enumerate(pieces(headings, rows, width)):
        if place:
            tell("")
        table([headings[column] for column in columns], [[row[column] for column in columns] for row in rows])
    return None


def pieces(headings: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> list[list[int]]:
    """Which columns stand in each piece, the first in all of them."""
    widths = [max(len(str(line[place] or "")) for line in (headings, *rows)) for place in range(len(headings))]
    found, room = [[0]], width - widths[0]
    for column in range(1, len(headings)):
        if rows and all(row[column] in (None, "", NOTHING) for row in rows):
            continue
        needed = widths[column] + BETWEEN
        if needed > room and len(found[-1]) > 1:
            found.append([0])
            room = width - widths[0]
        found[-1].append(column)
        room -= needed
    return found


def paragraph(text: str, width: int | None) -> None:
    """Running text in whole words."""
    tell(text if width is None else _wrapped(text, width))


def show_sections(heading: str, found: Iterable[Section], width: int) -> None:
    """A report as it reads in a terminal of that width."""
    tell(heading)
    for section in found:
        tell(_heading(section))
        for text in section.text:
            paragraph(text, width)
        for item in section.items:
            tell(_wrapped(f"- {item}", width, "  "))
        if section.words:
            _sentences(section, width)
        elif section.headings:
            fitted(section.headings, section.rows, width)


def _heading(section: Section) -> str:
    """A title after an empty line; a main one is underlined, so that what belongs to it is seen."""
    rule = f"\n{'─' * len(section.title)}" if section.level == 2 else ""
    return f"\n{section.title}{rule}" if section.title else ""


def _sentences(section: Section, width: int) -> None:
    """A table of words: of each line its first two cells, and below them the others with their headings."""
    for first, second, *others in section.rows:
        tell(_wrapped(f"{first}: {second}", width, "  "))
        for name, cell in zip(section.headings[2:], others, strict=True):
            tell(_wrapped(f"    {name}: {cell}", width, "      "))


def _wrapped(text: str, width: int, indent: str = "") -> str:
    """Lines of whole words; a word that is wider than the terminal, as a path, stays whole."""
    lines = textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)
