"""How a value becomes a cell of a heat strip: a mark of its own and a colour, by the range of all values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nanoconsole.services.columns import Floats
from nanoconsole.services.format import number
from nanoconsole.services.layer_metrics import LayerMetric
from nanoconsole.services.layers import Cells

SHADES = "░░▒▒▓▓██"  # denser for greater values; of two with one mark the brighter is greater
LEVELS = len(SHADES)
ALIKE = 1e-3  # values nearer to each other than this share have one shade: their rounding is nothing to look at
ABOVE, BELOW, BAD, NONE = "▲", "▼", "✕", "·"
Cell = tuple[str, str]  # the mark, and the name of its style


@dataclass(frozen=True)
class Scale:
    """The range that the shades span, linear or by the logarithm; nan without a finite value.

    It ends where the healthy range does: what lies outside has marks of its own, and would leave one shade to the rest.
    """

    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, metric: LayerMetric, span: tuple[float, float]) -> Scale:
        """Logarithms need positive values: else the scale is linear, and says so."""
        low, high = span
        if metric.healthy is not None:
            low, high = min(max(low, metric.healthy[0]), high), max(min(high, metric.healthy[1]), low)
        return cls(low, high, metric.log and low > 0.0)

    def levels(self, values: Floats) -> np.ndarray:
        """The shade of each finite value, 0 to 7; the middle where all are alike."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        if not self.high - self.low > ALIKE * max(abs(self.low), abs(self.high)):
            return np.full(len(values), LEVELS // 2)
        places = np.log(np.where(values > 0.0, values, self.low)) if self.log else values
        shares = np.nan_to_num((places - low) / (high - low))
        return np.clip((shares * LEVELS).astype(int), 0, LEVELS - 1)


def paint(cells: Cells, metric: LayerMetric, scale: Scale, steps: list[int]) -> list[Cell]:
    """One cell each: ✕ where a value was not finite, ▲ ▼ where one is out of the healthy range, else a shade.

    `steps` are those of the cells' last measurements: some rules hold only later.
    """
    levels = scale.levels(cells.mean)
    found: list[Cell] = []
    for place, count in enumerate(cells.count.tolist()):
        if not count:
            found.append((NONE, "none"))
        elif cells.nonfinite[place]:
            found.append((BAD, "sick"))
        else:
            outside = _outside(metric, float(cells.low[place]), float(cells.high[place]), steps[place])
            found.append(outside or (SHADES[levels[place]], f"heat{levels[place]}"))
    return found


def _outside(metric: LayerMetric, low: float, high: float, step: int) -> Cell | None:
    rule = metric.rule
    if rule is None or step < rule.from_step:
        return None
    if high > rule.healthy[1]:
        return ABOVE, "sick" if high > rule.bearable[1] else "warning"
    if low < rule.healthy[0]:
        return BELOW, "sick" if low < rule.bearable[0] else "warning"
    return None


def legend(metric: LayerMetric, scale: Scale, room: int) -> list[Cell]:
    """Words and marks in their styles: the scale with its ends in numbers, then as many of the other marks as fit."""
    parts = [("no finite value", "axis")]
    if not math.isnan(scale.low):
        ramp = [(mark, f"heat{level}") for level, mark in enumerate(SHADES)]
        parts = [(f"{number(scale.low)} ", "value"), *ramp, (f" {number(scale.high)}", "value")]
    parts += [(" log", "axis")] if scale.log else []
    for mark, style, words in _marks(metric):
        if sum(len(text) for text, _ in parts) + len(words) + 4 <= room:
            parts += [(f"  {mark}", style), (f" {words}", "axis")]
    return parts


def _marks(metric: LayerMetric) -> list[tuple[str, str, str]]:
    """The marks that are no shades: mark, style, meaning."""
    low, high = metric.healthy or (-math.inf, math.inf)
    found = [(BELOW, "warning", f"under {low:g}")] if metric.bounded_below else []
    found += [(ABOVE, "warning", f"over {high:g}")] if math.isfinite(high) else []
    return [*found, (BAD, "sick", "not finite")]


def healthy_words(metric: LayerMetric) -> str:
    """A healthy range as people say it: at least 0.5, at most 2, 0.15 to 0.7."""
    low, high = metric.healthy or (-math.inf, math.inf)
    if math.isinf(high):
        return f"at least {low:g}"
    return f"{low:g} to {high:g}" if metric.bounded_below else f"at most {high:g}"
