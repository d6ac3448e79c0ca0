"""A chart: a plot drawn into strips, only when its data, size or view changed, that says where the mouse points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nanoconsole.services.curves import CurveSource, Span
from nanoconsole.services.history import History
from nanoconsole.tui.theme import ink
from nanoconsole.tui.widgets.canvas import Canvas
from nanoconsole.tui.widgets.chart_spec import ChartSpec, Mark, View
from nanoconsole.tui.widgets.glyphs import BRAILLE, chosen
from nanoconsole.tui.widgets.plot import draw
from nanoconsole.tui.widgets.plot_frame import Picture, with_room, x_at
from nanoconsole.tui.widgets.plot_growth import retitled

if TYPE_CHECKING:
    from nanoconsole.services.settings import Settings
    from nanoconsole.tui.app import ConsoleApp

# The theme's colour of each style. As component classes of a widget they would be worked out anew for every chart
# whenever anything on the screen changes its class.
COLOURS = {
    "title": "primary",
    "axis": "axis",
    "value": "value",
    "line1": "line-1",
    "line2": "line-2",
    "line3": "line-3",
    "line4": "line-4",
    "envelope": "envelope",
    "bad": "error",
    "cursor": "accent",
    "event": "value",
    "alert": "warning",
}
BOLD = frozenset({"title", "value", "bad", "cursor", "event", "alert"})
Gesture = Literal["point", "closer", "farther"]


class Chart(Widget, can_focus=True):
    """Strips are made when Textual asks for them, so a chart that is not on the screen costs nothing."""

    DEFAULT_CSS = "Chart { width: 1fr; height: 1fr; }"

    class Chosen(Message):
        """The chart was clicked or focused."""

        def __init__(self, chart: Chart) -> None:
            super().__init__()
            self.chart = chart

    class Placed(Message):
        """The chart has another size."""

    class Pointed(Message):
        """The mouse was pressed, dragged or its wheel turned over an x of the chart."""

        def __init__(self, chart: Chart, x: float, gesture: Gesture) -> None:
            super().__init__()
            self.chart, self.x, self.gesture = chart, x, gesture

    def __init__(self, spec: ChartSpec, place: str, *, current: bool = False) -> None:
        """`place` is its part of the screen, which other charts may take later; `current` as in `ChartedScreen`."""
        super().__init__(id=f"chart-{place}", classes="-current" if current else None)
        self.spec = spec
        self.view = View()
        self.empty = ""
        self.marks: tuple[Mark, ...] = ()
        self.source: CurveSource = History()
        self._ruler, self._seen = True, -1
        self._whole: Span = (0.0, 0.0)  # the range drawn when the view does not say one
        self._glyphs = BRAILLE
        self._drawn: tuple[object, ...] = ()
        self._version = -1  # of the source, when it was drawn
        self._picture: Picture | None = None
        self._look: tuple[Canvas, dict[str, Style]] | None = None  # what the strips were made from
        self._strips: list[Strip] = []
        self._styles: dict[tuple[str, bool], Style] = {}

    def on_mount(self) -> None:
        self._use(self.console.settings)
        self.console.settings_signal.subscribe(self, self._use)

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    def _use(self, settings: Settings) -> None:
        """Draw with the characters that settings and terminal allow."""
        self._glyphs, self._drawn = chosen(settings.glyphs), ()
        self.refresh()

    def show(self, spec: ChartSpec, source: CurveSource, view: View, empty: str, marks: tuple[Mark, ...] = ()) -> None:
        """Show a source of curves; nothing is drawn again unless something to be seen changed."""
        before = (self.spec, self.source, self._seen, self.view, self.empty, self.marks)
        changed = (spec, source, source.version, view, empty, marks) != before
        self.spec, self.view, self.empty, self.marks = spec, view, empty, marks
        self.source, self._seen = source, source.version
        if changed:
            self._refresh_rows()

    def _refresh_rows(self) -> None:
        """Let only the rows be painted that look different now: over a slow line every byte counts."""
        before = self._strips
        if not self.is_on_screen or len(before) != self.size.height:
            self.refresh()
            return
        self._draw()
        rows = [row for row, (old, new) in enumerate(zip(before, self._strips, strict=True)) if old is not new]
        if rows:
            self.refresh(*(Region(0, row, self.size.width, 1) for row in rows))

    def set_ruler(self, ruler: bool) -> None:
        """Whether it has an x axis of its own."""
        if ruler != self._ruler:
            self._ruler = ruler
            self.refresh()

    def on_resize(self) -> None:
        self.post_message(self.Placed())

    def notify_style_update(self) -> None:
        self._drawn, self._styles = (), {}
        super().notify_style_update()

    def on_focus(self) -> None:
        self.post_message(self.Chosen(self))

    # The mouse

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        self._point(event, "point")

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if event.button and self.app.mouse_captured is self:
            self._point(event, "point")

    def on_mouse_up(self) -> None:
        self.release_mouse()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._point(event, "closer")

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._point(event, "farther")

    def _point(self, event: events.MouseEvent, gesture: Gesture) -> None:
        event.stop()
        span = self.view.span or self._whole
        self.post_message(self.Pointed(self, x_at(event.x, self.size.width, span), gesture))

    # Drawing

    def render_line(self, y: int) -> Strip:
        self._draw()
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def _draw(self) -> None:
        """Bring the strips up to date. Where new points show what is drawn already, only the title changes."""
        data = (self.spec, self.source, self.source.epoch, self.marks)
        wanted, version = (*data, self.size, self.view, self.empty, self._ruler, self.has_focus), self.source.version
        if (wanted, version) == (self._drawn, self._version):
            return
        canvas = None
        if wanted == self._drawn and self._picture is not None:
            canvas = retitled(self._picture, self.spec, self.source, self.view, self.marks, self._glyphs)
        if canvas is None:
            self._whole = with_room(self._whole, self.source.span(self.view.axis), self.size.width)
            self._picture = draw(
                *self.size, self.spec, self.source, self.view, self._whole,
                empty=self.empty, ruler=self._ruler, marks=self.marks, glyphs=self._glyphs,
            )  # fmt: skip
            canvas = self._picture.canvas
        self._strips = self._made(canvas)
        self._drawn, self._version = wanted, version

    def _made(self, canvas: Canvas) -> list[Strip]:
        """The rows of a canvas as strips. A row that looks as it did keeps its strip, so that it is not painted again."""
        styles = {name: self._style(name) for name in canvas.names}
        before, self._look = self._look, (canvas, styles)
        if before is None or before[1] != styles:
            changed = [True] * canvas.height
        else:
            changed = canvas.changed(before[0]).tolist()
        return [
            Strip([Segment(text, styles[name]) for text, name in canvas.row(y)], canvas.width)
            if new
            else self._strips[y]
            for y, new in enumerate(changed)
        ]

    def _style(self, name: str) -> Style:
        """The style of a name now; working it out takes as long as drawing a line."""
        key = (name, self.has_focus)
        if key not in self._styles:
            self._styles[key] = self._worked_out(name)
        return self._styles[key]

    def _worked_out(self, name: str) -> Style:
        if not name:
            return self.rich_style
        style = self.rich_style + ink(self.app.theme_variables[COLOURS[name]])
        focused_title = name == "title" and self.has_focus
        return style + Style(bold=name in BOLD or None, reverse=focused_title or None)
