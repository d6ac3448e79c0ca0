"""A growing log, taken a piece at a time from its beginning: whole lines, numbered alike by whoever reads it so."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

LONGEST = 1 << 16  # bytes; a longer line counts as several
PIECE = 1 << 20  # bytes read before others get their turn
_STEP = re.compile(rb"\bstep (\d{1,16})\b")
_MARK = 64  # bytes before the offset that must not have changed


class LogPieces:
    """`read` gives the next piece. When the file was truncated or replaced it begins again, and `restarted` says so."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = self.size = 0  # bytes taken, and in the file
        self.restarted = False
        self.problem = ""  # why it cannot be read, "" when it can
        self._place: tuple[int, int] | None = None
        self._mark = b""

    @property
    def unfinished(self) -> bool:
        """Whether bytes follow that are no whole line yet, or were not read yet."""
        return self.size > self.offset

    def read(self) -> bytes:
        """Whole lines, about a mebibyte of them; b"" when there are none."""
        self.restarted = False
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)  # as before the trainer's start
            self.problem = "" if missing else error.strerror or str(error)
            return b""
        try:
            return self._read(descriptor)
        except OSError as error:
            self.problem = error.strerror or str(error)
            return b""
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int) -> bytes:
        facts = os.fstat(descriptor)
        place = (facts.st_dev, facts.st_ino)
        same = os.pread(descriptor, len(self._mark), self.offset - len(self._mark)) == self._mark
        if self._place not in (None, place) or facts.st_size < self.offset or not same:
            self.offset, self._mark, self.restarted = 0, b"", True
        self._place, self.problem = place, ""
        block = os.pread(descriptor, PIECE, self.offset)
        self.size = max(facts.st_size, self.offset + len(block))
        end = block.rfind(b"\n") + 1 or len(block) // LONGEST * LONGEST
        self.offset += end
        self._mark = (self._mark + block[:end])[-_MARK:]
        return block[:end]


def step_told(line: bytes) -> int | None:
    """The step that a line, or the first of some that does, tells of."""
    told = _STEP.search(line)
    return int(told[1]) if told else None


def lines_of(block: bytes) -> Iterator[bytes]:
    """The lines of a piece; one of over 64 KiB in several."""
    *lines, rest = block.split(b"\n")
    for line in lines:
        for start in range(0, len(line) + 1, LONGEST):
            yield line[start : start + LONGEST]
    for start in range(0, len(rest), LONGEST):
        yield rest[start : start + LONGEST]
