"""Every metric of one run: its curves and numbers, from records that may come newest first."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np

from nanoconsole.services.columnar import Chunk, columns_of
from nanoconsole.services.columns import Floats, Integers
from nanoconsole.services.curves import Curve, Point, Span
from nanoconsole.services.fences import fences
from nanoconsole.services.series import Series
from nanoconsole.services.table import Table
from nanocore.runs.records import Record

CURVES = 64  # reduced curves kept: who looks at a range after the other must not gather them all


class History:
    """The records of one run as a `CurveSource`: what `nanocore.runs.curve.newest_attempts` keeps of all taken so far.

    Records may come in any number of pieces, each behind or before everything taken so far in the order of the file.
    The poller thread adds, screens read; a lock keeps each call whole.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._table = Table()
        self._curves: dict[tuple[object, ...], Curve | None] = {}  # of the present version: a key press changes none
        self.version = 0

    def add(self, records: Iterable[Record], *, older: bool = False) -> bool:
        """Take records in file order; True when anything changed."""
        return self.take(columns_of(records), older=older)

    def take(self, chunk: Chunk, *, older: bool = False) -> bool:
        """Take a chunk that lies in the file behind all taken so far, or before all of it; True when anything changed."""
        with self._lock:
            changed = self._table.take(chunk, older=older)
            if changed:
                self._count_on()
            return changed

    def clear(self) -> None:
        """Start again: the file was replaced."""
        with self._lock:
            renewed, self._table = self._table.renewed, Table()
            self._table.renewed = renewed + 1
            self._count_on()

    def _count_on(self) -> None:
        self.version += 1
        self._curves.clear()

    @property
    def epoch(self) -> int:
        """Another number whenever anything but new points at the end came."""
        with self._lock:
            return self._table.renewed

    def reserve(self, rows: int) -> None:
        """Make room for that many older rows at once."""
        with self._lock:
            self._table.reserve(rows)

    @property
    def rows(self) -> int:
        """How many steps it has."""
        with self._lock:
            return len(self._table.axes["step"])

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers kept."""
        with self._lock:
            return self._table.nbytes

    def names(self) -> list[str]:
        with self._lock:
            return sorted(name for name, series in self._table.series.items() if len(series))

    def count(self, name: str) -> int:
        """How many points a metric has."""
        with self._lock:
            series = self._table.series.get(name)
            return len(series) if series else 0

    def last(self, name: str) -> float | None:
        """The newest value of a metric, None when it has none."""
        with self._lock:
            series = self._table.series.get(name)
            return float(series.values[-1]) if series and len(series) else None

    def tail(self, name: str, points: int) -> Floats:
        """The newest values of a metric, oldest first."""
        with self._lock:
            series = self._table.series.get(name)
            return series.values[-points:].copy() if series else np.empty(0)

    def steps(self, name: str, points: int) -> Floats:
        """The steps at which the newest values of a metric were recorded, oldest first."""
        with self._lock:
            series = self._table.series.get(name)
            if series is None:
                return np.empty(0)
            return self._x(series, "step", max(0, len(series) - points), len(series))

    def span(self, axis: str) -> Span:
        """First and last x of the run on an axis (0, 0 when it has no record)."""
        with self._lock:
            return self._span(axis)

    def place(self, step: int, axis: str) -> float | None:
        """Where a step lies on an axis: the last row that is not after it; None before the first one."""
        with self._lock:
            row = int(np.searchsorted(self._table.axes["step"].values, step, "right")) - 1
            if axis == "step":
                return float(step)
            return float(self._table.axes[axis].values[row]) if row >= 0 else None

    def carried(self, x: float, axis: str, other: str) -> float | None:
        """Where the row nearest to x on an axis lies on another one; None without any row."""
        with self._lock:
            values = self._table.axes[axis].values
            if not len(values):
                return None
            row = min(int(np.searchsorted(values, x)), len(values) - 1)
            nearer = row - 1 if row and x - values[row - 1] <= values[row] - x else row
            return float(self._table.axes[other].values[nearer])

    def pace(self, rows: int = 100) -> float | None:
        """Steps per second of training time over the newest rows; None while it is not known."""
        with self._lock:
            steps, times = (self._table.axes[axis].values[-rows:] for axis in ("step", "time"))
            if len(steps) < 2 or times[-1] <= times[0]:
                return None
            return float((steps[-1] - steps[0]) / (times[-1] - times[0]))

    def curve(self, name: str, axis: str, decay: float, columns: int, span: Span | None = None) -> Curve | None:
        """A metric reduced to `columns` buckets over the whole axis or a span of it; None when it has no point."""
        asked = (name, axis, decay, columns, span)
        with self._lock:
            if asked not in self._curves:
                if len(self._curves) >= CURVES:
                    self._curves.clear()
                self._curves[asked] = self._curve(*asked)
            return self._curves[asked]

    def at(self, name: str, axis: str, x: float) -> Point | None:
        """The recorded point nearest to x, the earlier of two equally near; None without any point."""
        with self._lock:
            series = self._table.series.get(name)
            if series is None or not len(series):
                return None
            after = int(self._points_before(series, axis, np.array([x]), "left")[0])
            near = [point for index in (after - 1, after) if (point := self._point(series, axis, index))]
            return min(near, key=lambda point: abs(point[0] - x))

    def fences(self, name: str, axis: str, *, log: bool, span: Span | None = None) -> Span | None:
        """The range of values that are no outliers; None without a finite (on a log scale positive) point."""
        with self._lock:
            return fences(self._inside(name, axis, span), log=log)

    def outside(self, name: str, axis: str, low: float, high: float, span: Span | None = None) -> tuple[int, int]:
        """How many finite points lie above `high`, and how many below `low`."""
        with self._lock:
            values = self._inside(name, axis, span)
            above, below = (values > high) & (values < np.inf), (values < low) & (values > -np.inf)
            return int(np.count_nonzero(above)), int(np.count_nonzero(below))

    def _curve(self, name: str, axis: str, decay: float, columns: int, span: Span | None) -> Curve | None:
        series = self._table.series.get(name)
        if series is None or not len(series):
            return None
        splits = self._splits(series, axis, *(span or self._span(axis)), columns)
        buckets = series.buckets(splits, decay)
        low, high = int(splits[0]), int(splits[-1])
        ends = (self._point(series, axis, low - 1), self._point(series, axis, high))
        return Curve(buckets, float(series.values[-1]), high - low, int(buckets.nonfinite.sum()), *ends)

    def _span(self, axis: str) -> Span:
        values = self._table.axes[axis].values
        return (float(values[0]), float(values[-1])) if len(values) else (0.0, 0.0)

    def _inside(self, name: str, axis: str, span: Span | None) -> Floats:
        """The values of a metric within a span."""
        series = self._table.series.get(name)
        if series is None or span is None:
            return series.values if series else np.empty(0)
        low, high = self._splits(series, axis, *span, 1)
        return series.values[low:high]

    def _splits(self, series: Series, axis: str, start: float, stop: float, columns: int) -> Integers:
        """Indices of the points at which `columns` buckets from start to stop (both inclusive) begin and end."""
        edges = start + max(stop - start, 1e-12) * np.arange(columns) / columns
        before = self._points_before(series, axis, edges, "left")
        return np.append(before, self._points_before(series, axis, np.array([stop]), "right"))

    def _points_before(self, series: Series, axis: str, x: Floats, side: str) -> Integers:
        """How many points of a metric lie before each x."""
        rows = np.searchsorted(self._table.axes[axis].values, x, side)  # type: ignore[call-overload]
        return series.rows.search(self._table.first + rows)

    def _x(self, series: Series, axis: str, start: int, stop: int) -> Floats:
        return self._table.axes[axis].values[series.rows.numbers(start, stop) - self._table.first]

    def _point(self, series: Series, axis: str, index: int) -> Point | None:
        """A point by its index, None where there is none."""
        if not 0 <= index < len(series):
            return None
        return float(self._x(series, axis, index, index + 1)[0]), float(series.values[index])
