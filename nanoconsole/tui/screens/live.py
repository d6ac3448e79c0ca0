"""Live: one run, watched. Is it healthy? is answered without a key press."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from nanoconsole.services.history import History
from nanoconsole.services.watched import RunUpdate
from nanoconsole.tui import keys
from nanoconsole.tui.charted import ChartedScreen
from nanoconsole.tui.charts import GRADIENT, LOSS, THROUGHPUT, mixing, more_charts, why_empty
from nanoconsole.tui.marks import marks
from nanoconsole.tui.run_actions import RunActions
from nanoconsole.tui.screens.fire import FireScreen
from nanoconsole.tui.widgets.chart import Chart
from nanoconsole.tui.widgets.chart_spec import ChartSpec
from nanoconsole.tui.widgets.facts_panel import FactsPanel
from nanoconsole.tui.widgets.log_view import LogView
from nanoconsole.tui.widgets.meters_panel import MetersPanel
from nanoconsole.tui.widgets.run_header import RunHeader
from nanoconsole.tui.widgets.sample_pane import SamplePane
from nanocore.runs.layout import RunFolder
from nanocore.runs.status import FINAL_STATES

PLACES = {"loss": LOSS, "gradient": GRADIENT, "technique": mixing("lite"), "throughput": THROUGHPUT}


class LiveScreen(ChartedScreen, RunActions):
    """Charts, numbers, log and sample of the opened run."""

    SCOPE = "live"
    ABOUT = (
        "The run you opened: four charts over its whole history, what the machine does, log and newest "
        "sample. Techniques that are on add their lines to the loss, a chart and numbers; t shows what they "
        "keep and did, m more charts in the third place. The faint area behind a line is the lowest and highest "
        "of all points; ✕ marks values that were not finite. Zoom with + and - or the wheel, inspect with i or a "
        "click: the titles then show the values recorded at the cursor."
    )
    TERMS = {
        "On the x axis": (
            ("◇", "A checkpoint was saved."),
            ("△", "A warning or alert; the cursor on it shows its words."),
            ("☆", "FIRE reinitialised matrices."),
            ("▷", "The run was resumed here."),
        ),
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
        self._update: RunUpdate | None = None
        self._keys_for = ""  # the state for which the key bar was drawn
        self._technique = ""  # key of the technique's chart that was asked for
        self.add_class("-no-run", update=False)  # before anything is there: a class set later styles all widgets anew

    def compose_body(self) -> ComposeResult:
        yield Static(_no_run(), id="no-run")
        yield RunHeader()
        with Horizontal(id="body"):
            with Container(id="charts"):
                for place, spec in PLACES.items():
                    yield Chart(spec, place, current=place == "loss")
            with Vertical(id="side"):
                yield MetersPanel()
                yield FactsPanel()
                with Container(id="texts"):
                    yield LogView()
                    yield SamplePane()

    def scopes(self) -> list[str]:
        """The log's keys in place of the charts' while those are hidden; a chart that was enlarged has its keys first."""
        if self._shows_text():
            return ["log", "live", "app"]
        charts = ["charts", "live charts"]
        return [*charts, "live", "app"] if self.enlarged() else ["live", *charts, "app"]

    def offers(self, action: str) -> bool:
        alone = self.has_class("-tiny") or (self.has_class("-narrow") and self.has_class("-low"))
        name = action.partition("(")[0]
        if name in ("aside", "pan", "newest", "whole") and self.view.span is None:
            return name == "aside" and self.view.cursor is not None
        return super().offers(action) and not (action == "zoom" and alone)  # there is but one chart anyway

    def _shows_text(self) -> bool:
        return self.query_one("#body").has_class("-text")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key changes a chart that is not on the screen, nor the log while the charts have the keys."""
        other = keys.of("charts", "live charts") if self._shows_text() else keys.of("log")
        return action not in {key.action.partition("(")[0] for key in other}

    def key_label(self, key: keys.Key) -> str:
        if key.action == "text" and self._shows_text():
            return "Charts"
        return super().key_label(key)

    def on_mount(self) -> None:
        self._arrange()
        self.console.boards_signal.subscribe(self, lambda _: self._show_header())

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
        self._show_header()
        self.query_one(MetersPanel).show(update.meters)
        self.query_one(FactsPanel).show(update.facts, update.history)
        self.query_one(LogView).feed(update.log)
        self.query_one(SamplePane).show(update.sample)
        self.show_charts()
        if first or update.state.state != self._keys_for:
            self._keys_for = update.state.state
            self.call_after_refresh(self._rule_charts)
            self.refresh_keys()

    def _show_header(self) -> None:
        if self._update is not None:
            self.query_one(RunHeader).show(self._update, self.console.boards.url(self._update.run))

    def _arrange(self) -> None:
        """The charts when there is a run, else what to do to get one."""
        self.set_class(self._update is None, "-no-run")
        if self._update is None and self.console.opened is not None:
            self.query_one("#no-run", Static).update(Content(f"Reading {self.console.opened.name} …"))

    # Its charts

    def source(self) -> History | None:
        return self._update.history if self._update is not None else None

    def carried(self, x: float, axis: str) -> float | None:
        source = self.source()
        return source.carried(x, self.view.axis, axis) if source is not None else None

    def show_charts(self) -> None:
        """Give every chart the history; only those on the screen draw it."""
        if self._update is not None:
            self.keep_up()
            happened = marks(self._update, self.console.alerts.alerts, self.view.axis)
            specs = {**PLACES, "technique": self._third(self._update)}
            for chart, spec in zip(self.charts(), specs.values(), strict=True):
                chart.show(spec, self._update.history, self.view, why_empty(spec, self._update), happened)

    def _third(self, update: RunUpdate) -> ChartSpec:
        """The chart of the third place: the one that was asked for, else the first that has something to show."""
        found = more_charts(update.history, update.facts.maps)
        return next((spec for spec in found if spec.key == self._technique), found[0])

    def action_technique(self) -> None:
        """Show the next chart in the third place."""
        if self._update is not None:
            found = [spec.key for spec in more_charts(self._update.history, self._update.facts.maps)]
            self._technique = found[(found.index(self._third(self._update).key) + 1) % len(found)]
            self.show_charts()

    def _rule_charts(self) -> None:
        """Stacked charts share the x axis of the last one."""
        seen = [chart for chart in self.charts() if chart.size.height]
        stacked = len({chart.region.x for chart in seen}) == 1
        for chart in seen:
            chart.set_ruler(not stacked or chart is seen[-1])

    def on_chart_placed(self) -> None:
        self.call_after_refresh(self._rule_charts)

    # Log and sample

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
        """Escape leaves the text first (but not for charts that have nothing to show), then what charts look at."""
        nothing = self._update is not None and _recorded_nothing(self._update)
        if not self._shows_text():
            return self.leave_layer()
        if not nothing:
            self.action_text()
        return not nothing

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
