"""What drafts cost, worked out in threads: parameters, memory and time of each, and what each change and switch adds."""

from __future__ import annotations

import time
from collections.abc import Callable

from nanoconsole.services.cost import Cost, Effect, effects, read_timings
from nanoconsole.services.draft import Draft
from nanoconsole.services.switches import Delta, deltas
from nanoconsole.tui.draft_screen import DraftScreen, Stopped
from nanoconsole.tui.preset_costs import PresetCosts, cost_of
from nanoconsole.tui.widgets.cost_panel import CostPanel, brief
from nanoconsole.tui.widgets.form import Form
from nanoconsole.tui.widgets.preset_list import PresetList

REST = 0.05  # seconds without a change before the switches are worked out


class DraftCosts(DraftScreen):
    """The figures beside the form and in the list of presets."""

    def __init__(self) -> None:
        super().__init__()
        self.drafts: dict[str, Draft] = {}  # by target, so changes to one survive a look at another
        self.deltas: dict[str, Delta] = {}  # of the next value of each switch of the shown draft
        self._preset_costs = PresetCosts()
        self._costs: dict[str, Cost | str] = {}  # of the targets whose cost the list shows, and of all opened ones

    def tell_effects(self) -> None:
        """Show in a dialog over the screen, if there is one, what each change does by itself."""
        raise NotImplementedError

    def find_costs(self) -> None:
        """Find, in a thread, how fast this machine is and what the presets cost whose cost is shown."""
        listed = self.query_one(PresetList).priced()

        def find(stopped: Stopped) -> Callable[[], None]:
            timings = read_timings(self.console.root)
            costs = self._preset_costs.find(listed, timings)

            def take() -> None:
                known = {target: cost_of(draft.config, timings) for target, draft in self.drafts.items()}
                self._costs = {**costs, **known}
                if timings != self.timings:
                    self.timings = timings
                    self._weigh()
                self._show_figures(self.effects, self.deltas)

            return take

        self.in_thread("costs", find)

    def figures_changed(self) -> None:
        """The shown draft has changed: its cost at once, what its changes and switches do when it is worked out."""
        draft = self.draft
        found = cost_of(draft.config if draft else None, self.timings)
        if draft is not None:
            self._costs[draft.target] = found
        self._show_figures({}, {} if draft is None or draft.config is None else self.deltas)
        self._weigh()

    def _weigh(self) -> None:
        """Work out, in a thread, what each change does by itself, and what each switch would do."""
        if self.draft is None or self.draft.config is None:
            return
        taken, timings = self.draft.snapshot(), list(self.timings)

        def work(stopped: Stopped) -> Callable[[], None]:
            time.sleep(REST)
            if stopped():
                return lambda: None
            alone, switches = effects(taken, timings), deltas(taken, timings, stopped)
            return lambda: self._show_figures(alone, switches)

        self.in_thread("weigh", work)

    def _show_figures(self, alone: dict[str, Effect], switches: dict[str, Delta]) -> None:
        self.effects, self.deltas = alone, switches
        draft = self.draft
        found = self._costs.get(draft.target, "") if draft else ""
        base = cost_of(draft.base if draft else None, self.timings)
        self.query_one(CostPanel).show(draft, found, base, against=self.against, effects=alone)
        self.query_one(Form).tell(switches)
        self.tell_effects()
        edited = frozenset(target for target, each in self.drafts.items() if each.is_changed)
        self.query_one(PresetList).tell({target: brief(each) for target, each in self._costs.items()}, edited)
        self.explain()
