"""Asks for the name and description of a preset to save."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static


class SaveScreen(ModalScreen[tuple[str, str] | None]):
    """Dismissed with (name, description), or None."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Cancel", show=False)]

    def __init__(self, name: str, description: str) -> None:
        super().__init__()
        self._name, self._description = name, description

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_subtitle = "enter goes on and saves, esc cancels"
            yield Static(Content.styled("Save as your own preset", "bold"), classes="dialog-title")
            yield Input(self._name, placeholder="name: small letters, digits, dash", id="preset-name", compact=True)
            yield Input(self._description, placeholder="what it is for", id="preset-about", compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "preset-name":
            self.query_one("#preset-about", Input).focus()
        else:
            self.dismiss((self.query_one("#preset-name", Input).value, event.value))
