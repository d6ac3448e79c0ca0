"""What the parts of Launch share: the draft that is shown, and what follows from a change of it."""

from __future__ import annotations

from collections.abc import Callable

from nanoconsole.services.cost import Effect, Timing
from nanoconsole.services.draft import Draft
from nanoconsole.tui.screens.base import ConsoleScreen
from nanoconsole.tui.widgets.cost_panel import Against
from nanocore.errors import NanoError

Stopped = Callable[[], bool]


class DraftScreen(ConsoleScreen):
    """A screen that shows one draft at a time."""

    draft: Draft | None = None
    against: Against | None = None  # what the differences are shown to; None: what the draft was opened from
    effects: dict[str, Effect] = {}  # of each change by itself, as far as they are worked out
    timings: list[Timing] = []

    def __init__(self) -> None:
        super().__init__()
        self._newest: dict[str, object] = {}  # work in threads, by group

    def draft_changed(self) -> None:
        """Bring everything that follows from the draft up to date."""
        raise NotImplementedError

    def open_target(self, target: str, origin: str = "") -> None:
        """Show the draft of a preset, a file or a run."""
        raise NotImplementedError

    def explain(self) -> None:
        """Say what the field under the cursor means, or what is wrong."""
        raise NotImplementedError

    def settle(self) -> None:
        """Let the draft take what was typed and not read yet."""

    def in_thread(self, group: str, work: Callable[[Stopped], Callable[[], None]]) -> None:
        """Run `work` in a thread and what it returns in the interface, unless newer work of the group was started.

        `work` is given what tells whether it is wanted no more.
        """
        mine = self._newest[group] = object()

        def stale() -> bool:
            return self._newest[group] is not mine or not (self.is_running and self.children)

        def run() -> None:
            then = work(stale)
            self.app.call_from_thread(lambda: None if stale() else then())

        self.run_worker(run, thread=True, group=group)

    def guarded(self, group: str, work: Callable[[], str]) -> None:
        """Run `work` in a thread and tell its words, or in one line what went wrong."""

        def run() -> None:
            try:
                self.console.say(work())
            except NanoError as error:
                self.console.say(str(error), "error")

        self.run_worker(run, thread=True, group=group)
