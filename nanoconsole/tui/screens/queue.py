"""The queue: what runs and waits, in which order, and what the failure of a run does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.services.waiting import QueueView, Waiting, read
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Question
from nanoconsole.tui.theme import Look, look
from nanoconsole.tui.widgets.bars import KeyBar
from nanocore.errors import NanoError
from nanocore.runs import queue
from nanocore.runs.queue_document import MOST_SLOTS

if TYPE_CHECKING:
    from nanoconsole.tui.app import ConsoleApp

INTERVAL = 1.0  # seconds between two looks
ENDED, PENDING = 20, 200  # entries that are listed
LOOKS = {"waiting": Look("◷", "primary"), "cancelled": Look("■", "axis"), "failed": Look("✗", "error")}


class Entries(OptionList):
    """A click chooses an entry, to be moved or cancelled; only enter opens it."""

    async def _on_click(self, event: Click) -> None:
        event.prevent_default()
        place = event.style.meta.get("option")
        if place is not None:
            self.highlighted = place


class QueueScreen(Question[str | None]):
    """Dismissed with the run to watch, None for escape. Files are read and changed in threads."""

    SCOPE = "queue"
    CSS_PATH = "queue.tcss"
    BINDINGS = [*keys.bindings("queue")]

    def __init__(self) -> None:
        super().__init__()
        self._view: QueueView | None = None
        self._rows: list[Waiting] = []

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content.styled("Reading the queue …", "$axis"), id="queue-head", classes="dialog-title")
            yield Entries()
            yield Static(id="queue-detail")
        yield KeyBar()

    def on_mount(self) -> None:
        self._look()
        self.set_interval(INTERVAL, self._look)

    def _look(self) -> None:
        self._do(lambda: None)

    def _do(self, work: Callable[[], object]) -> None:
        """Change the queue in a thread, then show it; what cannot be done is told."""
        root, clock = self.console.root, self.console.clock
        stalls = {run.run.name: run.stall for run in self.console.run_list.runs if run.stall and not run.origin}

        def guarded() -> None:
            try:
                work()
            except NanoError as error:
                self.console.say(str(error), "error")
            self.app.call_from_thread(self._show, read(root, clock(), stalls))

        self.run_worker(guarded, thread=True, group="queue")

    def _show(self, view: QueueView) -> None:
        if view == self._view or not self.is_attached:
            return
        self._view = view
        chosen = self._chosen()
        pending = view.pending
        self._rows = [*[each for each in view.entries if each not in pending][-ENDED:], *pending[:PENDING]]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(_line(row)) for row in self._rows])
        names = [row.run for row in self._rows]
        first = next((place for place, row in enumerate(self._rows) if row in pending), 0)
        place = names.index(chosen.run) if chosen and chosen.run in names else first
        options.highlighted = place if self._rows else None
        self.query_one("#queue-head", Static).update(_head(view))
        self._tell()

    def _chosen(self) -> Waiting | None:
        place = self.query_one(OptionList).highlighted
        return self._rows[place] if place is not None and place < len(self._rows) else None

    def on_option_list_option_highlighted(self) -> None:
        self._tell()

    def _tell(self) -> None:
        """Under the list: all of the entry under the cursor, and why it ended."""
        row = self._chosen()
        self.query_one("#queue-detail", Static).update(_detail(row) if row else Content(""))
        self.query_one(KeyBar).refresh()

    def offers(self, action: str) -> bool:
        row, halted = self._chosen(), bool(self._view and self._view.halted)
        if action in ("start", "halt"):
            return halted if action == "start" else not halted and bool(self._view and self._view.pending)
        if action.startswith("move"):
            return row is not None and row.state == "waiting"
        if action in ("cancel", "failure") or action.startswith("slots"):
            return row is not None and row.state in queue.PENDING
        return action == "dismiss" or row is not None

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._rows[event.option_index].run)

    def _change(self, action: str, work: Callable[[Path, Waiting], object]) -> None:
        """Do something to the entry under the cursor, in a thread."""
        row, root = self._chosen(), self.console.root
        if row is not None and self.offers(action):
            self._do(lambda: work(root, row))

    def action_move(self, by: int) -> None:
        self._change("move", lambda root, row: queue.move(root, row.run, max(1, row.place + by)))

    def action_cancel(self) -> None:
        self._change("cancel", lambda root, row: queue.cancel(root, row.run))

    def action_failure(self) -> None:
        """Change what the failure of the run does to the others."""
        self._change("failure", lambda root, row: queue.set_options(root, row.run, stop_on_failure=not row.halts))

    def action_slots(self, by: int) -> None:
        def change(root: Path, row: Waiting) -> None:
            queue.set_options(root, row.run, slots=max(1, min(MOST_SLOTS, row.slots + by)))

        self._change("slots", change)

    def action_start(self) -> None:
        root = self.console.root

        def start() -> None:
            queue.start(root)
            queue.wake(root)

        self._do(start)

    def action_halt(self) -> None:
        root = self.console.root
        self._do(lambda: queue.halt(root))


def _head(view: QueueView) -> Content:
    if view.problem:
        return Content.assemble(("✗ ", "bold $error"), view.problem)
    if view.halted:
        return Content.assemble(("Halted: ", "bold $warning"), view.halted, ("  s starts it again", "$axis"))
    waiting = sum(each.state == "waiting" for each in view.entries)
    running = len(view.pending) - waiting
    stalled = sum(bool(each.stall) for each in view.entries)
    if not view.entries:
        return Content.assemble(("The queue is empty.  ", "bold"), ("w in Launch adds to it.", "$axis"))
    counts = (f"{running} at work, {waiting} waiting", "$axis")
    return Content.assemble(("Queue  ", "bold"), counts, (f"  {stalled} stalled" if stalled else "", "$warning"))


def _line(row: Waiting) -> Content:
    state = "stalled" if row.stall else row.state
    shown = LOOKS.get(state) or look(state)
    place = f"{row.place:>3} " if row.place else "    "
    marks = ", ".join(part for part in (f"{row.slots} slots" * (row.slots > 1), "halts" * row.halts) if part)
    return Content.assemble(
        (f"{shown.mark} {state:<9}", f"${shown.colour}"),
        (place, "$axis"),
        (row.run, "bold"),
        (f"  {row.since}", "$axis"),
        (f"  {marks}" if marks else "", "$accent"),
    )


def _detail(row: Waiting) -> Content:
    side = "works alone" if row.slots == 1 else f"works beside others, {row.slots} at a time"
    failure = "its failure halts the queue" if row.halts else "the queue goes on when it fails"
    if row.stall:
        free = " It keeps its place in the queue until it ends: enter opens it, S there ends it, by force if need be."
        return Content.assemble((row.run, "bold"), (f"  {row.stall}.", "$warning"), (free, "$foreground"))
    again = f"; starts again at most {row.restarts} times" if row.restarts else ""
    pending = f"{side}; {failure}{again}" if row.state in queue.PENDING else ""
    words = "; ".join(part for part in (row.reason, pending) if part)
    return Content.assemble((row.run, "bold"), (f"  {words}" if words else "", "$axis"))
