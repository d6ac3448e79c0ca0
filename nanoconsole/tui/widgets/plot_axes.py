"""The axes of a chart, and what happened along the x axis: checkpoints, alerts, FIREs, resumes."""

from __future__ import annotations

from collections.abc import Sequence

from nanoconsole.services.curves import Span
from nanoconsole.tui.widgets.canvas import Canvas
from nanoconsole.tui.widgets.chart_spec import Mark, View
from nanoconsole.tui.widgets.plot_frame import Frame
from nanoconsole.tui.widgets.ticks import Scale, precise, x_ticks, y_ticks

# Hollow marks are events, filled ones measurements. Of several in one column the last of these is shown.
MARKS = {
    "resumed": ("▷", "axis"),
    "checkpoint": ("◇", "event"),
    "fire": ("☆", "event"),
    "alert": ("△", "alert"),
}


def y_axis(canvas: Canvas, frame: Frame, scale: Scale, one: float) -> None:
    """A line with marks and labels at round values, in units of `one`."""
    canvas.column(frame.x - 1, frame.y, frame.height, "│", "axis")
    taken: set[int] = set()
    for value, label in y_ticks(scale, frame.height, one):
        row = frame.height - 1 - round(scale.place(value) * (frame.height - 1))
        if 0 <= row < frame.height and row not in taken:
            taken.add(row)
            canvas.write(0, frame.y + row, f"{label:>{frame.x - 2}} ┤", "axis")
    free = [row for row in range(frame.height) if row not in taken]
    if scale.log and free:  # in the gutter, where no legend is
        canvas.write(0, frame.y + free[-1], f"{'log':>{frame.x - 2}}", "axis")


def x_axis(canvas: Canvas, frame: Frame, view: View, whole: Span) -> None:
    """A ruled line with marks; labels under it, or in it when the chart is low. The x of the cursor stands among them."""
    row = frame.y + frame.height
    canvas.write(frame.x - 1, row, "└" + "─" * frame.width, "axis")
    start, stop = frame.span
    label_row = min(row + 1, canvas.height - 1)
    unit = _unit(view, whole)
    limit, edge = canvas.width - len(unit), 0
    cursor = _cursor_label(frame, view, limit)
    for value, label in x_ticks(start, stop, view.axis, frame.width):
        column = frame.x + round((value - start) / max(stop - start, 1e-12) * (frame.width - 1))
        place = max(frame.x, min(column - len(label) // 2, limit - len(label)))
        if label_row > row:
            canvas.write(column, row, "┬", "axis")
        if place > edge and not (cursor and place < cursor[0] + len(cursor[1]) and cursor[0] < place + len(label)):
            edge = canvas.write(place, label_row, label, "axis")
    canvas.write(limit, label_row, unit, "axis")
    if cursor:
        canvas.write(cursor[0], label_row, cursor[1], "cursor")


def _cursor_label(frame: Frame, view: View, limit: int) -> tuple[int, str] | None:
    """Column and text of the label of the cursor, None when it is not in sight."""
    cell = frame.cell(view.cursor) if view.cursor is not None else None
    if view.cursor is None or cell is None:
        return None
    label = f" {precise(view.cursor, view.axis)} "
    return max(frame.x, min(cell - len(label) // 2, limit - len(label))), label


def _unit(view: View, whole: Span) -> str:
    """What is counted along the axis, and how much the chart is zoomed."""
    unit = {"step": " steps", "tokens": " tokens", "time": ""}[view.axis]
    if view.span is None or view.span[1] <= view.span[0]:
        return unit
    return f" ×{(whole[1] - whole[0]) / (view.span[1] - view.span[0]):.3g}{unit}"


def draw_marks(canvas: Canvas, frame: Frame, marks: Sequence[Mark], *, ruled: bool) -> None:
    """On the ruled line where it has one to itself, else on the lowest row of the plot."""
    row = frame.y + frame.height - (0 if ruled else 1)
    order = list(MARKS)
    for mark in sorted(marks, key=lambda mark: order.index(mark.kind)):
        if (column := frame.cell(mark.x)) is not None:
            canvas.write(column, row, *MARKS[mark.kind])


def marks_near(marks: Sequence[Mark], x: float, span: Span, columns: int) -> list[Mark]:
    """The marks in the column of x, when `columns` show the span."""
    reach = (span[1] - span[0]) / max(1, columns) / 2
    return [mark for mark in marks if abs(mark.x - x) <= reach]
