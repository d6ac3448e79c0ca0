"""Jump mode: a letter on every part of a screen that can take the focus; pressing it goes there."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

from textual.app import ComposeResult
from textual.content import Content
from textual.events import Click, Key
from textual.geometry import Offset
from textual.widget import Widget
from textual.widgets import Static

from nanoconsole.tui import keys
from nanoconsole.tui.screens.base import ConsoleScreen
from nanoconsole.tui.screens.dialog import Dialog
from nanoconsole.tui.widgets.bars import KeyBar

LETTERS = "".join(letter for letter in ascii_lowercase if letter != "q")  # q leaves here as everywhere


def parts(screen: ConsoleScreen) -> list[Widget]:
    """The parts of a screen that can take the focus and are seen, from top left to bottom right."""
    found = [widget for widget in screen.focus_chain if widget.region.area]
    return sorted(found, key=lambda widget: (widget.region.y, widget.region.x))[: len(LETTERS)]


class JumpScreen(Dialog["Widget | None"]):
    """Dismissed with the part to go to, None for any other key."""

    SCOPE = "jump"
    CSS_PATH = "jump.tcss"
    BINDINGS = [*keys.bindings("jump")]

    def __init__(self, targets: Sequence[Widget]) -> None:
        super().__init__()
        self._targets = dict(zip(LETTERS, targets, strict=False))

    def compose(self) -> ComposeResult:
        for letter, target in self._targets.items():
            sign = Static(Content(f" {letter} "), classes="jump-sign", id=f"jump-{letter}")
            sign.absolute_offset = Offset(target.region.x, target.region.y)
            yield sign
        yield KeyBar()

    def on_key(self, event: Key) -> None:
        if event.key in self._targets:
            event.stop()
            self.dismiss(self._targets[event.key])

    def on_click(self, event: Click) -> None:
        letter = (event.widget.id or "").removeprefix("jump-") if event.widget else ""
        self.dismiss(self._targets.get(letter))
