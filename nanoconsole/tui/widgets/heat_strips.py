"""Heat strips: a row for each layer, time from left to right, drawn only for the rows on the screen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nanoconsole.services.format import number
from nanoconsole.services.layer_metrics import LayerMetric, brief
from nanoconsole.services.layers import Cells, LayerHistory, edges_of
from nanoconsole.tui.widgets.heat import LEVELS, Cell, Scale, legend, paint

STYLES = ("label", "axis", "value", "warning", "sick", "none", *(f"heat{level}" for level in range(LEVELS)))
VALUE = 9  # columns of the newest value, at the right
WIDEST = 6  # columns that one measurement takes where there are few
FRAME = 2  # lines below the rows: steps, legend


@dataclass(frozen=True)
class Pointed:
    """The cell under the cursor: its row, the steps it holds, and its values."""

    row: str
    first: int
    last: int
    cells: Cells
    column: int


class HeatStrips(Widget):
    """Shows one metric of a LayerHistory. The cursor stays on its layer when the metric changes."""

    COMPONENT_CLASSES = {f"strips--{name}" for name in STYLES}

    class Moved(Message):
        """The cursor is on another cell."""

    def __init__(self) -> None:
        super().__init__()
        self._history, self._metric, self._seen = LayerHistory(), None, -1
        self._names: list[str] = []
        self._steps: list[int] = []
        self._row, self._column, self._top = 0, -1, 0  # column -1: the newest, also when more come
        self._drawn: dict[int, Strip] = {}

    def show(self, history: LayerHistory, metric: LayerMetric | None) -> None:
        """Show a metric; nothing is drawn again unless something changed."""
        if (history, history.version, metric) == (self._history, self._seen, self._metric):
            return
        name = self.row
        self._history, self._seen, self._metric = history, history.version, metric
        self._names = history.rows(metric) if metric else []
        self._steps = history.steps(metric) if metric else []
        self._row = self._names.index(name) if name in self._names else 0
        self._redraw()

    @property
    def row(self) -> str:
        """The name of the row under the cursor; "" when there is none."""
        return self._names[self._row] if self._row < len(self._names) else ""

    @property
    def pointed(self) -> Pointed | None:
        """The cell under the cursor."""
        if self._metric is None or not self.row or not self._columns:
            return None
        edges = self._edges
        cells = self._history.cells(self._metric, [self.row], edges)[0]
        column = self._column % (len(edges) - 1)
        return Pointed(self.row, self._steps[edges[column]], self._steps[edges[column + 1] - 1], cells, column)

    def move(self, rows: int, columns: int = 0) -> None:
        """Move the cursor, within the strips."""
        self._row = max(0, min(len(self._names) - 1, self._row + rows))
        cells = min(self._columns, len(self._steps))
        if columns and cells:
            column = max(0, min(cells - 1, self._column % cells + columns))
            self._column = -1 if column == cells - 1 else column
        self._redraw()

    def to_outside(self, by: int) -> bool:
        """Go to the next row that has a cell out of range or not finite; False when there is no other."""
        if self._metric is None or not self._names:
            return False
        painted = [marks for _, marks in self._painted(self._names)]
        ill = [any(style in ("warning", "sick") for _, style in cells) for cells in painted]
        order = [(self._row + by * ahead) % len(ill) for ahead in range(1, len(ill) + 1)]
        place = next((place for place in order if ill[place]), None)
        if place is None:
            return False
        self._row = place
        marks = [style in ("warning", "sick") for _, style in painted[place]]
        column = len(marks) - 1 - marks[::-1].index(True)
        self._column = -1 if column == len(marks) - 1 else column
        self._redraw()
        return True

    def on_click(self, event: Click) -> None:
        place = self._top + event.y
        if event.y < self._room and place < len(self._names):
            column = (event.x - self._label - 1) // self._wide
            cells = min(self._columns, len(self._steps))
            self._row, self._column = place, column if 0 <= column < cells - 1 else -1
            self._redraw()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self.move(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self.move(-3)

    def on_resize(self) -> None:
        self._column = -1
        self._redraw()

    def notify_style_update(self) -> None:
        self._drawn = {}
        super().notify_style_update()

    # How it is laid out

    @property
    def _room(self) -> int:
        """Rows that fit."""
        return max(0, self.size.height - FRAME)

    @property
    def _label(self) -> int:
        """Columns of the layers' names."""
        longest = max((len(brief(name)) for name in self._names), default=0)
        return min(longest, max(10, self.size.width // 3))

    @property
    def _columns(self) -> int:
        """Cells that fit."""
        return max(0, self.size.width - self._label - VALUE - 2)

    @property
    def _wide(self) -> int:
        """Columns of one cell."""
        return max(1, min(WIDEST, self._columns // max(1, len(self._steps))))

    def _redraw(self) -> None:
        self._drawn = {}
        self._top = max(0, min(self._top, self._row, len(self._names) - self._room))
        self._top = max(self._top, self._row - self._room + 1) if self._room else 0
        self.refresh()
        self.post_message(self.Moved())

    # How it is drawn

    def render_line(self, y: int) -> Strip:
        if self._metric is None or self._columns < 1:
            return self._empty()
        if not self._drawn:
            self._draw(self._metric)
        return self._drawn.get(y) or self._empty()

    def _empty(self) -> Strip:
        return Strip.blank(self.size.width, self.rich_style)

    @property
    def _edges(self) -> np.ndarray:
        return edges_of(len(self._steps), self._columns)

    def _painted(self, names: list[str]) -> list[tuple[Cells, list[Cell]]]:
        """The values of rows, and how their cells look."""
        metric, edges = self._metric, self._edges
        assert metric is not None
        scale, last = Scale.of(metric, self._history.range(metric)), [self._steps[edge - 1] for edge in edges[1:]]
        return [(cells, paint(cells, metric, scale, last)) for cells in self._history.cells(metric, names, edges)]

    def _draw(self, metric: LayerMetric) -> None:
        names = self._names[self._top : self._top + self._room]
        for y, (name, (cells, painted)) in enumerate(zip(names, self._painted(names), strict=True)):
            self._drawn[y] = self._strip(name, painted, cells, chosen=self._top + y == self._row)
        scale = Scale.of(metric, self._history.range(metric))
        below = min(len(names), self._room)
        self._drawn[below] = self._axis()
        self._drawn[below + 1] = self._line(legend(metric, scale, self.size.width))

    def _strip(self, name: str, painted: list[Cell], cells: Cells, *, chosen: bool) -> Strip:
        label = set_cell_size(_cut(brief(name), self._label), self._label)
        column = self._column % len(painted)
        known = [place for place, count in enumerate(cells.count.tolist()) if count]
        newest = number(float(cells.newest[known[-1]])) if known else ""
        segments = [Segment(f"{label} ", self._style("label") + Style(reverse=chosen))]
        for place, (mark, style) in enumerate(painted):
            under = chosen and place == column
            segments.append(Segment(mark * self._wide, self._style(style) + Style(reverse=under, bold=under)))
        segments.append(Segment(f" {newest:>{VALUE - 1}}", self._style("value")))
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def _axis(self) -> Strip:
        """Steps of the oldest and the newest cell, and where the cursor is."""
        width = self._wide * min(self._columns, len(self._steps))
        first, last = f"step {self._steps[0]:,}", f"{self._steps[-1]:,}"
        gap = width - len(first) - len(last)
        words = f"{first}{' ' * gap}{last}" if gap > 0 else last.rjust(width)
        more = len(self._names) - self._room
        rows = f"{self._row + 1}/{len(self._names)}" if more > 0 else ""
        return self._line([(f"{rows:<{self._label}} {words}", "axis")])

    def _line(self, parts: list[tuple[str, str]]) -> Strip:
        segments = [Segment(text, self._style(style)) for text, style in parts]
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"strips--{name}")


def _cut(text: str, room: int) -> str:
    """The text, its middle left out where it is too long: both ends of a layer's name tell it."""
    if len(text) <= room:
        return text
    head = (room - 1) // 3
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"
