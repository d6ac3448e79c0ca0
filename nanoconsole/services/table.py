"""The rows of a run and its metrics in them, put together from chunks of its records; the newest attempt wins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nanoconsole.services.columnar import Chunk
from nanoconsole.services.columns import Column, Floats, Integers
from nanoconsole.services.series import Series
from nanocore.runs.text import sanitize_line

MOST_METRICS = 256  # a damaged or hostile file cannot make us keep more


class Table:
    """What `nanocore.runs.curve.newest_attempts` keeps of all records taken so far, by step.

    A row is a step. Rows are numbered from the first one taken; older ones, put before it later, get negative numbers,
    so that nothing that holds a number has to be changed.
    """

    def __init__(self) -> None:
        self.renewed = 0  # how often anything but new points at the end came
        self._lowest: dict[int, int] = {}  # the lowest step of each attempt, whether it is still on the curve or not
        self._clear()

    def _clear(self) -> None:
        self.first = 0  # number of the first row
        self.axes = {"step": Column(), "tokens": Column(), "time": Column()}
        self.series: dict[str, Series] = {}
        self._attempts = Column(np.int64)  # of each row, never falling

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers kept."""
        return sum(each.nbytes for each in (*self.axes.values(), self._attempts, *self.series.values()))

    def take(self, chunk: Chunk, *, older: bool = False) -> bool:
        """Take a chunk that lies in the file behind all taken so far, or before all of it; True when anything changed."""
        changed = self._supersede(chunk)
        kept = chunk.steps < self._limits(chunk.attempts)
        chunk = chunk if kept.all() else chunk.take(np.flatnonzero(kept))
        if len(chunk):
            self._place(_ordered(chunk), older)
        return changed or len(chunk) > 0

    def reserve(self, rows: int) -> None:
        """Make room for that many older rows at once."""
        for series in self.series.values():
            series.reserve(rows * len(series) // max(1, len(self._attempts)))
        for column in (*self.axes.values(), self._attempts):
            column.reserve(before=rows)

    def _supersede(self, chunk: Chunk) -> bool:
        """Drop the rows of attempts that a newer one in the chunk began before; True when there were any."""
        changed = -1
        for attempt in np.unique(chunk.attempts).tolist():
            lowest = int(chunk.steps[chunk.attempts == attempt].min())
            if lowest < self._lowest.get(attempt, lowest + 1):
                self._lowest[attempt], changed = lowest, attempt
        attempts = self._attempts.values
        if not len(attempts) or attempts[0] >= changed:
            return False
        kept = self.axes["step"].values < self._limits(attempts)
        count = int(np.count_nonzero(kept))
        if count == len(kept):
            return False
        if kept[:count].all():
            self._truncate(count)
        else:
            self._rebuild(self._rows_as_chunk(kept))
        return True

    def _limits(self, attempts: Integers) -> Floats:
        """For each record's attempt the step from which newer attempts took over."""
        limit, limits = np.inf, {}
        for attempt in sorted(self._lowest, reverse=True):
            limits[attempt] = limit
            limit = min(limit, self._lowest[attempt])
        known, places = np.unique(attempts, return_inverse=True)
        return np.array([limits[attempt] for attempt in known.tolist()])[places]

    def _place(self, chunk: Chunk, older: bool) -> None:
        steps = self.axes["step"].values
        if not len(steps) or (not older and chunk.steps[0] >= steps[-1]):
            self._append(chunk)
        elif older and chunk.steps[-1] <= steps[0]:
            self._prepend(chunk)
        else:  # steps that fall within one attempt: a damaged file
            known = self._rows_as_chunk(np.ones(len(steps), np.bool_))
            self._rebuild(chunk.then(known) if older else known.then(chunk))

    def _append(self, chunk: Chunk) -> None:
        """Take a chunk of ascending steps; its first record may share the last row."""
        steps = self.axes["step"]
        last = steps.values[-1] if len(steps) else -1.0
        fresh = np.diff(chunk.steps, prepend=last) != 0
        rows = self.first + len(steps) - 1 + np.cumsum(fresh)
        steps.extend(chunk.steps[fresh])
        self._attempts.extend(chunk.attempts[fresh])
        for axis, values in (("tokens", chunk.tokens), ("time", chunk.elapsed)):
            column = self.axes[axis]
            floor = column.values[-1] if len(column) else 0.0
            column.extend(np.fmax.accumulate(np.append(floor, values[fresh]))[1:])  # never falls; a missing one repeats
        for name, series, (where, values) in self._named(chunk):
            series.extend(rows[where], values)
            self.series[name] = series

    def _prepend(self, chunk: Chunk) -> None:
        """Take a chunk of ascending steps before all rows; its last records may share the first row."""
        self.renewed += 1
        steps = self.axes["step"]
        fresh = np.diff(chunk.steps, prepend=-1.0) != 0
        shared = bool(chunk.steps[-1] == steps.values[0])
        new = np.flatnonzero(fresh)[: -1 if shared else None]  # the record that makes each row
        rows = self.first - len(new) + np.cumsum(fresh) - 1
        for axis, values in (("tokens", chunk.tokens), ("time", chunk.elapsed)):
            column = self.axes[axis]
            if shared:  # the first record of a step says where it lies
                column.values[0] = np.fmax(values[np.flatnonzero(fresh)[-1]], 0.0)
            column.prepend(np.fmax.accumulate(np.append(0.0, values[new]))[1:])
            if len(new):  # what came before is the least that all later rows have
                later = column.values[len(new) :]
                floor = column.values[len(new) - 1]
                later[: np.searchsorted(later, floor)] = floor
        steps.prepend(chunk.steps[new])
        self._attempts.prepend(chunk.attempts[new])
        self.first -= len(new)
        for name, series, (where, values) in self._named(chunk):
            series.prepend(rows[where], values)
            self.series[name] = series

    def _named(self, chunk: Chunk) -> Iterator[tuple[str, Series, tuple[Integers, Floats]]]:
        """The metrics of a chunk under their safe names, while there is room for more names."""
        for key, points in chunk.metrics.items():
            name = key if key in self.series else sanitize_line(key)
            if len(points[0]) and (name in self.series or len(self.series) < MOST_METRICS):
                yield name, self.series.get(name) or Series(), points

    def _truncate(self, rows: int) -> None:
        """Keep the first `rows` rows."""
        self.renewed += 1
        for column in (*self.axes.values(), self._attempts):
            column.truncate(rows)
        for series in self.series.values():
            series.truncate(self.first + rows)

    def _rows_as_chunk(self, kept: np.ndarray) -> Chunk:
        """The rows that are kept as a chunk, a record for each row and each further value in it."""
        chunks = Chunk(
            self.axes["step"].values.astype(np.int64),
            self._attempts.values.copy(),
            self.axes["tokens"].values.copy(),
            self.axes["time"].values.copy(),
            {name: (series.rows.numbers() - self.first, series.values) for name, series in self.series.items()},
        )
        return chunks.take(np.flatnonzero(kept))

    def _rebuild(self, chunk: Chunk) -> None:
        """Start again from all records there are."""
        self.renewed += 1
        self._clear()
        if len(chunk):
            self._append(_ordered(chunk))


def _ordered(chunk: Chunk) -> Chunk:
    """By step; records of one step in the order of the file."""
    if (np.diff(chunk.steps) >= 0).all():
        return chunk
    return chunk.take(np.argsort(chunk.steps, kind="stable"))
