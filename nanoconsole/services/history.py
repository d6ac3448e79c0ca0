"""Every metric of one run as columns that grow with its records; the newest attempt of a step wins."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nanoconsole.services.columns import Buckets, Column, Ema, Floats, bucketize
from nanocore.runs.curve import NOT_METRICS, attempt_of, number, usable, value
from nanocore.runs.text import sanitize_line

AXES = ("step", "tokens", "time")
MOST_METRICS = 256  # a damaged or hostile file cannot make us keep more


class Series:
    """One metric: the rows of the history it has a value in, and those values (nan and inf included)."""

    def __init__(self) -> None:
        self.rows, self.values = Column(np.int64), Column()
        self._averages: dict[float, Ema] = {}

    def smoothed(self, decay: float) -> Floats:
        average = self._averages.get(decay)
        if average is None:
            average = self._averages[decay] = Ema(decay)
        return average.extend(self.values.values)

    def truncate(self, rows: int) -> None:
        """Forget everything from row `rows` on."""
        kept = int(np.searchsorted(self.rows.values, rows))
        if kept < len(self.rows):
            self.rows.truncate(kept)
            self.values.truncate(kept)
            self._averages.clear()


@dataclass(frozen=True)
class Curve:
    """One metric over an x range: its buckets, its newest point, and how many points it has in all."""

    buckets: Buckets
    last: float | None
    points: int
    nonfinite: int
    nonpositive: int


class History:
    """The records of one run. The poller thread adds, screens read; a lock keeps each call whole."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempt = 0
        self._axes = {"step": Column(), "tokens": Column(), "time": Column()}
        self._series: dict[str, Series] = {}
        self.version = 0

    def add(self, records: Sequence[dict]) -> bool:
        """Take records in file order; True when anything changed. Records of older attempts are dropped."""
        with self._lock:
            before = self.version
            for segment in _segments([record for record in records if usable(record)]):
                if attempt_of(segment[0]) >= self._attempt:
                    self._take(segment)
                    self.version += 1
            return self.version != before

    def clear(self) -> None:
        """Start again: the file was replaced."""
        with self._lock:
            self._truncate(0)
            self._attempt = 0
            self.version += 1

    def _take(self, records: list[dict]) -> None:
        """Append records of one attempt whose steps never fall; what they supersede goes first."""
        known, attempt = self._axes["step"].values, attempt_of(records[0])
        first = records[0]["step"]
        if len(known) and (first < known[-1] or (first == known[-1] and attempt > self._attempt)):
            self._truncate(int(np.searchsorted(known, first)))
        self._attempt = attempt
        rows = self._rows(records)
        for key in set().union(*records) - NOT_METRICS:
            self._put(
                key, [(row, value(record, key)) for row, record in zip(rows, records, strict=True) if key in record]
            )

    def _rows(self, records: list[dict]) -> list[int]:
        """Row of each record, made where its step is new; records of one step share a row."""
        steps = self._axes["step"]
        last, rows, fresh = (float(steps.values[-1]) if len(steps) else -1.0), [], []
        for record in records:
            if record["step"] != last:
                fresh.append(record)
                last = record["step"]
            rows.append(len(steps) + len(fresh) - 1)
        steps.extend([record["step"] for record in fresh])
        for axis, key in (("tokens", "tokens"), ("time", "elapsed")):
            column = self._axes[axis]
            floor = float(column.values[-1]) if len(column) else 0.0
            values = [number(record.get(key)) for record in fresh]
            column.extend(np.fmax.accumulate([floor, *values])[1:])  # never falls; a missing one repeats
        return rows

    def _put(self, key: str, points: list[tuple[int, float | None]]) -> None:
        kept = [(row, value) for row, value in points if value is not None]
        name = key if key in self._series else sanitize_line(key)
        if not kept or (name not in self._series and len(self._series) >= MOST_METRICS):
            return
        series = self._series.setdefault(name, Series())
        series.rows.extend([row for row, _ in kept])
        series.values.extend([value for _, value in kept])

    def _truncate(self, rows: int) -> None:
        for column in self._axes.values():
            column.truncate(rows)
        for series in self._series.values():
            series.truncate(rows)

    def names(self) -> list[str]:
        with self._lock:
            return sorted(name for name, series in self._series.items() if len(series.rows))

    def last(self, name: str) -> float | None:
        """The newest value of a metric, None when it has none."""
        with self._lock:
            series = self._series.get(name)
            return float(series.values.values[-1]) if series and len(series.values) else None

    def tail(self, name: str, points: int) -> Floats:
        """The newest values of a metric, oldest first."""
        with self._lock:
            series = self._series.get(name)
            return series.values.values[-points:].copy() if series else np.empty(0)

    def steps(self, name: str, points: int) -> Floats:
        """The steps at which the newest values of a metric were recorded, oldest first."""
        with self._lock:
            series = self._series.get(name)
            return self._axes["step"].values[series.rows.values[-points:]].copy() if series else np.empty(0)

    def span(self, axis: str) -> tuple[float, float]:
        """First and last x of the run on an axis (0, 0 when it has no record)."""
        with self._lock:
            values = self._axes[axis].values
            return (float(values[0]), float(values[-1])) if len(values) else (0.0, 0.0)

    def pace(self, rows: int = 100) -> float | None:
        """Steps per second of training time over the newest rows; None while it is not known."""
        with self._lock:
            steps, times = (self._axes[axis].values[-rows:] for axis in ("step", "time"))
            if len(steps) < 2 or times[-1] <= times[0]:
                return None
            return float((steps[-1] - steps[0]) / (times[-1] - times[0]))

    def curve(self, name: str, axis: str, decay: float, columns: int) -> Curve | None:
        """A metric over the whole run, reduced to `columns` buckets; None when it has no point."""
        start, stop = self.span(axis)
        with self._lock:
            series = self._series.get(name)
            if series is None or not len(series.values):
                return None
            x = self._axes[axis].values[series.rows.values]
            y = series.values.values
            buckets = bucketize(x, y, series.smoothed(decay), start, stop, columns)
            return Curve(buckets, float(y[-1]), len(y), int(buckets.nonfinite.sum()), int(np.count_nonzero(y <= 0)))


def _segments(records: list[dict]) -> list[list[dict]]:
    """Cut where the attempt changes or the step falls."""
    cuts = [
        index
        for index, (one, two) in enumerate(pairwise(records), 1)
        if two["step"] < one["step"] or attempt_of(two) != attempt_of(one)
    ]
    return [records[start:stop] for start, stop in pairwise([0, *cuts, len(records)]) if stop > start]
