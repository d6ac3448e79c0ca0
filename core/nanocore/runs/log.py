"""The trainer's log: a text file that anything may have been printed into."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from nanocore.files import open_regular
from nanocore.runs.lines import LineReader
from nanocore.runs.text import sanitize

MAX_LINE = 1 << 16
MAX_SHOWN = 2000
MAX_LOG = 64 << 20
KEPT = 1 << 18  # bytes of a log that grew too long


class LogTail:
    """Follows a log while it grows: safe lines of at most 2000 characters. See `Tail` for the properties."""

    def __init__(self, path: Path, *, keep: int | None = None) -> None:
        """With `keep`, only the lines within the last `keep` bytes are read."""
        self._lines = LineReader(path, max_line=MAX_LINE)
        if keep is not None:
            self._lines.skip_to_end(keep)

    @property
    def skipped(self) -> int:
        return self._lines.overlong

    @property
    def restarted(self) -> bool:
        return self._lines.restarted

    @property
    def pending(self) -> bool:
        return self._lines.pending

    def read(self, max_bytes: int = 1 << 18) -> list[str]:
        """The lines appended since the last read."""
        text = self._lines.read(max_bytes).decode("utf-8", "replace")
        return [shown(line) for line in text.split("\n")[:-1]]


def shown(line: str) -> str:
    """A line as it may be drawn, with its indentation."""
    return sanitize(line[:MAX_SHOWN].rstrip()).expandtabs(4)


def last_lines(path: Path, count: int = 50, *, keep: int = 1 << 16) -> list[str]:
    """The last `count` lines that are not empty, as safe text, from the last `keep` bytes; [] when there is no log."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - keep))
            raw = file.read(keep)
    except OSError:
        return []
    lines = filter(None, map(shown, reversed(raw.decode("utf-8", "replace").split("\n"))))
    return list(islice(lines, count))[::-1]


def cap_log(path: Path, limit: int = MAX_LOG) -> bool:
    """Shorten a log that grew beyond `limit` bytes to its end, so that a flood never fills the disk; True when it did.

    Its writers append (O_APPEND), so they go on at the new end, and readers see a truncation.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        size = os.fstat(descriptor).st_size
        if size <= limit:
            return False
        keep = min(KEPT, limit // 2)
        end = os.pread(descriptor, keep + limit, size - keep)[-keep:]  # with what was appended meanwhile
        os.ftruncate(descriptor, 0)
        os.write(descriptor, end[end.find(b"\n") + 1 :])
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
