"""Draw one chart on a canvas: title and last values, y axis, envelope, smoothed lines, marks, x axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nanoconsole.services.columns import Floats
from nanoconsole.services.format import number
from nanoconsole.services.history import Curve, History
from nanoconsole.tui.widgets import braille
from nanoconsole.tui.widgets.canvas import Canvas, Span
from nanoconsole.tui.widgets.chart_spec import ChartSpec, Line, View
from nanoconsole.tui.widgets.ticks import Scale, scale_for, x_ticks, y_ticks

GUTTER = 8  # columns left of the plot: label and axis
TALL = 9  # a chart this high gives the x axis two rows
DENSE_MARKS = 12  # columns between two markers of a dense line
SMOOTHING = (0.0, 0.6, 0.9, 0.97)


@dataclass(frozen=True)
class Frame:
    """Where the plot lies on the canvas, in cells."""

    x: int
    y: int
    width: int
    height: int


def draw(
    width: int, height: int, spec: ChartSpec, history: History, view: View, *, empty: str = "", ruler: bool = True
) -> Canvas:
    """The whole chart; `empty` is said in the middle when there is nothing to draw yet.

    Without `ruler` there is no x axis: the chart stands above another one that has it.
    """
    canvas = Canvas(width, height)
    plot_width = max(1, width - GUTTER)
    curves = _curves(spec, history, view, 2 * plot_width)
    above = _title(canvas, spec, history, view, curves)
    below = 0 if not ruler else 2 if height >= TALL else 1
    frame = Frame(GUTTER, above, plot_width, max(1, height - above - below))
    bounds = _bounds(curves, view.log)
    if bounds is None:
        canvas.write(max(0, (width - len(empty)) // 2), height // 2, empty, "axis")
        return canvas
    scale = scale_for(*bounds, log=view.log)
    _y_axis(canvas, frame, scale)
    if ruler:
        _x_axis(canvas, frame, history.span(view.axis), view.axis)
    _plot(canvas, frame, scale, curves, smooth=view.smoothing > 0)
    return canvas


def _curves(spec: ChartSpec, history: History, view: View, columns: int) -> list[tuple[Line, Curve]]:
    found = []
    for line in spec.lines:
        decay = 0.0 if line.sparse else view.smoothing
        curve = history.curve(line.metric, view.axis, decay, columns)
        if curve is not None:
            found.append((line, curve))
    return found


def _bounds(curves: list[tuple[Line, Curve]], log: bool) -> tuple[float, float] | None:
    """Smallest and largest finite value of all curves (only positive ones on a log axis)."""
    parts = [values for _, curve in curves for values in (curve.buckets.low, curve.buckets.high, curve.buckets.line)]
    values = np.concatenate(parts) if parts else np.empty(0)
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    return (float(values.min()), float(values.max())) if values.size else None


def _title(canvas: Canvas, spec: ChartSpec, history: History, view: View, curves: list[tuple[Line, Curve]]) -> int:
    """Name, unit and newest values, in full where they fit, else briefly, on a second row in a tall chart.

    A group that does not fit is left out whole. Returns the number of rows.
    """
    notes = _notes(view, curves)
    room = canvas.width - len(notes)
    full, brief = (_legend(spec, history, curves, brief=brief) for brief in (False, True))
    x, y = 0, 0
    for group in full if sum(map(_width, full)) <= room else brief:
        if x + _width(group) > room:
            if y or canvas.height < TALL:
                break
            x, y, room = 0, 1, canvas.width
        for text, style in group:
            x = canvas.write(x, y, text, style)
    canvas.write(canvas.width - len(notes), 0, notes, "bad" if "✕" in notes else "axis")
    return y + 1


def _width(group: list[Span]) -> int:
    return sum(len(text) for text, _ in group)


def _legend(spec: ChartSpec, history: History, curves: list[tuple[Line, Curve]], *, brief: bool) -> list[list[Span]]:
    """The groups of a title: name and unit, the number that stands beside, a mark and value for each line."""
    groups: list[list[Span]] = [[(f" {spec.title} ", "title"), (f"{spec.unit} " if spec.unit else "", "axis")]]
    for beside in spec.beside:
        if (last := history.last(beside.metric)) is not None:
            expected = beside.brief if brief else beside.expected
            said = f" ({expected}) " if expected else " "
            groups.append([(f" {beside.label} ", "axis"), (number(last), "value"), (said, "axis")])
    for line, curve in curves:
        label = line.brief if brief else line.label
        mark = f"{' ' if brief else '  '}{line.marker or '━'} "
        groups.append([(mark, line.style), (f"{label} " if label else "", "axis"), (number(curve.last), "value")])
    return groups


def _notes(view: View, curves: list[tuple[Line, Curve]]) -> str:
    """What a reader must know about how this is drawn: points that cannot be shown."""
    bad = sum(curve.nonfinite for _, curve in curves)
    hidden = sum(curve.nonpositive for _, curve in curves) if view.log else 0
    parts = [
        f"✕ {bad} non-finite" if bad else "",
        f"{hidden} not above 0 hidden" if hidden else "",
    ]
    return " ".join(["", *filter(None, parts), ""]) if any(parts) else ""


def _y_axis(canvas: Canvas, frame: Frame, scale: Scale) -> None:
    for row in range(frame.height):
        canvas.write(frame.x - 1, frame.y + row, "│", "axis")
    taken: set[int] = set()
    for value, label in y_ticks(scale, frame.height):
        row = frame.height - 1 - round(scale.place(value) * (frame.height - 1))
        if 0 <= row < frame.height and row not in taken:
            taken.add(row)
            canvas.write(0, frame.y + row, f"{label:>{frame.x - 2}} ┤", "axis")
    free = [row for row in range(frame.height) if row not in taken]
    if scale.log and free:  # in the gutter, where no legend is
        canvas.write(0, frame.y + free[-1], f"{'log':>{frame.x - 2}}", "axis")


def _x_axis(canvas: Canvas, frame: Frame, span: tuple[float, float], axis: str) -> None:
    """A ruled line with marks; labels under it, or in it when the chart is low."""
    row = frame.y + frame.height
    canvas.write(frame.x - 1, row, "└" + "─" * frame.width, "axis")
    start, stop = span
    label_row, edge = min(row + 1, canvas.height - 1), 0
    unit = f" {'' if axis == 'time' else axis + 's' if axis == 'step' else axis}".rstrip()
    limit = canvas.width - len(unit)
    for value, label in x_ticks(start, stop, axis, frame.width):
        column = frame.x + round((value - start) / max(stop - start, 1e-12) * (frame.width - 1))
        place = max(frame.x, min(column - len(label) // 2, limit - len(label)))
        if label_row > row:
            canvas.write(column, row, "┬", "axis")
        if place > edge:
            edge = canvas.write(place, label_row, label, "axis")
    canvas.write(limit, label_row, unit, "axis")


def _plot(canvas: Canvas, frame: Frame, scale: Scale, curves: list[tuple[Line, Curve]], *, smooth: bool) -> None:
    masks = []
    for line, curve in curves:
        low, high = _dots(frame, scale, curve.buckets.high), _dots(frame, scale, curve.buckets.low)
        envelope, mask = braille.blank(frame.width, frame.height), braille.blank(frame.width, frame.height)
        present = np.isfinite(low) & np.isfinite(high)
        exact = mask if line.sparse or not smooth else envelope  # unsmoothed, the envelope is the line
        rows = [np.rint(np.where(present, part, 0)).astype(np.int64) for part in (low, high)]
        braille.fill(exact, rows[0], rows[1], present)
        braille.line(mask, _connected(_dots(frame, scale, curve.buckets.line), curve))
        canvas.paint(frame.x, frame.y, braille.cells(envelope), "envelope", ignore=braille.BLANK)
        masks.append((line, mask))
    for line, mask in sorted(masks, key=lambda drawn: not drawn[0].sparse):  # dense lines over sparse ones
        canvas.paint(frame.x, frame.y, braille.cells(mask), line.style, ignore=braille.BLANK)
    for line, curve in curves:
        _marks(canvas, frame, scale, line, curve)


def _dots(frame: Frame, scale: Scale, values: Floats) -> Floats:
    """Dot rows (top 0, nan where there is nothing) of values on the scale."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if scale.log:
            values = np.where(values > 0, np.log10(np.maximum(values, scale.low)), np.nan)
            scale = Scale(np.log10(scale.low), np.log10(scale.high))
        return (1.0 - (values - scale.low) / (scale.high - scale.low)) * (4 * frame.height - 1)


