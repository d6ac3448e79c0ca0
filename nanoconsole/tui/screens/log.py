"""Log: everything the trainer printed, whatever its size; searched, filtered by level, by step."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from nanoconsole.services.log_index import LogIndex
from nanoconsole.tui import keys, log_words
from nanoconsole.tui.keys import Key
from nanoconsole.tui.log_searching import LogSearching
from nanoconsole.tui.screens.go_to_step import GoToStep
from nanoconsole.tui.widgets.log_pane import LogPane
from nanoconsole.tui.widgets.value_input import ValueInput
from nanocore.runs.layout import RunFolder
from nanocore.runs.log import last_lines


class LogScreen(LogSearching):
    """A pane over the log's index; a search runs in a process of its own."""

    SCOPE = "logs"
    ABOUT = (
        "The whole log of the opened run: a line a row, its cursor's line in full below. A search is a regular "
        "expression, tried on the first 2000 characters of each line; in small letters it finds capitals too. It runs in "
        "a process of its own, and a pattern that takes too long is ended. A line without time and level, as of a "
        "traceback or a library, counts as a warning, or as the error that it follows."
    )
    CSS_PATH = ["of_run.tcss", "log.tcss"]
    BINDINGS = [*keys.bindings("logs")]

    def __init__(self) -> None:
        super().__init__()
        self._index: LogIndex | None = None
        self._wanted: tuple[int, ...] = ()  # numbers of the lines in sight
        self._known: dict[int, str] = {}
        self._tail: list[str] = []
        self._whole = False  # the log was looked through to its end once
        self._step: int | None = None  # to go to, when its line is found
        self._line: int | None = None

    def compose_run(self) -> Iterable[Widget]:
        yield Static(id="log-head")
        yield LogPane()
        yield Static(id="log-empty")
        yield Static(id="log-line")
        yield ValueInput(compact=True, select_on_focus=False, max_length=500, placeholder="regular expression")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(ValueInput).display = False

    def on_unmount(self) -> None:
        self.end_search()

    def on_screen_suspend(self) -> None:
        super().on_screen_suspend()
        self.keep_line()
        self.end_search()  # a hidden screen costs nothing

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.begin_search()

    def begin(self, run: RunFolder) -> None:
        self.forget_search()
        self._index = LogIndex(run.log_file)
        self._wanted, self._known, self._whole, self._tail = (), {}, False, []
        self._step, self._line = None, None
        self.query_one(LogPane).go(0, follow=True)

    # Reading, in the thread

    def read(self) -> bool:
        index = self._index
        if index is None:
            return False
        if not index.lines:
            self._tail = last_lines(index.path, 100)
        before = index.beginnings
        more = index.grow()
        if index.beginnings != before:
            self._known = {}
        if not more and self._step is not None:
            self._line, self._step = index.line_of_step(self._step), None
        self._fetch(index)
        return more

    def _fetch(self, index: LogIndex) -> None:
        """Read the lines in sight that are not known; the unfinished last one each time."""
        wanted, last = self._wanted, index.lines - 1
        known = {number: self._known[number] for number in wanted if number in self._known and number != last}
        missing = [number for number in wanted if number not in known]
        self._known = known | index.read(missing) if missing else known

    # Showing

    def show(self) -> None:
        index, pane = self._index, self.query_one(LogPane)
        if index is None:
            return
        self._whole = self._whole or not self._reading
        if not self._whole and pane.following and not self.level:
            pane.show_tail(self._tail)
        else:
            self._show_rows(index, pane)
        self._go_on(pane)
        none = self.search is not None and self.search.rows == 0
        self.set_class(not index.lines or none, "-empty")
        empty = log_words.none(self.search, self.level) if none else log_words.nothing(index, self._reading)
        self.query_one("#log-empty", Static).update(Content.assemble(empty))
        self.query_one("#log-head", Static).update(self._head(index, pane))
        self.query_one("#log-line", Static).update(Content(pane.text(pane.row).strip()))
        self.refresh_keys()

    def _go_on(self, pane: LogPane) -> None:
        """Go to the line that is wanted when its row is known and there is one; it is wanted no more at the end."""
        if self._line is None or (self.search is not None and not self.search.knows(self._line)):
            return
        if pane.following:
            self._line = None
        elif pane.in_sight:
            line, self._line = self._line, None
            row = self.row_of(line)
            if row != pane.row:
                pane.centre(row)

    def _show_rows(self, index: LogIndex, pane: LogPane) -> None:
        search, rows = self.search, self._rows(index)
        lines = {row: self.line_of(row) for row in pane.in_sight if row < rows}
        texts = {row: self._known[number] for row, number in lines.items() if number in self._known}
        found = {row: search.match(lines[row]) for row in texts} if search is not None and self.pattern else {}
        pane.show(rows, texts, {row: span for row, span in found.items() if span is not None})
        wanted = tuple(self.line_of(row) for row in pane.in_sight)
        if wanted != self._wanted or any(number not in self._known for number in wanted if number < index.lines):
            again = wanted != self._wanted
            self._wanted = wanted
            if again:
                self.read_on()

    def _rows(self, index: LogIndex) -> int:
        """How many lines are shown in all."""
        return self.search.rows if self.search is not None and self.search.rows is not None else index.lines

    def _head(self, index: LogIndex, pane: LogPane) -> Content:
        """Where the cursor is, what was found, what is shown, of which run: the most telling first."""
        rows = self._rows(index)
        place = f"line {min(rows, pane.row + 1):,} of {rows:,}"
        if not self._whole:
            place = f"looking through the log: {index.share:.0%}"
        return Content.assemble(
            (place, "bold"),
            *log_words.found(self.search, self.pattern),
            (f"  {log_words.SHOWS[self.level]}", "$warning" if self.level else "$axis"),
            ("  following", "$success") if pane.following else ("  staying", "$axis"),
            f"  {self.run.name if self.run else ''}",
        )

    # What the search needs

    def log_file(self) -> Path | None:
        return self._index.path if self._index is not None else None

    def keep_line(self) -> None:
        pane = self.query_one(LogPane)
        if not pane.following and self._line is None and pane.in_sight:
            self._line = self.line_of(pane.row)

    def on_log_pane_moved(self) -> None:
        self.show()

    # Moving

    def key_label(self, key: Key) -> str:
        following = self.query_one(LogPane).following
        return "Stay" if key.action == "follow" and following else super().key_label(key)

    def action_follow(self) -> None:
        pane = self.query_one(LogPane)
        pane.go(pane.row, follow=not pane.following)

    def action_go(self) -> None:
        self.app.push_screen(GoToStep("The first line of that step, or of the next one that is told."), self._to_step)

    def _to_step(self, step: int | None) -> None:
        if step is not None:
            self._step = step
            self.query_one(LogPane).following = False
            self.read_on()

    def action_line(self, by: int) -> None:
        self.query_one(LogPane).move(by)

    def action_page(self, by: int) -> None:
        pane = self.query_one(LogPane)
        pane.move(by * max(1, pane.room - 1))

    def action_first(self) -> None:
        self.query_one(LogPane).go(0)

    def action_last(self) -> None:
        self.query_one(LogPane).go(0, follow=True)

    def action_sideways(self, by: int) -> None:
        self.query_one(LogPane).sideways(by)
