"""Dots to braille characters, vectorised: each character cell is 2 dots wide and 4 dots high."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
BLANK = 0x2800
# Unicode numbers the dots of a cell column by column, the bottom pair last.
WEIGHTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.int64)


def blank(width: int, height: int) -> Mask:
    """An empty dot mask for width x height cells: shape (4 height, 2 width), row 0 on top."""
    return np.zeros((4 * height, 2 * width), np.bool_)


def cells(mask: Mask) -> NDArray[np.int64]:
    """Code points (height, width) of a dot mask (4 height, 2 width)."""
    height, width = mask.shape[0] // 4, mask.shape[1] // 2
    parts = mask.reshape(height, 4, width, 2).astype(np.int64)
    return BLANK + np.einsum("hawb,ab->hw", parts, WEIGHTS)


def fill(mask: Mask, top: Rows, bottom: Rows, present: Mask) -> None:
    """Set the dots from row `top` to row `bottom` (inclusive) in each present column."""
    rows = np.arange(mask.shape[0])[:, None]
    mask |= (rows >= top[None, :]) & (rows <= bottom[None, :]) & present[None, :]


def line(mask: Mask, rows: NDArray[np.float64]) -> None:
    """Draw a connected line through one row per dot column; nan breaks it.

    Each column reaches half way towards its neighbours, so steep parts stay connected.
    """
    present = np.isfinite(rows)
    if not present.any():
        return
    value = np.where(present, rows, 0.0)
    between = np.where(present[1:] & present[:-1], (value[1:] + value[:-1]) / 2, np.nan)
    top, bottom = value.copy(), value.copy()
    for half in (slice(1, None), slice(None, -1)):
        top[half], bottom[half] = np.fmin(top[half], between), np.fmax(bottom[half], between)
    fill(mask, np.rint(top).astype(np.int64), np.rint(bottom).astype(np.int64), present)
