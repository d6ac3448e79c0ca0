"""The TOML text beside the form, in step with it both ways. Parsing, judging and writing are done in threads."""

from __future__ import annotations

from collections.abc import Callable

from nanoconsole.services.draft import Draft
from nanoconsole.services.source import LIMIT, Fault, Reading, read_by_hand
from nanoconsole.tui.draft_screen import DraftScreen
from nanoconsole.tui.widgets.form import Form
from nanoconsole.tui.widgets.preset_list import PresetList
from nanoconsole.tui.widgets.source_pane import SourcePane, TomlArea
from nanocore.config.locate import locate
from nanocore.errors import ConfigError


class DraftText(DraftScreen):
    """Shows and hides the text; what is typed goes into the draft, and what the form changes into the text."""

    @property
    def _pane(self) -> SourcePane:
        return self.query_one(SourcePane)

    def action_text(self) -> None:
        """Show the text and go to it, or hide it."""
        shown = not self.has_class("-text")
        self.set_class(shown, "-text")
        if shown:
            self.show_text()
            self._pane.area.focus()
        else:
            self._to_form()

    def leave_text(self) -> None:
        """From the text to the form where it stands beside it, else hide the text."""
        if self._pane.area.has_focus and self.query_one("#editor").display:
            self._to_form()
        else:
            self.action_text()

    def _to_form(self) -> None:
        """To the form; to the presets while the text is broken, for the form takes no edit then."""
        form = self.query_one(Form)
        (self.query_one(PresetList) if form.disabled else form).focus()

    def show_text(self) -> None:
        """Bring the text to the draft, in the lines that differ; nothing is done while it is hidden."""
        draft = self.draft
        if draft is None or not self.has_class("-text"):
            return
        taken = draft.snapshot()
        self.in_thread("text", lambda stopped: self._written(draft, taken))

    def _written(self, draft: Draft, taken: Draft) -> Callable[[], None]:
        """Write the text of a draft as it was taken; how to show it."""
        try:
            text, refused = taken.toml(), ""
        except ConfigError as error:
            text, refused = taken.source_text, str(error)
        faults = [Fault(0, refused)] if refused else taken.faults(text)
        lines = {} if taken.broken else locate(text)

        def show() -> None:
            if self.draft is draft and self._pane.typed is None:
                self._pane.show(draft, text, read_only=bool(refused))
                self._pane.tell(faults, lines)
                self.reveal()

        return show

    def reveal(self) -> None:
        """Put the cursor of the text on the line of the field under that of the form."""
        field = self.query_one(Form).field
        if field is not None and self.has_class("-text"):
            self._pane.reveal(field.key)

    def on_source_pane_edited(self, event: SourcePane.Edited) -> None:
        draft = self.draft
        if draft is not None:
            self.in_thread("text", lambda stopped: self._read(draft, event.text))

    def _read(self, draft: Draft, text: str) -> Callable[[], None]:
        """Judge a text that was typed; how the draft takes it."""
        reading = read_by_hand(text)
        lines = locate(text) if reading.source else {}

        def take() -> None:
            if self.draft is draft and self._pane.area.text == text:
                self._take(draft, reading)
                self._pane.tell(draft.faults(text), lines)

        return take

    def _take(self, draft: Draft, reading: Reading) -> None:
        """Let the draft, and so the form, follow the text."""
        draft.take(reading)
        self._pane.accept(reading.text)
        self.query_one(Form).rearrange()
        self.draft_changed()

    def settle(self) -> None:
        if self.draft is not None and self.has_class("-text") and (text := self._pane.typed) is not None:
            self._take(self.draft, read_by_hand(text))

    def on_toml_area_too_large(self, event: TomlArea.TooLarge) -> None:
        self.console.say(f"not pasted: a text of more than {LIMIT >> 10} thousand characters cannot be edited", "error")
