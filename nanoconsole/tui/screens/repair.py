"""Shows what a repair of a run would do, and does it when it is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.services.upkeep import Answer, repairing
from nanoconsole.tui import keys
from nanoconsole.tui.screens.errand import ErrandScreen
from nanoconsole.tui.widgets.bars import KeyBar
from nanocore.runs.layout import RunFolder

Action = Mapping[str, Any]
NOTHING = "Nothing to repair: all that is read of it is as it should be."


class RepairScreen(ErrandScreen[tuple[Action, ...] | None]):
    """Dismissed with what was done, None when it was left as it is."""

    SCOPE = "repair"
    BINDINGS = [*keys.bindings("repair")]

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self._run, self._planned = run, True

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(
                Content.assemble(("Repair ", "bold"), (self._run.name, "bold $accent")), classes="dialog-title"
            )
            with VerticalScroll(id="planned"):
                yield Static()
            yield OptionList(
                Option(_option("Leave it as it is", "Close this dialog; nothing is changed."), id="leave"),
                Option(
                    _option("Repair it", "What is moved to the trash can be moved back."),
                    id="repair",
                ),
            )
            yield Static(id="errand")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(OptionList).display = self.query_one("#planned").display = False
        self.begin(repairing(self._run, dry=True), "reading all of it …")

    def offers(self, action: str) -> bool:
        return action == "dismiss" or self.query_one(OptionList).display

    def action_choose(self) -> None:
        if self.offers("choose"):
            self.query_one(OptionList).action_select()

    def take(self, answer: Answer) -> None:
        actions = tuple(answer["actions"])
        if not self._planned:
            self.dismiss(actions)
            return
        self.query_one("#errand", Static).update(Content("" if actions else NOTHING))
        planned = self.query_one("#planned", VerticalScroll)
        planned.display = bool(actions)
        planned.query_one(Static).update(Content("\n").join(map(_line, actions)))
        options = self.query_one(OptionList)
        options.display = any(not action["stays"] for action in actions)
        options.highlighted = 0
        options.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if not self.offers("choose"):  # it keeps the focus while it is hidden
            return
        if event.option_id == "leave":
            self.dismiss(None)
        else:
            self._planned, self.query_one(OptionList).display = False, False
            self.begin(repairing(self._run, dry=False), "repairing …")


def _line(action: Action) -> Content:
    """A part, what would be done to it, and why."""
    style = "$error" if action["stays"] else "$warning"
    return Content.assemble((action["part"], "bold"), (f"  {action['done']}", style), (f"  {action['why']}", "$axis"))


def _option(title: str, meaning: str) -> Content:
    return Content.assemble((title, "bold"), "\n", (meaning, "$axis"))
