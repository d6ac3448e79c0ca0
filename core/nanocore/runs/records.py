"""Append-only JSON lines: metrics, layers, events. One writer, any number of readers, no torn line ever trusted."""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISFIFO
from typing import Any

import msgspec

from nanocore.runs.layout import RunFolder
from nanocore.runs.lines import LineReader
from nanocore.runs.text import sanitize_data

Record = dict[str, Any]
SCHEMA = 1
_DECODER = msgspec.json.Decoder(dict[str, Any])
_BROKEN = (ValueError, RecursionError, msgspec.MsgspecError)  # ValueError: text that is not UTF-8


class RecordWriter:
    """Appends records to `path`, each by one write of one whole line.

    A line left unfinished by a crash or a full disk is closed before the next record, so it costs only itself.
    A record that cannot be written never ends training: `write` returns False, `lost` counts, `failure` says why.
    The constructor raises OSError when the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o666)
        facts = os.fstat(self._descriptor)
        if S_ISFIFO(facts.st_mode):  # which takes some records, gives them to nobody, and then waits for ever
            os.close(self._descriptor)
            raise OSError(errno.ENXIO, f"{path.name} is a pipe")
        size = facts.st_size
        self._torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        self.lost = 0
        self.failure = ""

    def write(self, record: Record) -> bool:
        """Append one record, with `schema` first and non-finite numbers as null beside a `nonfinite` field."""
        line = (b"\n" if self._torn else b"") + encode({"schema": SCHEMA, **record}) + b"\n"
        try:
            written = os.write(self._descriptor, line)
            if written < len(line):
                self._torn = True
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self.lost += 1
            self.failure = error.strerror or str(error)
            return False
        self._torn, self.failure = False, ""
        return True

    def close(self) -> None:
        os.close(self._descriptor)


def leave(run: RunFolder, event: Record) -> None:
    """Append an event by another process than the trainer, with the time; on a full disk it is lost."""
    with suppress(OSError):
        events = RecordWriter(run.events_file)
        events.write({**event, "time": time.time()})
        events.close()


def encode(record: Record) -> bytes:
    """One record as JSON without a newline. Non-finite floats become null and are named in `nonfinite`."""
    nonfinite = dict(_nonfinite(record, ""))
    if nonfinite:
        record = {**record, "nonfinite": nonfinite}
    try:
        return msgspec.json.encode(record)  # writes nan and inf as null
    except UnicodeEncodeError:  # lone surrogates, from file names that are not UTF-8
        return msgspec.json.encode(sanitize_data(record))


def _nonfinite(value: object, key: str) -> Iterator[tuple[str, str]]:
    """Dotted key and spelling of every non-finite float in a record."""
    if isinstance(value, float):
        if not math.isfinite(value):
            yield key, str(value)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _nonfinite(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _nonfinite(item, f"{key}.{index}")


def decode(block: bytes) -> tuple[list[Record], int]:
    """The records in a block of whole lines, their strings sanitised, and the number of lines that are none."""
    skipped = 0
    try:
        records = _DECODER.decode_lines(block)
    except _BROKEN:
        records, skipped = _decode_each(block)
    if not block.isascii() or b"\\" in block or b"\x7f" in block:  # else no string in it can be unsafe
        records = [sanitize_data(record) for record in records]
    return records, skipped  # type: ignore[return-value]


def _decode_each(block: bytes) -> tuple[list[Record], int]:
    records: list[Record] = []
    skipped = 0
    for line in block.split(b"\n"):
        if not line.strip():
            continue
        try:
            records.append(_DECODER.decode(line))
        except _BROKEN:
            skipped += 1
    return records, skipped


class Tail:
    """Follows a file of records while it grows.

    `skipped` counts lines that were torn, garbage or too long; `restarted` is true after a read that began again at
    the file's start (truncated, rewritten or replaced), so what was kept before is void; `pending` says that more is
    there already.
    """

    def __init__(self, path: Path, *, keep: int | None = None) -> None:
        """With `keep`, only the records within the last `keep` bytes are read."""
        self._lines = LineReader(path)
        self._broken = 0
        if keep is not None:
            self._lines.skip_to_end(keep)

    @property
    def skipped(self) -> int:
        return self._broken + self._lines.overlong

    @property
    def restarted(self) -> bool:
        return self._lines.restarted

    @property
    def pending(self) -> bool:
        return self._lines.pending

    def read(self, max_bytes: int = 1 << 20) -> list[Record]:
        """The records appended since the last read, from about `max_bytes` of text."""
        block = self._lines.read(max_bytes)
        if not block:
            return []
        records, skipped = decode(block)
        self._broken += skipped
        return records


def read_all(path: Path, *, keep: int | None = None) -> list[Record]:
    """All whole records of a file, or those within its last `keep` bytes; [] when it does not exist."""
    tail = Tail(path, keep=keep)
    records = tail.read()
    while tail.pending:
        records += tail.read()
    return records
