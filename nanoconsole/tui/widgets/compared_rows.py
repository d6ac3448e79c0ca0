"""The runs of a comparison as a table that is the chart's legend too: marker, value at the cursor, difference, finals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from nanoconsole.services.comparison import Row
from nanoconsole.services.format import NOTHING, count, duration, measure, number
from nanoconsole.tui.theme import look
from nanoconsole.tui.widgets.run_table import fitted

NARROWEST = 12  # the column of names


@dataclass(frozen=True)
class Shown:
    """One run of the table: its name and state, its marker with the colour of its line, and its numbers."""

    label: str
    state: str
    marker: str
    colour: str
    row: Row
    baseline: bool


Columns = tuple[tuple[str, int, int], ...]  # title, width, room from which it is shown
COLUMNS: Columns = (
    ("#", 2, 0), ("value", 9, 0), ("difference", 10, 0), ("newest", 9, 48), ("best", 9, 74), ("step", 9, 84),
    ("trained", 8, 96), ("bits/byte", 9, 124), ("tok/s", 6, 130), ("loss", 8, 150), ("state", 11, 110),
)  # fmt: skip


class ComparedRows(Widget):
    """A line a run, under a line of titles."""

    class Picked(Message):
        """A run was clicked."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[Shown, ...] = ()
        self._cursor = 0
        self._at = self._unit = ""

    def show(self, rows: Sequence[Shown], cursor: int, at: str, unit: str) -> None:
        """Show rows, the one under the `cursor` marked; `at` says where the values are taken, `unit` what they are in."""
        if (tuple(rows), cursor, at, unit) != (self._rows, self._cursor, self._at, self._unit):
            layout = len(rows) != len(self._rows)
            self._rows, self._cursor, self._at, self._unit = tuple(rows), cursor, at, unit
            self.refresh(layout=layout)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(self._rows) + 1

    def on_click(self, event: Click) -> None:
        place = event.get_content_offset_capture(self).y - 1
        if 0 <= place < len(self._rows):
            self.post_message(self.Picked(place))

    def render(self) -> Content:
        room = self.content_size.width
        columns = [(title, width) for title, width, least in COLUMNS if room >= least]
        name = max(NARROWEST, room - 4 - sum(width + 1 for _, width in columns))
        titles = " ".join(fitted(title, width, right=title != "state") for title, width in columns)
        lines = [Content.styled(f"    {fitted(self._at, name, right=False)} {titles}", "$axis")]
        lines += [self._line(place, shown, name, columns) for place, shown in enumerate(self._rows)]
        return Content("\n").join(lines)

    def _line(self, place: int, shown: Shown, name: int, columns: Sequence[tuple[str, int]]) -> Content:
        cells = _cells(shown, self._unit)
        style = look(shown.state)
        parts = [
            ("▶" if place == self._cursor else " ", "$accent"),
            (f"{shown.marker} ", f"${shown.colour}"),
            ("◆" if shown.baseline else " ", "$accent"),
            (fitted(shown.label, name, right=False), "bold $value" if place == self._cursor else "$value"),
        ]
        for title, width in columns:
            text = f"{style.mark} {shown.state}" if title == "state" else cells[title]
            colour = f"${style.colour}" if title == "state" else "$foreground"
            parts.append((f" {fitted(text, width, right=title != 'state')}", colour))
        line = Content.assemble(*parts)
        return self._under_cursor(line) if place == self._cursor else line

    def _under_cursor(self, line: Content) -> Content:
        """Of a terminal's own colours only its text is sure to stand out from its ground: they are exchanged."""
        if self.app.native_ansi_color:
            return Content(line.plain).stylize("reverse")
        return line.stylize("on $block-cursor-blurred-background")


def _cells(shown: Shown, unit: str) -> dict[str, str]:
    row = shown.row
    difference = "baseline" if shown.baseline else NOTHING
    if row.difference is not None:
        text = measure(row.difference, unit)
        difference = text if text.startswith("-") or row.difference != row.difference else f"+{text}"
    return {
        "#": str(row.rank) if row.rank else NOTHING,
        "value": measure(row.value, unit),
        "difference": difference,
        "newest": measure(row.newest, unit),
        "best": measure(row.best, unit),
        "step": f"{row.step:,}",
        "trained": duration(row.time),
        "loss": number(row.finals["loss/ce"]),
        "bits/byte": number(row.finals["eval/bits_per_byte"]),
        "tok/s": count(row.finals["throughput/tokens_per_sec"]),
    }
