"""Plots of a report: a metric of every run over its steps, reduced to columns that lose no spike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanoconsole.services.overlay import Overlay
from nanocore.runs.metrics import find_metric

COLUMNS = 240
SMOOTHING = 0.9  # of the line; the envelope behind it has every point
PLOTTED = ("loss/ce", "eval/bits_per_byte", "training/grad_norm", "throughput/tokens_per_sec", "mhc/stream_cosine")


@dataclass(frozen=True)
class Line:
    """One run of a plot: (x, lowest, highest, mean) of each column that has a point; x of values that are not finite."""

    name: str
    points: tuple[tuple[float, float, float, float], ...]
    nonfinite: tuple[float, ...]


@dataclass(frozen=True)
class Plot:
    """One metric over the steps, or over what `axis` says, of every run that recorded it."""

    metric: str
    unit: str
    help: str
    lines: tuple[Line, ...]
    axis: str = "steps"

    @property
    def span(self) -> tuple[float, float]:
        """First and last step, or what the axis has."""
        steps = [point[0] for line in self.lines for point in line.points]
        return (min(steps), max(steps)) if steps else (0.0, 0.0)

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value that is drawn."""
        lows = [point[1] for line in self.lines for point in line.points]
        highs = [point[2] for line in self.lines for point in line.points]
        return (min(lows), max(highs)) if lows else (0.0, 1.0)


def plots(overlay: Overlay) -> list[Plot]:
    """The plots of the main metrics that some run recorded."""
    found = []
    for metric in PLOTTED:
        known = find_metric(metric)
        lines = [line for index in range(len(overlay.members)) if (line := _line(overlay, index, metric)) is not None]
        if lines:
            found.append(Plot(metric, known.unit if known else "", known.help if known else "", tuple(lines)))
    return found


def _line(overlay: Overlay, index: int, metric: str) -> Line | None:
    decay = 0.0 if metric.startswith("eval/") else SMOOTHING
    span = overlay.span("step")
    curve = overlay.curve(f"{index}/{metric}", "step", decay, COLUMNS, span)
    if curve is None:
        return None
    buckets, width = curve.buckets, (span[1] - span[0]) / COLUMNS
    x = span[0] + width * (np.arange(COLUMNS) + 0.5)
    good = np.isfinite(buckets.low) & np.isfinite(buckets.high) & np.isfinite(buckets.line)
    columns = zip(*(part[good].tolist() for part in (x, buckets.low, buckets.high, buckets.line)), strict=True)
    return Line(overlay.runs[index].name, tuple(columns), tuple(x[buckets.nonfinite > 0].tolist()))
