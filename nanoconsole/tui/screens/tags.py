"""Asks for tags and note of one run, or for what to change in those of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from nanoconsole.services.listed import Listed
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Dialog
from nanoconsole.tui.widgets.bars import KeyBar
from nanoconsole.tui.widgets.value_input import TextLine
from nanocore.errors import UsageError
from nanocore.runs.notes import LONGEST_NOTE, check_tag


@dataclass(frozen=True)
class Change:
    """What to change: tags to add and to remove, and the new note (None: it stays)."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    note: str | None = None


class TagsScreen(Dialog[Change | None]):
    """Dismissed with the change, or None.

    For one run the line holds all its tags; for several, words are added, and removed behind a minus.
    """

    SCOPE = "tags"
    BINDINGS = [*keys.bindings("tags")]

    def __init__(self, runs: Sequence[Listed]) -> None:
        super().__init__()
        self._runs = runs
        self._only = runs[0] if len(runs) == 1 else None

    def compose(self) -> ComposeResult:
        tags, note = (" ".join(self._only.notes.tags), self._only.notes.note) if self._only else ("", "")
        subject = self._only.label if self._only else f"{len(self._runs)} runs"
        hint = "words, kept apart by blanks" if self._only else "added; behind a - removed: sweep -bad"
        with Vertical(classes="dialog"):
            yield Static(
                Content.assemble(("Tags and note of ", "bold"), (subject, "bold $accent")), classes="dialog-title"
            )
            yield Static(_label("tags", hint))
            yield TextLine(tags, id="tags", compact=True, select_on_focus=False, max_length=LONGEST_NOTE)
            yield Static(id="tags-fault")
            yield Static(_label("note", "one line" if self._only else "one line for each; nothing typed: it stays"))
            yield TextLine(note, id="note", compact=True, select_on_focus=False, max_length=LONGEST_NOTE)
        yield KeyBar()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Mark a tag that is not allowed while it is typed."""
        if event.input.id == "tags":
            fault = self._fault()
            event.input.set_class(bool(fault), "-bad")
            self.query_one("#tags-fault", Static).update(Content.styled(f"✗ {fault}" if fault else "", "$error"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_next()

    def action_next(self) -> None:
        """From the tags to the note, and from there to the end; never past a tag that is not allowed."""
        tags, note = self.query_one("#tags", Input), self.query_one("#note", Input)
        if self._fault():
            tags.focus()
        elif self.focused is tags:
            note.focus()
        else:
            self.dismiss(self._change(note.value))

    def _words(self) -> list[str]:
        return self.query_one("#tags", Input).value.split()

    def _fault(self) -> str:
        try:
            for word in self._words():
                check_tag(word if self._only else word.lstrip("+-"))
        except UsageError as error:
            return str(error)
        return ""

    def _change(self, note: str) -> Change:
        words = self._words()
        if self._only is not None:
            before = self._only.notes.tags
            return Change(tuple(words), tuple(tag for tag in before if tag not in words), note)
        added = tuple(word.lstrip("+") for word in words if not word.startswith("-"))
        return Change(added, tuple(word[1:] for word in words if word.startswith("-")), note or None)


def _label(name: str, hint: str) -> Content:
    return Content.assemble((name, "$primary"), (f"  {hint}", "$axis"))
