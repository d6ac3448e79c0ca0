"""Asks before FIRE: what it does to the weights cannot be taken back but by a checkpoint."""

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

MEANING = (
    "After the present step these matrices become the nearest orthogonal ones, and the optimizer forgets what it knew"
    " of them. It is meant for the moment when the text changes. Only a checkpoint brings the old weights back."
)


class FireScreen(Question[bool]):
    """Dismissed with whether to go on; escape is no."""

    SCOPE = "fire"
    BINDINGS = [*keys.bindings("fire")]

    def __init__(self, run: str, matrices: Sequence[str]) -> None:
        super().__init__()
        self._run, self._matrices = run, ", ".join(matrices) or "the matrices of fire.parameters"

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(
                Content.assemble(
                    ("FIRE ", "bold"), (self._run, "bold $accent"), f"\n{MEANING}\n", (self._matrices, "$value")
                ),
                classes="dialog-title",
            )
            yield OptionList(
                Option(Content.styled("Leave the weights as they are", "bold"), id="no"),
                Option(Content.styled("Reinitialise them now", "bold"), id="yes"),
            )
        yield KeyBar()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id == "yes")
