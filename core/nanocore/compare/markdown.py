"""The report of an experiment as Markdown that is readable as plain text too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nanocore.compare.sections import Section, sections, title

_SPECIAL = re.compile(r"([\\*<`|])")  # what would be no plain text; other signs mean nothing where they stand


def markdown(document: dict[str, Any]) -> str:
    """The document of `report` as Markdown."""
    parts = [f"# {title(document)}", *(part for section in sections(document) for part in _section(section))]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> list[str]:
    parts = [f"{'#' * section.level} {section.title}"] if section.title else []
    parts += map(_plain, section.text)
    if section.items:
        parts.append("\n".join(f"- {_plain(item)}" for item in section.items))
    return [*parts, "\n".join(_table(section.headings, section.rows))] if section.headings else parts


def _table(heads: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table with aligned columns."""
    cells = [[_plain(text) for text in line] for line in (heads, *body)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    rows = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [rows[0], rule, *rows[1:]]


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