def _connected(rows: Floats, curve: Curve) -> Floats:
    """Join columns that have points with straight lines, but never across a non-finite point."""
    have = np.flatnonzero(np.isfinite(rows))
    if have.size < 2:
        return rows
    columns = np.arange(len(rows))
    joined = np.interp(columns, have, rows[have], left=np.nan, right=np.nan)
    for bad in np.flatnonzero((curve.buckets.nonfinite > 0) & ~np.isfinite(rows)):
        after = int(np.searchsorted(have, bad))
        start = have[after - 1] + 1 if after else 0
        joined[start : have[after] if after < have.size else len(rows)] = np.nan
    return joined


def _marks(canvas: Canvas, frame: Frame, scale: Scale, line: Line, curve: Curve) -> None:
    """Markers on lines that have one (so colour is not needed), and a cross at non-finite points."""
    if line.marker:
        rows, apart = _dots(frame, scale, curve.buckets.line), 3 if line.sparse else DENSE_MARKS
        edge = -apart if line.sparse else apart // 2 - apart
        for column in np.flatnonzero(np.isfinite(rows)):
            if column // 2 >= edge + apart:
                edge = int(column // 2)
                canvas.write(frame.x + edge, frame.y + int(rows[column] // 4), line.marker, line.style)
    for column in np.flatnonzero(curve.buckets.nonfinite):
        canvas.write(frame.x + int(column // 2), frame.y, "✕", "bad")
