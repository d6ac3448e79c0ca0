"""The measurements of each layer of a run over its whole history, kept as columns that strips are drawn from."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nanoconsole.services.columns import Floats
from nanoconsole.services.layer_metrics import LAYER_METRICS, LayerMetric
from nanocore.analysis.stream_health import Verdict, verdict
from nanocore.runs.curve import attempt_of, usable, value
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import Record, Tail
from nanocore.runs.text import sanitize_line

CHUNK = 1 << 18  # bytes of records decoded before others get their turn
MOST_ROWS = 4096  # of one metric, and of the parts of one list: a damaged file cannot make us keep more
NAME_LENGTH = 80


@dataclass
class _Row:
    """Values of one layer, each with the number of the measurement (of its kind) it belongs to."""

    places: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def truncate(self, place: int) -> None:
        """Forget everything from measurement `place` on."""
        while self.places and self.places[-1] >= place:
            self.places.pop()
            self.values.pop()


@dataclass(frozen=True)
class Cells:
    """One row as cells, oldest first: mean, least and greatest finite value, the newest, and if any was not finite.

    Cells without a measurement hold nan and a count of 0.
    """

    mean: Floats
    low: Floats
    high: Floats
    newest: Floats
    count: np.ndarray
    nonfinite: np.ndarray


@dataclass(frozen=True)
class Worst:
    """The newest value of a metric that is farthest from healthy: in which row, and what is wrong with it."""

    row: str
    value: float
    verdict: Verdict


class LayerHistory:
    """The records of one run's layers. One thread adds, the interface reads; a lock keeps each call whole."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempt = 0
        self._steps: dict[str, array[int]] = {}  # of every measurement, by kind
        self._rows: dict[LayerMetric, dict[str, _Row]] = {metric: {} for metric in LAYER_METRICS}
        self._ranges: dict[LayerMetric, tuple[int, tuple[float, float]]] = {}
        self.version = 0

    def add(self, records: Iterable[Record]) -> None:
        """Take records in file order. Those of older attempts are dropped; a newer one supersedes from its step on."""
        with self._lock:
            for record in records:
                if usable(record) and isinstance(record.get("name"), str):
                    self._take(record)
            self.version += 1

    def clear(self) -> None:
        """Start again: the file was replaced."""
        with self._lock:
            self._supersede(0)
            self._attempt = 0
            self.version += 1

    def _take(self, record: Record) -> None:
        attempt, step, kind = attempt_of(record), record["step"], str(record.get("kind"))
        if attempt > self._attempt:
            self._supersede(step)
            self._attempt = attempt
        steps = self._steps.setdefault(kind, array("q"))
        if attempt < self._attempt or (steps and step < steps[-1]):
            return
        if not steps or step > steps[-1]:
            steps.append(step)
        name = sanitize_line(record["name"], NAME_LENGTH)
        for metric, rows in self._rows.items():
            if metric.kind == kind:
                for row, found in _values(metric, name, record):
                    if row in rows or len(rows) < MOST_ROWS:
                        kept = rows.setdefault(row, _Row())
                        kept.places.append(len(steps) - 1)
                        kept.values.append(found)

    def _supersede(self, step: int) -> None:
        for kind, steps in self._steps.items():
            place = int(np.searchsorted(np.array(steps), step))
            del steps[place:]
            for metric, rows in self._rows.items():
                if metric.kind == kind:
                    for row in rows.values():
                        row.truncate(place)

    def metrics(self) -> list[LayerMetric]:
        """Those that have a value, in the order of the table."""
        with self._lock:
            return [metric for metric, rows in self._rows.items() if any(row.values for row in rows.values())]

    def rows(self, metric: LayerMetric) -> list[str]:
        """Names of a metric's rows, in the model's order."""
        with self._lock:
            return [name for name, row in self._rows[metric].items() if row.values]

    def steps(self, metric: LayerMetric) -> list[int]:
        """The steps at which it was measured."""
        with self._lock:
            return list(self._steps.get(metric.kind, ()))

    def series(self, metric: LayerMetric, row: str) -> list[tuple[int, float]]:
        """Step and value of every measurement of one row."""
        with self._lock:
            found, steps = self._rows[metric].get(row, _Row()), self._steps.get(metric.kind, array("q"))
            return [(steps[place], number) for place, number in zip(found.places, found.values, strict=True)]

    def range(self, metric: LayerMetric) -> tuple[float, float]:
        """Least and greatest finite value of all rows; nan when there is none. The shades of strips span it."""
        with self._lock:
            known = self._ranges.get(metric)
            if known is None or known[0] != self.version:
                known = (self.version, _range(self._rows[metric].values()))
                self._ranges[metric] = known
            return known[1]

    def cells(self, metric: LayerMetric, names: Sequence[str], edges: np.ndarray) -> list[Cells]:
        """The rows of these names in cells that begin at `edges` of the metric's measurements; see `edges_of`."""
        with self._lock:
            return [_cells(self._rows[metric].get(name, _Row()), edges) for name in names]

    def worst(self, metric: LayerMetric) -> Worst | None:
        """The newest value that is worst by the metric's rule; None while all are healthy or nothing says what is."""
        if metric.rule is None:
            return None
        with self._lock:
            steps = self._steps.get(metric.kind, array("q"))
            found = [
                Worst(name, row.values[-1], verdict(metric.rule, row.values[-1]))
                for name, row in self._rows[metric].items()
                if row.values and steps[row.places[-1]] >= metric.rule.from_step
            ]
        low, high = metric.rule.healthy
        worst = max(found, key=lambda each: (each.verdict.rank, max(each.value - high, low - each.value)), default=None)
        return worst if worst is not None and worst.verdict.rank else None

    def facts(self, metric: LayerMetric) -> dict[str, Any]:
        """What is to be said of a metric, for JSON; an end of a range that is not there is None."""
        worst, (low, high) = self.worst(metric), self.range(metric)
        outside = worst and {"row": worst.row, "level": worst.verdict.level, "reason": worst.verdict.reason}
        healthy = metric.healthy and [_end(end) for end in metric.healthy]
        names = {"name": metric.name, "label": metric.label, "help": metric.help}
        return {**names, "healthy": healthy, "low": _end(low), "high": _end(high), "worst": outside}


