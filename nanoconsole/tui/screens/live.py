"""Live: one run, watched. Is it healthy? is answered without a key press."""

from __future__ import annotations

from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from nanoconsole.services.watched import RunUpdate, Sample
from nanoconsole.tui import keys
from nanoconsole.tui.charts import GRADIENT, LOSS, THROUGHPUT, mixing, technique_charts, why_empty
from nanoconsole.tui.run_actions import RunActions
from nanoconsole.tui.screens.fire import FireScreen
from nanoconsole.tui.widgets.chart import Chart
from nanoconsole.tui.widgets.chart_spec import ChartSpec, View
from nanoconsole.tui.widgets.facts_panel import FactsPanel
from nanoconsole.tui.widgets.log_view import LogView
from nanoconsole.tui.widgets.meters_panel import MetersPanel
from nanoconsole.tui.widgets.plot import SMOOTHING
from nanoconsole.tui.widgets.run_header import RunHeader
from nanocore.runs.layout import RunFolder
from nanocore.runs.status import FINAL_STATES

AXES = ("step", "tokens", "time")
PLACES = {"loss": LOSS, "gradient": GRADIENT, "technique": mixing("lite"), "throughput": THROUGHPUT}


class LiveScreen(RunActions):
    """Charts, numbers, log and sample of the opened run."""

    SCOPE = "live"
    ABOUT = (
        "The run you opened: four charts over its whole history, what the machine does, log and newest "
        "sample. Techniques that are on add their lines to the loss, a chart and numbers; t shows what they "
        "keep and did. The faint area behind a line is the lowest and highest of all points; ✕ marks values "
        "that were not finite."
    )
    TERMS = {
        "In the mHC chart": (
            ("gain", "Of the product of all residual maps: 1 by design, unless they are free (HC)."),
            ("back", "The same backwards: near 1 for Sinkhorn maps, shown where it is not exact."),
            ("cos", "Mean cosine between streams; 1 would mean copies."),
            ("fwd", "Norm of the streams after all layers over that before."),
            ("bwd", "The same ratio of the gradient, back through all layers."),
        ),
        "In the charts of other techniques (m)": (
            ("kept", "Share of tokens trained on; the lines are quantiles of their importance."),
            ("cosine", "Between the gradient of the kept tokens and that of all."),
            ("turns", "Times a token is expected to pass the loop."),
            ("viol.", "Largest load of an expert over the mean, less 1."),
        ),
    }
    CSS_PATH = "live.tcss"
    BINDINGS = [binding for scope in ("live", *keys.PARTS["live"]) for binding in keys.bindings(scope)]

    def __init__(self) -> None:
        super().__init__()
        self._view = View()
        self._update: RunUpdate | None = None
        self._sample: Sample | None = None
        self._technique = ""  # key of the technique's chart that was asked for

    def compose_body(self) -> ComposeResult:
        yield Static(_no_run(), id="no-run")
        yield RunHeader()
        with Horizontal(id="body"):
            with Container(id="charts"):
                for place, spec in PLACES.items():
                    yield Chart(spec, place)
            with Vertical(id="side"):
                yield MetersPanel()
                yield FactsPanel()
                with Container(id="texts"):
                    yield LogView()
                    with VerticalScroll(id="sample"):
                        yield Static()

    def scopes(self) -> list[str]:
        """The log's keys in place of the charts' while those are hidden; a chart that was enlarged has its keys first."""
        if self._shows_text():
            return ["log", "live", "app"]
        return ["charts", "live", "app"] if self._zoomed() else ["live", "charts", "app"]

    def offers(self, action: str) -> bool:
        alone = self.has_class("-tiny") or (self.has_class("-narrow") and self.has_class("-low"))
        if action == "technique":
            return self._update is not None and len(technique_charts(self._update.history, "")) > 1
        return super().offers(action) and not (action == "zoom" and alone)  # there is but one chart anyway

    def _shows_text(self) -> bool:
        return self.query_one("#body").has_class("-text")

    def _zoomed(self) -> bool:
        return self.query_one("#body").has_class("-zoomed")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key changes a chart that is not on the screen, nor the log while the charts have the keys."""
        other = keys.of("charts" if self._shows_text() else "log")
        return action not in {key.action.partition("(")[0] for key in other}

    def key_label(self, key: keys.Key) -> str:
        if key.action == "zoom" and self._zoomed():
            return "All charts"
        if key.action == "text" and self._shows_text():
            return "Charts"
        return super().key_label(key)

    def on_mount(self) -> None:
        self._charts()[0].add_class("-current")
        self._arrange()

    def on_screen_resume(self) -> None:
        if self._update is None or self._update.run != self.console.opened:
            self._update = None
            self._arrange()
        self.console.follower.look()

    def show_update(self, update: RunUpdate) -> None:
        """Show a look at the run."""
        first = self._update is None or self._update.run != update.run
        self._update = update
        if first:
            self._arrange()
            self.query_one("#body").set_class(_recorded_nothing(update), "-text")  # its log says why
        self.query_one(RunHeader).show(update)
        self.query_one(MetersPanel).show(update.meters)
        self.query_one(FactsPanel).show(update.facts, update.history)
        self.query_one(LogView).feed(update.log)
        self._show_sample(update.sample, first)
        self._show_charts()
        self.call_after_refresh(self._rule_charts)
        self.refresh_keys()

    def _arrange(self) -> None:
        """The charts when there is a run, else what to do to get one."""
        self.set_class(self._update is None, "-no-run")
        if self._update is None and self.console.opened is not None:
            self.query_one("#no-run", Static).update(Content(f"Reading {self.console.opened.name} …"))

    def _show_sample(self, sample: Sample | None, first: bool) -> None:
        if sample != self._sample or first:
            self._sample = sample
            pane = self.query_one("#sample")
            pane.border_title = Content(f"newest sample, step {sample.step:,}" if sample else "newest sample")
            pane.set_class(sample is None, "-empty")
            pane.query_one(Static).update(Content(sample.text) if sample else Content.styled("no sample yet", "$axis"))

    def _charts(self) -> list[Chart]:
        return list(self.query(Chart))

    def _show_charts(self) -> None:
        """Give every chart the history; only those on the screen draw it."""
        if self._update is not None:
            specs = {**PLACES, "technique": self._technique_chart(self._update)}
            for chart, spec in zip(self._charts(), specs.values(), strict=True):
                chart.show(spec, self._update.history, self._view, why_empty(spec, self._update))

    def _technique_chart(self, update: RunUpdate) -> ChartSpec:
        """The one that was asked for, else the first that has something to show."""
        found = technique_charts(update.history, update.facts.maps)
        return next((spec for spec in found if spec.key == self._technique), found[0])

    def action_technique(self) -> None:
        """Show the next technique's chart in its place."""
        if self._update is not None:
            found = [spec.key for spec in technique_charts(self._update.history, self._update.facts.maps)]
            now = found.index(self._technique_chart(self._update).key)
            self._technique = found[(now + 1) % len(found)]
            self._show_charts()

    def _rule_charts(self) -> None:
        """Stacked charts share the x axis of the last one."""
        seen = [chart for chart in self._charts() if chart.size.height]
        stacked = len({chart.region.x for chart in seen}) == 1
        for chart in seen:
            chart.set_ruler(not stacked or chart is seen[-1])

    def on_chart_placed(self) -> None:
        self.call_after_refresh(self._rule_charts)

    # What is looked at, and how

    def action_axis(self) -> None:
        self._look(replace(self._view, axis=AXES[(AXES.index(self._view.axis) + 1) % len(AXES)]))

    def action_log_scale(self) -> None:
        self._look(replace(self._view, log=not self._view.log))

    def action_smoothing(self) -> None:
        decay = SMOOTHING[(SMOOTHING.index(self._view.smoothing) + 1) % len(SMOOTHING)]
        self._look(replace(self._view, smoothing=decay))
        self.console.say(f"smoothing: EMA {decay}" if decay else "smoothing: off, every point is drawn")

    def _look(self, view: View) -> None:
        self._view = view
        self._show_charts()

    def action_chart(self, by: int) -> None:
        """Make the next chart the current one."""
        charts = self._charts()
        place = next(index for index, chart in enumerate(charts) if chart.has_class("-current"))
        self._choose(charts[(place + by) % len(charts)])

    def on_chart_chosen(self, event: Chart.Chosen) -> None:
        self._choose(event.chart)

    def _choose(self, chosen: Chart) -> None:
        for chart in self._charts():
            chart.set_class(chart is chosen, "-current")
        chosen.focus()

    def action_zoom(self) -> None:
        self.query_one("#body").toggle_class("-zoomed")
        self.refresh_keys()

    def action_text(self) -> None:
        """Log and sample instead of the charts, the log under the arrow keys; and back."""
        self.query_one("#body").toggle_class("-text")
        self._focus_shown()

    def _focus_shown(self) -> None:
        """Give the keys to the log or to the current chart, whichever is on the screen."""
        self.query_one("LogView" if self._shows_text() else "Chart.-current").focus()
        self.refresh_keys()

    def action_follow(self) -> None:
        following = self.query_one(LogView).toggle_follow()
        self.console.say("the log follows its end" if following else "the log stays where it is")

    def step_out(self) -> bool:
        """Escape leaves zoom and text first, but not for charts that have nothing to show."""
        body = self.query_one("#body")
        nothing = self._update is not None and _recorded_nothing(self._update)
        inner = [name for name in ("-text", "-zoomed") if body.has_class(name) and not nothing]
        if inner:
            body.remove_class(inner[0])
            self._focus_shown()
        return bool(inner)

    def action_fire(self) -> None:
        """Ask, then let the trainer reinitialise the chosen matrices."""
        if self._update is not None and self.possible("fire"):
            question = FireScreen(self._update.run.name, self._update.facts.matrices)
            self.app.push_screen(question, self._fire)

    def _fire(self, sure: bool | None) -> None:
        if sure:
            self.send("fire", "reinitialises its matrices after this step")

    # Which run the actions mean

    def chosen(self) -> RunFolder | None:
        return self.console.opened

    def chosen_state(self) -> str:
        return self._update.state.state if self._update else ""


def _no_run() -> Content:
    return Content.assemble(
        ("No run is opened\n\n", "bold"),
        ("1", "bold $accent"),
        " shows the runs, ",
        ("enter", "bold $accent"),
        " opens one; ",
        ("2", "bold $accent"),
        " launches a new one.",
    )


def _recorded_nothing(update: RunUpdate) -> bool:
    """Whether it ended before it had anything to draw."""
    return update.state.state in FINAL_STATES and not (update.reading or update.history.names())
