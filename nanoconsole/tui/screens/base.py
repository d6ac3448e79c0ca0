"""What all main screens share: title above, key bar below, breakpoints, and an honest page when there is no room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from nanoconsole.tui.keys import Key
from nanoconsole.tui.widgets.bars import KeyBar, TitleBar
from nanoconsole.tui.widgets.too_small import TooSmall

if TYPE_CHECKING:
    from nanoconsole.services.watched import RunUpdate
    from nanoconsole.tui.app import ConsoleApp


class ConsoleScreen(Screen[None]):
    """A main screen. `SCOPE` is its name in the table of keys, `ABOUT` what its help says of it, `TERMS` tables of terms."""

    SCOPE = ""
    ABOUT = ""
    TERMS: Mapping[str, Sequence[tuple[str, str]]] = {}
    HORIZONTAL_BREAKPOINTS = [(0, "-too-narrow"), (40, "-tiny"), (60, "-narrow"), (100, "-normal"), (140, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-too-low"), (12, "-low"), (24, "-high")]

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    def compose(self) -> ComposeResult:
        yield TitleBar(self.SCOPE)
        yield from self.compose_body()
        yield KeyBar()
        yield TooSmall()

    def compose_body(self) -> ComposeResult:
        """The widgets between title and key bar."""
        raise NotImplementedError

    def scopes(self) -> list[str]:
        """Scopes of the table of keys that are in force, from the focused widget out."""
        focused = self.focused
        inner = [scope] if isinstance(scope := getattr(focused, "KEY_SCOPE", None), str) else []
        return [*inner, self.SCOPE, "app"]

    def offers(self, action: str) -> bool:
        """Whether an action makes sense now; the key bar and the palette leave others out."""
        return True

    def main_action(self) -> str:
        """The action whose key stays in the key bar beside any message; "" for the first one shown."""
        return ""

    def key_label(self, key: Key) -> str:
        """What the key bar calls a key."""
        working = key.action == "leave" and self.console.run_list.working
        if not working:
            return key.label
        if all(run.state == "paused" for run in self.console.run_list.working):
            return "Leave (the run stays paused)" if self.size.width >= 100 else "Leave (stays paused)"
        return "Leave (training goes on)" if self.size.width >= 100 else "Leave (trains on)"

    def show_update(self, update: RunUpdate) -> None:
        """Take a look at the opened run; screens that show it do."""

    def show_step(self, step: int) -> None:
        """Put the cursor on a step of the opened run; screens with an axis of steps do."""

    def on_screen_resume(self) -> None:
        if (step := self.console.take_step(self.SCOPE)) is not None:
            self.call_later(self.show_step, step)

    def step_out(self) -> bool:
        """Leave an inner layer, such as a search; False when there is none."""
        return False

    async def perform(self, key: Key) -> None:
        """Run a key's action as if it had been pressed here."""
        inner: list[Widget] = [self.focused] if self.focused else []
        for place in (*inner, self, self.app):
            if await self.app.run_action(key.action, default_namespace=place):
                return

    def refresh_keys(self) -> None:
        """Draw the key bar again: what can be done has changed."""
        for bar in self.query(KeyBar):
            bar.refresh()
