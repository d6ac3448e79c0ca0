"""The inside of a chart: envelope, smoothed lines, their markers, crosses at what is not finite, the cursor."""

from __future__ import annotations

import numpy as np

from nanoconsole.services.columns import Floats
from nanoconsole.services.curves import Curve, Point
from nanoconsole.tui.widgets import braille
from nanoconsole.tui.widgets.canvas import Canvas
from nanoconsole.tui.widgets.chart_spec import Line
from nanoconsole.tui.widgets.glyphs import Glyphs
from nanoconsole.tui.widgets.plot_frame import Drawn, Frame
from nanoconsole.tui.widgets.ticks import Scale

DENSE_MARKS = 12  # columns between two markers of a dense line


def plot(canvas: Canvas, frame: Frame, scale: Scale, curves: list[Drawn], *, smooth: bool, glyphs: Glyphs) -> None:
    """All lines of a chart, dense ones over sparse ones."""
    masks = []
    for line, curve in curves:
        low, high = _dots(frame, scale, curve.buckets.high), _dots(frame, scale, curve.buckets.low)
        envelope, mask = braille.blank(frame.width, frame.height), braille.blank(frame.width, frame.height)
        present = np.isfinite(low) & np.isfinite(high)
        exact = mask if line.sparse or not smooth else envelope  # unsmoothed, the envelope is the line
        rows = [np.rint(np.where(present, part, 0)).astype(np.int64) for part in (low, high)]
        braille.fill(exact, rows[0], rows[1], present)
        braille.line(mask, _connected(frame, scale, curve))
        canvas.paint(frame.x, frame.y, glyphs.cells(envelope), "envelope", ignore=glyphs.blank)
        masks.append((line, mask))
    for line, mask in sorted(masks, key=lambda drawn: not drawn[0].sparse):
        canvas.paint(frame.x, frame.y, glyphs.cells(mask), line.style, ignore=glyphs.blank)
    for line, curve in curves:
        _markers(canvas, frame, scale, line, curve)


def cursor_line(canvas: Canvas, frame: Frame, x: float) -> None:
    """A line at x wherever nothing else is drawn."""
    column = frame.cell(x)
    if column is not None:
        for row in range(frame.y, frame.y + frame.height):
            if canvas.codes[row, column] == ord(" "):
                canvas.write(column, row, "│", "cursor")


def _dots(frame: Frame, scale: Scale, values: Floats) -> Floats:
    """Dot rows (top 0, nan where there is nothing) of values on the scale; what is far outside stays just outside."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if scale.log:
            values = np.where(values > 0, np.log10(np.maximum(values, 1e-300)), np.nan)
            scale = Scale(np.log10(scale.low), np.log10(scale.high))
        rows = (1.0 - (values - scale.low) / (scale.high - scale.low)) * (4 * frame.height - 1)
        return np.clip(rows, -4.0 * frame.height, 8.0 * frame.height)


def _connected(frame: Frame, scale: Scale, curve: Curve) -> Floats:
    """Join columns that have points with straight lines, those outside the range too, but never across a non-finite
    point."""
    rows = _dots(frame, scale, curve.buckets.line)
    have = np.flatnonzero(np.isfinite(rows))
    outer = [_outside(frame, scale, point) for point in (curve.before, curve.after)]
    left, right = ([each] if each else [] for each in outer)
    at = np.concatenate(([each[0] for each in left], have, [each[0] for each in right]))
    if at.size < 2:
        return rows
    values = np.concatenate(([each[1] for each in left], rows[have], [each[1] for each in right]))
    joined = np.interp(np.arange(len(rows)), at, values, left=np.nan, right=np.nan)
    for bad in np.flatnonzero((curve.buckets.nonfinite > 0) & ~np.isfinite(rows)):
        after = int(np.searchsorted(have, bad))
        start = have[after - 1] + 1 if after else 0
        joined[start : have[after] if after < have.size else len(rows)] = np.nan
    return joined


def _outside(frame: Frame, scale: Scale, point: Point | None) -> tuple[float, float] | None:
    """Dot column and row of a point outside the range, None where there is none to be drawn to."""
    if point is None:
        return None
    row = float(_dots(frame, scale, np.array([point[1]]))[0])
    return (frame.dot(point[0]), row) if np.isfinite(row) else None


def _markers(canvas: Canvas, frame: Frame, scale: Scale, line: Line, curve: Curve) -> None:
    """Markers on lines that have one (so colour is not needed), and a cross at non-finite points."""
    if line.marker:
        rows, apart = _dots(frame, scale, curve.buckets.line), 3 if line.sparse else DENSE_MARKS
        edge = -apart if line.sparse else apart // 2 - apart
        for column in np.flatnonzero((rows >= 0) & (rows < 4 * frame.height)):
            if column // 2 >= edge + apart:
                edge = int(column // 2)
                canvas.write(frame.x + edge, frame.y + int(rows[column] // 4), line.marker, line.style)
    for column in np.flatnonzero(curve.buckets.nonfinite):
        canvas.write(frame.x + int(column // 2), frame.y, "✕", "bad")
