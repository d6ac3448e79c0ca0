"""A chart of one run: a braille plot drawn into strips, only when its data, size or view changed."""

from __future__ import annotations

from rich.style import Style
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nanoconsole.services.history import History
from nanoconsole.tui.widgets.chart_spec import ChartSpec, View
from nanoconsole.tui.widgets.plot import draw

STYLES = ("title", "axis", "value", "line1", "line2", "line3", "line4", "envelope", "bad")


class Chart(Widget, can_focus=True):
    """Strips are made when Textual asks for them, so a chart that is not on the screen costs nothing."""

    COMPONENT_CLASSES = {f"chart--{name}" for name in STYLES}

    class Chosen(Message):
        """The chart was clicked or focused."""

        def __init__(self, chart: Chart) -> None:
            super().__init__()
            self.chart = chart

    class Placed(Message):
        """The chart has another size."""

    def __init__(self, spec: ChartSpec, place: str) -> None:
        """`place` is its part of the screen, which other charts may take later."""
        super().__init__(id=f"chart-{place}")
        self.spec = spec
        self.view = View()
        self.empty = ""
        self._ruler = True
        self._history, self._seen = History(), -1
        self._drawn: tuple[object, ...] = ()
        self._strips: list[Strip] = []

    def show(self, spec: ChartSpec, history: History, view: View, empty: str) -> None:
        """Show a history; nothing is drawn again unless something to be seen changed."""
        before = (self.spec, self._history, self._seen, self.view, self.empty)
        changed = (spec, history, history.version, view, empty) != before
        self.spec = spec
        self._history, self._seen, self.view, self.empty = history, history.version, view, empty
        if changed:
            self.refresh()

    def set_ruler(self, ruler: bool) -> None:
        """Whether it has an x axis of its own."""
        if ruler != self._ruler:
            self._ruler = ruler
            self.refresh()

    def on_resize(self) -> None:
        self.post_message(self.Placed())

    def notify_style_update(self) -> None:
        self._drawn = ()
        super().notify_style_update()

    def on_focus(self) -> None:
        self.post_message(self.Chosen(self))

    def render_line(self, y: int) -> Strip:
        self._draw()
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)

    def _draw(self) -> None:
        data = (self.spec, self._history, self._history.version)
        wanted = (*data, self.size, self.view, self.empty, self._ruler, self.has_focus)
        if wanted != self._drawn:
            size, history = self.size, self._history
            canvas = draw(size.width, size.height, self.spec, history, self.view, empty=self.empty, ruler=self._ruler)
            self._strips = canvas.strips(self._style)
            self._drawn = wanted

    def _style(self, name: str) -> Style:
        if not name:
            return self.rich_style
        style = self.get_component_rich_style(f"chart--{name}")
        return style + Style(reverse=True) if name == "title" and self.has_focus else style
