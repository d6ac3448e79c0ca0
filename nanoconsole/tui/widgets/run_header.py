"""The head of Live: state, progress, the numbers that matter, and the verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from nanoconsole.services.format import arrow, count, duration, number, size
from nanoconsole.services.techniques import numbers
from nanoconsole.services.trend import WINDOW, trend
from nanoconsole.services.watched import RunUpdate
from nanoconsole.tui.theme import ink, look
from nanocore.runs.text import sanitize_line

Part = tuple[str, str]
Row = list[Part]
MARKS = {"good": ("✓", "success"), "info": ("·", "axis"), "warning": ("!", "warning"), "bad": ("✗", "error")}
WIDEST_BAR = 40


class RunHeader(Widget):
    """Two lines of parts, left out from the right when they find no room, up to two of what techniques record, where its
    TensorBoard is, and the verdict, wrapped so that none is lost. A line is drawn, and painted, only when it changed."""

    _update: RunUpdate | None = None
    _board = ""  # the address of its TensorBoard, when it has one

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Row] = []
        self._room = 0  # columns for which the lines were made
        self._strips: dict[int, Strip] = {}
        self._styles: dict[str, Style] = {}

    def show(self, update: RunUpdate, board: str = "") -> None:
        before, self._update, self._board = self._rows, update, board
        self._arrange()
        if len(before) != len(self._rows):
            self.refresh(layout=True)
        elif changed := [row for row, parts in enumerate(self._rows) if parts != before[row]]:
            self.refresh(*(Region(0, row, self.size.width, 1) for row in changed))

    def _arrange(self) -> None:
        """Make the lines for the present width; of those that stay as they are the strips stay too."""
        before, self._room = self._rows, self.size.width
        self._rows = _rows(self._update, self._board, self._room) if self._update is not None else []
        same = [row for row, (old, new) in enumerate(zip(before, self._rows, strict=False)) if old == new]
        self._strips = {row: self._strips[row] for row in same if row in self._strips}

    def notify_style_update(self) -> None:
        self._strips, self._styles = {}, {}
        super().notify_style_update()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(_rows(self._update, self._board, width)) if self._update is not None else 3

    def render(self) -> Content:
        return Content("\n").join(Content.assemble(*row) for row in self._rows)

    def render_line(self, y: int) -> Strip:
        if self.text_selection is not None:  # what the mouse selected is marked in content only
            return super().render_line(y)
        if self._room != self.size.width:
            self._arrange()
            self._strips = {}
        if y not in self._strips:
            parts = self._rows[y] if y < len(self._rows) else []
            strip = Strip([Segment(text, self._style(name)) for text, name in parts])
            self._strips[y] = strip.adjust_cell_length(self.size.width, self.rich_style)
        return self._strips[y]

    def _style(self, name: str) -> Style:
        """The style of `bold $colour`, `$colour` or ""; working it out takes as long as drawing a line."""
        if name not in self._styles:
            colour = name.removeprefix("bold ").removeprefix("$")
            own = ink(self.app.theme_variables[colour]) if colour else Style()
            self._styles[name] = self.rich_style + own + Style(bold=name.startswith("bold ") or None)
        return self._styles[name]


def _rows(update: RunUpdate, board: str, room: int) -> list[Row]:
    """All lines, as parts."""
    served: list[Row] = [[(" TensorBoard ", "$axis"), (board, "$value")]] if board else []
    known = [_progress(update, room), _numbers(update, room), *_techniques(update, room)]
    return [*known, *served, *_verdict(update, room)]


def fit(groups: Sequence[Sequence[Part]], room: int) -> Content:
    """Groups of parts from left to right, each whole or not at all."""
    return Content.assemble(*_fitted(groups, room))


def _fitted(groups: Sequence[Sequence[Part]], room: int) -> Row:
    """Those of the groups, from the left, that find room on one line."""
    return [part for group in groups[: _fitting(groups, room)] for part in group]


def _fitting(groups: Sequence[Sequence[Part]], room: int) -> int:
    """How many of the groups, from the left, find room on one line."""
    ends = accumulate(sum(len(text) for text, _ in group) for group in groups)
    return sum(end <= room for end in ends)


def _progress(update: RunUpdate, room: int) -> Row:
    state = sanitize_line(update.state.state, 20)
    style = look(state)
    step = f"{update.step:,}" + (f"/{update.steps:,}" if update.steps else "")
    left: list[Sequence[Part]] = [
        [(f" {style.mark} {state} ", f"bold ${style.colour}"), (f" {update.run.name} ", "bold $value")],
        [(" step ", "$axis"), (step, "$value")],
    ]
    right: list[Sequence[Part]] = []
    if update.eta is not None:
        right.append([("  left ", "$axis"), (duration(update.eta), "$value")])
    if (rate := update.history.last("throughput/tokens_per_sec")) is not None:
        right.append([("  ", ""), (count(rate), "$value"), (" tok/s", "$axis")])
    used = sum(len(text) for group in (*left, *right) for text, _ in group)
    return _fitted([*left, _bar(update, min(WIDEST_BAR, room - used - 8)), *right], room)


def _bar(update: RunUpdate, width: int) -> Sequence[Part]:
    """A progress bar with its share, empty when there is no room or no end is known."""
    if width < 6 or not update.steps:
        return []
    share = min(1.0, update.step / update.steps)
    filled = round(share * width)
    return [("  ", ""), ("━" * filled, "$primary"), ("─" * (width - filled), "$envelope"), (f" {share:4.0%}", "$value")]


def _numbers(update: RunUpdate, room: int) -> Row:
    history = update.history
    direction = arrow(trend(history.tail("loss/ce", WINDOW).tolist()))
    groups: list[Sequence[Part]] = [
        [(" loss ", "$axis"), (f"{number(history.last('loss/ce'))} {direction}", "bold $value")],
        [
            ("  held-out ", "$axis"),
            (number(history.last("eval/bits_per_byte")), "bold $value"),
            (" bits/byte", "$axis"),
        ],
        [("  gradient ", "$axis"), (number(history.last("training/grad_norm")), "$value")],
    ]
    memory = history.last("memory/optimizer_bytes")
    if memory is not None:
        groups.append([("  optimizer ", "$axis"), (size(memory), "$value")])
    if update.reading:
        groups.append([("  reading its history …", "$axis")])
    return _fitted(groups, room)


def _techniques(update: RunUpdate, room: int) -> list[Row]:
    """The newest numbers of the techniques that are on, and what is left of the matrices' state, in at most two lines;
    all of it stands beside the log."""
    facts = update.facts
    words = [*numbers(update.history.last), *facts.saving, *(("FIRE", each.text) for each in facts.fired[-1:])]
    groups: list[Sequence[Part]] = [[(f" {label} ", "$axis"), (f"{value} ", "$value")] for label, value in words]
    lines = _fitted(groups, room), _fitted(groups[_fitting(groups, room) :], room)
    return [line for line in lines if line]


def _verdict(update: RunUpdate, room: int) -> list[Row]:
    mark, colour = MARKS[update.verdict.level]
    words = Content(f" {mark} {update.verdict.text}")
    return [[(line.plain, f"${colour}")] for line in words.wrap(max(1, room))]
