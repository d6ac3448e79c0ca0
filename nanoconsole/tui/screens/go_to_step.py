"""Ask for a step to go to."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Dialog
from nanoconsole.tui.widgets.bars import KeyBar
from nanoconsole.tui.widgets.value_input import TextLine


class GoToStep(Dialog[int | None]):
    """Dismissed with a step, None when none was typed. Only digits can be typed."""

    SCOPE = "go to step"
    BINDINGS = [*keys.bindings("go to step")]

    def __init__(self, about: str) -> None:
        super().__init__()
        self._about = about

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(
                Content.assemble(("Go to step", "bold"), (f"\n{self._about}", "$axis")), classes="dialog-title"
            )
            yield TextLine(restrict=r"[0-9]*", max_length=12)
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self) -> None:
        self.action_go()

    def action_go(self) -> None:
        typed = self.query_one(Input).value
        self.dismiss(int(typed) if typed.isascii() and typed.isdecimal() else None)
