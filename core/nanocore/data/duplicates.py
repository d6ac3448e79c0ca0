"""Drops documents seen before, exactly or nearly, so that held-out text is never a copy of training text."""

from __future__ import annotations

from zlib import crc32

import numpy as np

# MinHash over the distinct lines of a document (Broder 1997, "On the resemblance and containment of
# documents"): two documents agree in each of the minima with probability equal to their Jaccard similarity.
HASHES = 64
ROWS = 4  # minima that must all agree for a candidate; 16 bands find 0.7-similar pairs with probability 0.99
SIMILAR = 0.7


class Duplicates:
    """Remembers what was kept; the first of several similar documents stays."""

    def __init__(self) -> None:
        draw = np.random.Philox(key=0).random_raw(2 * HASHES).reshape(2, HASHES, 1)
        self._multiply, self._add = draw[0] | np.uint64(1), draw[1]
        self._exact: set[bytes] = set()
        self._sketches: list[np.ndarray] = []
        self._bands: dict[bytes, list[int]] = {}

    def seen(self, text: bytes, digest: bytes, *, near: bool) -> bool:
        """Whether this text (or, with `near`, one at least 70 % similar by lines) was kept before; else keeps it."""
        if digest in self._exact:
            return True
        if near and self._seen_near(self._sketch(text)):
            return True
        self._exact.add(digest)
        return False

    def _sketch(self, text: bytes) -> np.ndarray:
        """(HASHES,) uint32: for each hash function, its minimum over the lines without their margins."""
        lines = {crc32(line) for raw in text.split(b"\n") if (line := raw.strip())}
        values = np.array(sorted(lines), dtype=np.uint64)
        return ((values * self._multiply + self._add) >> np.uint64(32)).min(axis=1).astype(np.uint32)

    def _seen_near(self, sketch: np.ndarray) -> bool:
        bands = [bytes([band]) + part.tobytes() for band, part in enumerate(sketch.reshape(-1, ROWS))]
        candidates = {index for band in bands for index in self._bands.get(band, ())}
        if any(np.mean(self._sketches[index] == sketch) >= SIMILAR for index in candidates):
            return True
        for band in bands:
            self._bands.setdefault(band, []).append(len(self._sketches))
        self._sketches.append(sketch)
        return False
