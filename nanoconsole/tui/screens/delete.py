"""Asks before runs are moved to the trash, and says which of them stay."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.services.listed import Listed
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Question
from nanoconsole.tui.widgets.bars import KeyBar

NAMED = 6  # runs that are named; of others it says how many


class DeleteScreen(Question[bool]):
    """Dismissed with True to delete, False or None to keep."""

    SCOPE = "delete"
    BINDINGS = [*keys.bindings("delete")]

    def __init__(self, runs: Sequence[Listed], working: Sequence[Listed]) -> None:
        """`working` runs were meant too, and stay."""
        super().__init__()
        self._runs, self._working = runs, working

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(
                Content.assemble(("Delete ", "bold"), (_names(self._runs), "bold $accent"), "?"), classes="dialog-title"
            )
            if self._working:
                yield Static(
                    Content.assemble(("stays, it works: ", "$warning"), _names(self._working)), classes="dialog-title"
                )
            yield OptionList(
                Option(_option("Keep", "Close this dialog; nothing is deleted."), id="keep"),
                Option(
                    _option("Move to the trash", "Nothing is erased: T in Runs brings it back."),
                    id="trash",
                ),
            )
        yield KeyBar()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id == "trash")


def _names(runs: Sequence[Listed]) -> str:
    names = [run.label for run in runs[:NAMED]]
    more = [f"{len(runs) - NAMED} more"] if len(runs) > NAMED else []
    return ", ".join([*names, *more])


def _option(title: str, meaning: str) -> Content:
    return Content.assemble((title, "bold"), "\n", (meaning, "$axis"))
