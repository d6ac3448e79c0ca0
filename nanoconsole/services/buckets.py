"""Points reduced to one bucket per dot column of a chart, exactly, in time that hardly grows with their number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanoconsole.services.columns import Column, Floats, Integers

BLOCK = 16  # points summed up together
EMPTY = (np.inf, -np.inf, 0.0, 0.0)  # lowest, highest, sum and number of no point
FOLDS = (np.minimum, np.maximum, np.add, np.add)  # how those of two stretches make those of both


@dataclass(frozen=True)
class Buckets:
    """One value per dot column of a chart. `low` and `high` (raw) are exact, so no spike is lost.

    `line` is the mean of the smoothed curve over the bucket. Empty columns hold nan; `count` is the number of points,
    `nonfinite` that of nan and inf among them.
    """

    low: Floats
    high: Floats
    line: Floats
    count: Integers
    nonfinite: Integers


@dataclass(frozen=True)
class Sums:
    """Of each bucket the lowest and highest finite value (inf, -inf when there is none), their sum and number."""

    low: Floats
    high: Floats
    total: Floats
    good: Floats


def summed(values: Floats) -> tuple[Floats, ...]:
    """Lowest, highest, sum and number of the finite values in each row of (rows, width)."""
    finite = np.isfinite(values)
    if finite.all():
        return values.min(1), values.max(1), values.sum(1), np.full(len(values), float(values.shape[1]))
    return (
        np.where(finite, values, np.inf).min(1),
        np.where(finite, values, -np.inf).max(1),
        np.where(finite, values, 0.0).sum(1),
        finite.sum(1).astype(np.float64),
    )


class Blocks:
    """Sums of whole blocks of points. Blocks begin at multiples of BLOCK of a point's place, which stays the same when
    older points come before it: the first point ever taken has place 0, earlier ones negative places."""

    def __init__(self) -> None:
        self.first = 0  # the first block kept
        self._parts = tuple(Column() for _ in EMPTY)

    def __len__(self) -> int:
        return len(self._parts[0])

    def clear(self) -> None:
        for part in self._parts:
            part.truncate(0)

    def truncate(self, stop: int) -> None:
        """Forget the blocks that reach beyond place `stop`."""
        for part in self._parts:
            part.truncate(max(0, stop // BLOCK - self.first))

    def cover(self, values: Floats, begin: int) -> None:
        """Sum up the whole blocks of the points at places from `begin` on that are not summed up yet."""
        first, stop = -(-begin // BLOCK), (begin + len(values)) // BLOCK
        if stop <= first:
            return
        if not len(self):
            self.first = first
        end = self.first + len(self)
        self._put(values[first * BLOCK - begin : self.first * BLOCK - begin], before=True)
        self._put(values[end * BLOCK - begin : stop * BLOCK - begin], before=False)
        self.first = first

    def _put(self, values: Floats, *, before: bool) -> None:
        if not len(values):
            return
        for part, sums in zip(self._parts, summed(values.reshape(-1, BLOCK)), strict=True):
            (part.prepend if before else part.extend)(sums)

    def over(self, first: Integers, stop: Integers) -> tuple[Floats, ...]:
        """Sums over the blocks from `first` to before `stop`, pair by pair, ascending; nothing where first >= stop."""
        starts = np.clip(first - self.first, 0, len(self))
        ends = np.maximum(starts, np.clip(stop - self.first, 0, len(self)))
        found = tuple(np.full(len(starts), nothing) for nothing in EMPTY)
        cuts = np.stack((starts, ends), 1).reshape(-1)
        cuts = cuts[: np.searchsorted(cuts, len(self))]  # what begins behind the last block is empty
        some = (starts < ends)[: (len(cuts) + 1) // 2]
        if some.any():
            for fold, part, column in zip(FOLDS, self._parts, found, strict=True):
                column[: len(some)][some] = fold.reduceat(part.values, cuts)[::2][some]
        return found


def sums(values: Floats, blocks: Blocks, begin: int, splits: Integers) -> Sums:
    """Sums of the points between neighbouring splits (indices into `values`, ascending): whole blocks where they lie
    inside a bucket, single points at its ends. `blocks` must cover the values, whose first has place `begin`."""
    start, stop = splits[:-1], splits[1:]
    inner, outer = -(-(start + begin) // BLOCK), (stop + begin) // BLOCK
    whole = inner < outer
    left, right = np.where(whole, inner * BLOCK - begin, stop), np.where(whole, outer * BLOCK - begin, stop)
    ends = _ends(values, np.concatenate((start, right)), np.concatenate((left, stop)))
    parts = zip(ends, blocks.over(inner, np.where(whole, outer, inner)), FOLDS, strict=True)
    return Sums(*(fold(fold.reduce(end.reshape(2, -1)), middle) for end, middle, fold in parts))


def _ends(values: Floats, start: Integers, stop: Integers) -> tuple[Floats, ...]:
    """Sums of the few single points (fewer than two blocks) from each start to before its stop."""
    width = int((stop - start).max(initial=0))
    if not width:
        return tuple(np.full(len(start), nothing) for nothing in EMPTY)
    places = start[:, None] + np.arange(width)
    inside = places < stop[:, None]
    return summed(np.where(inside, values[np.minimum(places, len(values) - 1)], np.nan))
