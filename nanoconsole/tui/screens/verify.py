"""Reads everything in runs, and lists what is not as it was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.services.listed import Listed
from nanoconsole.services.upkeep import Answer, verifying
from nanoconsole.tui import keys
from nanoconsole.tui.screens.errand import ErrandScreen
from nanoconsole.tui.theme import Look
from nanoconsole.tui.widgets.bars import KeyBar

LOOKS = {
    "whole": Look("✓", "success"),
    "broken": Look("✗", "error"),
    "unverified": Look("?", "warning"),
    "note": Look("∙", "axis"),
}
MENDED = ("broken", "note")  # what a repair does something about, or says why not


class Parts(OptionList):
    """The list gives lines to the detail below it, and keeps its cursor in sight."""

    def on_resize(self) -> None:
        self.scroll_to_highlight()


class VerifyScreen(ErrandScreen[Listed | None]):
    """Dismissed with the run to repair, None for escape. Of one run every part is listed, of several what is not whole."""

    SCOPE = "verify"
    BINDINGS = [*keys.bindings("verify")]

    def __init__(self, runs: Sequence[Listed]) -> None:
        super().__init__()
        self._runs = runs
        self._states: list[Counter[str]] = [Counter() for _ in runs]
        self._rows: list[Answer] = []

    def compose(self) -> ComposeResult:
        names = self._runs[0].label if len(self._runs) == 1 else f"{len(self._runs)} runs"
        with Vertical(classes="dialog"):
            yield Static(Content.assemble(("Verify ", "bold"), (names, "bold $accent")))
            yield Static(id="errand")
            yield Parts()
            yield Static(id="errand-detail")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(OptionList).display = False
        self.begin(verifying([run.run for run in self._runs]), "reading …")

    def take(self, answer: Answer) -> None:
        if answer["kind"] != "finding":
            return
        self._states[answer["place"]][answer["state"]] += 1
        read = sum(counts.total() for counts in self._states)
        several = f", run {answer['place'] + 1} of {len(self._runs)}" if len(self._runs) > 1 else ""
        self.tell(f"{read:,} parts read{several} …")
        if len(self._runs) == 1 or answer["state"] != "whole":
            self._add(answer)

    def _add(self, answer: Answer) -> None:
        options, label = self.query_one(OptionList), self._runs[answer["place"]].label if len(self._runs) > 1 else ""
        self._rows.append(answer)
        options.display = True
        options.add_option(Option(_row(answer, label)))
        if options.highlighted is None:
            options.highlighted = 0
            options.focus()

    def over(self, problem: str) -> None:
        """All is read: what became of it, in one line."""
        counts = sum(self._states, Counter[str]())
        if not problem:
            self.query_one("#errand", Static).update(_verdict(counts))
        if self._rows:
            broken = next((place for place, row in enumerate(self._rows) if row["state"] == "broken"), None)
            options = self.query_one(OptionList)
            options.highlighted = options.highlighted if broken is None else broken

    def _chosen(self) -> Answer | None:
        place = self.query_one(OptionList).highlighted
        return self._rows[place] if place is not None and place < len(self._rows) else None

    def on_option_list_option_highlighted(self) -> None:
        """Below the list: all that is known of the part under the cursor."""
        row = self._chosen()
        parts = [(row["part"], "bold"), (f"  {row['detail']}", "$axis")] if row and row["detail"] else []
        self.query_one("#errand-detail", Static).update(Content.assemble(*parts))
        self.query_one(KeyBar).refresh()

    def offers(self, action: str) -> bool:
        """A repair of the run under the cursor, where there is something that it would do or say, and nobody works on it."""
        row = self._chosen()
        if action != "repair" or row is None or self.working:
            return action == "dismiss"
        run = self._runs[row["place"]]
        return not run.summary.alive and any(self._states[row["place"]][state] for state in MENDED)

    def action_repair(self) -> None:
        row = self._chosen()
        if row is not None and self.offers("repair"):
            self.dismiss(self._runs[row["place"]])


def _row(answer: Answer, label: str) -> Content:
    shown = LOOKS[answer["state"]]
    return Content.assemble(
        (f"{shown.mark} {answer['state']:<11}", f"${shown.colour}"),
        (f"{label}  " if label else "", "$accent"),
        (answer["part"], "bold"),
        (f"  {answer['detail']}" if answer["detail"] else "", "$axis"),
    )


def _verdict(counts: Counter[str]) -> Content:
    """How many parts are what was written."""
    parts, broken = counts.total(), counts["broken"]
    others = [
        f"{counts[state]} {word}" for state, word in (("unverified", "unverified"), ("note", "noted")) if counts[state]
    ]
    rest = f"; {', '.join(others)}" if others else ""
    if broken:
        return Content.styled(f"✗ {broken} of {parts} parts {'is' if broken == 1 else 'are'} broken{rest}", "$error")
    return Content.styled(f"✓ none of {parts} parts is broken{rest}", "$success")
