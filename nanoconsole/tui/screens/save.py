"""Asks for the name and description of a preset to save."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from nanoconsole.services.draft import Draft
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Dialog
from nanoconsole.tui.widgets.bars import KeyBar
from nanocore.config.presets import user_folder
from nanocore.runs.layout import NAME_RULE, valid_name

TOLD = 3  # changes that a proposed description names; of others it says how many


def proposal(draft: Draft) -> tuple[str, str]:
    """Name and description to begin with: those of an own preset, else what was changed to which preset."""
    if draft.path.is_relative_to(user_folder()):
        return draft.name, draft.text("about.description")
    if "about.description" in draft.edits:
        return f"my-{draft.name}", draft.text("about.description")
    told = [f"{change.key} = {change.after or 'none'}" for change in draft.changes()]
    more = [f"{len(told) - TOLD} more"] if len(told) > TOLD else []
    words = ", ".join([*told[:TOLD], *more])
    return f"my-{draft.name}", f"{draft.name} with {words}" if words else f"as {draft.name}"


class SaveScreen(Dialog[tuple[str, str] | None]):
    """Dismissed with (name, description), or None."""

    SCOPE = "save preset"
    BINDINGS = [*keys.bindings("save preset")]

    def __init__(self, name: str, description: str) -> None:
        super().__init__()
        self._name, self._description = name, description

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content.styled("Save as your own preset", "bold"), classes="dialog-title")
            yield Static(_label("name", "enter: next line"))
            yield Input(self._name, id="preset-name", compact=True, select_on_focus=False)
            yield Static(id="preset-fault")
            yield Static(_label("description", "enter: save"))
            yield Input(self._description, id="preset-about", compact=True, select_on_focus=False)
        yield KeyBar()

    def key_label(self, key: keys.Key) -> str:
        return "Next line" if key.action == "next" and self._in_name() else super().key_label(key)

    def _in_name(self) -> bool:
        return self.focused is not None and self.focused.id == "preset-name"

    def on_input_changed(self, event: Input.Changed) -> None:
        """Mark a name that is not allowed while it is typed."""
        if event.input.id == "preset-name":
            bad = not valid_name(event.value)
            event.input.set_class(bad, "-bad")
            self.query_one("#preset-fault", Static).update(
                Content.styled(f"✗ use {NAME_RULE}" if bad else "", "$error")
            )

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_next()

    def action_next(self) -> None:
        """From the name to the description, and from there to the end; never past a name that is not allowed."""
        name, about = self.query_one("#preset-name", Input), self.query_one("#preset-about", Input)
        if not valid_name(name.value):
            name.focus()
        elif self._in_name():
            about.focus()
        else:
            self.dismiss((name.value, about.value))


def _label(name: str, hint: str) -> Content:
    return Content.assemble((name, "$primary"), (f"  {hint}", "$axis"))
