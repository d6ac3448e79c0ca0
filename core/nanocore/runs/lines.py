"""Following a growing file by whole lines, in bounded memory, through truncation and replacement."""

from __future__ import annotations

import os
from pathlib import Path

_MARK = 64  # bytes before the offset that must not have changed


class LineReader:
    """Reads what was appended to a file since the last call, as blocks of whole lines.

    The unfinished last line stays in the file and is read again when it has grown; nothing of it is kept. A line
    longer than `max_line` bytes is passed over and counted once in `overlong`. When the file was truncated, rewritten
    or replaced, reading begins again and `restarted` is true for that one call.
    """

    def __init__(self, path: Path, *, max_line: int = 1 << 20) -> None:
        self.path = path
        self.max_line = max_line
        self.overlong = 0
        self.restarted = False
        self.pending = False
        self._inside_overlong = False
        self._place: tuple[int, int] | None = None  # device and inode
        self._offset = 0
        self._seen = 0  # file size at the last look, when nothing more could be taken
        self._mark = b""

    def read(self, max_bytes: int = 1 << 20) -> bytes:
        """The next whole lines, about `max_bytes` of them; b"" when there are none. `pending`: call again."""
        self.restarted = self.pending = False
        try:
            facts = self.path.stat()
            if self._place == (facts.st_dev, facts.st_ino) and facts.st_size == self._seen:
                return b""
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            self._begin(None)
            return b""
        try:
            return self._advance(descriptor, max_bytes)
        except OSError:  # a folder in its place, or a disk that fails: nothing to read now
            return b""
        finally:
            os.close(descriptor)

    def skip_to_end(self, keep: int) -> None:
        """Start at the last `keep` bytes instead of the first; the line cut by that is passed over."""
        try:
            facts = self.path.stat()
        except OSError:
            return
        if facts.st_size > keep:
            self._place = (facts.st_dev, facts.st_ino)
            self._offset = facts.st_size - keep
            self._inside_overlong = True

    def skip_to(self, offset: int) -> None:
        """Start at `offset`, where a line begins, instead of the first byte."""
        try:
            facts = self.path.stat()
        except OSError:
            return
        self._place, self._offset = (facts.st_dev, facts.st_ino), offset

    def _advance(self, descriptor: int, max_bytes: int) -> bytes:
        facts = os.fstat(descriptor)
        place = (facts.st_dev, facts.st_ino)
        if self._place is None:
            self._place = place
        elif place != self._place or facts.st_size < self._offset or not self._same(descriptor):
            self._begin(place)
        block = self._whole_lines(descriptor, max_bytes)
        self.pending = self._offset < facts.st_size and self._seen == 0
        return block

    def _whole_lines(self, descriptor: int, max_bytes: int) -> bytes:
        """Take lines from the offset on; `_seen` is the size at which nothing more could be taken, else 0."""
        self._seen = 0
        block = os.pread(descriptor, max_bytes, self._offset)
        if len(block) == max_bytes < self.max_line and b"\n" not in block:
            block = os.pread(descriptor, self.max_line, self._offset)
        if self._inside_overlong:
            block = self._leave_overlong(descriptor, block)
            if not block:
                return b""
        end = block.rfind(b"\n") + 1
        if end:
            self._move(descriptor, end)
        elif len(block) >= self.max_line:
            self.overlong += 1
            self._inside_overlong = True
            self._move(descriptor, len(block))
        else:
            self._seen = self._offset + len(block)
        return block[:end]

    def _leave_overlong(self, descriptor: int, block: bytes) -> bytes:
        """Pass over the rest of a line that is too long, or was cut; returns what follows it."""
        newline = block.find(b"\n")
        self._inside_overlong = newline < 0
        passed = newline + 1 or len(block)
        self._move(descriptor, passed)
        return block[passed:]

    def _move(self, descriptor: int, count: int) -> None:
        self._offset += count
        start = max(0, self._offset - _MARK)
        self._mark = os.pread(descriptor, self._offset - start, start)

    def _same(self, descriptor: int) -> bool:
        """Whether the bytes before the offset are those read last time (a file may shrink and grow between calls)."""
        return os.pread(descriptor, len(self._mark), self._offset - len(self._mark)) == self._mark

    def _begin(self, place: tuple[int, int] | None) -> None:
        self.restarted = self._offset > 0
        self._place, self._offset, self._seen = place, 0, 0
        self._mark, self._inside_overlong = b"", False
