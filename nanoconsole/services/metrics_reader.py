"""The metrics of a run on their way into its history: the newest first, then what is older, then what is added."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from nanoconsole.services.columnar import ChunkDecoder
from nanoconsole.services.history import History
from nanocore.runs.backward import BackwardReader
from nanocore.runs.lines import LineReader

FIRST = 1 << 18  # bytes that fill a screen, read before anything is shown
CHUNK = 1 << 20  # bytes decoded at once: a decoder lets no other thread run meanwhile (some four milliseconds)
WAITED = 0.0002  # seconds without the interpreter after which another thread is taken to have work
NAP, NAPS = 0.001, 4  # seconds that this work gets at a time, and how often, before the next chunk is decoded


class MetricsReader:
    """Reads metrics.jsonl piece by piece. A file that was replaced is read anew."""

    def __init__(self, path: Path, history: History, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._history, self._clock = path, history, clock
        self._begin()

    def _begin(self) -> None:
        self._decoder = ChunkDecoder()
        self._older = BackwardReader(self._path)
        self._newer = LineReader(self._path)
        self._newer.skip_to(self._older.end)
        self._begun = False

    @property
    def pending(self) -> bool:
        """Whether more is there already."""
        return self._older.pending or self._newer.pending

    def read(self, seconds: float) -> None:
        """Read on for about that long; the first time no more than fills a screen."""
        block = self._newer.read(CHUNK)
        if self._newer.restarted:
            self._history.clear()
            self._begin()
            block = b""
        if block:
            self._history.take(self._decoder.decode(block))
        if not self._begun:
            self._begun = True
            self._read_older(FIRST)
            self._history.reserve(self._rows_left())
            return
        end = self._clock() + seconds
        while self._older.pending:
            self._read_older(CHUNK)
            if self._clock() >= end:
                break
            _give_way()

    def _read_older(self, size: int) -> None:
        if block := self._older.read(size):
            self._history.take(self._decoder.decode(block), older=True)

    def _rows_left(self) -> int:
        """About how many rows the bytes before those read so far hold."""
        read = self._older.end - self._older.left
        return self._older.left * self._history.rows // read if read else 0


def _give_way() -> None:
    """Let another thread that waits for the interpreter have it until it waits no more, or for a few naps; where none
    waits, go on."""
    for nap in (0.0, *[NAP] * NAPS):
        before = time.monotonic()
        time.sleep(nap)
        if time.monotonic() - before < nap + WAITED:
            return
