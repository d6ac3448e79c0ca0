"""The tail of a run's log: plain safe lines, added in batches, following the end until told to stay."""

from __future__ import annotations

import re

from textual.widgets import Log

from nanoconsole.services.watched import LOG_LINES, START, LogBuffer

DATE = re.compile(r"^\d{4}-\d\d-\d\d[ T]")  # the time of day is enough, and room is short


class LogView(Log):
    """Takes what a `LogBuffer` gained since the last look."""

    def __init__(self) -> None:
        super().__init__(highlight=False, max_lines=LOG_LINES, auto_scroll=True)
        self._buffer: LogBuffer | None = None
        self._place = START

    def feed(self, buffer: LogBuffer) -> None:
        """Show the newest lines of `buffer`; another buffer (another run) starts an empty view."""
        if buffer is not self._buffer:
            self._buffer, self._place = buffer, START
            self.clear()
        lines, self._place, void = buffer.since(self._place)
        if void:
            self.clear()
        if lines:
            self.write_lines([DATE.sub("", line) for line in lines])

    def toggle_follow(self) -> bool:
        """Follow the end of the log, or stop following it; returns which."""
        self.auto_scroll = not self.auto_scroll
        if self.auto_scroll:
            self.scroll_end(animate=False)
        return self.auto_scroll

    def on_resize(self) -> None:
        if self.auto_scroll:
            self.scroll_end(animate=False)
