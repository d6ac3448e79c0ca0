"""A log of any size: only the lines on the screen are known here, and asked for when they come into sight."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rich.segment import Segment
from rich.style import Style
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

STYLES = ("plain", "warning", "error", "axis", "match", "thumb")
DATE = re.compile(r"^\d{4}-\d\d-\d\d[ T]")  # the time of day is enough where room is short
LEVEL = re.compile(r"^\S+ (WARNING|ERROR|CRITICAL)\b")
DATED = 140  # columns from which the date is shown


class LogPane(Widget):
    """Rows are lines, or those of a level; `show` says how many there are and which lines lie in sight."""

    COMPONENT_CLASSES = {f"log-pane--{name}" for name in STYLES}

    class Moved(Message):
        """Other rows are in sight, or the cursor moved: their lines are wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.following = True
        self.row = self.top = 0
        self._rows, self._left = 0, 0
        self._lines: Mapping[int, str] = {}  # text by row
        self._spans: Mapping[int, tuple[int, int]] = {}
        self._tail: list[str] = []

    def show(self, rows: int, lines: Mapping[int, str], spans: Mapping[int, tuple[int, int]]) -> None:
        """There are `rows` rows; these are the known lines, and the matches in them."""
        grown = rows != self._rows
        changed = grown or bool(self._tail) or (lines, spans) != (self._lines, self._spans)
        self._rows, self._lines, self._spans, self._tail = rows, lines, spans, []
        if grown:
            self._settle()
        if changed:
            self.refresh()

    def show_tail(self, lines: list[str]) -> None:
        """While the log is still being looked through: its last lines, whose numbers are not known yet."""
        if lines != self._tail:
            self._tail = lines
            self.refresh()

    @property
    def room(self) -> int:
        """Rows that fit."""
        return max(1, self.size.height)

    @property
    def in_sight(self) -> range:
        """The rows on the screen."""
        return range(self.top, min(self._rows, self.top + self.room))

    def text(self, row: int) -> str:
        """A row's whole line, "" while it is not known."""
        return self._lines.get(row, "")

    def go(self, row: int, *, follow: bool = False) -> None:
        """Put the cursor on a row; with `follow`, stay at the end when lines come."""
        before = (self.row, self.top, self.following)
        self.row, self.following = row, follow
        self._settle()
        if (self.row, self.top, self.following) != before:
            self.refresh()
            self.post_message(self.Moved())

    def centre(self, row: int) -> None:
        """Put the cursor on a row and that in the middle."""
        self.top = row - self.room // 2
        self.go(row)

    def move(self, by: int) -> None:
        """Move the cursor; from the last row on, the end is followed."""
        row = self.row + by
        self.go(row, follow=row >= self._rows - 1)

    def sideways(self, by: int) -> None:
        left = max(0, min(2000, self._left + by))
        if left != self._left:
            self._left = left
            self.refresh()

    def _settle(self) -> None:
        """Keep the cursor within the rows, and it in sight."""
        last = max(0, self._rows - 1)
        self.row = last if self.following else max(0, min(last, self.row))
        self.top = max(0, min(self.top, self.row, self._rows - self.room))
        self.top = max(self.top, self.row - self.room + 1)

    def on_resize(self) -> None:
        self._settle()
        self.post_message(self.Moved())

    def on_click(self, event: Click) -> None:
        if event.x >= self.size.width - 1:
            self.go(event.y * max(0, self._rows - 1) // max(1, self.room - 1))
        elif self.top + event.y < self._rows:
            self.go(self.top + event.y)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self.scroll(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self.scroll(-3)

    def scroll(self, by: int) -> None:
        """Move what is in sight; the cursor comes along."""
        top = max(0, min(self._rows - self.room, self.top + by))
        moved, self.top = top - self.top, top
        if moved:
            self.go(self.row + moved, follow=top + self.room >= self._rows and by > 0)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if self._tail:
            return self._strip(self._tail[-self.room :][y] if y < min(self.room, len(self._tail)) else "", None, False)
        row = self.top + y
        if row >= self._rows:
            return Strip.blank(width, self.rich_style)
        known = row in self._lines
        strip = self._strip(self._lines.get(row, "…"), self._spans.get(row) if known else None, row == self.row)
        return Strip([*strip.crop(0, width - 1), self._thumb(y)])

    def _strip(self, line: str, span: tuple[int, int] | None, chosen: bool) -> Strip:
        """A line in the colour of its level, its match marked, the cursor's row turned round."""
        cut = DATE.match(line) if self.size.width < DATED else None
        gone = cut.end() if cut else 0
        text, style = line[gone:], self._style(_level(line[gone:]))
        style += Style(reverse=chosen)
        start, end = (max(0, place - gone) for place in span) if span else (0, 0)
        parts = [(text[:start], style), (text[start:end], self._style("match")), (text[end:], style)]
        strip = Strip([Segment(part, style) for part, style in parts if part])
        return strip.crop(self._left, self._left + self.size.width).adjust_cell_length(self.size.width, style)

    def _thumb(self, y: int) -> Segment:
        """The scroll bar's part of a line."""
        if self._rows <= self.room:
            return Segment(" ", self.rich_style)
        place = self.top * (self.room - 1) // max(1, self._rows - self.room)
        return Segment("█" if y == place else "│", self._style("thumb" if y == place else "axis"))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"log-pane--{name}")


def _level(line: str) -> str:
    found = LEVEL.match(line)
    return "plain" if found is None else "warning" if found[1] == "WARNING" else "error"
