"""Launch, the configuration editor: choose a preset, change it, see what it costs, start it."""

from __future__ import annotations

from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.events import Resize
from textual.widgets import Input, OptionList

from nanoconsole.services.cost import Cost, Timing, read_timings
from nanoconsole.services.draft import Draft
from nanoconsole.tui import keys
from nanoconsole.tui.messages import RunLaunched
from nanoconsole.tui.preset_costs import PresetCosts, cost_of
from nanoconsole.tui.screens.base import ConsoleScreen
from nanoconsole.tui.screens.save import SaveScreen, proposal
from nanoconsole.tui.widgets.cost_panel import CostPanel, brief
from nanoconsole.tui.widgets.field_editor import FieldEditor, ValueInput
from nanoconsole.tui.widgets.form import Form
from nanoconsole.tui.widgets.preset_list import PresetList, choices
from nanocore.config.presets import presets, save_preset
from nanocore.errors import NanoError
from nanocore.runs.layout import NAME_RULE, valid_name

FIRST = "tiny-cpu"  # what the cursor stands on at first


class LaunchScreen(ConsoleScreen):
    """Drafts are kept by target, so changes to one preset survive a look at another."""

    SCOPE = "launch"
    ABOUT = (
        "Choose a preset on the left. The form changes it: switches of techniques first, then every section. "
        "Beside it stand what the model will cost and what you changed. Nothing is written until you save or "
        "launch."
    )
    HORIZONTAL_BREAKPOINTS = [(0, "-too-narrow"), (40, "-tiny"), (76, "-narrow"), (118, "-normal"), (140, "-wide")]
    CSS_PATH = "launch.tcss"
    BINDINGS = [*keys.bindings("launch")]

    def __init__(self) -> None:
        super().__init__()
        self._drafts: dict[str, Draft] = {}
        self._draft: Draft | None = None
        self._timings: list[Timing] = []
        self._preset_costs = PresetCosts()
        self._costs: dict[str, Cost | str] = {}  # of the targets whose cost the list shows, and of all opened ones
        self._launching = False

    def compose_body(self) -> ComposeResult:
        with Container(id="launch"):
            yield PresetList()
            with Vertical(id="editor"):
                yield ValueInput(
                    placeholder="name of the run (given automatically when empty)",
                    id="run-name",
                    compact=True,
                    select_on_focus=False,
                )
                yield ValueInput(
                    placeholder="search: words of a key or its meaning",
                    id="search",
                    compact=True,
                    select_on_focus=False,
                )
                yield Form()
                yield FieldEditor()
            yield CostPanel(id="cost")

    def on_mount(self) -> None:
        self.query_one("#search").display = False
        self._list_presets(self.console.edit or FIRST)
        self.query_one(Form if self.console.edit else PresetList).focus()

    def on_resize(self, event: Resize) -> None:
        self.query_one(PresetList).make_brief(event.size.width < 118)

    def on_screen_resume(self) -> None:
        self._find_costs()

    def _find_costs(self) -> None:
        """Find, in a thread, how fast this machine is and what the presets cost whose cost is shown."""
        targets = self.query_one(PresetList).priced()

        def find() -> None:
            timings = read_timings(self.console.root)
            costs = self._preset_costs.find(targets, timings)
            self.app.call_from_thread(self._take_costs, timings, costs)

        self.run_worker(find, thread=True, group="costs", exclusive=True)

    def _take_costs(self, timings: list[Timing], costs: dict[str, Cost | str]) -> None:
        self._timings = timings
        opened = {target: cost_of(draft.config, timings) for target, draft in self._drafts.items()}
        self._costs = {**costs, **opened}
        self._show_cost()

    def _list_presets(self, target: str) -> None:
        edit = self.console.edit
        file = edit if edit.endswith(".toml") or "/" in edit else ""
        self.query_one(PresetList).show(choices(presets(), file), target)

    # Choosing and editing

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        choice = self.query_one(PresetList).chosen
        if choice is not None:
            self._open(choice.target)

    def _open(self, target: str) -> None:
        """Show the draft of a target."""
        self._draft = self._known(target)
        self.query_one(Form).show(self._draft, self.query_one("#search", Input).value)
        self._show_cost()

    def _show_cost(self) -> None:
        """Bring everything that follows from the drafts up to date: costs, differences, faults."""
        draft = self._draft
        found = cost_of(draft.config if draft else None, self._timings)
        if draft is not None:
            self._costs[draft.target] = found
        self.query_one(CostPanel).show(draft, found, cost_of(draft.base if draft else None, self._timings))
        edited = frozenset(target for target, each in self._drafts.items() if each.edits)
        self.query_one(PresetList).tell({target: brief(each) for target, each in self._costs.items()}, edited)
        self.query_one(FieldEditor).show(draft, self.query_one(Form).field)

    def _known(self, target: str) -> Draft | None:
        """The draft of a target, made at the first look; None when it cannot be read."""
        if target not in self._drafts:
            try:
                self._drafts[target] = Draft(target)
            except NanoError as error:
                self.console.say(str(error), "error")
        return self._drafts.get(target)

    def on_form_moved(self, event: Form.Moved) -> None:
        self.query_one(FieldEditor).show(self._draft, event.field)

    def on_form_changed(self) -> None:
        self._show_cost()

    def on_form_edit_wanted(self, event: Form.EditWanted) -> None:
        if self._draft is not None:
            self.query_one(FieldEditor).edit(self._draft, event.field)

    def on_field_editor_edited(self) -> None:
        self.query_one(Form).rearrange()
        self._show_cost()

    def on_field_editor_done(self) -> None:
        self.query_one(Form).focus()

    def action_search(self) -> None:
        search = self.query_one("#search", Input)
        search.display = True
        search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "search":
            self.query_one(Form).show(self._draft, event.value)
        elif event.input.id == "run-name":
            self._judge_name(event.input)

    def _judge_name(self, line: Input) -> bool:
        """Mark a run's name that will be refused, with the reason where faults stand; whether it is good."""
        name = line.value.strip()
        taken = valid_name(name) and (self.console.root / name).exists()
        fault = "a run of this name exists" if taken else f"use {NAME_RULE}" if name and not valid_name(name) else ""
        line.set_class(bool(fault), "-bad")
        self.query_one(FieldEditor).show(self._draft, self.query_one(Form).field, fault and f"the run's name: {fault}")
        return not fault

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id != "run-name" or self._judge_name(event.input):
            self.query_one(Form).focus()

    def step_out(self) -> bool:
        """Escape leaves an edit, then a search, then the form."""
        editor, search = self.query_one(FieldEditor), self.query_one("#search", Input)
        if editor.editing:
            editor.cancel()
        elif search.display:
            search.value = ""
            search.display = False
            self.query_one(Form).focus()
        elif self.focused is not None and not isinstance(self.focused, PresetList):
            self.query_one(PresetList).focus()
        else:
            return False
        return True

    # Launching and saving

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_launch()

    def action_launch(self) -> None:
        """Start a run with the configuration shown; the interface goes on meanwhile."""
        draft = self._draft
        if draft is None or draft.config is None:
            self.console.say("it cannot be launched: see its faults", "error")
        elif not self._launching:
            self._launching = True
            name = self.query_one("#run-name", Input).value.strip()
            self.run_worker(lambda: self._start(draft, name), thread=True, group="launch")

    def _start(self, draft: Draft, name: str) -> None:
        from nanoconsole.services.launcher import launch

        assert draft.config is not None
        preset = Path(draft.target).name if draft.is_file else draft.target
        try:
            launched = launch(draft.config, root=self.console.root, preset=preset, name=name)
        except NanoError as error:
            self.console.say(str(error), "error")
        else:
            self.app.call_from_thread(self.query_one("#run-name", Input).clear)
            self.app.post_message(RunLaunched(launched.run))
            self.console.follower.look()
        finally:
            self._launching = False

    def action_save(self) -> None:
        """Save the file that is edited, or the preset under a name of the user's own."""
        draft = self._draft
        if draft is None or draft.config is None:
            self.console.say("it cannot be saved: see its faults", "error")
        elif draft.is_file:
            self._save_file(draft)
        else:
            self.app.push_screen(SaveScreen(*proposal(draft)), self._save_preset)

    def _save_file(self, draft: Draft) -> None:
        try:
            draft.save()
        except NanoError as error:
            self.console.say(str(error), "error")
        else:
            self.console.say(f"saved {draft.path}")
            self._open(draft.target)

    def _save_preset(self, answer: tuple[str, str] | None) -> None:
        draft = self._draft
        if answer is None or draft is None or draft.config is None:
            return
        name, about = answer
        try:
            path = save_preset(name, draft.config, about, base=draft.path)
        except NanoError as error:
            self.console.say(str(error), "error")
            return
        self.console.say(f"saved {path}")
        draft.forget()
        self._drafts.pop(name, None)
        self._list_presets(name)
        self._find_costs()
