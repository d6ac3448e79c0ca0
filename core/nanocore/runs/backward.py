"""Reading a file of lines from its end to its beginning, so that what is newest can be shown first."""

from __future__ import annotations

import os
from pathlib import Path

Place = tuple[int, int]  # device and inode


class BackwardReader:
    """Hands out the whole lines that lie before the end of the last whole line there is when it is made, as blocks,
    the newest block first. A line of `max_line` bytes or more is passed over, as by `LineReader`.

    `end` is where a reader of what comes later begins. When the file is replaced or cut meanwhile nothing more is
    handed out; whoever follows the file notices that.
    """

    def __init__(self, path: Path, *, max_line: int = 1 << 20) -> None:
        self.path, self.max_line = path, max_line
        self._place: Place | None = None
        self.end = self._offset = self._last_line_end()

    @property
    def pending(self) -> bool:
        return self._offset > 0

    @property
    def left(self) -> int:
        """Bytes that wait to be read."""
        return self._offset

    def read(self, max_bytes: int = 1 << 18) -> bytes:
        """The whole lines of about `max_bytes` before those read so far; b"" when there are none, or when they are all
        too long."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            self._offset = 0
            return b""
        try:
            facts = os.fstat(descriptor)
            if (facts.st_dev, facts.st_ino) != self._place or facts.st_size < self._offset:
                self._offset = 0
                return b""
            return self._block(descriptor, max_bytes)
        finally:
            os.close(descriptor)

    def _block(self, descriptor: int, max_bytes: int) -> bytes:
        """Lines before the offset, which is the end of a line (or lies inside one that is too long)."""
        start = max(0, self._offset - max(max_bytes, 2))
        block = os.pread(descriptor, self._offset - start, start)
        cut = block.find(b"\n") + 1 if start else 0
        if start and cut in (0, len(block)):  # no line begins in it: take as much as one may be long
            start = max(0, self._offset - self.max_line - 1)
            block = os.pread(descriptor, self._offset - start, start)
            cut = block.find(b"\n", 0, len(block) - 1) + 1 if start else 0
            if start and not cut:
                self._pass_over(descriptor, start)
                return b""
        self._offset = start + cut
        return block[cut:]

    def _pass_over(self, descriptor: int, start: int) -> None:
        """Go to the end of the line before the one that reaches from before `start` to the offset."""
        while start > 0:
            stop, start = start, max(0, start - self.max_line)
            newline = os.pread(descriptor, stop - start, start).rfind(b"\n")
            if newline >= 0:
                self._offset = start + newline + 1
                return
        self._offset = 0

    def _last_line_end(self) -> int:
        """Where the last whole line ends; 0 when none does within reach of the end, or there is no file."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return 0
        try:
            facts = os.fstat(descriptor)
            self._place = (facts.st_dev, facts.st_ino)
            start = max(0, facts.st_size - self.max_line)
            newline = os.pread(descriptor, facts.st_size - start, start).rfind(b"\n")
            return start + newline + 1 if newline >= 0 else 0
        finally:
            os.close(descriptor)
