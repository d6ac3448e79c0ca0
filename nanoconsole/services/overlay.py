"""Several runs under each other: the curves of all of them as one source, whose metrics are called INDEX/NAME."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence

from nanoconsole.services.columns import Floats
from nanoconsole.services.curves import Curve, Point, Span
from nanoconsole.services.history import History
from nanocore.runs.layout import RunFolder
from nanocore.runs.metrics import METRICS
from nanocore.runs.records import Tail

MOST = 8  # runs at once: one for each marker
MARKERS = "●▲■▼○△□▽"
COLOURS = 4  # line-1 to line-4 of every theme; a hollow marker tells the second run of a colour
CHUNK = 1 << 20  # bytes of records read of one run before the others get their turn
TELL_EVERY = 0.25  # least seconds between two words while long histories are read


class Member:
    """One run of an overlay, with its history."""

    def __init__(self, run: RunFolder) -> None:
        self.run, self.history = run, History()
        self._tail = Tail(run.metrics_file)

    def poll(self) -> bool:
        """Read on; True when more is there already."""
        records = self._tail.read(CHUNK)
        if self._tail.restarted:
            self.history.clear()
        self.history.add(records)
        return self._tail.pending


class Overlay:
    """A `CurveSource` over the histories of some runs. One thread polls, screens read."""

    def __init__(self, runs: Sequence[RunFolder], before: Overlay | None = None) -> None:
        """Of runs that were in the overlay `before`, what was read is kept."""
        known = {member.run: member for member in before.members} if before else {}
        self.members = tuple(known.get(run) or Member(run) for run in list(dict.fromkeys(runs))[:MOST])
        self.reading = True
        self._told, self._told_version = 0.0, (-1, True)

    @property
    def runs(self) -> tuple[RunFolder, ...]:
        return tuple(member.run for member in self.members)

    @property
    def version(self) -> int:
        return sum(member.history.version for member in self.members)

    @property
    def epoch(self) -> int:
        return sum(member.history.epoch for member in self.members)

    def poll(self, tell: Callable[[], object] = lambda: None) -> bool:
        """Read a piece of each run and `tell` when something is new; True when more is there already."""
        waiting = [member.poll() for member in self.members]
        self.reading = any(waiting)
        now = time.monotonic()
        due = not self.reading or now - self._told >= TELL_EVERY
        if due and (self.version, self.reading) != self._told_version:
            self._told, self._told_version = now, (self.version, self.reading)
            tell()
        return self.reading

    def names(self) -> list[str]:
        return [f"{index}/{name}" for index, member in enumerate(self.members) for name in member.history.names()]

    def metrics(self) -> list[str]:
        """Every metric that some run recorded: those of the registry in its order, then others by name."""
        found = {name for member in self.members for name in member.history.names()}
        return [*(name for name in METRICS if name in found), *sorted(found - METRICS.keys())]

    def count(self, name: str) -> int:
        history, metric = self._of(name)
        return history.count(metric)

    def tail(self, name: str, points: int) -> Floats:
        history, metric = self._of(name)
        return history.tail(metric, points)

    def last(self, name: str) -> float | None:
        history, metric = self._of(name)
        return history.last(metric)

    def span(self, axis: str) -> Span:
        """From the first x of any run to the last of any."""
        spans = [member.history.span(axis) for member in self.members if member.history.rows]
        return (min(start for start, _ in spans), max(stop for _, stop in spans)) if spans else (0.0, 0.0)

    def common_end(self, axis: str) -> float:
        """The last x that all runs with records have reached; 0 without any."""
        return min((member.history.span(axis)[1] for member in self.members if member.history.rows), default=0.0)

    def carried(self, x: float, axis: str, other: str, first: int = 0) -> float | None:
        """Where x of an axis lies on another one by the records of a run that was there, the `first` before others.

        Beyond the end of all runs the longest one tells; None without any record.
        """
        known = [member.history for member in self.members if member.history.rows]
        if not known:
            return None
        wanted = self.members[first].history
        there = [each for each in known if each.span(axis)[0] <= x <= each.span(axis)[1]]
        history = wanted if wanted in there else there[0] if there else max(known, key=lambda each: each.span(axis)[1])
        return history.carried(x, axis, other)

    def curve(self, name: str, axis: str, decay: float, columns: int, span: Span | None = None) -> Curve | None:
        history, metric = self._of(name)
        return history.curve(metric, axis, decay, columns, span or self.span(axis))

    def at(self, name: str, axis: str, x: float) -> Point | None:
        """The recorded point of a run nearest to x; None where the run has not begun, or has ended, at x."""
        history, metric = self._of(name)
        start, stop = history.span(axis)
        return history.at(metric, axis, x) if start <= x <= stop else None

    def fences(self, name: str, axis: str, *, log: bool, span: Span | None = None) -> Span | None:
        history, metric = self._of(name)
        return history.fences(metric, axis, log=log, span=span)

    def outside(self, name: str, axis: str, low: float, high: float, span: Span | None = None) -> tuple[int, int]:
        history, metric = self._of(name)
        return history.outside(metric, axis, low, high, span)

    def _of(self, name: str) -> tuple[History, str]:
        index, _, metric = name.partition("/")
        return self.members[int(index)].history, metric


def places(names: Sequence[str]) -> list[int]:
    """Which marker each run has: by its name, so that it is the same each time; the next one where two would share it.

    As long as a colour is free no two runs have the same.
    """
    found: list[int] = []
    for name in names:
        wanted = zlib.crc32(name.encode())
        order = [(wanted + step) % MOST for step in range(MOST)]
        colours = {place % COLOURS for place in found}
        free = [place for place in order if place not in found]
        found.append(next((place for place in free if place % COLOURS not in colours), free[0]))
    return found
