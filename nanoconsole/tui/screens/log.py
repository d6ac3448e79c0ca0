"""Log: everything the trainer printed, whatever its size; searched, filtered by level, by step."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from nanoconsole.services.log_index import LogIndex
from nanoconsole.services.log_scan import LEVELS
from nanoconsole.services.log_search import LogSearch
from nanoconsole.tui import keys
from nanoconsole.tui.keys import Key
from nanoconsole.tui.screens.go_to_step import GoToStep
from nanoconsole.tui.screens.of_run import RunScreen
from nanoconsole.tui.widgets.log_pane import LogPane
from nanoconsole.tui.widgets.value_input import ValueInput
from nanocore.runs.layout import RunFolder
from nanocore.runs.log import last_lines

SHOWS = {"": "all lines", "WARNING": "warnings and worse", "ERROR": "errors"}


class LogScreen(RunScreen):
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

    class Searched(Message):
        """The search knows more."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LogScreen.Searched)

    def __init__(self) -> None:
        super().__init__()
        self._index: LogIndex | None = None
        self._search: LogSearch | None = None
        self._pattern, self._level = "", ""
        self._wanted: tuple[int, ...] = ()  # numbers of the lines in sight
        self._known: dict[int, str] = {}
        self._tail: list[str] = []
        self._whole = False  # the log was looked through to its end once
        self._step: int | None = None  # to go to, when its line is found
        self._line: int | None = None
        self._jump = False  # to the first match, when there is one

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
        self._end_search()

    def on_screen_suspend(self) -> None:
        super().on_screen_suspend()
        self._end_search()  # a hidden screen costs nothing

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._begin_search()

    def begin(self, run: RunFolder) -> None:
        self._end_search()
        self._index = LogIndex(run.log_file)
        self._wanted, self._known, self._whole, self._tail = (), {}, False, []
        self._pattern, self._step, self._line = "", None, None
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
        if not self._whole and pane.following and not self._level:
            pane.show_tail(self._tail)
        else:
            self._show_rows(index, pane)
        if self._line is not None:
            line, self._line = self._line, None
            pane.centre(self._row_of(line))
        none = self._search is not None and self._search.rows == 0
        self.set_class(not index.lines or none, "-empty")
        self.query_one("#log-empty", Static).update(self._none() if none else _nothing(index, self._reading))
        self.query_one("#log-head", Static).update(self._head(index, pane))
        self.query_one("#log-line", Static).update(Content(pane.text(pane.row).strip()))
        self.refresh_keys()

    def _show_rows(self, index: LogIndex, pane: LogPane) -> None:
        search = self._search
        rows = search.rows if search is not None and search.rows is not None else index.lines
        lines = {row: self._number(row) for row in pane.in_sight if row < rows}
        texts = {row: self._known[number] for row, number in lines.items() if number in self._known}
        found = {row: search.match(lines[row]) for row in texts} if search is not None and self._pattern else {}
        pane.show(rows, texts, {row: span for row, span in found.items() if span is not None})
        wanted = tuple(self._number(row) for row in pane.in_sight)
        if wanted != self._wanted or any(number not in self._known for number in wanted if number < index.lines):
            again = wanted != self._wanted
            self._wanted = wanted
            if again:
                self.read_on()

    def _number(self, row: int) -> int:
        """The number of a row's line."""
        return self._search.line_of(row) if self._search is not None else row

    def _row_of(self, line: int) -> int:
        return self._search.row_of(line) if self._search is not None else line

    def _head(self, index: LogIndex, pane: LogPane) -> Content:
        """Where the cursor is, what was found, what is shown, of which run: the most telling first."""
        rows = self._search.rows if self._search is not None and self._search.rows is not None else index.lines
        place = f"line {min(rows, pane.row + 1):,} of {rows:,}"
        if not self._whole:
            place = f"looking through the log: {index.share:.0%}"
        return Content.assemble(
            (place, "bold"),
            *self._search_words(),
            (f"  {SHOWS[self._level]}", "$warning" if self._level else "$axis"),
            ("  following", "$success") if pane.following else ("  staying", "$axis"),
            f"  {self.run.name if self.run else ''}",
        )

    def _none(self) -> Content:
        """The page of a level that no line has, or none yet."""
        search = self._search
        if search is None or not (search.waits or search.problem):
            return Content.styled(f"Looking for {SHOWS[self._level]} …", "$axis")
        return Content.assemble((f"No {SHOWS[self._level]}\n\n", "bold"), ("l", "bold $accent"), " shows all lines.")

    def _search_words(self) -> list[tuple[str, str]]:
        search = self._search
        if search is None:
            return []
        if search.problem:
            return [(f"  ✗ {search.problem}", "$error")]
        doing = "" if search.waits else f" ({search.share:.0%})"
        full = ", those kept" if search.full else ""
        if not self._pattern:
            return [(doing, "$axis")]
        count = f"{search.matches:,} match{'' if search.matches == 1 else 'es'}{full}{doing}"
        return [(f"  /{self._pattern}  ", "bold $accent"), (count, "$foreground")]

    def on_log_pane_moved(self) -> None:
        self.show()

    # Search and level

    def on_log_screen_searched(self) -> None:
        search = self._search
        if search is None:
            return
        if self._jump and search.matches:
            self._jump = False
            self.action_match(1)
        self.show()

    def _begin_search(self) -> None:
        self._end_search()
        if self._index is not None and (self._pattern or self._level):
            path, news = self._index.path, self._tell_searched
            self._search = LogSearch(path, self._pattern, self._level, news)

    def _tell_searched(self) -> None:
        self.post_message(self.Searched())

    def _end_search(self) -> None:
        if self._search is not None:
            self._search.close()
            self._search = None

    def action_search(self) -> None:
        line = self.query_one(ValueInput)
        line.display = True
        line.value = self._pattern
        line.focus()
        line.select_all()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._pattern, self._jump = event.value, bool(event.value)
        self._close_line()
        self._begin_search()
        self.show()

    def _close_line(self) -> None:
        self.query_one(ValueInput).display = False
        self.set_focus(None)

    def step_out(self) -> bool:
        """Leave the search line; then end the search."""
        if self.query_one(ValueInput).display:
            self._close_line()
            return True
        if self._pattern:
            self._pattern = ""
            self._begin_search()
            self.show()
            return True
        return False

    def action_match(self, by: int) -> None:
        search, pane = self._search, self.query_one(LogPane)
        if search is None or not self._pattern:
            self.console.say("/ searches first", "warning")
            return
        found = search.next_match(self._number(pane.row) if pane.in_sight else 0, by)
        if found is None:
            self.console.say("no match" if search.waits else "no match so far", "warning")
        else:
            pane.centre(search.row_of(found[1]))
            self.console.say(f"match {found[0] + 1:,} of {search.matches:,}")

    def action_level(self) -> None:
        """All lines, warnings and worse, errors; the cursor stays near its line."""
        pane = self.query_one(LogPane)
        if not pane.following:
            self._line = self._number(pane.row)
        self._level = LEVELS[(LEVELS.index(self._level) + 1) % len(LEVELS)]
        self._begin_search()
        self.show()

    # Moving

    def offers(self, action: str) -> bool:
        if action.partition("(")[0] == "match":
            return bool(self._pattern)
        return super().offers(action)

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


def _nothing(index: LogIndex, reading: bool) -> Content:
    if reading and not index.problem:
        return Content.styled("Reading …", "$axis")
    if index.problem:
        return Content.assemble(("The log cannot be read\n\n", "bold $error"), index.problem)
    return Content.assemble(("Nothing in the log yet\n\n", "bold"), "The trainer writes it from its start on.")
