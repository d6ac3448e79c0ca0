"""The page that stands in for a screen in a terminal too small for it."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

SMALLEST = (40, 12)


class TooSmall(Widget):
    """Says what there is and what is needed. Style sheets show it below 40 x 12."""

    def render(self) -> Content:
        have = f"{self.app.size.width} x {self.app.size.height}"
        need = f"{SMALLEST[0]} x {SMALLEST[1]}"
        return Content(f"This terminal is too small:\n{have}, needed {need}.\nTraining is not affected. q leaves.")
