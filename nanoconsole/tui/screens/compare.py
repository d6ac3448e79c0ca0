"""Compare: chosen runs under each other, on the same axis, against a baseline; and what differs in their configurations."""

from __future__ import annotations

from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from nanoconsole.services.comparison import rows
from nanoconsole.services.configs import Flat, read_flat
from nanoconsole.services.curves import CurveSource
from nanoconsole.services.overlay import COLOURS, MARKERS, MOST, Overlay, places
from nanoconsole.tui import keys
from nanoconsole.tui.charted import ChartedScreen
from nanoconsole.tui.compare_words import differences, how, spec_of, where
from nanoconsole.tui.widgets.chart import Chart
from nanoconsole.tui.widgets.chart_spec import ChartSpec
from nanoconsole.tui.widgets.compared_rows import ComparedRows, Shown
from nanocore.runs.layout import RunFolder


class CompareScreen(ChartedScreen):
    """The runs that were selected in Runs, and the baseline."""

    SCOPE = "compare"
    ABOUT = (
        "The runs you selected in Runs (space, then C), each with a marker of its own, over the same axis. The rows show "
        "their values at the cursor, or at the last place that all of them reached, and the difference to the baseline "
        "(b). # ranks them by their newest value. Runs that train go on here too."
    )
    CSS_PATH = "compare.tcss"
    AUTO_FOCUS = ""  # its keys are the screen's own
    BINDINGS = [*keys.bindings("compare"), *keys.bindings("charts")]

    class Read(Message):
        """More of the histories was read."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, CompareScreen.Read)

    class ConfigsRead(Message):
        """The configurations of the runs of an overlay were read."""

        def __init__(self, runs: tuple[RunFolder, ...], configs: list[Flat]) -> None:
            super().__init__()
            self.runs, self.configs = runs, configs

    def __init__(self) -> None:
        super().__init__()
        self._overlay = Overlay(())
        self._configs: list[Flat] = []
        self._metric = "loss/ce"
        self._row = 0

    def compose_body(self) -> ComposeResult:
        yield Static(id="nothing")
        with Container(id="body"):
            with Vertical(id="curves"):
                yield Chart(ChartSpec("compare", "", "", ()), "compare")
                yield ComparedRows()
            with VerticalScroll(id="differences", can_focus=False):
                yield Static()

    def on_mount(self) -> None:
        self.query_one(Chart).add_class("-current")
        self.console.listed_signal.subscribe(self, lambda _: self._show())
        self.app.theme_changed_signal.subscribe(self, lambda _: self._show())

    def on_screen_resume(self) -> None:
        wanted = self.console.choice.compared()
        if tuple(wanted[:MOST]) != self._overlay.runs:
            self._compare(wanted)
        overlay, follower = self._overlay, self.console.follower

        def tell() -> None:
            if overlay.reading:
                follower.painting()
            self.post_message(self.Read())

        follower.beside(lambda: overlay.poll(tell))
        self._show()

    def on_screen_suspend(self) -> None:
        self.console.follower.beside(None)

    def _compare(self, runs: list[RunFolder]) -> None:
        """Other runs are compared from now on; what was read of those that stay is kept."""
        if len(runs) > MOST:
            self.console.say(f"{len(runs)} runs are selected; the first {MOST} are compared", "warning")
        self._overlay = Overlay(runs, self._overlay)
        self._configs, self._row = [], 0
        self.view = replace(self.view, cursor=None, span=None)
        chosen = self._overlay.runs

        def read() -> None:
            self.post_message(self.ConfigsRead(chosen, [read_flat(run) for run in chosen]))

        self.run_worker(read, thread=True, group="configurations", exclusive=True)

    def on_compare_screen_read(self) -> None:
        self._show()
        self.console.tell_painted()

    def on_compare_screen_configs_read(self, message: ConfigsRead) -> None:
        if message.runs == self._overlay.runs:
            self._configs = message.configs
            self._show()

    # What is shown

    def source(self) -> CurveSource | None:
        return self._overlay if self._overlay.members else None

    def carried(self, x: float, axis: str) -> float | None:
        """Runs are not equally far on every axis: it is told by the run under the cursor of the rows, where it was."""
        return self._overlay.carried(x, self.view.axis, axis, self._row) if self._overlay.members else None

    def show_charts(self) -> None:
        self._show()

    def _show(self) -> None:
        if not self.is_current:
            return
        self.keep_up()
        overlay = self._overlay
        self.set_class(not overlay.members, "-nothing")
        if not overlay.members:
            self.query_one("#nothing", Static).update(Content.assemble(how()))
            return
        known = overlay.metrics()
        if known and self._metric not in known:
            self._metric = known[0]
        labels = self._labels()
        marks = [MARKERS[place] for place in places(labels)]
        colours = [place % COLOURS + 1 for place in places(labels)]
        spec = spec_of(self._metric, labels, marks, colours)
        empty = (
            "reading …" if overlay.reading else "no run recorded this metric" if known else "nothing is recorded yet"
        )
        self.query_one(Chart).show(spec, overlay, replace(self.view, cursor=self._x()), empty)
        self._show_rows(labels, marks, colours, spec.unit)
        self._show_differences(labels)
        self.refresh_keys()

    def _show_rows(self, labels: list[str], marks: list[str], colours: list[int], unit: str) -> None:
        overlay, baseline = self._overlay, self._baseline()
        found = rows(overlay, self._metric, self.view.axis, self._x(), baseline)
        shown = [
            Shown(
                labels[index], self._state(run), marks[index], f"line-{colours[index]}", found[index], index == baseline
            )
            for index, run in enumerate(overlay.runs)
        ]
        at = where(self._x(), self.view.axis) + (", common" if self.view.cursor is None else "")
        self.query_one(ComparedRows).show(shown, self._row, at, unit)

    def _show_differences(self, labels: list[str]) -> None:
        panel = self.query_one("#differences Static", Static)
        panel.update(Content.assemble(differences(labels, self._configs)))

    def _labels(self) -> list[str]:
        """Names of the runs, behind their root where that is another one."""
        known = [self.console.run_list.find(run) for run in self._overlay.runs]
        return [listed.label if listed else run.name for listed, run in zip(known, self._overlay.runs, strict=True)]

    def _state(self, run: RunFolder) -> str:
        listed = self.console.run_list.find(run)
        return listed.state if listed else "gone"

    def _baseline(self) -> int | None:
        """Which run is the baseline, None when none of these is."""
        baseline = self.console.choice.baseline
        return self._overlay.runs.index(baseline) if baseline in self._overlay.runs else None

    def _x(self) -> float:
        """Where values are compared: at the cursor, else at the last place that all runs reached."""
        if self.view.cursor is not None:
            return self.view.cursor
        return self._overlay.common_end(self.view.axis)

    # What keys do

    def scopes(self) -> list[str]:
        """The charts' keys are in force too."""
        return ["compare", "charts", "app"]

    def offers(self, action: str) -> bool:
        own = {key.action for key in keys.of("compare", "charts")}
        if action == "differences" and self.has_class("-wide"):
            return False  # they are beside the chart
        return super().offers(action) and (
            action not in own or (bool(self._overlay.members) and "chart(" not in action)
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without runs there is nothing to do here."""
        own = {key.action.partition("(")[0] for key in keys.of("compare", "charts")}
        return action not in own or bool(self._overlay.members)

    def key_label(self, key: keys.Key) -> str:
        return "Chart" if key.action == "differences" and self.has_class("-config") else super().key_label(key)

    def action_metric(self, by: int) -> None:
        known = self._overlay.metrics()
        if known:
            place = known.index(self._metric) if self._metric in known else -by
            self._metric = known[(place + by) % len(known)]
            self._show()

    def on_compared_rows_picked(self, message: ComparedRows.Picked) -> None:
        self._row = message.place
        self._show()

    def action_row(self, by: int) -> None:
        self._row = max(0, min(len(self._overlay.runs) - 1, self._row + by))
        self._show()

    def action_baseline(self) -> None:
        self.console.choice.pin(self._overlay.runs[self._row])
        self._show()

    def action_differences(self) -> None:
        self.toggle_class("-config")
        self._show()

    def action_scroll(self, pages: int) -> None:
        """Scroll the keys that differ."""
        panel = self.query_one("#differences")
        panel.scroll_relative(y=pages * max(1, panel.size.height - 1), animate=False)

    def action_open(self) -> None:
        self.console.open_run(self._overlay.runs[self._row])

    def action_take_out(self) -> None:
        """Compare without the run under the cursor."""
        row, run = self._row, self._overlay.runs[self._row]
        self.console.choice.drop([run])
        self._compare([other for other in self._overlay.runs if other != run])
        self._row = max(0, min(len(self._overlay.runs) - 1, row))
        self.on_screen_resume()

    def step_out(self) -> bool:
        """Escape leaves the configurations, then the cursor, then the zoom."""
        if self.has_class("-config") and not self.has_class("-wide"):
            self.action_differences()
            return True
        return self.leave_layer()
