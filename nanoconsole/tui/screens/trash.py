"""The deleted runs of all roots, and what repairs put away, the last first; choosing one brings it back."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.services.format import age
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Question
from nanoconsole.tui.widgets.bars import KeyBar
from nanocore.runs.text import sanitize_line
from nanocore.runs.trash import Discarded

MOST = 500  # that are listed
NOTHING = "The trash is empty. Runs that are deleted (D), and what a repair puts away, can be brought back from here."


class TrashScreen(Question[Discarded | None]):
    """Dismissed with the run to bring back, None for escape."""

    SCOPE = "trash"
    CSS_PATH = "trash.tcss"
    BINDINGS = [*keys.bindings("trash")]

    def __init__(self, runs: Sequence[Discarded], now: float) -> None:
        super().__init__()
        self._runs, self._now = runs[:MOST], now

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(
                Content.assemble(("Deleted runs", "bold"), (_counted(self._runs), "$axis")), classes="dialog-title"
            )
            yield OptionList(*(Option(_row(run, self._now)) for run in self._runs))
            yield Static(Content(NOTHING if not self._runs else ""), id="trash-detail")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(OptionList).display = bool(self._runs)

    def offers(self, action: str) -> bool:
        return action == "dismiss" or bool(self._runs)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Below the list: where the run lies now, and where it goes."""
        run = self._runs[event.option_index]
        words = Content.assemble(
            (f"{sanitize_line(str(run.path))}\n", "$axis"), f"goes back to {sanitize_line(str(run.root))}"
        )
        self.query_one("#trash-detail", Static).update(Content.assemble(words))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._runs[event.option_index])


def _counted(runs: Sequence[Discarded]) -> str:
    return f"  {len(runs):,}, the last deleted first" if runs else ""


def _row(run: Discarded, now: float) -> Content:
    return Content.assemble((sanitize_line(run.name), "bold"), (f"  deleted {age(run.deleted, now)}", "$axis"))
