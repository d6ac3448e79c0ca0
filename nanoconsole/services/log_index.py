"""A log of any size by line number: where lines begin is found once, a piece at a time, and only shown lines are read."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Collection
from pathlib import Path

import numpy as np

from nanoconsole.services.log_pieces import LONGEST, LogPieces, step_told
from nanocore.runs.log import shown

EVERY = 64  # lines between two remembered places: a gigabyte of log takes about three megabytes
SHOWN_BYTES = 8000  # of a line, enough for what is shown of it


class LogIndex:
    """One thread calls `grow` and `read`; all may look at `lines`. `beginnings` counts how often the file began anew."""

    def __init__(self, path: Path) -> None:
        self._pieces = LogPieces(path)
        self._lock = threading.Lock()
        self.beginnings = 0
        self._begin()

    def _begin(self) -> None:
        self._starts, self._steps, self._whole = array("q", [0]), array("q", [0]), 0

    @property
    def path(self) -> Path:
        return self._pieces.path

    @property
    def problem(self) -> str:
        """Why the log cannot be read, "" when it can."""
        return self._pieces.problem

    @property
    def lines(self) -> int:
        """Lines found so far; the last may be unfinished."""
        return self._whole + self._pieces.unfinished

    @property
    def share(self) -> float:
        """How much of the file was looked through."""
        return self._pieces.offset / self._pieces.size if self._pieces.size else 1.0

    def grow(self) -> bool:
        """Look through the next piece; True when there may be more."""
        before = self._pieces.offset
        block = self._pieces.read()
        with self._lock:
            if self._pieces.restarted:
                self._begin()
                self.beginnings, before = self.beginnings + 1, 0
            self._take(block, line_ends(block), before)
        return bool(block) and self._pieces.unfinished

    def _take(self, block: bytes, ends: np.ndarray, offset: int) -> None:
        """Remember every 64th line's place, and the step told there."""
        numbers = self._whole + 1 + np.arange(ends.size)
        for end in ends[numbers % EVERY == 0].tolist():
            told = step_told(block[end : end + SHOWN_BYTES])
            self._starts.append(offset + end)
            self._steps.append(self._steps[-1] if told is None else told)
        self._whole += ends.size

    def read(self, numbers: Collection[int]) -> dict[int, str]:
        """The lines of these numbers (from 0) as safe text; those that are not there any more are left out."""
        found: dict[int, str] = {}
        wanted = set(numbers)
        try:
            with self._pieces.path.open("rb", buffering=0) as file:
                for block in sorted({number // EVERY for number in wanted}):
                    found |= self._texts(block, self._block(file.fileno(), block), wanted)
        except OSError:
            return found  # the next look says why
        return found

    def _block(self, descriptor: int, block: int) -> bytes:
        """The bytes of 64 lines."""
        with self._lock:
            if block >= len(self._starts):
                return b""
            start = self._starts[block]
            last = block + 1 == len(self._starts)
            stop = self._pieces.offset + LONGEST if last else self._starts[block + 1]
        return os.pread(descriptor, stop - start, start)

    def _texts(self, block: int, raw: bytes, wanted: Collection[int]) -> dict[int, str]:
        ends = line_ends(raw).tolist()
        if raw and (not ends or ends[-1] < len(raw)):
            ends.append(len(raw))  # the unfinished last line
        spans = zip([0, *ends[:-1]], ends[:EVERY], strict=False)
        lines = {
            block * EVERY + place: raw[start : min(stop, start + SHOWN_BYTES)]
            for place, (start, stop) in enumerate(spans)
        }
        return {number: shown(line.decode("utf-8", "replace")) for number, line in lines.items() if number in wanted}

    def line_of_step(self, step: int) -> int:
        """The first line that tells of `step` or a later one, in the newest attempt that got there."""
        with self._lock:
            earlier = np.flatnonzero(np.array(self._steps) < step)
        block = int(earlier[-1]) if earlier.size else 0
        for number, text in sorted(self.read(range(block * EVERY, (block + 2) * EVERY)).items()):
            if (step_told(text.encode()) or 0) >= step:
                return number
        return max(0, min(self.lines, (block + 2) * EVERY) - 1)


def line_ends(block: bytes) -> np.ndarray:
    """Where the lines of a block that begins with one end, newlines included; a line over 64 KiB is cut into several.

    What follows the last end is an unfinished line.
    """
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10) + 1
    bounds = np.concatenate(([0], ends, [len(block) + 1]))
    overlong = np.flatnonzero(np.diff(bounds) > LONGEST)
    cuts = [np.arange(bounds[place] + LONGEST, bounds[place + 1], LONGEST) for place in overlong]
    return np.sort(np.concatenate([ends, *cuts])) if cuts else ends
