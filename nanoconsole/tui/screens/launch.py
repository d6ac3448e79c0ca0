"""Launch, the configuration editor: choose a preset, change it, see what it costs, start it."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.events import Resize
from textual.widgets import Input, OptionList

from nanoconsole.services.cost import Cost, Effect, effects, read_timings
from nanoconsole.services.draft import Draft
from nanoconsole.services.switches import Delta, deltas, words
from nanoconsole.tui import keys
from nanoconsole.tui.draft_actions import DraftActions
from nanoconsole.tui.draft_screen import Stopped
from nanoconsole.tui.draft_sides import DraftSides
from nanoconsole.tui.draft_text import DraftText
from nanoconsole.tui.editing import EditWanted
from nanoconsole.tui.preset_costs import PresetCosts, cost_of
from nanoconsole.tui.widgets.cost_panel import CostPanel, brief
from nanoconsole.tui.widgets.field_editor import FieldEditor
from nanoconsole.tui.widgets.form import Form
from nanoconsole.tui.widgets.preset_list import Choice, PresetList, choices, opened
from nanoconsole.tui.widgets.source_pane import SourcePane
from nanoconsole.tui.widgets.value_input import ValueInput
from nanocore.config.presets import presets
from nanocore.errors import NanoError
from nanocore.runs.layout import NAME_RULE, valid_name

FIRST = "tiny-cpu"  # what the cursor stands on at first
REST = 0.05  # seconds without a change before the switches are worked out
UNNAMED = "name of the run (given automatically when empty)"


class LaunchScreen(DraftText, DraftActions, DraftSides):
    """Drafts are kept by target, so changes to one preset survive a look at another."""

    SCOPE = "launch"
    ABOUT = (
        "Choose a preset on the left, or open a run or a file (o). The form changes it: switches of techniques first, "
        "each with what its next value would add, then every section; t shows the same as text. Beside it stand what "
        "the model will cost and what you changed. Nothing is written until you save, queue or launch."
    )
    HORIZONTAL_BREAKPOINTS = [(0, "-too-narrow"), (40, "-tiny"), (76, "-narrow"), (118, "-normal"), (140, "-wide")]
    CSS_PATH = "launch.tcss"
    BINDINGS = [*keys.bindings("launch")]

    def __init__(self) -> None:
        super().__init__()
        self._drafts: dict[str, Draft] = {}
        self._opened: list[Choice] = []  # files and runs beside the presets
        self._deltas: dict[str, Delta] = {}
        self._name_fault = ""  # why the run's name will be refused
        self._preset_costs = PresetCosts()
        self._costs: dict[str, Cost | str] = {}  # of the targets whose cost the list shows, and of all opened ones

    def compose_body(self) -> ComposeResult:
        with Container(id="launch"):
            yield PresetList()
            with Vertical(id="editor"):
                yield ValueInput(id="run-name", compact=True, select_on_focus=False)
                yield ValueInput(
                    placeholder="search: words of a key or its meaning",
                    id="search",
                    compact=True,
                    select_on_focus=False,
                )
                yield Form()
                yield FieldEditor()
            yield SourcePane()
            yield CostPanel(id="cost")

    def on_mount(self) -> None:
        self.query_one("#search").display = False
        self.query_one("#run-name", Input).placeholder = UNNAMED
        self._list_presets(FIRST)
        if self.console.edit:
            self.open_target(self.console.edit)
        else:
            self.query_one(PresetList).focus()

    def on_resize(self, event: Resize) -> None:
        self.query_one(PresetList).make_brief(event.size.width < 118)

    def on_screen_resume(self) -> None:
        self._find_costs()

    def _find_costs(self) -> None:
        """Find, in a thread, how fast this machine is and what the presets cost whose cost is shown."""
        listed = self.query_one(PresetList).priced()

        def find(stopped: Stopped) -> Callable[[], None]:
            timings = read_timings(self.console.root)
            costs = self._preset_costs.find(listed, timings)

            def take() -> None:
                known = {target: cost_of(draft.config, timings) for target, draft in self._drafts.items()}
                self._costs = {**costs, **known}
                if timings != self.timings:
                    self.timings = timings
                    self._weigh()
                self._show_figures(self.effects, self._deltas)

            return take

        self.in_thread("costs", find)

    # Choosing

    def _list_presets(self, target: str) -> None:
        self.query_one(PresetList).show(choices(presets(), self._opened), target)

    def on_edit_wanted(self, event: EditWanted) -> None:
        self.open_target(event.target, event.origin)

    def open_target(self, target: str, origin: str = "") -> None:
        draft = self._known(target)
        if draft is None:
            return
        self.origin = origin
        line = self.query_one("#run-name", Input)
        line.placeholder = f"name of the run, which begins with {origin}" if origin else UNNAMED
        if (draft.is_file or draft.run) and draft.target not in [each.target for each in self._opened]:
            self._opened.insert(0, opened(draft))
        self._list_presets(draft.target)
        self.query_one(Form).focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        choice = self.query_one(PresetList).chosen
        if choice is not None:
            self._open(choice.target)

    def _open(self, target: str) -> None:
        """Show the draft of a target."""
        self.settle()
        self.draft, self._deltas = self._known(target), {}
        self.query_one(Form).show(self.draft, self.query_one("#search", Input).value)
        self.draft_changed()

    def _known(self, target: str) -> Draft | None:
        """The draft of a target, made at the first look; None when it cannot be read."""
        if target not in self._drafts:
            try:
                self._drafts[target] = Draft(target)
            except NanoError as error:
                self.console.say(str(error), "error")
        return self._drafts.get(target)

    def saved(self, target: str) -> None:
        """Read a draft anew that was saved, and show it."""
        self._drafts.pop(target, None)
        self.open_target(target)
        self._find_costs()

    # What follows from a change

    def draft_changed(self) -> None:
        """Bring everything that follows from the drafts up to date: costs, differences, faults, text."""
        draft = self.draft
        self.query_one(Form).disabled = bool(draft and draft.broken)
        found = cost_of(draft.config if draft else None, self.timings)
        if draft is not None:
            self._costs[draft.target] = found
        self._show_figures({}, {} if draft is None or draft.config is None else self._deltas)
        self.show_text()
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
            alone, switches = effects(taken), deltas(taken, timings, stopped)
            return lambda: self._show_figures(alone, switches)

        self.in_thread("weigh", work)

    def _show_figures(self, alone: dict[str, Effect], switches: dict[str, Delta]) -> None:
        self.effects, self._deltas = alone, switches
        draft = self.draft
        found = self._costs.get(draft.target, "") if draft else ""
        base = cost_of(draft.base if draft else None, self.timings)
        self.query_one(CostPanel).show(draft, found, base, against=self.against, effects=alone)
        self.query_one(Form).tell(switches)
        self.tell_effects()
        edited = frozenset(target for target, each in self._drafts.items() if each.is_changed)
        self.query_one(PresetList).tell({target: brief(each) for target, each in self._costs.items()}, edited)
        self._explain()

    def _explain(self) -> None:
        """Say what the field under the cursor means, or what is wrong with it or with the run's name."""
        field = self.query_one(Form).field
        brings = words(self._deltas[field.key]) if field and field.key in self._deltas else ""
        self.query_one(FieldEditor).show(self.draft, field, self._name_fault, brings=brings)

    def on_form_moved(self, event: Form.Moved) -> None:
        self._explain()
        self.reveal()

    def on_form_changed(self) -> None:
        self.draft_changed()

    def on_form_edit_wanted(self, event: Form.EditWanted) -> None:
        if self.draft is not None:
            self.query_one(FieldEditor).edit(self.draft, event.field)

    def on_field_editor_edited(self) -> None:
        self.query_one(Form).rearrange()
        self.draft_changed()

    def on_field_editor_done(self) -> None:
        self.query_one(Form).focus()

    # Lines of text

    def action_search(self) -> None:
        search = self.query_one("#search", Input)
        search.display = True
        search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "search":
            self.query_one(Form).show(self.draft, event.value)
        elif event.input.id == "run-name":
            self._judge_name(event.input)

    def _judge_name(self, line: Input) -> bool:
        """Mark a run's name that will be refused, with the reason where faults stand; whether it is good."""
        name = line.value.strip()
        taken = valid_name(name) and (self.console.root / name).exists()
        fault = "a run of this name exists" if taken else f"use {NAME_RULE}" if name and not valid_name(name) else ""
        line.set_class(bool(fault), "-bad")
        self._name_fault = fault and f"the run's name: {fault}"
        self._explain()
        return not fault

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id != "run-name" or self._judge_name(event.input):
            self.query_one(Form).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_launch()

    def step_out(self) -> bool:
        """Escape leaves an edit, then a search, then the text, then the form."""
        editor, search = self.query_one(FieldEditor), self.query_one("#search", Input)
        if editor.editing:
            editor.cancel()
        elif search.display:
            search.value = ""
            search.display = False
            self.query_one(Form).focus()
        elif self.has_class("-text"):
            self.leave_text()
        elif self.focused is not None and not isinstance(self.focused, PresetList):
            self.query_one(PresetList).focus()
        else:
            return False
        return True
