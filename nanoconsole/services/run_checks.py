"""All alert rules on one run that works: its newest records, its heartbeat, its disk, its end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from nanoconsole.services.alert_checks import Check, Latch, Reading, checks
from nanoconsole.services.alert_rules import BY_NAME
from nanoconsole.services.settings import Settings
from nanocore.runs.curve import attempt_of, usable
from nanocore.runs.layout import RunFolder
from nanocore.runs.liveness import RunState, observe
from nanocore.runs.records import Record, Tail
from nanocore.runs.stall import PHASE_LIMITS, StallWatch
from nanocore.runs.status import ALIVE_STATES, FAILED_STATES, Status
from nanocore.runs.text import sanitize_line

RECENT_BYTES = 1 << 17  # of the records that were there before the console: some 300, more than any window
GIB = 1 << 30
MEMORY_EXIT = 6
UNWRITTEN = (
    "could not be saved",
    "can be written",
    "cannot be written",
)  # how a trainer says that it ended for want of room


@dataclass(frozen=True)
class Change:
    """A rule that was raised or cleared on a run; `reading` says why it was raised."""

    rule: str
    raised: bool
    step: int
    reading: Reading
    detail: str = ""
    section: str = ""


class Heart:
    """How long a trainer's heartbeat has stood still, or its work for longer than its phase allows, by our own clock."""

    def __init__(self, limit: float, clock: Callable[[], float]) -> None:
        self._limit, self._clock = limit, clock
        self._stalls = StallWatch(clock)
        self._beat, self._since = -1, clock()

    def see(self, status: Status) -> Reading:
        now = self._clock()
        if status.alive != self._beat:
            self._beat, self._since = status.alive, now
        quiet, stall = now - self._since, self._stalls.see(status)
        if stall is not None and not stall.frozen:
            phase = f" ({stall.phase})" if stall.phase in PHASE_LIMITS else ""
            return self._reading(stall.seconds, True, f"no progress for {stall.seconds:.0f} s{phase}")
        return self._reading(quiet, quiet > self._limit, f"no heartbeat for {quiet:.0f} s")

    def _reading(self, seconds: float, beyond: bool, text: str) -> Reading:
        return Reading(seconds, 0.0, self._limit, beyond, not beyond and seconds < self._limit / 2, text)


class RunChecks:
    """Looks at one run again and again; each `look` returns what changed since the last.

    What lies in the past at the first look only fills the windows: an old spike raises nothing, a state that still
    lasts (a gain out of range, a full disk) does.
    """

    def __init__(
        self,
        run: RunFolder,
        settings: Settings,
        *,
        open_rules: frozenset[str] = frozenset(),
        whole: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`open_rules` have an alert already; with `whole` the run is judged from its first record on."""
        self.run, self._settings, self._clock = run, settings, clock
        self._metrics = Tail(run.metrics_file, keep=None if whole else RECENT_BYTES)
        self._events = Tail(run.events_file, keep=None if whole else RECENT_BYTES)
        self._latches = {rule: Latch() for rule in BY_NAME}
        for rule in open_rules:
            self._latches[rule].raised = True
        self._open, self._first, self._attempt = open_rules, not whole, 0
        self._checks: list[Check] = checks(settings)
        self._heart = Heart(settings.limit("heartbeat", "above"), clock)
        self._step, self._resting = 0, False

    def look(self, free: float) -> list[Change]:
        """What changed, given the bytes free on the run's disk."""
        state = observe(self.run)
        found = self._of_records()
        if self._first:
            found, self._first = self._still_lasting(found), False
        self._step = max(self._step, state.status.step if state.status else 0)
        if state.alive and state.status is not None:
            self._resting = state.status.state not in ALIVE_STATES  # it has ended; who holds it packs or repairs it
            found += [] if self._resting else self._of_now(state.status, free)
        elif state.state in FAILED_STATES and not self._resting:
            found += self._of_end(state)
        return found

    def _of_records(self) -> list[Change]:
        records = self._events.read()
        while self._events.pending:
            records += self._events.read()
        records = [record for record in records if record.get("kind") == "nonfinite"]
        while True:
            records += self._metrics.read()
            if not self._metrics.pending:
                break
        return [change for record in records if usable(record) for change in self._of_record(record)]

    def _of_record(self, record: Record) -> list[Change]:
        if attempt_of(record) > self._attempt:  # a new trainer, maybe on another machine: nothing to compare with
            self._attempt, self._checks = attempt_of(record), checks(self._settings)
        self._step = record["step"]
        found: list[Change] = []
        for check in self._checks:
            reading = check.see(record)
            found += self._latch(check.rule, reading) if reading is not None else []
        return found

    def _latch(self, rule: str, reading: Reading, detail: str = "", section: str = "") -> list[Change]:
        change = self._latches[rule].take(reading)
        return [Change(rule, change == "raised", self._step, reading, detail, section)] if change else []

    def _still_lasting(self, past: list[Change]) -> list[Change]:
        """Of what the past raised: what tells of a state that lasts and has no alert yet; what it ended, is over."""
        newest = {change.rule: change for change in past}
        lasting = {check.rule for check in self._checks if check.level}
        return [
            change
            for rule, change in newest.items()
            if (change.raised and rule in lasting and rule not in self._open)
            or (not change.raised and rule in self._open)
        ]

    def _of_now(self, status: Status, free: float) -> list[Change]:
        self._latches["ended"].raised = False
        found: list[Change] = []
        if self._settings.enabled("heartbeat"):
            found += self._latch("heartbeat", self._heart.see(status))
        if self._settings.enabled("disk"):
            found += self._latch("disk", _disk(free / GIB, self._settings.limit("disk", "below")))
        return found

    def _of_end(self, state: RunState) -> list[Change]:
        if not self._settings.enabled("ended"):
            return []
        reading = Reading(math.nan, -math.inf, math.inf, True, False, f"it {_END[state.state]}")
        return self._latch("ended", reading, sanitize_line(state.reason), _section(state))


_END = {"crashed": "crashed", "diverged": "diverged: its loss or gradient became non-finite"}


def _disk(free: float, least: float) -> Reading:
    text = f"{free:.2f} GiB free on the disk of the runs"
    return Reading(free, least, math.inf, free < least, free > 1.25 * least, text)


def _section(state: RunState) -> str:
    """Where the page of troubles treats such an end."""
    if state.state == "diverged":
        return "nan-divergence"
    if any(words in state.reason for words in UNWRITTEN):
        return "disk-full"
    code = state.status.exit_code if state.status else None
    memory = code == MEMORY_EXIT or "memory" in state.reason
    return "out-of-memory" if memory else "crashed"
