"""A search through a log in another process, and what it found so far."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nanocore.runs.text import sanitize_line

MOST = 500_000  # lines and matches that are kept; further ones are not shown


class LogSearch:
    """Calls `on_news` in a thread whenever it knows more. Close it: it follows the log until then."""

    def __init__(self, path: Path, pattern: str, level: str, on_news: Callable[[], None]) -> None:
        self.pattern, self.level = pattern, level
        self.problem = ""
        self.share, self.waits, self.version = 0.0, False, 0
        self._rows, self._lines, self._spans = array("q"), array("q"), array("H")
        self._lock = threading.Lock()
        self._closed, self._on_news = False, on_news
        self._start({"path": str(path.absolute()), "pattern": pattern, "level": level})

    def command(self) -> list[str]:
        """What to start."""
        return [sys.executable, "-P", "-m", "nanoconsole.services.log_scan"]

    def _start(self, request: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            self.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is the console's to handle
        )
        self._send(request)
        threading.Thread(target=self._read, name="log search", daemon=True).start()

    def close(self) -> None:
        """End the search."""
        self._closed = True
        self._process.kill()

    @property
    def rows(self) -> int | None:
        """How many lines are of the level; None when all are."""
        return len(self._rows) if self.level else None

    def line_of(self, row: int) -> int:
        """The number of the row-th line of the level: of the last one where there are fewer, 0 where there is none."""
        with self._lock:
            if not self.level:
                return row
            return self._rows[min(row, len(self._rows) - 1)] if self._rows else 0

    def row_of(self, line: int) -> int:
        """The row of a line, or of the next one of the level."""
        with self._lock:
            return bisect_left(self._rows, line) if self.level else line

    def knows(self, line: int) -> bool:
        """Whether `row_of` a line is final: the log was looked through as far as that, or will be no further."""
        with self._lock:
            reached = bool(self._rows) and self._rows[-1] >= line
            return not self.level or reached or self.waits or bool(self.problem)

    @property
    def matches(self) -> int:
        return len(self._lines)

    @property
    def full(self) -> bool:
        """Whether there may be more than is kept."""
        return len(self._lines) >= MOST or len(self._rows) >= MOST

    def match(self, line: int) -> tuple[int, int] | None:
        """Where the first match lies in a line."""
        with self._lock:
            place = bisect_left(self._lines, line)
            if place < len(self._lines) and self._lines[place] == line:
                return self._spans[2 * place], self._spans[2 * place + 1]
            return None

    def next_match(self, line: int, by: int) -> tuple[int, int] | None:
        """The match after (1) or before (-1) a line: its number among all, and its line; round at the ends."""
        with self._lock:
            count = len(self._lines)
            if not count:
                return None
            place = bisect_right(self._lines, line) if by > 0 else bisect_left(self._lines, line) - 1
            return place % count, self._lines[place % count]

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it died; the reader says so
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._take(json.loads(line))
            self._tell()
        code = self._process.wait()
        self._process.stdout.close()
        with suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        if not self._closed and not self.problem:
            slow = code == -signal.SIGPROF
            self.problem = "the pattern takes too long; write it simpler" if slow else f"the search ended ({code})"
            self._tell()

    def _tell(self) -> None:
        if not self._closed:
            self._on_news()

    def _take(self, answer: dict[str, Any]) -> None:
        with self._lock:
            self.version += 1
            if "error" in answer:
                self.problem = sanitize_line(answer["error"])
                return
            if answer["restarted"]:
                del self._rows[:], self._lines[:], self._spans[:]
            self.share, self.waits = answer["done"] / max(1, answer["size"]), answer["waits"]
            self._rows.extend(answer["rows"][: MOST - len(self._rows)])
            for number, start, end in answer["matches"][: MOST - len(self._lines)]:
                self._lines.append(number)
                self._spans.extend((start, end))
