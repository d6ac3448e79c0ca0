"""The queue of a run root as a screen and a verb show it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nanoconsole.services.format import age, duration
from nanocore.errors import NanoError
from nanocore.runs import queue
from nanocore.runs.layout import RunFolder
from nanocore.runs.stall import HEART_LIMIT
from nanocore.runs.status import read_status
from nanocore.runs.text import sanitize_line

NO_STALLS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Waiting:
    """One entry. `place` counts the waiting from 1 and is 0 for others; `since` says how long ago it came or ended.

    `stall` says why a running one gets on no more: it keeps its place until somebody ends it. `restarts` is how often it
    may be started again after an accident.
    """

    run: str
    state: str
    place: int
    slots: int
    halts: bool
    experiment: str
    since: str
    reason: str
    stall: str = ""
    restarts: int = 0


@dataclass(frozen=True)
class QueueView:
    """The queue: what ended, then what runs and waits in its order. `halted` and `problem` are "" when all is well."""

    entries: tuple[Waiting, ...] = ()
    halted: str = ""
    supervised: bool = False
    problem: str = ""

    @property
    def pending(self) -> list[Waiting]:
        return [entry for entry in self.entries if entry.state in queue.PENDING]


def read(root: Path, now: float | None = None, stalls: Mapping[str, str] = NO_STALLS) -> QueueView:
    """The queue as it stands; never raises. `stalls` are those that somebody saw who followed the runs, by name."""
    try:
        found = queue.read_queue(root)
        supervised = queue.supervisor_pid(root) is not None
    except NanoError as error:
        return QueueView(problem=sanitize_line(str(error)))
    entries = sorted(found.entries, key=lambda entry: entry.state in queue.PENDING)
    rows, place, moment = [], 0, time.time() if now is None else now
    for entry in entries:
        place += entry.state == "waiting"
        stall = stalls.get(entry.run, "") or silence(root, entry, moment)
        rows.append(_row(entry, place if entry.state == "waiting" else 0, moment, stall, found.halted))
    return QueueView(tuple(rows), sanitize_line(found.halted), supervised)


def silence(root: Path, entry: queue.Entry, now: float) -> str:
    """That a running entry's trainer has said nothing for long, as one look can tell; "" for all others."""
    working = entry.state == "running" and not entry.again
    status = read_status(RunFolder(root / entry.run)) if working else None
    if status is None or not status.updated or now - status.updated <= HEART_LIMIT:
        return ""
    return f"stalled: does not react for {duration(now - status.updated)}"


def held(entry: queue.Entry, halted: str) -> str:
    """What keeps a run that would be started again after an accident while the queue is `halted`; "" for all others."""
    if not (halted and entry.again and entry.state == "running"):
        return ""
    cause = entry.reason.partition(": ")[2]
    return f"held while the queue is halted, restart {entry.restarted} of {entry.restarts}: {cause}"


def _row(entry: queue.Entry, place: int, now: float, stall: str, halted: str) -> Waiting:
    reason = held(entry, halted) or entry.reason
    texts = [sanitize_line(text) for text in (entry.run, entry.state, entry.experiment, reason)]
    run, state, experiment, reason = texts
    since = age(entry.ended or entry.added or None, now)
    return Waiting(
        run, state, place, entry.slots, entry.stop_on_failure, experiment, since, reason, sanitize_line(stall),
        entry.restarts,
    )  # fmt: skip
