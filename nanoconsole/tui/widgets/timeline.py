"""Where samples lie along a run: a line with a mark for each, the shown one marked apart."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

MARK, SHOWN, LINE = "●", "◆", "─"


class Timeline(Widget):
    """A click goes to the nearest mark."""

    class Chosen(Message):
        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self) -> None:
        super().__init__()
        self._steps: list[int] = []
        self._shown = 0

    def show(self, steps: list[int], shown: int) -> None:
        if (steps, shown) != (self._steps, self._shown):
            self._steps, self._shown = steps, shown
            self.refresh()

    def render(self) -> RenderResult:
        if not self._steps:
            return Content("")
        line = [LINE] * self.size.width
        for step in self._steps:
            line[self._place(step)] = MARK
        place = self._place(self._shown)
        line[place] = SHOWN
        text = "".join(line)
        return Content.assemble((text[:place], "$axis"), (SHOWN, "bold $accent"), (text[place + 1 :], "$axis"))

    def _place(self, step: int) -> int:
        """The column of a step; the first and the last sample lie at the ends."""
        first, last = self._steps[0], self._steps[-1]
        return round((step - first) / max(1, last - first) * max(0, self.size.width - 1))

    def on_click(self, event: Click) -> None:
        if self._steps:
            self.post_message(self.Chosen(min(self._steps, key=lambda step: abs(self._place(step) - event.x))))
