"""Where words go: data to stdout, talk to stderr, and nothing from outside without the sanitiser."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from nanoconsole.services.format import NOTHING
from nanocore.runs.text import sanitize, sanitize_line


def emit(document: object) -> None:
    """Print one JSON document on stdout. Pure ASCII, so no text in it can steer a terminal."""
    _write(json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False, default=str) + "\n")


def emit_line(record: object) -> None:
    """Print one line of a JSON-lines stream on stdout, at once."""
    _write(json.dumps(record, ensure_ascii=True, allow_nan=False, default=str) + "\n")


def tell(text: str) -> None:
    """Print text for a reader on stdout; line breaks stay, control characters do not."""
    _write(sanitize(text) + "\n")


def write(piece: str) -> None:
    """Print a piece of running text on stdout, without a line break."""
    _write(sanitize(piece))


def say(text: str) -> None:
    """Print one line of talk on stderr."""
    print(sanitize_line(text), file=sys.stderr, flush=True)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; numbers stand to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    numeric = [all(_is_number(row[column]) for row in cells) for column in range(len(headings))]
    widths = [max(len(row[column]) for row in [list(headings), *cells]) for column in range(len(headings))]
    for row in [list(headings), *cells]:
        aligned = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ]
        _write("  ".join(aligned).rstrip() + "\n")


def _cell(value: object) -> str:
    return NOTHING if value is None or value == "" else sanitize_line(str(value))


def _is_number(text: str) -> bool:
    return text == NOTHING or text[:1].isdigit() or text in ("nan", "inf")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
