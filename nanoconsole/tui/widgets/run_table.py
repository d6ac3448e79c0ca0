"""The live table of runs. Only rows in view are made, and only those that changed are drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nanoconsole.services.listed import Listed
from nanoconsole.services.run_fields import Context
from nanoconsole.tui.theme import ink
from nanoconsole.tui.widgets.run_columns import GAP, MARGIN, Cell, Column, shown, widths
from nanocore.runs.layout import RunFolder

Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Marks:
    """What is marked in the list: selected runs, the baseline of comparisons, and the order of the rows."""

    selected: frozenset[RunFolder] = frozenset()
    baseline: RunFolder | None = None
    sort: str = ""
    reverse: bool = False


@dataclass
class _Picture:
    """What is drawn: columns with their widths, and the rows in view as they were last made."""

    columns: tuple[Column, ...] = ()
    widths: list[int] = field(default_factory=list)
    rows: dict[int, tuple[Row, str]] = field(default_factory=dict)


class RunTable(ScrollView, can_focus=True, inherit_bindings=False):
    """A row a run. The cursor stays on its run when rows come and go."""

    COMPONENT_CLASSES = {"run-table--header", "run-table--cursor"}

    class Moved(Message):
        """The cursor is on another run."""

    class Opened(Message):
        """The run under the cursor was clicked twice."""

    class Toggled(Message):
        """The mark of the run under the cursor was clicked."""

    class Sorted(Message):
        """The title of a column was clicked."""

        def __init__(self, sort: str) -> None:
            super().__init__()
            self.sort = sort

    def __init__(self) -> None:
        super().__init__()
        self._runs: Sequence[Listed] = ()
        self._given = Context(0.0)
        self._marks = Marks()
        self._picture = _Picture()
        self._cursor, self._moved = 0, False

    @property
    def chosen(self) -> Listed | None:
        """The run under the cursor, None when there is none."""
        return self._runs[self._cursor] if 0 <= self._cursor < len(self._runs) else None

    def show(self, runs: Sequence[Listed], context: Context, marks: Marks, *, growing: bool = False) -> None:
        """Bring the table to these runs, in this order; while the list is `growing`, a cursor nobody moved stays above."""
        before = self.chosen if self._moved or not growing else None
        if before is not None and runs is not self._runs:
            places = (place for place, run in enumerate(runs) if run.run == before.run)
            self._cursor = next(places, min(self._cursor, max(0, len(runs) - 1)))
        titles = (marks.sort, marks.reverse) != (self._marks.sort, self._marks.reverse)
        self._runs, self._given, self._marks = runs, context, marks
        self.virtual_size = Size(self.scrollable_content_region.width, len(runs) + 1)
        if self._lay_out() or titles:
            self.refresh()
        else:
            self._refresh_changed()

    def move(self, rows: int) -> None:
        """Move the cursor by some rows, and what is shown with it."""
        target = max(0, min(len(self._runs) - 1, self._cursor + rows))
        if target != self._cursor:
            self._cursor, self._moved = target, True
            self.keep_in_view()
            self.refresh()
            self.post_message(self.Moved())

    def page(self) -> int:
        """Rows that are in view at once."""
        return max(1, self.scrollable_content_region.height - 1)

    def keep_in_view(self) -> None:
        """Scroll so that the cursor is seen."""
        top = self.scroll_offset.y
        wanted = min(self._cursor, max(top, self._cursor - self.page() + 1))
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, force=True)

    def forget(self) -> None:
        """Draw everything anew, as after a change of theme."""
        self.refresh()

    def on_resize(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._runs) + 1)
        self._lay_out()
        self.keep_in_view()

    def on_click(self, event: Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            self._click_title(offset.x)
            return
        row = self.scroll_offset.y + offset.y - 1
        if row < len(self._runs):
            self.move(row - self._cursor)
            if offset.x < MARGIN:
                self.post_message(self.Toggled())
            elif event.chain == 2:
                self.post_message(self.Opened())

    def _click_title(self, x: int) -> None:
        edge = MARGIN
        for column, width in zip(self._picture.columns, self._picture.widths, strict=True):
            if edge <= x < edge + width and column.sort:
                self.post_message(self.Sorted(column.sort))
            edge += width + GAP

    def _lay_out(self) -> bool:
        """Choose columns and widths for the size; whether they are others than before."""
        columns = shown(self.app.size.width)
        room = widths(columns, self.scrollable_content_region.width)
        changed = (columns, room) != (self._picture.columns, self._picture.widths)
        if changed:
            self._picture = _Picture(columns, room)
        return changed

    def _refresh_changed(self) -> None:
        """Draw the rows in view anew whose text changed."""
        top = self.scroll_offset.y
        width = self.size.width
        for line in range(1, self.page() + 1):
            row = top + line - 1
            if self._made(row) != self._picture.rows.get(row):
                self.refresh(Region(0, line, width, 1))

    def _made(self, row: int) -> tuple[Row, str] | None:
        """The cells of a row and its mark, None behind the last one."""
        if row >= len(self._runs):
            return None
        run = self._runs[row]
        mark = "◆" if run.run == self._marks.baseline else "+" if run.run in self._marks.selected else " "
        mark = "▶" + mark if row == self._cursor else " " + mark
        return tuple(column.cell(run, self._given) for column in self._picture.columns), mark

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._titles().adjust_cell_length(width, self.rich_style)
        row = self.scroll_offset.y + y - 1
        made = self._made(row)
        if made is None:
            self._picture.rows.pop(row, None)
            return Strip.blank(width, self.rich_style)
        self._picture.rows[row] = made
        return self._strip(*made, under_cursor=row == self._cursor).adjust_cell_length(width, self.rich_style)

    def _titles(self) -> Strip:
        style = self.get_component_rich_style("run-table--header")
        parts = [Segment(" " * MARGIN, style)]
        for column, width in zip(self._picture.columns, self._picture.widths, strict=True):
            sorted_by = column.sort and column.sort == self._marks.sort
            title = f"{column.title}{'▴' if self._marks.reverse else '▾'}" if sorted_by else column.title
            text = fitted(title if cell_len(title) <= width else title[:-2] + title[-1:], width, right=column.right)
            parts.append(Segment(text + " " * GAP, style + Style(bold=True) if sorted_by else style))
        return Strip(parts)

    def _strip(self, cells: Row, mark: str, *, under_cursor: bool) -> Strip:
        base = self.get_component_rich_style("run-table--cursor") if under_cursor else self.rich_style
        colours = self.app.theme_variables
        turned = bool(base.reverse)  # ground and text are exchanged: colours would become grounds of their own
        parts = [Segment(mark, base if turned else base + ink(colours["accent"]))]
        for (text, colour), column, width in zip(cells, self._picture.columns, self._picture.widths, strict=True):
            style = base if turned or colour not in colours else base + ink(colours[colour])
            parts.append(Segment(fitted(text, width, right=column.right) + " " * GAP, style))
        return Strip(parts).apply_style(Style(bgcolor=base.bgcolor))


def fitted(text: str, width: int, *, right: bool) -> str:
    """Text in exactly `width` cells; one that is longer ends in an ellipsis."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width else ""
    return " " * (width - length) + text if right else text + " " * (width - length)
