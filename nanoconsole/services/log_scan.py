"""Lines of a log by level and regular expression. As a program it is the console's search, in a process of its own.

A regular expression can take exponential time, holds the interpreter lock meanwhile, and cannot be interrupted from
another thread. In a process of its own it hurts nobody, and the kernel ends it after `PATIENCE` seconds of processor
time without an answer. The program takes one JSON request and answers in JSON lines until its standard input closes.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nanoconsole.services.log_pieces import LogPieces, lines_of
from nanocore.errors import UsageError
from nanocore.runs.log import MAX_SHOWN, shown

LEVELS = ("", "WARNING", "ERROR")  # all lines, warnings and worse, errors only
PATIENCE = 5.0  # seconds of processor time for one answer
ANSWER_EVERY = 0.1  # seconds between answers
POLL = 0.5  # seconds between looks for new lines
LONGEST_PATTERN = 500
_CONTROLS = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]")
_LEVEL = re.compile(rb"(?:\d{4}-\d\d-\d\d[ T])?\d\d:\d\d:\d\d\S* (DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")
_RANKS = {b"DEBUG": 0, b"INFO": 0, b"WARNING": 1, b"ERROR": 2, b"CRITICAL": 2}


@dataclass
class Found:
    """What was found in the lines looked through: `rows`, numbers (from 0) of those of the level (none where all are
    wanted), and [line, start, end] of the first match in each of them. `done` of `size` bytes are behind; `restarted`: the log began anew, and
    what was found before is void."""

    rows: list[int] = field(default_factory=list)
    matches: list[tuple[int, int, int]] = field(default_factory=list)
    done: int = 0
    size: int = 0
    restarted: bool = False
    waits: bool = False  # everything there is was looked through


def compiled(pattern: str) -> re.Pattern[str] | None:
    """A search pattern, None for an empty one. One in small letters finds capitals too. Raises UsageError."""
    if len(pattern) > LONGEST_PATTERN:
        raise UsageError(f"the pattern is longer than {LONGEST_PATTERN} characters", fix="search for less")
    try:
        return re.compile(pattern, re.IGNORECASE if pattern == pattern.lower() else re.NOFLAG) if pattern else None
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"not a regular expression: {error}", fix="put \\ before a sign that means itself") from None


@dataclass(frozen=True)
class Hit:
    """A line of the level: its number (from 0), its text as shown, and where the pattern's first match lies in it."""

    number: int
    text: str
    level: str
    span: tuple[int, int] | None


class LogScan:
    """Looks through a log's whole lines; each call goes on where the last one ended."""

    def __init__(self, path: Path, pattern: re.Pattern[str] | None, level: str) -> None:
        self.pieces = LogPieces(path)
        self._pattern, self._level = pattern, LEVELS.index(level)
        self._number, self._rank = 0, 0

    def hits(self) -> Iterator[Hit]:
        """The lines of the level that are there now; with a pattern only those that it matches."""
        while block := self._read():
            for number, rank, text, span in self._look(block):
                if span is not None or self._pattern is None:
                    yield Hit(number, text, LEVELS[rank] or "INFO", span)

    def answers(self) -> Iterator[Found]:
        """What is found in the lines that are there now, a little at a time; the last answer `waits` for more."""
        more = True
        while more:
            block = self._read()
            found = self._answer(restarted=self.pieces.restarted)
            last = time.monotonic()
            for number, _, _, span in self._look(block):
                if self._level:
                    found.rows.append(number)
                if span is not None:
                    found.matches.append((number, *span))
                if time.monotonic() - last > ANSWER_EVERY:
                    yield found
                    found, last = self._answer(), time.monotonic()
            more = bool(block)
            found.waits = not more
            yield found

    def _read(self) -> bytes:
        block = self.pieces.read()
        if self.pieces.restarted:
            self._number, self._rank = 0, 0
        return block

    def _answer(self, *, restarted: bool = False) -> Found:
        return Found(done=self.pieces.offset, size=self.pieces.size, restarted=restarted)

    def _look(self, block: bytes) -> Iterator[tuple[int, int, str, tuple[int, int] | None]]:
        """Number, rank and text of each line of the level, and where the pattern matches it."""
        search = self._pattern.search if self._pattern is not None else None
        text_of = _plain if block.isascii() and not _CONTROLS.search(block) else _safe
        for line in lines_of(block):
            number, self._number = self._number, self._number + 1
            rank = self._rank_of(line)
            if rank >= self._level:
                text = text_of(line)
                match = search(text) if search is not None else None
                yield number, rank, text, match.span() if match is not None else None

    def _rank_of(self, line: bytes) -> int:
        """A line without time and level, as of a traceback or a library, counts as a warning, or as what it follows."""
        stamp = _LEVEL.match(line)
        if stamp is None:
            return max(1, self._rank)
        self._rank = _RANKS[stamp[1]]
        return self._rank


def _safe(line: bytes) -> str:
    return shown(line.decode("utf-8", "replace"))


def _plain(line: bytes) -> str:
    """The same for a line in which nothing can be unsafe, many times as fast."""
    return line[:MAX_SHOWN].rstrip().decode("ascii")


def main() -> None:
    """Answer one request, `{"path", "pattern", "level"}`, then tell of new lines until stdin closes."""
    request = json.loads(sys.stdin.readline())
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)  # whose signal nobody handles: it ends the process
    try:
        scan = LogScan(Path(request["path"]), compiled(request["pattern"]), request["level"])
    except UsageError as error:
        print(json.dumps({"error": error.what}), flush=True)
        return
    while True:
        for found in scan.answers():
            signal.setitimer(signal.ITIMER_PROF, PATIENCE)
            print(json.dumps(asdict(found)), flush=True)
        if select.select([sys.stdin], [], [], POLL)[0] and not os.read(0, 1):
            return


if __name__ == "__main__":
    main()
