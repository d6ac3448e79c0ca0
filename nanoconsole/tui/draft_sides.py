"""What else there is beside the draft of Launch: other configurations to open, and one to compare it with."""

from __future__ import annotations

from pathlib import Path

from nanoconsole.services import targets
from nanoconsole.tui.draft_screen import DraftScreen
from nanoconsole.tui.screens.diff import AGAINST, DiffScreen
from nanoconsole.tui.screens.pick import PickScreen
from nanoconsole.tui.widgets.cost_panel import Against
from nanoconsole.tui.widgets.form import Form
from nanocore.config.presets import presets


class DraftSides(DraftScreen):
    """Opening runs and files, and the list of differences."""

    _differences: DiffScreen | None = None

    def _others(self) -> list[targets.Target]:
        return [*targets.of_runs(self.console.run_list.runs), *targets.of_presets(presets())]

    def action_open(self) -> None:
        """Choose a run or a file to edit."""
        self.app.push_screen(PickScreen("Edit the configuration of", self._others()), self._chosen)

    def _chosen(self, target: str | None) -> None:
        if target:
            self.open_target(target)

    def action_diff(self) -> None:
        """Show what differs, from what the draft was opened from or from what was chosen last."""
        self.settle()
        if self.draft is not None:
            self._differences = DiffScreen(self.draft, self.against, self.effects, self._took_back)
            self.app.push_screen(self._differences, self._from_diff)

    def tell_effects(self) -> None:
        """Bring the list of differences up to date, while it is shown."""
        if self._differences is not None:
            self._differences.tell(self.effects)

    def _took_back(self) -> None:
        self.query_one(Form).rearrange()
        self.draft_changed()

    def _from_diff(self, answer: str | None) -> None:
        if answer == AGAINST:
            self.app.push_screen(PickScreen("Compare with", self._sides()), self._compare)
        elif answer:
            form = self.query_one(Form)
            form.focus()
            form.go_to(answer)

    def _sides(self) -> list[targets.Target]:
        draft = self.draft
        own = [targets.Target(draft.target, f"{draft.noun} itself", draft.name)] if draft else []
        return [*own, *self._others()]

    def _compare(self, target: str | None) -> None:
        """Read, in a thread, what to compare with, and show the differences to it."""
        if target is None or self.draft is None:
            return None
        if target == self.draft.target:
            self.against = None
            self.draft_changed()
            return self.action_diff()
        name = next((each.name for each in self._others() if each.target == target), Path(target).name)

        def read() -> str:
            side = Against(name, targets.load(target))
            self.app.call_from_thread(self._take_side, side)
            return f"compared with {name}"

        return self.guarded("compare", read)

    def _take_side(self, side: Against) -> None:
        self.against = side
        self.draft_changed()
        self.action_diff()
