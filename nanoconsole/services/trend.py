"""Where the newest values of a metric go: the older half of them compared with the newer half."""

from __future__ import annotations

import math
from collections.abc import Sequence

WINDOW = 100  # newest values that are looked at
FEWEST = 20  # values before anything is said


def trend(values: Sequence[float]) -> float | None:
    """Relative change of the mean from the older to the newer half; None with too few or non-finite values."""
    newest = list(values)[-WINDOW:]
    half = len(newest) // 2
    if len(newest) < FEWEST or not all(map(math.isfinite, newest)):
        return None
    before, now = sum(newest[:half]) / half, sum(newest[half:]) / (len(newest) - half)
    return (now - before) / max(abs(before), 1e-12)
