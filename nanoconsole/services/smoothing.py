"""Exponential moving averages at the places a chart needs them, without an average kept for every point.

m_t = d m_(t-1) + (1 - d) x_t, shown as m_t / (1 - d^t) (the bias correction of Adam, Kingma and Ba 2015), so the first
value is x_1. Points that are not finite are passed over. Summing the recursion over points a+1 to b gives the mean over
a bucket from its plain sum and the averages at its two ends:

    sum m_t = sum x_t + d / (1 - d) (m_a - m_b)
"""

from __future__ import annotations

import math

import numpy as np

from nanoconsole.services.columns import Floats, Integers

FADED = 1e-9  # a weight below which an older point is left out


def memory(decay: float) -> int:
    """Number of points that still count in an average."""
    return math.ceil(math.log(FADED) / math.log(decay))


def totals(values: Floats, splits: Integers, plain: Floats, decay: float) -> Floats:
    """Sums of the corrected average over the finite points between neighbouring splits (indices into `values`).

    `plain` are the sums of the points themselves, decay lies in [0, 1).
    """
    if not decay:
        return plain
    with np.errstate(over="ignore", invalid="ignore"):
        ends = _uncorrected(values, splits, decay)
        return plain + decay / (1 - decay) * (ends[:-1] - ends[1:]) + np.diff(_corrections(values, decay, splits))


def _uncorrected(values: Floats, places: Integers, decay: float) -> Floats:
    """m after the first p points, for each p of places."""
    reach = memory(decay)
    back = places[:, None] - 1 - np.arange(min(reach, len(values)))
    window = np.where(back >= 0, values[np.maximum(back, 0)], 0.0) if len(values) else np.zeros(back.shape)
    return np.einsum("pw,w->p", window, (1 - decay) * np.power(decay, np.arange(back.shape[-1])))


def _corrections(values: Floats, decay: float, places: Integers) -> Floats:
    """Sum of what the bias correction adds to the first p averages, for each p of places; it fades like the memory."""
    first = values[: memory(decay)]
    power = np.power(decay, np.arange(1, len(first) + 1))
    averages = (1 - decay) * power * np.cumsum(first / power)
    added = np.concatenate(([0.0], np.cumsum(averages * power / (1 - power))))
    return added[np.minimum(places, len(first))]
