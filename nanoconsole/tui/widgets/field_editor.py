"""The lines under the form: what the field under the cursor means, what it accepts, and where its value is typed."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from nanoconsole.services.draft import Draft
from nanoconsole.services.techniques import SWITCHES
from nanoconsole.tui.widgets.form_rows import words_of
from nanoconsole.tui.widgets.value_input import ValueInput
from nanocore.config.continuation import may_change_on_resume
from nanocore.config.fields import Field
from nanocore.config.idle import governed_by

RESUMABLE = {True: "A resume may change it (r).", False: "Another value needs a new run."}


class FieldEditor(Vertical):
    """Edits take effect in the draft at each key press; escape gives the value before back."""

    class Edited(Message):
        """The draft has another value."""

    class Done(Message):
        """Editing ended; the form gets the focus back."""

    def __init__(self) -> None:
        super().__init__()
        self._draft: Draft | None = None
        self._field: Field | None = None
        self._before = ""

    def compose(self) -> ComposeResult:
        yield Static(id="field-help")
        with Horizontal(id="field-line"):
            yield Static(id="field-name")
            yield ValueInput(compact=True, select_on_focus=False)

    @property
    def editing(self) -> bool:
        return self.query_one("#field-line").visible

    def show(self, draft: Draft | None, field: Field | None, fault: str = "", *, brings: str = "") -> None:
        """Explain a field, or why its value, or what another line has, is refused.

        `brings` says what the next value of a switch would change.
        """
        self._draft, self._field = draft, field
        problem = fault or self._problem()
        self.set_class(bool(problem), "-problem")
        resumable = may_change_on_resume(field.key) if draft and draft.run and field else None
        self.query_one("#field-help", Static).update(_help(field, problem, brings, resumable))

    def _problem(self) -> str:
        """Why the value of the field is refused, "" when it is not."""
        return self._draft.problems.get(self._field.key, "") if self._draft and self._field else ""

    def edit(self, draft: Draft, field: Field) -> None:
        """Begin to edit."""
        self.show(draft, field)
        self._before = draft.text(field.key)
        self.query_one("#field-line").visible = True  # at once, or it could not take the focus
        self.query_one("#field-name", Static).update(Content.styled(f" {field.name} = ", "bold"))
        line = self.query_one(Input)
        with line.prevent(Input.Changed):
            line.value = self._before
        line.focus()
        line.select_all()  # typing replaces, an arrow key keeps

    def cancel(self) -> None:
        """Stop editing with the value as it was."""
        self._set(self._before)
        self._end()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.editing:
            self._set(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the value; one that is refused is typed anew."""
        event.stop()
        if self._problem():
            event.input.select_all()
        else:
            self._end()

    def on_descendant_blur(self) -> None:
        """Another pane was chosen: the value stays as typed. The terminal's own focus may come and go."""
        if self.editing and self.app.app_focus:
            self.query_one("#field-line").visible = False

    def _set(self, text: str) -> None:
        if self._draft is not None and self._field is not None:
            self._draft.set(self._field.key, text)
            self.show(self._draft, self._field)
            self.post_message(self.Edited())

    def _end(self) -> None:
        self.query_one("#field-line").visible = False
        self.post_message(self.Done())


def _help(field: Field | None, problem: str, brings: str, resumable: bool | None) -> Content:
    """What a field accepts and means; a refusal takes the whole room, so that it can be read to its end.

    `resumable` says, of a run's configuration, whether the run itself may go on with another value.
    """
    if field is None:
        return Content("")
    if problem:
        return Content.styled(f"✗ {problem}", "$error")
    details = ", ".join(key.partition(".")[2] for key in governed_by(field.key) if key not in SWITCHES)
    return Content.assemble(
        (field.key, "bold $primary"),
        (f"  {words_of(field)}", "$axis"),
        (f"\n{brings}" if brings else "", "$accent"),
        f"\n{field.help}",
        (f"\n{RESUMABLE[resumable]}" if resumable is not None else "", "$axis"),
        (f"\nIts details, listed while they matter: {details}" if details else "", "$axis"),
    )
