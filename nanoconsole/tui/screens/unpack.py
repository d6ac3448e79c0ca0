"""Asks for an archive, and makes a run of it."""

from __future__ import annotations

from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from nanoconsole.services.upkeep import Answer, unpacking
from nanoconsole.tui import keys
from nanoconsole.tui.screens.errand import ErrandScreen
from nanoconsole.tui.widgets.bars import KeyBar
from nanoconsole.tui.widgets.value_input import TextLine
from nanocore.runs.text import sanitize_line

ABOUT = (
    "Everything is checked before it becomes a run. Its configuration names files of the machine it comes from: look at it "
    "before you resume."
)


class UnpackScreen(ErrandScreen[Answer | None]):
    """Dismissed with the worker's answer, None for escape."""

    SCOPE = "unpack"
    BINDINGS = [*keys.bindings("unpack")]

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(
                Content.assemble(("Import into ", "bold"), (sanitize_line(str(self._root)), "bold $accent")),
                classes="dialog-title",
            )
            yield Static(Content.styled("archive of a run, as Export or `nanoconsole runs export` writes it", "$axis"))
            yield TextLine(placeholder="path of a .tar or .tar.gz file", compact=True, classes="errand-line", id="file")
            yield Static(Content.styled("name of the run here", "$axis"))
            yield TextLine(placeholder="its own", compact=True, classes="errand-line", id="name")
            yield Static(Content.styled(ABOUT, "$axis"), id="errand")
        yield KeyBar()

    def on_input_submitted(self) -> None:
        self.action_unpack()

    def action_unpack(self) -> None:
        file, name = self.query_one("#file", Input), self.query_one("#name", Input)
        if not file.value.strip():
            file.focus()
        elif not self.working:
            file.disabled = name.disabled = True
            self.begin(unpacking(self._root, file.value, name.value.strip()), "looking …")

    def take(self, answer: Answer) -> None:
        self.dismiss(answer)

    def over(self, problem: str) -> None:
        file, name = self.query_one("#file", Input), self.query_one("#name", Input)
        file.disabled = name.disabled = False
        taken = "exists already" in problem
        if taken:  # the worker speaks as the command line does, whose option is the line below here
            self.tell(problem.replace("choose another name with --as", "type another name above"), bad=True)
        (name if taken else file).focus()
