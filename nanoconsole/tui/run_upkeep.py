"""Keeping runs in order from the list: verify, repair, export as an archive, import. A worker process does the work."""

from __future__ import annotations

from nanoconsole.services.listed import Listed
from nanoconsole.services.upkeep import Answer, packed_words, repaired_words
from nanoconsole.tui.run_actions import ENDED
from nanoconsole.tui.screens.pack import PackScreen
from nanoconsole.tui.screens.repair import Action, RepairScreen
from nanoconsole.tui.screens.unpack import UnpackScreen
from nanoconsole.tui.screens.verify import VerifyScreen
from nanoconsole.tui.several_runs import SeveralRuns
from nanocore.runs.layout import RunFolder


class RunUpkeep(SeveralRuns):
    """What `nanoconsole runs verify`, `repair`, `export` and `import` do."""

    def offers(self, action: str) -> bool:
        if action in ("repair", "pack"):
            return self.chosen_state() in ENDED
        return super().offers(action) and (action != "verify" or self.chosen() is not None)

    def action_verify(self) -> None:
        if runs := self.meant():
            self.app.push_screen(VerifyScreen(runs), self._mend)

    def _mend(self, listed: Listed | None) -> None:
        if listed is not None:
            self._repair(listed.run)

    def action_repair(self) -> None:
        if (run := self.chosen()) is not None and self.possible("repair"):
            self._repair(run)

    def _repair(self, run: RunFolder) -> None:
        def tell(actions: tuple[Action, ...] | None) -> None:
            if actions is not None:
                self.console.say(repaired_words(run.name, actions))
                self.console.follower.look()

        self.app.push_screen(RepairScreen(run), tell)

    def action_pack(self) -> None:
        run = self.chosen()
        if run is None or not self.possible("pack"):
            return

        def tell(answer: Answer | None) -> None:
            if answer is not None:
                self.console.say(packed_words(run.name, answer), "warning" if answer["left_out"] else "information")

        self.app.push_screen(PackScreen(run), tell)

    def action_unpack(self) -> None:
        def tell(answer: Answer | None) -> None:
            if answer is not None:
                self.console.say(f"{answer['run']} is a run now")
                self.console.follower.look()

        self.app.push_screen(UnpackScreen(self.console.root), tell)
