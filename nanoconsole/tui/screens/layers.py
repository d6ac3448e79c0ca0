"""Layers: what is measured of each layer, over the whole run. Which layer is ill, and since when?"""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import RenderResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from nanoconsole.services.format import number
from nanoconsole.services.history import History
from nanoconsole.services.layer_metrics import LAYER_METRICS, LayerMetric, brief
from nanoconsole.services.layers import LayersReader
from nanoconsole.tui import keys
from nanoconsole.tui.keys import Key
from nanoconsole.tui.screens.of_run import RunScreen
from nanoconsole.tui.widgets.chart import Chart
from nanoconsole.tui.widgets.chart_spec import ChartSpec, Line, View
from nanoconsole.tui.widgets.heat import healthy_words
from nanoconsole.tui.widgets.heat_strips import HeatStrips, Pointed
from nanocore.analysis.stream_health import verdict
from nanocore.runs.layout import RunFolder

MARKS = {"healthy": ("✓", "$success"), "warning": ("▲", "$warning"), "sick": ("✗", "bold $error")}


class LayersScreen(RunScreen):
    """Heat strips of one metric after the other, and the history of a row."""

    SCOPE = "layers"
    ABOUT = (
        "What was measured of every layer of the opened run, at the cadence of mhc.every and logging.layers_every. A "
        "row is a layer, time runs to the right; a denser, brighter cell is a greater value, over the range beside the "
        "strips. ▲ is above the healthy range, ▼ below it, ✕ not finite. Where many measurements share a cell its "
        "shade is their mean, and one that is out of range marks it."
    )
    TERMS = {
        "The metrics": tuple((metric.label.split()[0], f"{metric.label}: {metric.help}") for metric in LAYER_METRICS)
    }
    CSS_PATH = ["of_run.tcss", "layers.tcss"]
    BINDINGS = [*keys.bindings("layers")]

    def __init__(self) -> None:
        super().__init__()
        self._reader: LayersReader | None = None
        self._metric: LayerMetric | None = None
        self._charted: tuple[object, ...] = ()
        self._source = History()

    def compose_run(self) -> Iterable[Widget]:
        yield Static(id="layers-head")
        with Horizontal(id="layers-body"):
            yield MetricList()
            with Vertical():
                yield Static(id="layers-empty")
                yield HeatStrips()
                yield Chart(_chart(LAYER_METRICS[0], ""), "layer")
        yield Static(id="layers-detail")

    def begin(self, run: RunFolder) -> None:
        self._reader = LayersReader(run)
        self._charted = ()

    def read(self) -> bool:
        return self._reader is not None and self._reader.read()

    def show(self) -> None:
        if self._reader is None:
            return
        history = self._reader.history
        metrics = history.metrics()
        if self._metric not in metrics:
            self._metric = metrics[0] if metrics else None
        self.query_one("#layers-body").set_class(self._metric is None, "-empty")
        self.query_one("#layers-empty", Static).update(self._nothing(self._reader))
        self.query_one(MetricList).show(self._reader, metrics, self._metric)
        self.query_one(HeatStrips).show(history, self._metric)
        self._tell()

    def on_heat_strips_moved(self) -> None:
        self._tell()

    def _tell(self) -> None:
        """The line above and that below, and the chart when it is open."""
        if self._reader is not None:
            head, detail = self.query_one("#layers-head", Static), self.query_one("#layers-detail", Static)
            head.update(self._head(self._reader))
            pointed = self.query_one(HeatStrips).pointed
            detail.update(_detail(self._metric, pointed) if self._metric and pointed else Content(""))
            self._show_chart()
            self.refresh_keys()

    def _head(self, reader: LayersReader) -> Content:
        name = self.run.name if self.run else ""
        if self._metric is None:
            return Content.styled(name, "bold")
        metrics = reader.history.metrics()
        worst = reader.history.worst(self._metric)
        place = f"  {metrics.index(self._metric) + 1} of {len(metrics)}"
        parts = [(self._metric.label, "bold $accent"), (place, "$axis")]
        if worst is not None:
            mark, style = MARKS[worst.verdict.level]
            parts.append((f"  {mark} {brief(worst.row)}: {worst.verdict.reason}", style))
        elif self._metric.healthy is not None:
            parts.append((f"  ✓ newest values healthy: {healthy_words(self._metric)}", "$success"))
        return Content.assemble(*parts, f"\n{name}  ", (self._metric.help, "$axis"))

    def _nothing(self, reader: LayersReader) -> Content:
        """The page of a run without measurements."""
        if self._reading:
            return Content.styled("Reading …", "$axis")
        damaged = f"\n{reader.skipped} lines of layers.jsonl are damaged" if reader.skipped else ""
        return Content.assemble(
            ("Nothing was measured yet\n\n", "bold"),
            "The first measurement is made at step 1, then one every\n",
            "logging.layers_every steps; of residual streams every mhc.every.",
            (damaged, "$warning"),
        )

    # What is looked at

    def offers(self, action: str) -> bool:
        return super().offers(action) and (self._metric is not None or action.partition("(")[0] not in OF_STRIPS)

    def key_label(self, key: Key) -> str:
        return "Strips" if key.action == "history" and self._open_chart() else super().key_label(key)

    def action_metric(self, by: int) -> None:
        if self._reader is not None and self._metric is not None:
            metrics = self._reader.history.metrics()
            self._metric = metrics[(metrics.index(self._metric) + by) % len(metrics)]
            self.show()

    def on_metric_list_chosen(self, message: MetricList.Chosen) -> None:
        self._metric = message.metric
        self.show()

    def action_row(self, by: int) -> None:
        self.query_one(HeatStrips).move(by)

    def action_column(self, by: int) -> None:
        self.query_one(HeatStrips).move(0, by)

    def action_outside(self, by: int) -> None:
        if self._metric is not None and not self.query_one(HeatStrips).to_outside(by):
            known = self._metric.healthy is not None
            self.console.say("every cell is healthy" if known else "every cell is finite; nothing says what is healthy")

    def action_history(self) -> None:
        if self._metric is not None:
            self.query_one("#layers-body").toggle_class("-chart")
            self._tell()

    def step_out(self) -> bool:
        if self._open_chart():
            self.action_history()
            return True
        return False

    def _open_chart(self) -> bool:
        return self.query_one("#layers-body").has_class("-chart")

    def _show_chart(self) -> None:
        """The history of the row under the cursor, taken anew when there is more of it."""
        row, metric, reader = self.query_one(HeatStrips).row, self._metric, self._reader
        if not self._open_chart() or metric is None or reader is None:
            return
        wanted = (reader, metric, row, reader.history.version)
        if wanted != self._charted:
            self._charted = wanted
            self._source = History()
            series = reader.history.series(metric, row)
            self._source.add([{"step": step, "attempt": 1, metric.name: value} for step, value in series])
        view = View(smoothing=0.0, log=metric.log)
        self.query_one(Chart).show(_chart(metric, row), self._source, view, "no value yet")


