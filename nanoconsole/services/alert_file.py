"""The file that keeps what was recorded of alerts: appended to by any console, and rewritten when it has grown large."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nanocore.errors import ResourceError, remedy
from nanocore.runs.records import Record, RecordWriter

KEEP = 1 << 20  # bytes of the newest records that are read
LARGEST = KEEP // 2  # bytes from which on the file is rewritten, so that all of it can always be read
ROOM = LARGEST // 2  # bytes that a rewritten file has at most, but for alerts that last


def write(path: Path, records: Iterable[Record]) -> None:
    """Append records. Raises ResourceError when that cannot be done."""
    try:
        path.parent.mkdir(exist_ok=True)
        with _editing(path):
            _append(path, records)
    except OSError as error:
        what = f"alerts cannot be recorded: {error.strerror}"
        raise ResourceError(what, where=str(path), fix=remedy(error)) from None


def compact(path: Path, condensed: Callable[[int], Iterable[Record]]) -> bool:
    """Rewrite a file that has grown large with what `condensed` makes of it, given the bytes it may take.

    Nobody appends meanwhile, and readers see the old file or the new one. False when there was no need, or it cannot be
    written: then it is as it was.
    """
    fresh = path.with_suffix(".new")
    try:
        if path.stat().st_size <= LARGEST:
            return False
        with _editing(path):
            fresh.unlink(missing_ok=True)
            _append(fresh, condensed(ROOM))
            fresh.replace(path)
    except (OSError, ResourceError):
        return False
    return True


def _append(path: Path, records: Iterable[Record]) -> None:
    writer = RecordWriter(path)
    try:
        for record in records:
            if not writer.write(record):
                raise ResourceError(f"alerts cannot be recorded: {writer.failure}", where=str(path))
    finally:
        writer.close()


@contextmanager
def _editing(path: Path) -> Iterator[None]:
    """Nobody else appends to the file or replaces it meanwhile. Raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path.with_suffix(".edit"), flags, 0o666)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX)  # POSIX locks hold on network filesystems too
        yield
    finally:
        os.close(descriptor)
