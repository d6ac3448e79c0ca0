"""The title of a chart: its name, the newest values or those at the cursor, and what cannot be shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nanoconsole.services.curves import CurveSource, Span
from nanoconsole.services.format import measure, size
from nanoconsole.tui.widgets.canvas import Canvas
from nanoconsole.tui.widgets.canvas import Span as Text
from nanoconsole.tui.widgets.chart_spec import ChartSpec, Line, Mark, View
from nanoconsole.tui.widgets.plot_axes import MARKS, marks_near
from nanoconsole.tui.widgets.plot_frame import GUTTER, Drawn
from nanoconsole.tui.widgets.ticks import axis_unit, precise

TWO_ROWS = 9  # a chart this high may have a title of two rows
LEAST_POSITIVE = np.nextafter(0.0, 1.0)


def title(
    canvas: Canvas,
    spec: ChartSpec,
    source: CurveSource,
    view: View,
    curves: list[Drawn],
    bounds: Span | None,
    marks: Sequence[Mark],
) -> int:
    """Name, unit and values, in full where they fit, else briefly, on a second row in a tall chart.

    A group that does not fit is left out whole. Returns the number of rows.
    """
    notes = _notes(source, view, curves, bounds)
    room = canvas.width - len(notes)
    happened = _happened(canvas, source, view, marks)
    full, brief = (_legend(spec, source, view, curves, bounds, brief=brief) + happened for brief in (False, True))
    x, y = 0, 0
    for group in full if sum(map(_width, full)) <= room else brief:
        if x + _width(group) > room:
            if y or canvas.height < TWO_ROWS:
                break
            x, y, room = 0, 1, canvas.width
        for text, style in group:
            x = canvas.write(x, y, text, style)
    canvas.write(canvas.width - len(notes), 0, notes, "bad" if "✕" in notes else "axis")
    return y + 1


def _width(group: list[Text]) -> int:
    return sum(len(text) for text, _ in group)


def _legend(
    spec: ChartSpec, source: CurveSource, view: View, curves: list[Drawn], bounds: Span | None, *, brief: bool
) -> list[list[Text]]:
    """The groups of a title: name and unit, the numbers that stand beside, a mark and value for each line."""
    name = (brief and spec.brief) or spec.title
    unit = axis_unit(spec.unit, bounds[1])[0] if bounds is not None else spec.unit
    groups: list[list[Text]] = [[(f" {name} ", "title"), (f"{unit} " if unit else "", "axis")]]
    for beside in spec.beside:
        if (shown := _value(source, view, beside.metric, source.last(beside.metric))) is not None:
            expected = beside.brief if brief else beside.expected
            said = f" ({expected}) " if expected else " "
            groups.append([(f" {beside.label} ", "axis"), *shown, (said, "axis")])
    for line, curve in curves:
        if (shown := _value(source, view, line.metric, curve.last, spec.unit)) is not None:
            groups.append([*_label(line, brief=brief), *shown])
    return groups


def _label(line: Line, *, brief: bool) -> list[Text]:
    label = line.brief if brief else line.label
    mark = f"{' ' if brief else '  '}{line.marker or '━'} "
    return [(mark, line.style), (f"{label} " if label else "", "axis")]


def _value(source: CurveSource, view: View, metric: str, last: float | None, unit: str = "") -> list[Text] | None:
    """The newest value, or exactly the one recorded nearest to the cursor, with its place where that is another."""
    if view.cursor is None:
        return [(measure(last, unit), "value")] if last is not None else None
    point = source.at(metric, view.axis, view.cursor)
    if point is None:
        return None
    elsewhere = f"@{precise(point[0], view.axis)}" if point[0] != view.cursor else ""
    exact = size(point[1]) if unit == "bytes" else f"{point[1]:.6g}"
    return [(exact, "value"), (elsewhere, "axis")]


def _happened(canvas: Canvas, source: CurveSource, view: View, marks: Sequence[Mark]) -> list[list[Text]]:
    """What happened at the cursor."""
    if view.cursor is None:
        return []
    span = view.span or source.span(view.axis)
    near = marks_near(marks, view.cursor, span, canvas.width - GUTTER)
    return [[(f"  {MARKS[mark.kind][0]} ", MARKS[mark.kind][1]), (mark.text, "axis")] for mark in near]


def _notes(source: CurveSource, view: View, curves: list[Drawn], bounds: Span | None) -> str:
    """What a reader must know about how this is drawn: points that cannot be shown."""
    bad = sum(curve.nonfinite for _, curve in curves)
    hidden, above, below = 0, 0, 0
    for line, _ in curves:
        if view.log:
            hidden += source.outside(line.metric, view.axis, LEAST_POSITIVE, np.inf, view.span)[1]
        if view.robust and bounds is not None:
            over, under = source.outside(line.metric, view.axis, *bounds, view.span)
            above, below = above + over, below + under
    below -= hidden if view.robust else 0
    parts = [
        f"✕ {bad} non-finite" if bad else "",
        f"{hidden} not above 0 hidden" if hidden else "",
        f"{above} point{'s' * (above > 1)} above range" if above else "",
        f"{below} point{'s' * (below > 1)} below range" if below > 0 else "",
    ]
    return " ".join(["", *filter(None, parts), ""]) if any(parts) else ""
