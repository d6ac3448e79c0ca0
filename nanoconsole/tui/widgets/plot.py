"""Draw one chart on a canvas: title and values, y axis, envelope, smoothed lines, marks, cursor, x axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nanoconsole.services.curves import CurveSource, Span
from nanoconsole.tui.widgets.canvas import Canvas
from nanoconsole.tui.widgets.chart_spec import ChartSpec, Mark, View
from nanoconsole.tui.widgets.glyphs import BRAILLE, Glyphs
from nanoconsole.tui.widgets.plot_axes import draw_marks, x_axis, y_axis
from nanoconsole.tui.widgets.plot_frame import GUTTER, Drawn, Frame, Picture
from nanoconsole.tui.widgets.plot_lines import cursor_line, plot
from nanoconsole.tui.widgets.plot_title import title
from nanoconsole.tui.widgets.ticks import axis_unit, scale_for

TALL = 9  # a chart this high gives the x axis two rows
SMOOTHING = (0.0, 0.6, 0.9, 0.97)


def draw(
    width: int,
    height: int,
    spec: ChartSpec,
    source: CurveSource,
    view: View,
    whole: Span | None = None,
    *,
    empty: str = "",
    ruler: bool = True,
    marks: Sequence[Mark] = (),
    glyphs: Glyphs = BRAILLE,
) -> Picture:
    """The whole chart; `empty` is said in the middle when there is nothing to draw.

    Without `ruler` there is no x axis: the chart stands above another one that has it. `whole` is the range of x when the
    view does not say one (None: exactly the axis of the source).
    """
    canvas = Canvas(width, height)
    plot_width = max(1, width - GUTTER)
    asked, end = view.span or whole, source.span(view.axis)[1]  # before curves are taken: more may come at any time
    span = asked or source.span(view.axis)
    curves = _curves(spec, source, view, 2 * plot_width, asked)
    bounds = _bounds(curves, source, view)
    above = title(canvas, spec, source, view, curves, bounds, marks)
    below = 0 if not ruler else 2 if height >= TALL else 1
    frame = Frame(GUTTER, above, plot_width, max(1, height - above - below), span)
    if bounds is None:
        canvas.write(max(0, (width - len(empty)) // 2), height // 2, empty, "axis")
        return Picture(glyphs.over(canvas), curves, span, None, end, above)
    scale = scale_for(*bounds, log=view.log)
    y_axis(canvas, frame, scale, axis_unit(spec.unit, bounds[1])[1])
    if ruler:
        x_axis(canvas, frame, view, source.span(view.axis))
    plot(canvas, frame, scale, curves, smooth=view.smoothing > 0, glyphs=glyphs)
    draw_marks(canvas, frame, marks, ruled=below == 2)
    if view.cursor is not None:
        cursor_line(canvas, frame, view.cursor)
    return Picture(glyphs.over(canvas), curves, span, bounds, end, above)


def _curves(spec: ChartSpec, source: CurveSource, view: View, columns: int, span: Span | None) -> list[Drawn]:
    found = []
    for line in spec.lines:
        decay = 0.0 if line.sparse else view.smoothing
        curve = source.curve(line.metric, view.axis, decay, columns, span)
        if curve is not None:
            found.append((line, curve))
    return found


def _bounds(curves: list[Drawn], source: CurveSource, view: View) -> Span | None:
    """Smallest and largest value that is shown: of all finite points, or of those that are no outliers."""
    if view.robust:
        every = [source.fences(line.metric, view.axis, log=view.log, span=view.span) for line, _ in curves]
        ranges = [each for each in every if each is not None]
        return (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None
    parts = [values for _, curve in curves for values in (curve.buckets.low, curve.buckets.high, curve.buckets.line)]
    values = np.concatenate(parts) if parts else np.empty(0)
    values = values[np.isfinite(values) & ((values > 0) | (not view.log))]
    return (float(values.min()), float(values.max())) if values.size else None
