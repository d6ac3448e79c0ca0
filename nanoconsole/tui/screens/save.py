"""Asks for the name and description of a preset to save, or the path of a file."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from nanoconsole.services.saving import fault, is_path
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Dialog
from nanoconsole.tui.widgets.bars import KeyBar
from nanoconsole.tui.widgets.value_input import TextLine


class SaveScreen(Dialog[tuple[str, str] | None]):
    """Dismissed with (name, description), or None. A name that is a path means a file, which has no description."""

    SCOPE = "save preset"
    BINDINGS = [*keys.bindings("save preset")]

    def __init__(self, name: str, description: str) -> None:
        super().__init__()
        self._name, self._description = name, description

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content.styled("Save as your own preset, or as a file", "bold"), classes="dialog-title")
            yield Static(_label("name, or the path of a .toml file", "enter: next line"))
            yield TextLine(self._name, id="preset-name", compact=True, select_on_focus=False)
            yield Static(id="preset-fault")
            yield Static(_label("description", "enter: save"))
            yield TextLine(self._description, id="preset-about", compact=True, select_on_focus=False)
        yield KeyBar()

    def key_label(self, key: keys.Key) -> str:
        more = key.action == "next" and self._in_name() and not is_path(self.query_one("#preset-name", Input).value)
        return "Next line" if more else super().key_label(key)

    def _in_name(self) -> bool:
        return self.focused is not None and self.focused.id == "preset-name"

    def on_input_changed(self, event: Input.Changed) -> None:
        """Mark a name that is not allowed while it is typed."""
        if event.input.id == "preset-name":
            words = fault(event.value)
            event.input.set_class(bool(words), "-bad")
            self.query_one("#preset-fault", Static).update(Content.styled(f"✗ {words}" if words else "", "$error"))
            self.query_one("#preset-about", Input).disabled = is_path(event.value)
            self.query_one(KeyBar).refresh()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_next()

    def action_next(self) -> None:
        """From the name to the description, and from there to the end; never past a name that is not allowed."""
        name, about = self.query_one("#preset-name", Input), self.query_one("#preset-about", Input)
        if fault(name.value):
            name.focus()
        elif self._in_name() and not is_path(name.value):
            about.focus()
        else:
            self.dismiss((name.value, about.value))


def _label(name: str, hint: str) -> Content:
    return Content.assemble((name, "$primary"), (f"  {hint}", "$axis"))
