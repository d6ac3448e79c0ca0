"""From one file to its documents: plain text, JSON lines, Parquet. Nothing is read whole that may be huge."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TextIO

import msgspec

from nanocore.errors import DataError
from nanocore.runs.text import sanitize_line

# Longer texts are collections rather than documents: they are cut at line ends into pieces, so that
# one big file still has a held-out side, and memory stays bounded. Both in characters.
LONGEST = 256 << 10
PIECE = 16 << 10
BLOCK = 1 << 20
LINE_LIMIT = 64 << 20  # bytes in one line of JSON
PARQUET_ROWS = 64


def text_documents(path: Path) -> Iterator[str]:
    """The documents of one UTF-8 text file. Call `not_text` first."""
    with reading(path), path.open(encoding="utf-8-sig", newline="") as handle:
        yield from _cut(handle)


def not_text(path: Path) -> str:
    """Why this file is not text, in a few words; empty when it is UTF-8 without NUL bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with reading(path), path.open("rb") as handle:
        while True:
            block = handle.read(BLOCK)
            if b"\0" in block:
                return "binary (it has NUL bytes)"
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError:
                return "not UTF-8 text"
            if not block:
                return ""


def jsonl_documents(path: Path, column: str) -> Iterator[str]:
    """The string under `column` of each line, null being empty; raises DataError naming the line without one."""
    with reading(path), path.open("rb") as handle:
        for number in count(1):
            line = handle.readline(LINE_LIMIT + 1)
            if not line:
                return
            line, where = line.removeprefix(codecs.BOM_UTF8), f"{shown(path)}:{number}"
            if len(line) > LINE_LIMIT:
                raise DataError(f"the line is longer than {LINE_LIMIT >> 20} MiB", where=where)
            if line.strip():
                yield from _cut(io.StringIO(_field(line, column, where), newline=""))


def parquet_documents(path: Path, column: str) -> Iterator[str]:
    """The strings of one column, read row group by row group; null is an empty document."""
    import pyarrow as arrow  # 0.2 s to load: only for this kind of source
    from pyarrow import parquet

    try:
        with reading(path), parquet.ParquetFile(path) as table:
            _check_column(table.schema_arrow, column, path)
            for batch in table.iter_batches(batch_size=PARQUET_ROWS, columns=[column]):
                for text in batch.column(0).to_pylist():
                    yield from _cut(io.StringIO(text or "", newline=""))
    except arrow.ArrowException as error:
        reason = sanitize_line(str(error))
        raise DataError(f"cannot be read as Parquet ({reason})", where=shown(path)) from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what the file system says into one line about this file."""
    try:
        yield
    except FileNotFoundError:
        raise DataError("vanished while it was being read", where=shown(path), fix="start again") from None
    except UnicodeDecodeError:
        raise DataError("holds bytes that are not UTF-8 text", where=shown(path)) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or sanitize_line(str(error))}", where=shown(path)) from None


def shown(path: Path | str) -> str:
    """A path as it may be shown: file names are text from outside."""
    return sanitize_line(str(path))


def _cut(handle: TextIO) -> Iterator[str]:
    """One document, or pieces of a long one that end at line ends (or after 2 * PIECE characters)."""
    text = handle.read(LONGEST + 1)
    if len(text) <= LONGEST:
        yield text
        return
    handle.seek(0)
    while piece := handle.read(PIECE) + handle.readline(PIECE):
        yield piece


def _field(line: bytes, column: str, where: str) -> str:
    try:
        record = msgspec.json.decode(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not a JSON line ({sanitize_line(str(error))})", where=where) from None
    if not isinstance(record, dict) or column not in record:
        found = sanitize_line(", ".join(record)[:200]) if isinstance(record, dict) else "no object"
        raise DataError(f"no key {column!r} (found {found})", where=where, fix="set the source's column")
    text = "" if record[column] is None else record[column]
    if not isinstance(text, str):
        raise DataError(f"the value of {column!r} is not text", where=where, fix="set the source's column")
    return text


def _check_column(schema, column: str, path: Path) -> None:
    if column not in schema.names:
        names = sanitize_line(", ".join(schema.names)[:200])
        raise DataError(f"has no column {column!r} (found {names})", where=shown(path), fix="set the source's column")
    if str(schema.field(column).type) not in ("string", "large_string", "string_view"):
        raise DataError(f"column {column!r} holds {schema.field(column).type}, not strings", where=shown(path))
