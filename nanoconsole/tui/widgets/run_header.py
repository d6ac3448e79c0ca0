"""The head of Live: state, progress, the numbers that matter, and the verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from nanoconsole.services.format import arrow, count, duration, number, size
from nanoconsole.services.techniques import numbers
from nanoconsole.services.trend import WINDOW, trend
from nanoconsole.services.watched import RunUpdate
from nanoconsole.tui.theme import look
from nanocore.runs.text import sanitize_line

Part = tuple[str, str]
MARKS = {"good": ("✓", "success"), "info": ("·", "axis"), "warning": ("!", "warning"), "bad": ("✗", "error")}
WIDEST_BAR = 40


class RunHeader(Widget):
    """Two lines of parts, left out from the right when they find no room, up to two of what techniques record, and the
    verdict, wrapped so that none is lost."""

    _update: RunUpdate | None = None
    _shown: tuple[object, ...] = ()  # what is on the screen, with its styles

    def show(self, update: RunUpdate) -> None:
        before, self._update = self._update, update
        content = self.render()
        shown = (content.plain, tuple(content.spans))
        if before is None or self._shape(before) != self._shape(update):
            self.refresh(layout=True)
        elif shown != self._shown:
            self.refresh()
        self._shown = shown

    def _shape(self, update: RunUpdate) -> tuple[object, int]:
        return update.verdict, len(_techniques(update, self.size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        if self._update is None:
            return 3
        return 2 + len(_techniques(self._update, width)) + _verdict(self._update).get_height({}, width)

    def render(self) -> Content:
        if self._update is None:
            return Content("")
        room = self.size.width
        lines = [_progress(self._update, room), _numbers(self._update, room), *_techniques(self._update, room)]
        return Content("\n").join([*lines, _verdict(self._update)])


def fit(groups: Sequence[Sequence[Part]], room: int) -> Content:
    """Groups of parts from left to right, each whole or not at all."""
    return Content.assemble(*(part for group in groups[: _fitting(groups, room)] for part in group))


def _fitting(groups: Sequence[Sequence[Part]], room: int) -> int:
    """How many of the groups, from the left, find room on one line."""
    ends = accumulate(sum(len(text) for text, _ in group) for group in groups)
    return sum(end <= room for end in ends)


def _progress(update: RunUpdate, room: int) -> Content:
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
    return fit([*left, _bar(update, min(WIDEST_BAR, room - used - 8)), *right], room)


def _bar(update: RunUpdate, width: int) -> Sequence[Part]:
    """A progress bar with its share, empty when there is no room or no end is known."""
    if width < 6 or not update.steps:
        return []
    share = min(1.0, update.step / update.steps)
    filled = round(share * width)
    return [("  ", ""), ("━" * filled, "$primary"), ("─" * (width - filled), "$envelope"), (f" {share:4.0%}", "$value")]


def _numbers(update: RunUpdate, room: int) -> Content:
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
    return fit(groups, room)


def _techniques(update: RunUpdate, room: int) -> list[Content]:
    """The newest numbers of the techniques that are on, in at most two lines; all of them stand beside the log."""
    words = [*numbers(update.history.last), *(("FIRE", each.text) for each in update.facts.fired[-1:])]
    groups: list[Sequence[Part]] = [[(f" {label} ", "$axis"), (f"{value} ", "$value")] for label, value in words]
    lines = fit(groups, room), fit(groups[_fitting(groups, room) :], room)
    return [line for line in lines if line.plain]


def _verdict(update: RunUpdate) -> Content:
    mark, colour = MARKS[update.verdict.level]
    return Content.assemble((f" {mark} {update.verdict.text}", f"${colour}"))
