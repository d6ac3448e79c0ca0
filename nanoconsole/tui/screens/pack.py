"""Asks where a run is packed to, and packs it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from nanoconsole.services.upkeep import Answer, packing, place_of
from nanoconsole.tui import keys
from nanoconsole.tui.screens.errand import ErrandScreen
from nanoconsole.tui.widgets.bars import KeyBar
from nanoconsole.tui.widgets.value_input import TextLine
from nanocore.runs.layout import RunFolder
from nanocore.runs.text import sanitize_line


class PackScreen(ErrandScreen[Answer | None]):
    """Dismissed with the worker's answer, None for escape."""

    SCOPE = "pack"
    BINDINGS = [*keys.bindings("pack")]

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self._run = run

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(
                Content.assemble(("Export ", "bold"), (self._run.name, "bold $accent")), classes="dialog-title"
            )
            yield Static(
                Content.styled("one archive of all of it: NAME.tar.gz, or NAME.tar, which is quicker", "$axis")
            )
            yield TextLine(f"{self._run.name}.tar.gz", compact=True, select_on_focus=False, classes="errand-line")
            yield Static(id="errand")
        yield KeyBar()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._tell_place()

    def _tell_place(self) -> None:
        where = sanitize_line(str(place_of(self.query_one(Input).value)))
        self.query_one("#errand", Static).update(Content.styled(f"→ {where}", "$axis"))

    def on_input_submitted(self) -> None:
        self.action_pack()

    def action_pack(self) -> None:
        line = self.query_one(Input)
        if not self.working and line.value.strip():
            line.disabled = True
            self.begin(packing(self._run, line.value), "looking …")

    def take(self, answer: Answer) -> None:
        self.dismiss(answer)

    def over(self, problem: str) -> None:
        line = self.query_one(Input)
        line.disabled = False
        line.focus()
