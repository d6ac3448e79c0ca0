"""What happened in a run that a chart should mark: checkpoints, FIREs, resumes and warnings, from its events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nanocore.runs.curve import attempt_of, usable
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import Record, Tail
from nanocore.runs.text import sanitize_line

Kind = Literal["checkpoint", "alert", "fire", "resumed"]
KINDS: dict[str, Kind] = {
    "checkpoint": "checkpoint",
    "fire": "fire",
    "resumed": "resumed",
    "nonfinite": "alert",
    "spike": "alert",
    "rollback": "alert",
    "warning": "alert",
    "health": "alert",
}
MOST = 5000  # a damaged file cannot make us keep more


@dataclass(frozen=True)
class Milestone:
    """Something that happened after a step; `text` is one safe line."""

    step: int
    kind: Kind
    text: str


class MilestoneReader:
    """Reads the events of a run as they come. Those of an attempt that a newer one took back are left out."""

    def __init__(self, run: RunFolder) -> None:
        self._events = Tail(run.events_file)
        self._found: list[tuple[int, Milestone]] = []
        self._told: tuple[Milestone, ...] = ()

    def read(self) -> tuple[Milestone, ...]:
        """All milestones so far; the same tuple while there is nothing new."""
        news = [event for event in self._events.read() if usable(event)]
        if self._events.restarted:
            self._found = []
        elif not news:
            return self._told
        for event in news:
            self._take(event)
        self._told = tuple(dict.fromkeys(milestone for _, milestone in self._found))
        return self._told

    def _take(self, event: Record) -> None:
        attempt, kind = attempt_of(event), KINDS.get(str(event.get("kind")))
        if event.get("kind") == "resumed":  # what came after the step it goes on from never was
            self._found = [each for each in self._found if each[0] >= attempt or each[1].step <= event["step"]]
        healthy = event.get("kind") == "health" and event.get("health") == "healthy"
        if kind is not None and not healthy and len(self._found) < MOST:
            self._found.append((attempt, Milestone(event["step"], kind, _words(event))))


def _words(event: Record) -> str:
    message = event.get("message")
    if isinstance(message, str) and message:
        return sanitize_line(message, 60)
    return {"nonfinite": "loss not finite", "fire": "FIRE"}.get(str(event["kind"]), str(event["kind"]))
