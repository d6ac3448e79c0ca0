"""Choose one of the runs of the root, or none."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Question
from nanoconsole.tui.widgets.bars import KeyBar

NONE = ""


class ChooseRun(Question[str | None]):
    """Dismissed with the name of a run, "" for none, None when nothing was chosen."""

    SCOPE = "choose run"
    BINDINGS = [*keys.bindings("choose run")]

    def __init__(self, title: str, names: Sequence[str], chosen: str) -> None:
        super().__init__()
        self._title, self._names, self._chosen = title, [NONE, *names], chosen

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content.styled(self._title, "bold"), classes="dialog-title")
            yield OptionList(*(Option(Content(name or "none")) for name in self._names))
        yield KeyBar()

    def on_mount(self) -> None:
        if self._chosen in self._names:
            self.query_one(OptionList).highlighted = self._names.index(self._chosen)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._names[event.option_index])
