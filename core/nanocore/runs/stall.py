"""Whether a living trainer still gets on, judged by the reader's own clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from nanocore.runs.status import Status

# Seconds without progress that are still normal, by the trainer's phase.
PHASE_LIMITS = {
    "starting": 180.0,
    "preparing": 600.0,
    "building": 600.0,
    "training": 120.0,
    "evaluating": 300.0,
    "sampling": 300.0,
    "saving": 600.0,
    "paused": math.inf,
}
DEFAULT_LIMIT = 120.0  # of any other phase
FIRST_STEP_LIMIT = 900.0  # the first training step may compile the model
HEART_LIMIT = 30.0  # seconds without a heartbeat
_PATIENCE = 5.0  # times the longest pause seen so far in a phase


@dataclass(frozen=True)
class Stall:
    """No progress for `seconds`. `frozen`: the heartbeat stands still too (stopped, swapped out, or held by C code)."""

    phase: str
    seconds: float
    frozen: bool

    @property
    def text(self) -> str:
        what = "does not react" if self.frozen else "makes no progress"
        return f"stalled: {what} for {self.seconds:.0f} s ({self.phase})"


class StallWatch:
    """Give it every status that is read; it says when the run stalls. One watch for one run.

    Neither the trainer's clock nor the wall clock is asked, so a jump of either means nothing. A model whose steps
    take minutes is given more time: five times the longest pause it has recovered from in that phase.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key: tuple[int, str, int] | None = None
        self._since = self._beat_since = 0.0
        self._beat = -1
        self._longest: dict[str, float] = {}

    def see(self, status: Status) -> Stall | None:
        """The stall the run is in, or None while all is well."""
        now = self._clock()
        if status.alive != self._beat:
            self._beat, self._beat_since = status.alive, now
        key = (status.attempt, status.phase, status.progress)
        if key != self._key:
            self._learn(key, now)
            self._key, self._since = key, now
        quiet = now - self._since
        if quiet <= self._limit(status):
            return None
        return Stall(status.phase, quiet, frozen=now - self._beat_since > HEART_LIMIT)

    def _learn(self, key: tuple[int, str, int], now: float) -> None:
        """Remember how long the phase went without progress, now that it went on."""
        if self._key is not None and self._key[:2] == key[:2]:
            phase = key[1]
            self._longest[phase] = max(self._longest.get(phase, 0.0), now - self._since)

    def _limit(self, status: Status) -> float:
        phase = "paused" if status.state == "paused" else status.phase
        normal = PHASE_LIMITS.get(phase, DEFAULT_LIMIT)
        if phase == "training" and phase not in self._longest:
            normal = FIRST_STEP_LIMIT
        return max(normal, _PATIENCE * self._longest.get(phase, 0.0))
