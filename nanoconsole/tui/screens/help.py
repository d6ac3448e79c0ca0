"""Help for a screen: what it shows, and every key in force, made from the table of keys."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from nanoconsole.tui import keys

ABOUT = {
    "runs": "All runs of the folder named at the top right, newest first. The arrow beside the loss says where its"
    " newest values go. Training runs in processes of their own: leaving the console never ends it.",
    "launch": "Choose a preset on the left. The form changes it: switches of techniques first, then every section."
    " Beside it stand what the model will cost and what you changed. Nothing is written until you save or launch.",
    "live": "The run you opened: four charts over its whole history, what the machine does, log and newest sample."
    " The faint area behind a line is the lowest and highest of all points; ✕ marks values that were not finite.",
}
TITLES = {"presets": "In the list of presets", "form": "In the form", "value": "In a line of text", "app": "Everywhere"}


class HelpScreen(ModalScreen[None]):
    """Dismissed by escape, ? or F1."""

    BINDINGS = [Binding("escape,question_mark,f1,q", "dismiss(None)", "Close", show=False)]

    def __init__(self, scope: str, scopes: Sequence[str]) -> None:
        super().__init__()
        self._scope, self._scopes = scope, scopes

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_subtitle = "esc closes"
            yield Static(Content(ABOUT[self._scope]), classes="dialog-title")
            for scope in self._order():
                yield Static(_lines(scope), classes="dialog-title")

    def _order(self) -> list[str]:
        """The screen's scopes, with those of its panes even when another pane has the focus."""
        panes = keys.PANES if self._scope == "launch" else ()
        return list(dict.fromkeys([*self._scopes[:-1], *panes, "app"]))


def _lines(scope: str) -> Content:
    """The keys of a scope, a line each."""
    title = TITLES.get(scope, "On this screen")
    rows = [
        Content.assemble((f"{key.shown:>7}", "bold $accent"), f"  {key.help}") for key in keys.of(scope) if key.keys
    ]
    return Content("\n").join([Content.styled(title, "bold $primary"), *rows])
