"""Which values of a metric are outliers: those beyond Tukey's outer fences, three interquartile ranges out."""

from __future__ import annotations

import numpy as np

from nanoconsole.services.columns import Floats

REACH = 3.0  # interquartile ranges from the quartiles to the fences (Tukey, Exploratory Data Analysis, 1977)
LOOKED_AT = 20_000  # values from which the quartiles are taken, evenly spread


def fences(values: Floats, *, log: bool) -> tuple[float, float] | None:
    """The range of values inside the fences, no wider than the values themselves; on a log scale by their logarithms.

    None when no value is finite (and positive, on a log scale).
    """
    usable = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not usable.size:
        return None
    low, high = float(usable.min()), float(usable.max())
    sample = usable[:: -(-len(usable) // LOOKED_AT)]
    first, third = np.percentile(np.log(sample) if log else sample, (25, 75))
    reach = REACH * (third - first)
    bounds = np.exp((first - reach, third + reach)) if log else (first - reach, third + reach)
    return max(low, float(bounds[0])), min(high, float(bounds[1]))
