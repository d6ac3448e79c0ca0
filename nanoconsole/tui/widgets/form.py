"""The configuration form: all fields in one virtual list, drawn line by line, so that it opens at once."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nanoconsole.services.draft import Draft
from nanoconsole.services.switches import Delta, brief, choices, neighbour
from nanoconsole.tui import keys
from nanoconsole.tui.widgets.form_rows import Row, legend, rows, spans, told, value_column
from nanocore.config.fields import Field


class Form(ScrollView, can_focus=True):
    """Shows a draft. Switches and choices change here; text and numbers are edited in the line below it."""

    KEY_SCOPE = "form"
    BINDINGS = [*keys.bindings("form")]
    COMPONENT_CLASSES = {
        f"form--{name}" for name in ("section", "name", "value", "changed", "problem", "hint", "cursor")
    }

    class Changed(Message):
        """A value of the draft was changed in the form."""

    class Moved(Message):
        """The cursor stands on another field (None: on nothing)."""

        def __init__(self, field: Field | None) -> None:
            super().__init__()
            self.field = field

    class EditWanted(Message):
        """A text or number is to be edited."""

        def __init__(self, field: Field) -> None:
            super().__init__()
            self.field = field

    def __init__(self) -> None:
        super().__init__()
        self.draft: Draft | None = None
        self._rows: list[Row] = []
        self._cursor = 0
        self._query = ""
        self._deltas: Mapping[str, Delta] = {}

    @property
    def field(self) -> Field | None:
        """The field under the cursor."""
        return self._rows[self._cursor].field if self._cursor < len(self._rows) else None

    def show(self, draft: Draft | None, query: str = "") -> None:
        """Show a draft, or the part of it that a search finds; the cursor stays on its field when it can."""
        self.draft, self._query = draft, query
        self._place(self._list_rows(fallback=0))

    def tell(self, deltas: Mapping[str, Delta]) -> None:
        """What the next value of each switch would change."""
        if deltas != self._deltas:
            self._deltas = deltas
            self.refresh()

    def go_to(self, key: str) -> bool:
        """Put the cursor on a field; whether it is listed."""
        places = [index for index, row in enumerate(self._rows) if row.field and row.field.key == key]
        if places:
            self._place(places[0])
        return bool(places)

    def rearrange(self) -> None:
        """The draft changed: draw it, with the rows that now matter; the cursor stays on its field or its place."""
        before, self._cursor = self.field, self._list_rows(fallback=self._cursor)
        if self.field == before:
            self.refresh()
        else:
            self._place(self._cursor)

    def _list_rows(self, *, fallback: int) -> int:
        """List the rows anew; the place of the field under the cursor, or the first at or after `fallback`."""
        before = self.field
        self._rows = rows(self.draft, self._query) if self.draft else []
        self.virtual_size = Size(self.size.width, len(self._rows))
        places = [index for index, row in enumerate(self._rows) if row.field is not None]
        same = [index for index in places if self._rows[index].field == before]
        return (same or [index for index in places if index >= fallback] or places[-1:] or [0])[0]

    def _place(self, index: int) -> None:
        self._cursor = index
        self._keep_in_view()
        self.refresh()
        self.post_message(self.Moved(self.field))

    def _keep_in_view(self) -> None:
        """Scroll to the cursor, and to the title when it stands right above."""
        above = self._cursor
        above -= bool(above and self._rows[above - 1].field is None)
        self.scroll_to_region(Region(0, above, 1, self._cursor - above + 1), animate=False, force=True)

    def on_resize(self) -> None:
        self._keep_in_view()

    def action_move(self, by: int) -> None:
        """Move over fields; titles are passed over."""
        places = [index for index, row in enumerate(self._rows) if row.field is not None]
        if places:
            here = next((order for order, index in enumerate(places) if index >= self._cursor), 0)
            self._place(places[max(0, min(len(places) - 1, here + by))])

    def action_next_problem(self) -> None:
        """Go to the next value that is refused, from the start again after the last."""
        if self.draft is None:
            return
        bad = [i for i, row in enumerate(self._rows) if row.field and row.field.key in self.draft.problems]
        if bad:
            self._place(next((index for index in bad if index > self._cursor), bad[0]))

    def action_edit(self) -> None:
        if self.field is not None and self.field.kind in ("bool", "choice"):
            self._step(1)
        elif self.field is not None:
            self.post_message(self.EditWanted(self.field))

    def action_switch(self) -> None:
        self._step(1)

    def action_choose(self, by: int) -> None:
        self._step(by)

    def action_undo(self) -> None:
        if self.draft is not None and self.field is not None:
            self.draft.reset(self.field.key)
            self._changed()

    def _step(self, by: int) -> None:
        """Change a switch or go along the choices."""
        field, draft = self.field, self.draft
        if field is not None and draft is not None and choices(field):
            draft.set(field.key, neighbour(field, draft.text(field.key), by))
            self._changed()

    def _changed(self) -> None:
        self.rearrange()
        self.post_message(self.Changed())

    def on_click(self, event: Click) -> None:
        """A click chooses a row; on a value it changes a switch, and on a chosen row edits text or number."""
        index = event.y + self.scroll_offset.y
        field = self._rows[index].field if index < len(self._rows) else None
        if field is not None:
            again = index == self._cursor
            self._place(index)
            if event.x >= value_column() and (again or field.kind in ("bool", "choice")):
                self.action_edit()

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if self.draft is None or index >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        under = index == self._cursor and self.has_focus
        parts = spans(self._rows[index], self.draft)
        room = max(0, width - sum(cell_len(text) for text, _ in parts) - 1)
        parts.append((f"{self._hint(index, room - 1):>{room}}", "hint"))
        segments = [Segment(text, self._style(name, under)) for text, name in parts]
        return Strip(segments).adjust_cell_length(width, self._style("cursor", False) if under else self.rich_style)

    def _hint(self, index: int, room: int) -> str:
        """What stands at the end of a row: what the next value of a switch would change."""
        field = self._rows[index].field
        if field is not None:
            return told(brief(self._deltas[field.key]), room) if field.key in self._deltas else ""
        return legend(room) if self._deltas and index == 0 and not self._query else ""

    def _style(self, name: str, under_cursor: bool) -> Style:
        style = self.get_component_rich_style(f"form--{name}")
        return style + self.get_component_rich_style("form--cursor") if under_cursor else style
