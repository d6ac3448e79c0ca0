"""One metric of a run: in which rows of the history it was recorded, its values, and its curve over a range."""

from __future__ import annotations

import numpy as np

from nanoconsole.services.buckets import Blocks, Buckets, sums
from nanoconsole.services.columns import Column, Floats, Integers
from nanoconsole.services.smoothing import totals


class Rows:
    """Ascending row numbers, a row for each point. Most metrics stand in every row of a stretch; that needs no list."""

    def __init__(self) -> None:
        self._first = self._count = 0
        self._listed: Column | None = None

    def __len__(self) -> int:
        return self._count

    def numbers(self, start: int = 0, stop: int | None = None) -> Integers:
        """The rows of the points from `start` to before `stop`."""
        if self._listed is not None:
            return self._listed.values[start:stop]
        return self._first + np.arange(start, self._count if stop is None else stop)

    def search(self, rows: Integers) -> Integers:
        """For each row how many points stand before it."""
        if self._listed is not None:
            return np.searchsorted(self._listed.values, rows)
        return np.clip(rows - self._first, 0, self._count)

    def extend(self, rows: Integers) -> None:
        """Take rows that are not before the last one."""
        if not self._count:
            self._first = int(rows[0])
        if self._listed is None and not _stretch(rows, self._first + self._count):
            self._list()
        if self._listed is not None:
            self._listed.extend(rows)
        self._count += len(rows)

    def prepend(self, rows: Integers) -> None:
        """Take rows that are not after the first one."""
        if not self._count:
            return self.extend(rows)
        if self._listed is None and not _stretch(rows, self._first - len(rows)):
            self._list()
        if self._listed is not None:
            self._listed.prepend(rows)
        self._first = int(rows[0])
        self._count += len(rows)
        return None

    def truncate(self, length: int) -> None:
        self._count = min(self._count, length)
        if self._listed is not None:
            self._listed.truncate(length)

    @property
    def nbytes(self) -> int:
        return self._listed.nbytes if self._listed is not None else 0

    def _list(self) -> None:
        numbers, self._listed = self.numbers(), Column(np.int64)
        self._listed.extend(numbers)


def _stretch(rows: Integers, first: int) -> bool:
    """Whether the rows are one stretch that begins at `first`; they never fall."""
    return rows[0] == first and rows[-1] - first == len(rows) - 1 and bool((np.diff(rows) == 1).all())


class Series:
    """The points of one metric, oldest first, nan and inf included."""

    def __init__(self) -> None:
        self.rows, self._values = Rows(), Column()
        self._begin = 0  # place of the oldest point: how many were put before the first one taken, negative
        self._blocks = Blocks()

    def __len__(self) -> int:
        return len(self._values)

    @property
    def values(self) -> Floats:
        return self._values.values

    @property
    def nbytes(self) -> int:
        return self._values.nbytes + self.rows.nbytes

    def extend(self, rows: Integers, values: Floats) -> None:
        self.rows.extend(rows)
        self._values.extend(values)

    def prepend(self, rows: Integers, values: Floats) -> None:
        self.rows.prepend(rows)
        self._values.prepend(values)
        self._begin -= len(values)

    def reserve(self, before: int) -> None:
        """Room for that many older points."""
        self._values.reserve(before=before)

    def truncate(self, row: int) -> None:
        """Forget everything from `row` on."""
        kept = int(self.rows.search(np.array([row]))[0])
        self.rows.truncate(kept)
        self._values.truncate(kept)
        self._blocks.truncate(self._begin + kept)

    def buckets(self, splits: Integers, decay: float) -> Buckets:
        """The points between neighbouring splits (indices of points), with the smoothed line through them."""
        self._blocks.cover(self.values, self._begin)
        found = sums(self.values, self._blocks, self._begin, splits)
        with np.errstate(invalid="ignore", divide="ignore"):
            line = self._smoothed(splits, found.total, found.good, decay) / found.good
        empty, count = found.good == 0, np.diff(splits)
        low, high = (np.where(empty, np.nan, edge) for edge in (found.low, found.high))
        return Buckets(low, high, line, count, count - found.good.astype(np.int64))

    def _smoothed(self, splits: Integers, plain: Floats, good: Floats, decay: float) -> Floats:
        """Sums of the smoothed line; it passes over points that are not finite."""
        if not decay:
            return plain
        low, high = max(0, int(splits[0]) - BACK), int(splits[-1])
        near = self.values[low:high]
        if good.sum() == splits[-1] - splits[0] and np.isfinite(near[: int(splits[0]) - low]).all():
            return totals(self.values, splits, plain, decay)
        finite = np.isfinite(self.values)
        places = np.concatenate(([0], np.cumsum(finite)))[splits]
        return totals(self.values[finite], places, plain, decay)


BACK = 1024  # points before the first bucket that may still count in an average
