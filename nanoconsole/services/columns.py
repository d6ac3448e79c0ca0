"""Numbers kept as growing numpy columns, and what a chart needs from them: envelope and smoothed line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
BLOCK = 32  # points averaged at once


class Column:
    """An append-only array that doubles its room; `values` is the filled part, without a copy."""

    def __init__(self, dtype: type[np.generic] = np.float64) -> None:
        self._room = np.empty(64, dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> np.ndarray:
        return self._room[: self._length]

    def extend(self, values: Sequence[float] | np.ndarray) -> None:
        needed = self._length + len(values)
        if needed > len(self._room):
            room = np.empty(max(needed, 2 * len(self._room)), self._room.dtype)
            room[: self._length] = self.values
            self._room = room
        self._room[self._length : needed] = values
        self._length = needed

    def truncate(self, length: int) -> None:
        self._length = min(length, self._length)


@dataclass(frozen=True)
class Buckets:
    """One value per dot column of a chart. `low` and `high` (raw) are exact, so no spike is lost.

    `line` is the smoothed curve. Empty columns hold nan; `nonfinite` counts nan and inf points.
    """

    low: Floats
    high: Floats
    line: Floats
    count: Integers
    nonfinite: Integers


def bucketize(x: Floats, y: Floats, line: Floats, start: float, stop: float, columns: int) -> Buckets:
    """Reduce points (x ascending, inside [start, stop]) to `columns` min-max buckets, all in numpy.

    Sources: min-max decimation per pixel column is exact for a chart of that many columns.
    """
    width = max(stop - start, 1e-12)
    edges = start + width * np.arange(1, columns) / columns
    splits = np.concatenate(([0], np.searchsorted(x, edges, "left"), [len(x)]))
    count = np.diff(splits)
    full = np.flatnonzero(count)
    finite = np.isfinite(y)
    good = np.zeros(columns, np.int64)
    out = {name: np.full(columns, np.nan) for name in ("low", "high", "line")}
    if full.size:
        first = splits[full]
        good[full] = np.add.reduceat(finite.astype(np.int64), first)
        out["low"][full] = np.minimum.reduceat(np.where(finite, y, np.inf), first)
        out["high"][full] = np.maximum.reduceat(np.where(finite, y, -np.inf), first)
        total = np.add.reduceat(np.where(finite, line, 0.0), first)
        out["line"][full] = np.divide(total, good[full], out=np.zeros(full.size), where=good[full] > 0)
        for values in out.values():
            values[good == 0] = np.nan
    return Buckets(out["low"], out["high"], out["line"], count, count - good)


class Ema:
    """A bias-corrected exponential moving average over points, extended as they arrive.

    m_t = d m_(t-1) + (1 - d) x_t, shown as m_t / (1 - d^t) (Adam's correction), so the first value is
    x_1. Non-finite points are passed over: the average keeps its value there. d = 0 is x itself.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._mean, self._seen = 0.0, 0
        self._result = Column()
        power = np.arange(BLOCK)
        lower = np.tril(np.power(decay, (power[:, None] - power[None, :]).clip(0)))
        self._response = (1.0 - decay) * lower  # (BLOCK, BLOCK): answer of each output to each input

    def extend(self, values: Floats) -> Floats:
        """Average of all points so far, given all points so far (only the new ones are worked on)."""
        fresh = values[len(self._result) :]
        good = np.isfinite(fresh)
        usable = fresh[good]
        shown = self._averages(usable) if self.decay else usable
        last = self._result.values[-1] if len(self._result) else np.nan
        self._result.extend(np.concatenate(([last], shown))[np.cumsum(good)])  # repeated where a point is not finite
        return self._result.values

    def _averages(self, usable: Floats) -> Floats:
        """Corrected averages after each usable point: each block answers at once, and carries into the next."""
        blocks = -(-len(usable) // BLOCK)
        padded = np.zeros(blocks * BLOCK)
        padded[: len(usable)] = usable
        local = np.einsum(
            "bi,oi->bo", padded.reshape(blocks, BLOCK), self._response
        )  # (blocks, BLOCK); no BLAS threads
        fade, carried = self.decay**BLOCK, [self._mean]
        for end in local[:, -1].tolist():
            carried.append(end + fade * carried[-1])
        power = np.power(self.decay, np.arange(1, BLOCK + 1))
        means = (local + np.outer(carried[:-1], power)).reshape(-1)[: len(usable)]
        order = np.arange(self._seen + 1, self._seen + len(usable) + 1)
        self._mean, self._seen = (float(means[-1]) if len(means) else self._mean), self._seen + len(usable)
        return means / (1.0 - np.power(self.decay, order))
