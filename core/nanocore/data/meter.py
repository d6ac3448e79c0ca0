"""How far a long phase is, told at a bearable rate."""

from __future__ import annotations

from typing import Protocol

STEP = 1 << 20


class Progress(Protocol):
    """Hears the name of a phase and the bytes done of a total (0 when it is not known)."""

    def __call__(self, phase: str, done: int, total: int, /) -> None: ...


def silent(phase: str, done: int, total: int, /) -> None:
    """A listener for those who do not listen."""


class Meter:
    """Adds up the bytes of one phase and reports every MiB, and at the end."""

    def __init__(self, phase: str, total: int, progress: Progress) -> None:
        self._phase, self._total, self._progress = phase, total, progress
        self._done = self._reported = 0
        progress(phase, 0, total)

    def advance(self, count: int) -> None:
        self._done += count
        if self._done - self._reported >= STEP:
            self._reported = self._done
            # Parquet on disk is smaller than its text: the total is then only a guess.
            self._progress(self._phase, min(self._done, self._total or self._done), self._total)

    def finish(self) -> None:
        total = self._total or self._done
        self._progress(self._phase, total, total)
