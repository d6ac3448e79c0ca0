"""What a follower knows of a run, read from its folder alone: the same for a live run, a finished one, over ssh."""

from __future__ import annotations

import math
import os
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nanocore.files import open_regular
from nanocore.runs.curve import number, usable, value, values
from nanocore.runs.facts import read_facts
from nanocore.runs.hints import to_type
from nanocore.runs.liveness import observe
from nanocore.runs.postmortem import known_exit
from nanocore.runs.records import Tail
from nanocore.runs.stall import StallWatch
from nanocore.runs.text import sanitize

if TYPE_CHECKING:
    from nanocore.runs.layout import RunFolder
    from nanocore.runs.records import Record

RECENT_BYTES = 1 << 18  # of a long run's records, enough for the newest value of every metric
PACE_RECORDS = 100
SAMPLE_LINES = 6
SAMPLE_BYTES = 1 << 16
_COUNT = re.compile(r"(\d+)/(\d+)")


@dataclass
class Measures:
    """The newest value of each metric, as shown: numbers, or "nan" and "inf" in words."""

    values: dict[str, float | str] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        self.values |= {key: found if math.isfinite(found) else str(found) for key, found in values(record)}

    def get(self, key: str) -> float | str | None:
        return self.values.get(key)


class RunView:
    """A run followed by polling. After `poll`, the attributes tell its newest state and what came since the last one."""

    def __init__(self, run: RunFolder, *, whole: bool = False) -> None:
        """With `whole` the first poll brings the run's whole history, else only its newest record."""
        self.run = run
        self.measures = Measures()
        self.sample: list[str] = []
        self.news: list[Record] = []  # metrics records and events (which have a kind), in the order of their time
        self.xz: float | None = None  # bits per byte of `xz -9` on the held-out text, to measure the model against
        self._watch, self._stall = StallWatch(), None
        self._pace: deque[tuple[int, float]] = deque(maxlen=PACE_RECORDS)
        keep = None if whole else RECENT_BYTES
        self._metrics, self._events = Tail(run.metrics_file, keep=keep), Tail(run.events_file, keep=keep)
        self.poll()
        if not whole:
            self.news = [entry for entry in self.news if "kind" not in entry][-1:]

    def poll(self) -> None:
        """Read what the trainer wrote since the last call. The state is read first, so an ended run is read whole."""
        self.state = observe(self.run)
        self._stall = self._watch.see(self.state.status) if self._is_followed and self.state.status else None
        if self.xz is None and self.step:
            heldout = read_facts(self.run).heldout
            self.xz = heldout.xz_bits_per_byte if heldout else None
        records = [record for record in _drain(self._metrics) if usable(record)]
        self.news = sorted([*records, *_drain(self._events)], key=lambda entry: number(entry.get("time", 0)))
        for entry in self.news:
            if usable(entry):
                self.measures.take(entry)
                self._keep_pace(entry)
            if entry.get("kind") == "sample":
                self.sample = self._sample_lines(entry)

    @property
    def _is_followed(self) -> bool:
        """Whether its heartbeat tells of a process: here, or on another host that shares the folder."""
        return self.state.alive or self.state.state == "elsewhere"

    @property
    def stall(self) -> str:
        return self._stall.text if self._stall else ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come: no process works on it, is to come, or may be started for the first time."""
        if self.state.state == "elsewhere":
            return self._stall is not None and self._stall.frozen
        return not self.state.at_work and self.state.state != "created"

    @property
    def step(self) -> int:
        return self.state.status.step if self.state.status else 0

    @property
    def steps(self) -> int:
        """Steps of the whole run; 0 while they are not known."""
        return self.state.status.steps if self.state.status else 0

    @property
    def activity(self) -> str:
        """What the run is doing, in one line; counts of bytes in it are told as a share."""
        if self.state.state == "created":
            start = to_type(f"resume {self.run.name}")
            return f"not started yet; waiting (Ctrl-C ends the watching); start it: {start}"
        return _COUNT.sub(lambda match: f"{100 * int(match[1]) // max(int(match[2]), 1)} %", self.state.text)

    @property
    def eta(self) -> float | None:
        """Seconds to the last step at the pace of the newest records, or None while it is not known."""
        if self.ended or len(self._pace) < 2 or self.steps <= self.step:
            return None
        (first, began), (last, now) = self._pace[0], self._pace[-1]
        return (self.steps - self.step) * (now - began) / (last - first) if last > first and now > began else None

    @property
    def exit_code(self) -> int:
        """The trainer's exit code; 1 when nobody knows one or a signal ended it, 2 when the run cannot be read any more."""
        if self.state.state in ("gone", "unknown"):
            return 2
        code = known_exit(self.run, self.state.status) if self.state.status else None
        return code if code is not None and 0 <= code <= 255 else 1

    def _keep_pace(self, entry: Record) -> None:
        """Remember at which step the run was after how many seconds; a new attempt begins anew."""
        step, elapsed = entry["step"], value(entry, "elapsed")
        if elapsed is None:
            return
        if self._pace and step < self._pace[-1][0]:
            self._pace.clear()
        self._pace.append((step, elapsed))

    def _sample_lines(self, event: Record) -> list[str]:
        """The first lines of the text sample an event tells of, from its prompt on."""
        step: Any = event.get("step")
        if not isinstance(step, int):
            return []
        try:
            with os.fdopen(open_regular(self.run.sample_file(step)), "rb") as file:
                text = file.read(SAMPLE_BYTES).decode("utf-8", "replace")
        except OSError:
            return []
        return sanitize(text).lstrip("\n").rstrip().split("\n")[:SAMPLE_LINES]


def _drain(tail: Tail) -> list[Record]:
    records = tail.read()
    while tail.pending:
        records += tail.read()
    return records
