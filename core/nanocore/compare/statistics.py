"""Paired differences with Student's t intervals, and Holm's correction over several of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Paired:
    """Differences paired by seed: `error` is the standard error of `mean`, `low` and `high` the 95 % interval.

    From one pair there is neither spread nor interval: those are None. `p` is two-sided.
    """

    n: int
    mean: float
    deviation: float | None
    error: float | None
    low: float | None
    high: float | None
    p: float | None


def paired(differences: Sequence[float]) -> Paired:
    """Mean, spread and interval of the differences of one pair each. Raises ValueError without any."""
    n, mean = len(differences), statistics.fmean(differences)
    if n < 2:
        return Paired(n, mean, None, None, None, None, None)
    deviation = statistics.stdev(differences)
    error = deviation / math.sqrt(n)
    half = t_quantile((1 + CONFIDENCE) / 2, n - 1) * error
    if error > 0:
        p = 1 - t_within(abs(mean) / error, n - 1)
    else:
        p = 1.0 if mean == 0 else 0.0
    return Paired(n, mean, deviation, error, mean - half, mean + half, p)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for being several: the smallest of m times m, the next times m-1, never falling, at most 1.

    (S. Holm, A simple sequentially rejective multiple test procedure, 1979)
    """
    corrected: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[name]))
        corrected[name] = highest
    return {name: corrected[name] for name in p_values}


def t_within(t: float, freedom: int) -> float:
    """P(|T| <= t) of Student's t, exact for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2 == 1
    term = cosine if odd else 1.0
    total = 0.0 if freedom == 1 else term
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    share = math.sin(angle) * total
    return 2 / math.pi * (angle + share) if odd else share


def t_quantile(probability: float, freedom: int) -> float:
    """The t below which T lies with `probability` in [0.5, 1), by bisection. Raises ValueError outside of that."""
    if not 0.5 <= probability < 1 or freedom < 1:
        raise ValueError(f"no t quantile of {probability} with {freedom} degrees of freedom")
    low, high, wanted = 0.0, 1.0, 2 * probability - 1
    while t_within(high, freedom) < wanted:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if t_within(middle, freedom) < wanted else (low, middle)
    return (low + high) / 2
