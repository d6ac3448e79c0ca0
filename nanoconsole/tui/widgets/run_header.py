"""The head of Live: state, progress, the numbers that matter, and the verdict in words."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from nanoconsole.services.format import arrow, count, duration, number, size
from nanoconsole.services.trend import WINDOW, trend
from nanoconsole.services.watched import RunUpdate
from nanoconsole.tui.theme import look
from nanocore.runs.text import sanitize_line

Part = tuple[str, str]
MARKS = {"good": ("✓", "success"), "info": ("·", "axis"), "warning": ("!", "warning"), "bad": ("✗", "error")}
WIDEST_BAR = 40


class RunHeader(Widget):
    """Two lines of parts, left out from the right when they find no room, and the verdict, wrapped so that none is lost."""

    _update: RunUpdate | None = None

    def show(self, update: RunUpdate) -> None:
        before, self._update = self._update, update
        self.refresh(layout=before is None or before.verdict != update.verdict)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 2 + (_verdict(self._update).get_height({}, width) if self._update else 1)

    def render(self) -> Content:
        if self._update is None:
            return Content("")
        room = self.size.width
        return Content("\n").join([_progress(self._update, room), _numbers(self._update, room), _verdict(self._update)])


def fit(groups: Sequence[Sequence[Part]], room: int) -> Content:
    """Groups of parts from left to right, each whole or not at all."""
    chosen: list[Part] = []
    for group in groups:
        if sum(len(text) for text, _ in (*chosen, *group)) > room:
            break
        chosen += group
    return Content.assemble(*chosen)


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


def _verdict(update: RunUpdate) -> Content:
    mark, colour = MARKS[update.verdict.level]
    return Content.assemble((f" {mark} {update.verdict.text}", f"${colour}"))
