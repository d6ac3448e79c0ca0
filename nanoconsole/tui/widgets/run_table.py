"""The live table of runs: a row a run, only changed cells are drawn again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.widgets import DataTable

from nanoconsole.services.format import NOTHING, age, arrow, count, duration, number
from nanoconsole.services.tailer import Listed
from nanoconsole.tui.theme import look

NARROWEST, WIDEST = 14, 64  # the column of names
BESIDE = 32  # the same when the column of last words takes what is left
FRAME = 4  # cells beside the columns: padding and scroll bar
Cell = tuple[str, str]  # text and theme colour


@dataclass(frozen=True)
class Column:
    """`room` is the terminal width from which the column is shown; those of width 0 share what is left."""

    title: str
    room: int
    width: int
    cell: Callable[[Listed, float], Cell]
    right: bool = True


def _state(listed: Listed, now: float) -> Cell:
    style = look(listed.summary.state)
    return f"{style.mark} {listed.summary.state}", style.colour


def _step(listed: Listed, now: float) -> Cell:
    run = listed.summary
    if run.steps:
        return f"{run.step:,}/{run.steps:,}", "foreground"
    return f"{run.step:,}" if run.step or run.alive else NOTHING, "foreground"


def _loss(listed: Listed, now: float) -> Cell:
    loss = listed.summary.loss
    bad = loss is not None and loss != loss
    return f"{number(loss)} {arrow(listed.trend)}", "error" if bad else "foreground"


COLUMNS = (
    Column("state", 0, 11, _state, right=False),
    Column("run", 0, 0, lambda listed, now: (listed.summary.name, "value"), right=False),
    Column("preset", 120, 14, lambda listed, now: (listed.summary.preset, "axis"), right=False),
    Column("step", 0, 13, _step),
    Column("loss", 0, 8, _loss),
    Column("bits/byte", 80, 9, lambda listed, now: (number(listed.summary.bits_per_byte), "foreground")),
    Column("tok/s", 80, 7, lambda listed, now: (count(listed.summary.tokens_per_second), "foreground")),
    Column("left", 100, 8, lambda listed, now: (duration(listed.summary.eta), "foreground")),
    Column("started", 110, 9, lambda listed, now: (age(listed.summary.created or None, now), "axis")),
    Column("last word", 150, 0, lambda listed, now: (listed.summary.message, "axis"), right=False),
)


class RunTable(DataTable[Text]):
    """Rows are keyed by run name; the cursor stays on its run when rows come and go."""

    def __init__(self) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._shown: dict[str, list[Cell]] = {}
        self._columns: tuple[Column, ...] = ()
        self._room = 0

    def show(self, runs: Sequence[Listed], room: int, now: float) -> None:
        """Bring the table to these runs at Unix time `now`, in a terminal `room` columns wide."""
        columns = tuple(column for column in COLUMNS if room >= column.room)
        wanted = {listed.summary.name: [column.cell(listed, now) for column in columns] for listed in runs}
        if (columns, room) != (self._columns, self._room) or list(wanted) != list(self._shown):
            self._room = room
            self._rebuild(columns, wanted)
        else:
            self._patch(wanted)
        self._shown = wanted

    def _patch(self, wanted: dict[str, list[Cell]]) -> None:
        for name, cells in wanted.items():
            for column, cell, old in zip(self._columns, cells, self._shown[name], strict=True):
                if cell != old:
                    self.update_cell(name, column.title, self._text(cell, column))

    def _rebuild(self, columns: tuple[Column, ...], wanted: dict[str, list[Cell]]) -> None:
        chosen = self.chosen
        self.clear(columns=True)
        self._columns = columns
        for column, width in zip(columns, self._widths(columns), strict=True):
            self.add_column(self._text((column.title, "axis"), column), width=width, key=column.title)
        for name, cells in wanted.items():
            self.add_row(*[self._text(cell, column) for column, cell in zip(columns, cells, strict=True)], key=name)
        if chosen in wanted:
            self.move_cursor(row=list(wanted).index(chosen), animate=False)

    def _widths(self, columns: Sequence[Column]) -> list[int]:
        """Width of each column; of what is left the name takes its part first."""
        used = sum(column.width for column in columns) + 2 * len(columns) * self.cell_padding
        left = max(NARROWEST, self.app.size.width - used - FRAME)
        name = min(left, WIDEST if sum(not column.width for column in columns) == 1 else BESIDE)
        return [column.width or (name if column.title == "run" else left - name) for column in columns]

    def _text(self, cell: Cell, column: Column) -> Text:
        words, colour = cell
        style = self.app.theme_variables.get(colour, "")
        return Text(words, style, justify="right" if column.right else "left", no_wrap=True, overflow="ellipsis")

    @property
    def chosen(self) -> str:
        """Name of the run under the cursor, "" when there is none."""
        if not self._shown or not 0 <= self.cursor_row < len(self._shown):
            return ""
        return list(self._shown)[self.cursor_row]

    def forget(self) -> None:
        """Draw everything anew at the next `show`, as after a change of theme."""
        self._columns = ()
