"""The stop dialog: four ways to end, or not to end, a run, with what each of them means."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Question
from nanoconsole.tui.widgets.bars import KeyBar

KEPT = "Kill the process. Steps since the last checkpoint are lost; the checkpoint is kept."
LOST = "Kill the process. There is no checkpoint yet: every step so far is lost."


def _ways(checkpointed: bool) -> tuple[tuple[str, str, str], ...]:
    """Id, title and meaning of each way; what a kill costs depends on whether there is a checkpoint."""
    return (
        ("stop", "After this step", "Finish the step, save a checkpoint, end. Nothing is lost."),
        ("stop-after-checkpoint", "At the next checkpoint", "Train on to the next planned checkpoint, then end."),
        ("kill", "Kill it now", KEPT if checkpointed else LOST),
        ("leave", "Leave it running", "Close this dialog; the run stays as it is."),
    )


def _option(way: str, title: str, meaning: str) -> Option:
    return Option(Content.assemble((title, "bold"), "\n", (meaning, "$axis")), id=way)


class StopScreen(Question[str | None]):
    """Dismissed with the id of the way chosen, None for escape."""

    SCOPE = "stop"
    BINDINGS = [*keys.bindings("stop")]

    def __init__(self, run: str, *, checkpointed: bool) -> None:
        super().__init__()
        self._run = run
        self._checkpointed = checkpointed

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(
                Content.assemble(("Stop ", "bold"), (self._run, "bold $accent"), " how?"), classes="dialog-title"
            )
            yield OptionList(*[_option(*way) for way in _ways(self._checkpointed)])
        yield KeyBar()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)
