"""Everything in which a draft differs from what it was opened from, or from another configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.services.cost import Effect
from nanoconsole.services.draft import Draft
from nanoconsole.services.draft_changes import Change, changes
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Question
from nanoconsole.tui.widgets.bars import KeyBar
from nanoconsole.tui.widgets.cost_panel import Against, told

AGAINST = ""  # the answer that asks for another side; every other answer is a key of the form


class DiffScreen(Question[str | None]):
    """Dismissed with the key to go to, `AGAINST`, or None. `changed` is called when a value was taken back."""

    SCOPE = "diff"
    CSS_PATH = "diff.tcss"
    BINDINGS = [*keys.bindings("diff")]

    def __init__(
        self, draft: Draft, against: Against | None, effects: Mapping[str, Effect], changed: Callable[[], None]
    ) -> None:
        super().__init__()
        self._draft, self._against, self._effects, self._changed = draft, against, effects, changed
        self._rows: list[Change] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(id="diff-title", classes="dialog-title")
            yield OptionList()
        yield KeyBar()

    def on_mount(self) -> None:
        self._show()

    def tell(self, effects: Mapping[str, Effect]) -> None:
        """What each change does by itself, once it is worked out."""
        if effects != self._effects and self.is_attached:
            self._effects = effects
            self._show()

    def _show(self) -> None:
        self._rows = changes(self._draft, self._against.config if self._against else None)
        other = self._against.name if self._against else self._draft.noun
        head = f"{len(self._rows)} differences" if len(self._rows) != 1 else "1 difference"
        self.query_one("#diff-title", Static).update(
            Content.assemble((self._draft.name, "bold $accent"), f"  {head} to ", (other, "bold"))
        )
        options = self.query_one(OptionList)
        place = options.highlighted or 0
        options.clear_options()
        options.add_options([self._option(row) for row in self._rows])
        options.highlighted = min(place, len(self._rows) - 1) if self._rows else None
        self.query_one(KeyBar).refresh()

    def _option(self, row: Change) -> Option:
        effect = "" if self._against else told(self._effects.get(row.key)).strip()
        before, after = row.before or "empty", row.after or "empty"
        line = Content.assemble((f"{row.key:<34} ", "bold"), (before, "$axis"), " → ", (after, "$value"))
        return Option(Content.assemble(line, (f"  {effect}" if effect else "", "$axis")))

    def offers(self, action: str) -> bool:
        return action not in ("choose", "undo") or bool(self._rows)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._rows[event.option_index].key)

    def action_against(self) -> None:
        self.dismiss(AGAINST)

    def action_undo(self) -> None:
        """Give the value under the cursor the one of the other side."""
        place = self.query_one(OptionList).highlighted
        if place is not None:
            row = self._rows[place]
            if self._against:
                self._draft.set(row.key, row.before)
            else:
                self._draft.reset(row.key)
            self._changed()
            self._show()
