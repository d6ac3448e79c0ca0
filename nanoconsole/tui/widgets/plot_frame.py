"""Where the plot of a chart lies on its canvas, and which x stands in which column."""

from __future__ import annotations

from dataclasses import dataclass

from nanoconsole.services.curves import Curve, Span
from nanoconsole.tui.widgets.canvas import Canvas
from nanoconsole.tui.widgets.chart_spec import Line

GUTTER = 8  # columns left of the plot: label and axis
Drawn = tuple[Line, Curve]


@dataclass(frozen=True)
class Frame:
    """Place and size in cells, and the range of x."""

    x: int
    y: int
    width: int
    height: int
    span: Span

    def dot(self, x: float) -> float:
        """The dot column of an x; half a cell each, not rounded."""
        start, stop = self.span
        return (x - start) / max(stop - start, 1e-12) * 2 * self.width

    def cell(self, x: float) -> int | None:
        """The canvas column that shows x, None outside the range."""
        start, stop = self.span
        if not start <= x <= stop:
            return None
        return self.x + min(self.width - 1, int(self.dot(x) // 2))


@dataclass(frozen=True)
class Picture:
    """A drawn chart: its canvas, what was drawn, the range of x and of y (None: nothing was drawn), the last x there was,
    and the number of rows of its title."""

    canvas: Canvas
    curves: list[Drawn]
    span: Span
    bounds: Span | None
    end: float
    above: int


def with_room(before: Span, whole: Span, width: int) -> Span:
    """The range over which a chart `width` columns wide draws a whole axis that grows: `before`, where it was drawn over
    last, while the end of the axis fits in, then the axis with one more dot column. So most points stay in their column."""
    start, stop = whole
    dot = (stop - start) / (2 * max(1, width - GUTTER))
    if start != before[0] or abs(stop - before[1]) > dot:
        return whole
    return before if stop <= before[1] else (start, stop + dot)


def x_at(column: int, width: int, span: Span) -> float:
    """The x in the middle of a column of a chart `width` columns wide; the nearest one of the plot for its gutter."""
    start, stop = span
    cells = max(1, width - GUTTER)
    return start + (stop - start) * (min(max(0, column - GUTTER), cells - 1) + 0.5) / cells
