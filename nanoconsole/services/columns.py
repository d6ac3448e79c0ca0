"""Numbers kept as numpy columns that grow at both ends: new ones behind, older ones, read later, before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Column:
    """An array with room at both ends, doubled when it is used up; `values` is the filled part, without a copy."""

    def __init__(self, dtype: type[np.generic] = np.float64) -> None:
        self._room = np.empty(64, dtype)
        self._start = self._stop = 0

    def __len__(self) -> int:
        return self._stop - self._start

    @property
    def values(self) -> np.ndarray:
        return self._room[self._start : self._stop]

    @property
    def nbytes(self) -> int:
        """Bytes of the values kept, without the room around them."""
        return self.values.nbytes

    def extend(self, values: Sequence[float] | np.ndarray) -> None:
        """Add values behind the last one."""
        self.reserve(after=len(values))
        self._room[self._stop : self._stop + len(values)] = values
        self._stop += len(values)

    def prepend(self, values: Sequence[float] | np.ndarray) -> None:
        """Add values before the first one."""
        self.reserve(before=len(values))
        self._room[self._start - len(values) : self._start] = values
        self._start -= len(values)

    def truncate(self, length: int) -> None:
        """Keep the first `length` values."""
        self._stop = min(self._stop, self._start + length)

    def reserve(self, *, before: int = 0, after: int = 0) -> None:
        """Make room for that many values at once; memory is used only where values are written."""
        short_before = before > self._start
        short_after = after > len(self._room) - self._stop
        if not (short_before or short_after):
            return
        kept = len(self)
        left = max(before, kept) if short_before else self._start
        right = max(after, kept) if short_after else len(self._room) - self._stop
        room = np.empty(left + kept + right, self._room.dtype)
        room[left : left + kept] = self.values
        self._room, self._start, self._stop = room, left, left + kept
