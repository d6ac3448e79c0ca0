"""Looking closer at charts: which part of the axis is shown, and where the cursor stands. Nothing here draws."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nanoconsole.services.curves import CurveSource, Span
from nanoconsole.tui.widgets.chart_spec import View

CLOSER = 0.5  # of the range stays when one zooms in
PAN = 0.25  # of the range that one key press goes aside
CLOSEST = 2.0**-20  # of the whole axis is the least that is shown
ENOUGH = 4.0  # points on average are always shown


def least(whole: Span, points: int) -> float:
    """The narrowest range worth showing: a few points, if they are spread evenly."""
    return (whole[1] - whole[0]) * max(CLOSEST, min(1.0, ENOUGH / max(1, points)))


def zoomed(view: View, whole: Span, factor: float, around: float, narrowest: float) -> View:
    """The view with `factor` of its range, `around` where it was; all of the axis when that is no less than it."""
    start, stop = view.span or whole
    width = max(narrowest, (stop - start) * factor)
    if width >= whole[1] - whole[0]:
        return replace(view, span=None)
    share = (around - start) / max(stop - start, 1e-12)
    return replace(view, span=_inside(around - share * width, width, whole))


def panned(view: View, whole: Span, share: float) -> View:
    """The view moved by a share of its range, not beyond the ends of the axis."""
    if view.span is None:
        return view
    start, stop = view.span
    return replace(view, span=_inside(start + share * (stop - start), stop - start, whole))


def newest(view: View, whole: Span) -> View:
    """The view moved to the end of the axis."""
    return panned(view, whole, float("inf")) if view.span is not None else view


def at_end(view: View, whole: Span) -> bool:
    """Whether the newest point is in sight."""
    return view.span is None or view.span[1] >= whole[1]


def with_cursor(view: View, whole: Span, x: float) -> View:
    """The cursor at x, and the range moved so that it is in sight."""
    view = replace(view, cursor=x)
    if view.span is None or view.span[0] <= x <= view.span[1]:
        return view
    width = view.span[1] - view.span[0]
    return replace(view, span=_inside(x - width / 2, width, whole))


def nearest(source: CurveSource, metrics: Iterable[str], axis: str, x: float) -> float | None:
    """The x of the recorded point next to x, of the first of the metrics that has one."""
    points = (source.at(metric, axis, x) for metric in metrics)
    return next((point[0] for point in points if point is not None), None)


def neighbour(source: CurveSource, metrics: Iterable[str], view: View, columns: int, by: int) -> float | None:
    """The x of a recorded point at least `by` of `columns` dot columns away from the cursor (left when negative), the
    last one there is that way when there are no more; None without any point."""
    metrics = list(metrics)
    start, stop = whole = source.span(view.axis)
    shown = view.span or whole
    x = view.cursor if view.cursor is not None else shown[1]
    reach = max((shown[1] - shown[0]) / max(1, columns), 1e-9) * by
    found = nearest(source, metrics, view.axis, min(stop, max(start, x + reach)))
    while found is not None and (found - x) * by <= 0 and start < x + reach < stop:
        reach *= 2
        found = nearest(source, metrics, view.axis, min(stop, max(start, x + reach)))
    return found if found is not None and (found - x) * by > 0 else nearest(source, metrics, view.axis, x)


def _inside(start: float, width: float, whole: Span) -> Span:
    """A range of that width, moved as little as needed to lie within the whole."""
    start = max(whole[0], min(start, whole[1] - width))
    return start, start + width
