"""What the screens of one run share: the opened run is read in a thread, a piece at a time, and shown after each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from nanoconsole.tui.run_actions import RunActions
from nanocore.runs.layout import RunFolder

if TYPE_CHECKING:
    from nanoconsole.services.watched import RunUpdate


class RunScreen(RunActions):
    """A screen of the opened run. Hidden, it reads nothing."""

    AUTO_FOCUS = ""  # its keys are the screen's own

    class Piece(Message):
        """A piece was read in the thread; `last` when it is done, or stopped since the screen was left."""

        def __init__(self, last: bool) -> None:
            super().__init__()
            self.last = last

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, RunScreen.Piece)

    def __init__(self) -> None:
        super().__init__()
        self.run: RunFolder | None = None
        self._state = ""
        self._shown = self._reading = self._again = False

    def begin(self, run: RunFolder) -> None:
        """Another run was opened: forget what was known."""
        raise NotImplementedError

    def read(self) -> bool:
        """Read on, in a thread, a piece; True when more is there already."""
        raise NotImplementedError

    def show(self) -> None:
        """Show what was read."""
        raise NotImplementedError

    def compose_run(self) -> Iterable[Widget]:
        """The widgets that show a run."""
        raise NotImplementedError

    def compose_body(self) -> ComposeResult:
        yield Static(Content("\n\n").join([Content.styled("No run is open", "bold"), _how()]), classes="no-run")
        yield from self.compose_run()

    def on_mount(self) -> None:
        self.set_class(self.run is None, "-no-run")

    def on_screen_resume(self) -> None:
        self._shown = True
        self._open(self.console.opened)

    def on_screen_suspend(self) -> None:
        self._shown = False

    def show_update(self, update: RunUpdate) -> None:
        if update.state.state != self._state:
            self._state = update.state.state
            self.refresh_keys()
        self._open(update.run)

    def chosen(self) -> RunFolder | None:
        return self.run

    def chosen_state(self) -> str:
        return self._state

    def _open(self, run: RunFolder | None) -> None:
        if run is not None and run != self.run:
            self.run = run
            self.set_class(False, "-no-run")
            self.begin(run)
        if run is not None:
            self.read_on()

    def read_on(self) -> None:
        """Read in a thread what is new, or wanted since; when one is at it, once more after that."""
        self._again = self._reading
        if not self._reading:
            self._reading = True
            self.run_worker(self._read_all, thread=True, group="reading")

    def _read_all(self) -> None:
        more = True
        while more:
            more = self.read() and self._shown
            self.post_message(self.Piece(not more))

    def on_run_screen_piece(self, message: Piece) -> None:
        if message.last:
            self._reading = False
        self.show()
        if message.last and self._again:
            self.read_on()


def _how() -> Content:
    key = "bold $accent"
    return Content.assemble(
        ("1", key), " lists the runs, ", ("enter", key), " opens one, ", ("2", key), " launches a new one."
    )