class LayersReader:
    """Reads a run's layers.jsonl again and again into a history, a piece at a time."""

    def __init__(self, run: RunFolder) -> None:
        self.history = LayerHistory()
        self._tail = Tail(run.layers_file)

    def read(self) -> bool:
        """Read on; True when more is there already."""
        records = self._tail.read(CHUNK)
        if self._tail.restarted:
            self.history.clear()
        if records:
            self.history.add(records)
        return self._tail.pending

    @property
    def skipped(self) -> int:
        """Lines that were no records."""
        return self._tail.skipped


def _end(value: float) -> float | None:
    return value if math.isfinite(value) else None


def edges_of(measurements: int, columns: int) -> np.ndarray:
    """Where each of at most `columns` cells begins among the measurements, and the end."""
    cells = max(1, min(columns, measurements))
    return np.arange(cells + 1) * measurements // cells


def _values(metric: LayerMetric, name: str, record: Record) -> Iterable[tuple[str, float]]:
    """Row and value of a metric in a record; a list has a row for each part."""
    found = record.get(metric.key)
    if not isinstance(found, list):
        number = value(record, metric.key)
        return [] if number is None else [(name, number)]
    words: Any = record.get("nonfinite")
    flat = {f"{metric.key}.{index}": item for index, item in enumerate(found[:MOST_ROWS])}
    numbers = [value({**flat, "nonfinite": words}, key) for key in flat]
    labels = (metric.parts[place] if place < len(metric.parts) else f"{place + 1}" for place in range(len(numbers)))
    return [(f"{name} {label}", number) for label, number in zip(labels, numbers, strict=True) if number is not None]


def _range(rows: Iterable[_Row]) -> tuple[float, float]:
    low, high = math.inf, -math.inf
    for row in rows:
        values = np.array(row.values)
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return (low, high) if low <= high else (math.nan, math.nan)


def _cells(row: _Row, edges: np.ndarray) -> Cells:
    columns = len(edges) - 1
    splits = np.searchsorted(np.array(row.places, dtype=np.int64), edges)
    values = np.array(row.values, dtype=float)[: splits[-1]]
    count = np.diff(splits)
    full = np.flatnonzero(count)
    good = np.zeros(columns, np.int64)
    mean, low, high, newest = (np.full(columns, np.nan) for _ in range(4))
    if full.size:
        first, finite = splits[full], np.isfinite(values)
        good[full] = np.add.reduceat(finite.astype(np.int64), first)
        low[full] = np.minimum.reduceat(np.where(finite, values, np.inf), first)
        high[full] = np.maximum.reduceat(np.where(finite, values, -np.inf), first)
        mean[full] = np.add.reduceat(np.where(finite, values, 0.0), first) / np.maximum(good[full], 1)
        newest[full] = values[splits[full + 1] - 1]
        for column in (mean, low, high):
            column[good == 0] = np.nan
    return Cells(mean, low, high, newest, count, count > good)
