"""Launch, the configuration editor: choose a preset, change it, see what it costs, start it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Input, OptionList

from nanoconsole.services.draft import Draft
from nanoconsole.services.switches import words
from nanoconsole.tui import keys
from nanoconsole.tui.draft_actions import DraftActions
from nanoconsole.tui.draft_costs import DraftCosts
from nanoconsole.tui.draft_name import UNNAMED
from nanoconsole.tui.draft_sides import DraftSides
from nanoconsole.tui.draft_text import DraftText
from nanoconsole.tui.editing import EditWanted
from nanoconsole.tui.widgets.cost_panel import CostPanel
from nanoconsole.tui.widgets.field_editor import FieldEditor
from nanoconsole.tui.widgets.form import Form
from nanoconsole.tui.widgets.preset_list import Choice, PresetList, choices, opened
from nanoconsole.tui.widgets.source_pane import SourcePane
from nanoconsole.tui.widgets.value_input import ValueInput
from nanocore.config.presets import presets
from nanocore.errors import NanoError

FIRST = "tiny-cpu"  # what the cursor stands on at first


class LaunchScreen(DraftText, DraftActions, DraftSides, DraftCosts):
    """The list of presets, the form, the text and the costs around one draft."""

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
        self._opened: list[Choice] = []  # files and runs beside the presets

    def compose_body(self) -> ComposeResult:
        with Container(id="launch"):
            yield PresetList()
            with Vertical(id="editor"):
                yield ValueInput(id="run-name", compact=True, select_on_focus=False)
                yield ValueInput(
                    placeholder="search: words of a key or its meaning",
                    id="search",
                    compact=True,
                    select_on_focus=True,  # another search begins anew
                )
                yield Form()
                yield FieldEditor()
            yield SourcePane()
            yield CostPanel(id="cost")

    def on_mount(self) -> None:
        self.query_one("#search").display = False
        self.name_line.placeholder = UNNAMED
        self._list_presets(FIRST)
        if self.console.edit:
            self.open_target(self.console.edit)
        else:
            self.query_one(PresetList).focus()

    @property
    def focus_chain(self) -> list[Widget]:
        """From the presets straight to the form; the name, which few runs need, comes last."""
        return sorted(super().focus_chain, key=lambda widget: widget.id == "run-name")

    def on_resize(self, event: Resize) -> None:
        self.query_one(PresetList).make_brief(event.size.width < 118)

    def on_screen_resume(self) -> None:
        self.find_costs()

    # Choosing

    def _list_presets(self, target: str) -> None:
        self.query_one(PresetList).show(choices(presets(), self._opened), target)

    def on_edit_wanted(self, event: EditWanted) -> None:
        self.open_target(event.target, event.origin)

    def open_target(self, target: str, origin: str = "") -> None:
        draft = self._known(target)
        if draft is None:
            return
        self.begin_with(origin, draft.run.path.parent if draft.run else None)
        self._leave_search()
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
        self.draft, self.deltas = self._known(target), {}
        self.query_one(Form).show(self.draft, self.query_one("#search", Input).value)
        self.draft_changed()

    def _known(self, target: str) -> Draft | None:
        """The draft of a target, made at the first look; None when it cannot be read."""
        if target not in self.drafts:
            try:
                self.drafts[target] = Draft(target)
            except NanoError as error:
                self.console.say(str(error), "error")
        return self.drafts.get(target)

    def saved(self, target: str) -> None:
        """Read a draft anew that was saved, and show it."""
        self.drafts.pop(target, None)
        self.open_target(target)
        self.find_costs()

    # What follows from a change

    def draft_changed(self) -> None:
        """Bring everything that follows from the drafts up to date: costs, differences, faults, text."""
        self.query_one(Form).disabled = bool(self.draft and self.draft.broken)
        self.figures_changed()
        self.show_text()

    def explain(self) -> None:
        """Say what the field under the cursor means, or what is wrong with it or with the run's name."""
        field = self.query_one(Form).field
        brings = words(self.deltas[field.key]) if field and field.key in self.deltas else ""
        self.query_one(FieldEditor).show(self.draft, field, self.name_fault, brings=brings)

    def on_form_moved(self, event: Form.Moved) -> None:
        self.explain()
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
            self.judge_name()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id != "run-name" or self.judge_name():
            self.query_one(Form).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_launch()

    def _leave_search(self) -> None:
        search = self.query_one("#search", Input)
        search.value, search.display = "", False

    def step_out(self) -> bool:
        """Escape leaves an edit, then a search, then the text, then the form."""
        editor, search = self.query_one(FieldEditor), self.query_one("#search", Input)
        if editor.editing:
            editor.cancel()
        elif search.display:
            self._leave_search()
            self.query_one(Form).focus()
        elif self.has_class("-text"):
            self.leave_text()
        elif self.focused is not None and not isinstance(self.focused, PresetList):
            self.query_one(PresetList).focus()
        else:
            return False
        return True