OF_STRIPS = ("history", "metric", "outside", "row", "column")


class MetricList(Widget):
    """The metrics that were measured, each with the verdict on its newest values; a click chooses one."""

    class Chosen(Message):
        def __init__(self, metric: LayerMetric) -> None:
            super().__init__()
            self.metric = metric

    def __init__(self) -> None:
        super().__init__()
        self._metrics: list[LayerMetric] = []
        self._lines: list[Content] = []

    def show(self, reader: LayersReader, metrics: list[LayerMetric], chosen: LayerMetric | None) -> None:
        lines = [_listed(reader, metric, metric == chosen) for metric in metrics]
        if lines != self._lines:
            self._metrics, self._lines = metrics, lines
            self.refresh()

    def render(self) -> RenderResult:
        return Content("\n").join(self._lines)

    def on_click(self, event: Click) -> None:
        place = event.get_content_offset(self)
        if place is not None and place.y < len(self._metrics):
            self.post_message(self.Chosen(self._metrics[place.y]))


def _listed(reader: LayersReader, metric: LayerMetric, chosen: bool) -> Content:
    worst = reader.history.worst(metric)
    level = worst.verdict.level if worst else "healthy"
    mark, style = MARKS[level] if metric.rule else (" ", "$axis")
    name = (
        (f" {metric.label} ", "bold $block-cursor-foreground on $block-cursor-background")
        if chosen
        else (f" {metric.label}", "$foreground")
    )
    return Content.assemble((mark, style), name)


def _detail(metric: LayerMetric, pointed: Pointed) -> Content:
    """The cell under the cursor in numbers and words."""
    cells, column = pointed.cells, pointed.column
    count = int(cells.count[column])
    span = f"step {pointed.last:,}" if count < 2 else f"steps {pointed.first:,} to {pointed.last:,}"
    parts = [(brief(pointed.row), "bold"), (f"  {span}  ", "$axis")]
    if not count:
        return Content.assemble(*parts, ("not measured", "$axis"))
    value = float(cells.newest[column])
    parts.append((number(value), "bold"))
    if count > 1:
        lowest, highest = number(float(cells.low[column])), number(float(cells.high[column]))
        parts.append((f"  newest of {count}, {lowest} to {highest}", "$axis"))
    if metric.rule is not None and pointed.last >= metric.rule.from_step:
        found = verdict(metric.rule, value)
        mark, style = MARKS[found.level]
        parts.append((f"  {mark} {found.level}" + (f": {found.reason}" if found.reason else ""), style))
    return Content.assemble(*parts)


def _chart(metric: LayerMetric, row: str) -> ChartSpec:
    line = Line(metric.name, metric.label, metric.label, "line1", "●")
    return ChartSpec(f"layer {metric.name}", f"{metric.label} of {brief(row)}", "", (line,))
