"""Chooses a configuration: a preset, a run or a file, found by typing."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.services.targets import Target, matching
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Question
from nanoconsole.tui.widgets.bars import KeyBar
from nanoconsole.tui.widgets.value_input import TextLine


class PickScreen(Question[str | None]):
    """Dismissed with the target chosen, None for escape."""

    SCOPE = "pick"
    CSS_PATH = "pick.tcss"
    BINDINGS = [*keys.bindings("pick")]

    def __init__(
        self,
        title: str,
        known: Sequence[Target],
        about: str = "words of a name, or the path of a TOML file",
        file: str = "file",
    ) -> None:
        """`about` says what can be typed, `file` what a typed path is."""
        super().__init__()
        self._title, self._known, self._about, self._file = title, known, about, file
        self._found: list[Target] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content.styled(self._title, "bold"), classes="dialog-title")
            yield TextLine(compact=True)
            yield OptionList()
            yield Static(id="pick-rest")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(Input).placeholder = self._about  # plain text, which an input never parses
        self.query_one(OptionList).can_focus = False  # typing finds, arrows move, at the same time
        self._search("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._search(event.value)

    def _search(self, query: str) -> None:
        self._found, more = matching(self._known, query, self._file)
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([_option(target) for target in self._found])
        options.highlighted = 0 if self._found else None
        rest = f"and {more} more: type to find them" if more else "" if self._found else "nothing has these words"
        self.query_one("#pick-rest", Static).update(Content.styled(rest, "$axis"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_choose()

    def action_move(self, by: int) -> None:
        options = self.query_one(OptionList)
        if self._found:
            options.highlighted = max(0, min(len(self._found) - 1, (options.highlighted or 0) + by))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._found[event.option_index].target)


def _option(target: Target) -> Option:
    return Option(Content.assemble((target.name, "bold"), (f"  {target.detail}", "$axis")))
