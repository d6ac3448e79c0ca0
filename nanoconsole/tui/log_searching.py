"""Searching a log and choosing levels: a process of its own looks, and the screen shows what it found so far."""

from __future__ import annotations

from pathlib import Path

from textual.message import Message
from textual.widgets import Input

from nanoconsole.services.log_scan import LEVELS, compiled
from nanoconsole.services.log_search import LogSearch
from nanoconsole.tui.screens.of_run import RunScreen
from nanoconsole.tui.widgets.log_pane import LogPane
from nanoconsole.tui.widgets.value_input import ValueInput
from nanocore.errors import UsageError


class LogSearching(RunScreen):
    """A screen with a log pane and a line for a regular expression. `search` is None while neither pattern nor level is set."""

    class Searched(Message):
        """The search knows more."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LogSearching.Searched)

    def __init__(self) -> None:
        super().__init__()
        self.search: LogSearch | None = None
        self.pattern, self.level = "", ""
        self._after: int | None = None  # the line behind which the first match is to be shown, when it is known

    def log_file(self) -> Path | None:
        """The log that is searched."""
        raise NotImplementedError

    def keep_line(self) -> None:
        """Other rows come: show the cursor's line again when it is known in which row it stands."""
        raise NotImplementedError

    def forget_search(self) -> None:
        """Another log is shown: its level stays, the pattern goes."""
        self.end_search()
        self.pattern = ""

    def line_of(self, row: int) -> int:
        """The number of a row's line."""
        return self.search.line_of(row) if self.search is not None else row

    def row_of(self, line: int) -> int:
        return self.search.row_of(line) if self.search is not None else line

    def on_log_searching_searched(self) -> None:
        search = self.search
        if search is None:
            return
        self.show()
        if self._after is not None:
            self._show_first(search, self._after)

    def _show_first(self, search: LogSearch, after: int) -> None:
        """The first match behind a line; one at the beginning again only when there is none behind it."""
        found = search.next_match(after, 1)
        if search.waits or (found is not None and found[1] > after):
            self._after = None
            self._show_match(search, found)

    def begin_search(self) -> None:
        self.end_search()
        path = self.log_file()
        if path is not None and (self.pattern or self.level):
            self.search = LogSearch(path, self.pattern, self.level, self._tell_searched)

    def _tell_searched(self) -> None:
        self.post_message(self.Searched())

    def end_search(self) -> None:
        if self.search is not None:
            self.search.close()
            self.search = None

    # Keys

    def action_search(self) -> None:
        line = self.query_one(ValueInput)
        line.display = True
        line.value = self.pattern
        line.focus()
        line.select_all()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Search; a pattern that is none keeps the line open, and what is wrong with it is told below."""
        try:
            compiled(event.value)
        except UsageError as error:
            self.console.say(str(error), "error")
            return
        self.pattern = event.value
        following = self.query_one(LogPane).following  # who watches the end looks for the first match of all
        self._after = (-1 if following else self._line_in_sight()) if self.pattern else None
        self.keep_line()
        self._close_line()
        self.begin_search()
        self.show()

    def _close_line(self) -> None:
        self.query_one(ValueInput).display = False
        self.set_focus(None)

    def step_out(self) -> bool:
        """Leave the search line; then end the search."""
        if self.query_one(ValueInput).display:
            self._close_line()
            return True
        if self.pattern:
            self.pattern = ""
            self.keep_line()
            self.begin_search()
            self.show()
            return True
        return False

    def action_match(self, by: int) -> None:
        if self.search is None or not self.pattern:
            self.console.say("/ searches first", "warning")
        else:
            self._show_match(self.search, self.search.next_match(self._line_in_sight(), by))

    def _line_in_sight(self) -> int:
        """The cursor's line, -1 while no line is in sight."""
        pane = self.query_one(LogPane)
        return self.line_of(pane.row) if pane.in_sight else -1

    def _show_match(self, search: LogSearch, found: tuple[int, int] | None) -> None:
        if found is None:
            self.console.say("no match" if search.waits else "no match so far", "warning")
        else:
            self.query_one(LogPane).centre(search.row_of(found[1]))
            self.console.say(f"match {found[0] + 1:,} of {search.matches:,}")

    def action_level(self) -> None:
        """All lines, warnings and worse, errors; the cursor stays near its line."""
        self.keep_line()
        self.level = LEVELS[(LEVELS.index(self.level) + 1) % len(LEVELS)]
        self.begin_search()
        self.show()

    def offers(self, action: str) -> bool:
        if action.partition("(")[0] == "match":
            return bool(self.pattern)
        return super().offers(action)
