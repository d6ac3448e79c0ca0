"""The tail of a run's log: plain safe lines, wrapped, added in batches, following the end until told to stay."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Log

from nanoconsole.services.watched import LOG_LINES, START, LogBuffer

DATE = re.compile(r"^\d{4}-\d\d-\d\d[ T]")  # the time of day is enough, and room is short


class LogView(Log):
    """Takes what a `LogBuffer` gained since the last look."""

    def __init__(self) -> None:
        super().__init__(highlight=False, max_lines=LOG_LINES, auto_scroll=True)
        self._buffer: LogBuffer | None = None
        self._place = START
        self._wrapped_at = 0
        self.border_title = "log"

    def feed(self, buffer: LogBuffer) -> None:
        """Show the newest lines of `buffer`; another buffer (another run) starts an empty view."""
        if buffer is not self._buffer:
            self._buffer, self._place = buffer, START
            self.clear()
        lines, self._place, void = buffer.since(self._place)
        if void:
            self.clear()
        if lines:
            self.write_lines([row for line in lines for row in self._rows(DATE.sub("", line))])

    def _rows(self, line: str) -> list[str]:
        """The line, cut at words so that each row fits; whole while the view is hidden and has no width."""
        width = self._wrapped_at
        if not width or cell_len(line) <= width:
            return [line]
        return [row.plain.rstrip() for row in Text(line).wrap(self.app.console, width)]

    def toggle_follow(self) -> bool:
        """Follow the end of the log, or stop following it; returns which."""
        self.auto_scroll = not self.auto_scroll
        if self.auto_scroll:
            self.scroll_end(animate=False)
        return self.auto_scroll

    def on_resize(self) -> None:
        width = self.scrollable_content_region.width
        if width != self._wrapped_at:
            self._wrapped_at = width
            self._wrap_again()
        if self.auto_scroll:
            self.scroll_end(animate=False)

    def _wrap_again(self) -> None:
        """Write all kept lines anew, for another width."""
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            self.feed(buffer)
