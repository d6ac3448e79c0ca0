"""A grid of characters with a named style each, drawn by pure functions and shown by widgets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Span = tuple[str, str]  # text and the name of its style


class Canvas:
    """`codes` (height, width) are code points, `styles` indices into `names`; index 0 is plain."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.codes = np.full((height, width), ord(" "), np.int64)
        self.styles = np.zeros((height, width), np.int64)
        self.names = [""]

    def copy(self, *, without: int) -> Canvas:
        """The same, its first rows empty."""
        other = Canvas(self.width, self.height)
        other.codes[without:], other.styles[without:] = self.codes[without:], self.styles[without:]
        other.names = list(self.names)
        return other

    def style(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def write(self, x: int, y: int, text: str, style: str = "") -> int:
        """Write single-width text, clipped to the canvas; returns the column after it."""
        if 0 <= y < self.height:
            start, stop = max(0, x), min(self.width, x + len(text))
            if start < stop:
                self.codes[y, start:stop] = [*map(ord, text[start - x : stop - x])]
                self.styles[y, start:stop] = self.style(style)
        return x + len(text)

    def column(self, x: int, y: int, height: int, character: str, style: str) -> None:
        """Write one character into rows y to y + height of a column, clipped to the canvas."""
        if 0 <= x < self.width:
            self.codes[max(0, y) : max(0, y + height), x] = ord(character)
            self.styles[max(0, y) : max(0, y + height), x] = self.style(style)

    def spans(self, x: int, y: int, spans: Sequence[Span], limit: int) -> int:
        """Write spans one after another while they fit whole before column `limit`."""
        for text, style in spans:
            if x + len(text) > limit:
                break
            x = self.write(x, y, text, style)
        return x

    def paint(self, x: int, y: int, codes: np.ndarray, style: str, *, ignore: int) -> None:
        """Lay a block of code points over the canvas, clipped, leaving what is under `ignore` alone."""
        codes = codes[: max(0, self.height - y), : max(0, self.width - x)]
        height, width = codes.shape
        hit = codes != ignore
        self.codes[y : y + height, x : x + width][hit] = codes[hit]
        self.styles[y : y + height, x : x + width][hit] = self.style(style)

    def row(self, y: int) -> list[Span]:
        """A row as spans of one style."""
        styles, text = self.styles[y], self.codes[y].astype("<u4").tobytes().decode("utf-32-le")
        cuts = [*[0] * bool(self.width), *(np.flatnonzero(styles[1:] != styles[:-1]) + 1).tolist(), len(text)]
        return [(text[start:stop], self.names[styles[start]]) for start, stop in pairwise(cuts)]

    def changed(self, before: Canvas) -> np.ndarray:
        """For each row whether it looks otherwise than that of another canvas, which may have another size."""
        if self.codes.shape != before.codes.shape or self.names != before.names:
            return np.ones(self.height, np.bool_)
        return ((self.codes != before.codes) | (self.styles != before.styles)).any(1)

    def rows(self) -> list[list[Span]]:
        """Each row as spans of one style."""
        return [self.row(y) for y in range(self.height)]

    def text(self) -> str:
        """Plain text of the whole canvas, for tests and headless output."""
        return "\n".join("".join(text for text, _ in row).rstrip() for row in self.rows())
