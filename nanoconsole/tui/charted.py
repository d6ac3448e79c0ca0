"""What screens with charts share: one view for all of them, the keys and the mouse that change it."""

from __future__ import annotations

from dataclasses import replace

from nanoconsole.services.curves import AXES, CurveSource
from nanoconsole.tui import lens
from nanoconsole.tui.keys import Key
from nanoconsole.tui.screens.base import ConsoleScreen
from nanoconsole.tui.widgets.chart import Chart
from nanoconsole.tui.widgets.chart_spec import View
from nanoconsole.tui.widgets.plot import SMOOTHING
from nanoconsole.tui.widgets.plot_frame import GUTTER

NOTHING_TO_MOVE = "zoom in (+) to move the range, or inspect (i) to move a cursor"


class ChartedScreen(ConsoleScreen):
    """A screen whose charts are looked at together. Its body has the id `body`; the chart with the class `-current` is
    the one that z enlarges and that the cursor follows."""

    def __init__(self) -> None:
        super().__init__()
        self.view = View()
        self._charts: list[Chart] = []
        self._follows = True  # the newest is in sight, and shall stay so

    def source(self) -> CurveSource | None:
        """What the charts show, None while there is nothing."""
        raise NotImplementedError

    def show_charts(self) -> None:
        """Give every chart its data and the view."""
        raise NotImplementedError

    def carried(self, x: float, axis: str) -> float | None:
        """Where an x of the present axis lies on another one; None when that cannot be told."""
        return None

    def charts(self) -> list[Chart]:
        """The charts, which stay the same ones."""
        self._charts = self._charts or list(self.query(Chart))
        return self._charts

    def current(self) -> Chart:
        return self.query_one("Chart.-current", Chart)

    def enlarged(self) -> bool:
        return self.query_one("#body").has_class("-zoomed")

    def key_label(self, key: Key) -> str:
        return "All charts" if key.action == "zoom" and self.enlarged() else super().key_label(key)

    def look(self, view: View) -> None:
        """Look at all charts like this."""
        source, before = self.source(), (self.view.span is None, self.view.cursor is None)
        self.view = view
        self._follows = source is None or lens.at_end(view, source.span(view.axis))
        self.show_charts()
        if (view.span is None, view.cursor is None) != before:
            self.refresh_keys()

    def keep_up(self) -> None:
        """The source grew: a range at its end goes on with it."""
        source = self.source()
        if source is not None and self._follows:
            self.view = lens.newest(self.view, source.span(self.view.axis))

    def leave_layer(self) -> bool:
        """Escape: leave the cursor, then the range, then the enlarged chart; False when none of them is there."""
        if self.view.cursor is not None:
            self.look(replace(self.view, cursor=None))
        elif self.view.span is not None:
            self.look(replace(self.view, span=None))
        elif self.enlarged():
            self.action_zoom()
        else:
            return False
        return True

    # Which chart

    def action_chart(self, by: int) -> None:
        """Make the next chart the current one."""
        charts = self.charts()
        self.choose(charts[(charts.index(self.current()) + by) % len(charts)])

    def on_chart_chosen(self, event: Chart.Chosen) -> None:
        self.choose(event.chart)

    def choose(self, chosen: Chart) -> None:
        for chart in self.charts():
            chart.set_class(chart is chosen, "-current")
        chosen.focus()

    def action_zoom(self) -> None:
        self.query_one("#body").toggle_class("-zoomed")
        self.refresh_keys()

    # How it is drawn

    def action_axis(self) -> None:
        """The next axis; range and cursor are carried over where that can be done."""
        axis = AXES[(AXES.index(self.view.axis) + 1) % len(AXES)]
        ends = [self.carried(x, axis) for x in self.view.span or ()]
        span = (ends[0], ends[1]) if len(ends) == 2 and ends[0] is not None and ends[1] is not None else None
        cursor = self.carried(self.view.cursor, axis) if self.view.cursor is not None else None
        self.look(replace(self.view, axis=axis, span=span if span and span[0] < span[1] else None, cursor=cursor))

    def action_log_scale(self) -> None:
        self.look(replace(self.view, log=not self.view.log))

    def action_smoothing(self) -> None:
        decay = SMOOTHING[(SMOOTHING.index(self.view.smoothing) + 1) % len(SMOOTHING)]
        self.look(replace(self.view, smoothing=decay))
        self.console.say(f"smoothing: EMA {decay}" if decay else "smoothing: off, every point is drawn")

    def action_outliers(self) -> None:
        """Leave outliers out of the range, or not; each chart says how many it leaves out."""
        self.look(replace(self.view, robust=not self.view.robust))
        self.console.say("outliers may lie outside the range" if self.view.robust else "every point is in the range")

    # Which part of the axis

    def action_closer(self) -> None:
        self._zoom(lens.CLOSER, None)

    def action_farther(self) -> None:
        self._zoom(1 / lens.CLOSER, None)

    def action_whole(self) -> None:
        self.look(replace(self.view, span=None))

    def action_newest(self) -> None:
        """Show the newest, and go on with it."""
        source = self.source()
        if source is not None:
            self.look(replace(lens.newest(self.view, source.span(self.view.axis)), cursor=None))

    def action_pan(self, by: int) -> None:
        source = self.source()
        if source is not None and self.view.span is not None:
            self.look(lens.panned(self.view, source.span(self.view.axis), by * lens.PAN))
        elif source is not None:
            self.console.say("zoom in (+) to move the range")

    def _zoom(self, factor: float, around: float | None) -> None:
        """Around the cursor when there is one in sight, else around the newest when it is, else the middle."""
        source = self.source()
        if source is None:
            return
        start, stop = whole = source.span(self.view.axis)
        shown = self.view.span or whole
        if around is None:
            middle = stop if lens.at_end(self.view, whole) else (shown[0] + shown[1]) / 2
            cursor = self.view.cursor
            around = cursor if cursor is not None and shown[0] <= cursor <= shown[1] else middle
        self.look(lens.zoomed(self.view, whole, factor, around, lens.least((start, stop), self._points(source))))

    def _points(self, source: CurveSource) -> int:
        """Points of the metric with most of them on the current chart."""
        curves = (source.curve(name, self.view.axis, 0.0, 1) for name in self._metrics())
        return max((curve.points for curve in curves if curve is not None), default=1)

    # The cursor

    def action_inspect(self) -> None:
        """Put a cursor on the newest point, or take it away."""
        source = self.source()
        if source is None or self.view.cursor is not None:
            self.look(replace(self.view, cursor=None))
            return
        shown = self.view.span or source.span(self.view.axis)
        self._inspect(shown[1])

    def action_aside(self, by: int) -> None:
        """Move the cursor to the next recorded point that way, else the range."""
        source = self.source()
        if source is None:
            return
        if self.view.cursor is not None:
            columns = 2 * max(1, self.current().size.width - GUTTER)
            found = lens.neighbour(source, self._metrics(), self.view, columns, by)
            if found is not None:
                self.look(lens.with_cursor(self.view, source.span(self.view.axis), found))
        elif self.view.span is not None:
            self.action_pan(by)
        else:
            self.console.say(NOTHING_TO_MOVE)

    def action_end(self, by: int) -> None:
        """The cursor, else the range, to the beginning or to the end."""
        source = self.source()
        if source is None:
            return
        whole = source.span(self.view.axis)
        if self.view.cursor is not None:
            self._inspect(whole[by > 0])
        else:
            self.look(lens.panned(self.view, whole, by * float("inf")))

    def show_step(self, step: int) -> None:
        """The cursor on a step."""
        if self.view.axis != "step":
            self.look(replace(self.view, axis="step", span=None))
        self._inspect(float(step))

    def _inspect(self, x: float) -> None:
        """The cursor on the recorded point nearest to x."""
        source = self.source()
        found = lens.nearest(source, self._metrics(), self.view.axis, x) if source is not None else None
        if source is not None and found is not None:
            self.look(lens.with_cursor(self.view, source.span(self.view.axis), found))

    def _metrics(self) -> list[str]:
        """The metrics of the current chart, then those of the others, so that a cursor finds its place."""
        specs = [self.current().spec, *(chart.spec for chart in self.charts())]
        return list(dict.fromkeys(line.metric for spec in specs for line in spec.lines))

    def on_chart_pointed(self, event: Chart.Pointed) -> None:
        """A click or drag puts the cursor there, the wheel zooms around the mouse."""
        if event.gesture == "point":
            self.choose(event.chart)
            self._inspect(event.x)
        else:
            self._zoom(lens.CLOSER if event.gesture == "closer" else 1 / lens.CLOSER, event.x)
