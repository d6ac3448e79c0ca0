"""A chart whose run went on a little: most new points lie where points stand already, so only the title is drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nanoconsole.services.curves import Curve, CurveSource, Span
from nanoconsole.tui.widgets.canvas import Canvas
from nanoconsole.tui.widgets.chart_spec import ChartSpec, Line, Mark, View
from nanoconsole.tui.widgets.glyphs import Glyphs
from nanoconsole.tui.widgets.plot_frame import Picture
from nanoconsole.tui.widgets.plot_title import title

FEW = 0.1  # of the points in a dot column may be missing in the mean that its line shows


def retitled(
    before: Picture, spec: ChartSpec, source: CurveSource, view: View, marks: Sequence[Mark], glyphs: Glyphs
) -> Canvas | None:
    """The chart with its newest values, None when its curves must be drawn anew. Nothing but the source, which has new
    points at its end, may have changed since it was drawn."""
    if view.span is not None or view.robust or before.bounds is None or not covers(before, spec, source, view):
        return None
    canvas = before.canvas.copy(without=before.above)
    curves = [(line, replace(curve, last=source.last(line.metric))) for line, curve in before.curves]
    above = title(canvas, spec, source, view, curves, before.bounds, marks)
    return glyphs.over(canvas) if above == before.above else None


def covers(before: Picture, spec: ChartSpec, source: CurveSource, view: View) -> bool:
    """Whether what was drawn shows the points that came since: all of them finite, in the dot column that was the last
    one, between its lowest and its highest, and few beside those in it."""
    drawn, end = {line.metric: curve for line, curve in before.curves}, source.span(view.axis)[1]
    if end > before.span[1]:
        return False
    return all(_covers(drawn.get(line.metric), line, before, source, end) for line in spec.lines)


def _covers(curve: Curve | None, line: Line, before: Picture, source: CurveSource, end: float) -> bool:
    count = source.count(line.metric)
    if curve is None or count == curve.points:
        return count == (curve.points if curve is not None else 0)
    column, now = (_column(x, before.span, len(curve.buckets.line)) for x in (before.end, end))
    fresh = source.tail(line.metric, count - curve.points)
    low, high, there = (part[column] for part in (curve.buckets.low, curve.buckets.high, curve.buckets.count))
    inside = bool(((low <= fresh) & (fresh <= high)).all())  # false for what is not finite, and in an empty column
    return not line.sparse and column == now and inside and len(fresh) <= FEW * there


def _column(x: float, span: Span, columns: int) -> int:
    """The dot column of an x."""
    start, stop = span
    return min(columns - 1, int((x - start) / max(stop - start, 1e-12) * columns))
