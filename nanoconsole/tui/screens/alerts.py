"""The alerts of all runs: what left its range when and where, what the documentation says, and who has seen it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from rich.cells import cell_len, set_cell_size
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from nanoconsole.services.alert_log import Alert, AlertList
from nanoconsole.services.alerts import acknowledge, mute
from nanoconsole.services.format import age, duration, number
from nanoconsole.tui import keys
from nanoconsole.tui.screens.dialog import Question
from nanoconsole.tui.widgets.bars import KeyBar
from nanocore.errors import NanoError

if TYPE_CHECKING:
    from nanoconsole.tui.app import ConsoleApp

MOST = 500  # alerts that are listed
MARKS = {(True, True): ("▲", "warning"), (True, False): ("△", "axis"), (False, True): ("●", "primary")}
SEEN = ("✓", "axis")  # over and acknowledged
TERMS = "▲ lasts  ● over  △ ✓ acknowledged"


class AlertsScreen(Question["Alert | None"]):
    """Dismissed with the alert whose run is to be opened, None for escape."""

    SCOPE = "alerts"
    CSS_PATH = "alerts.tcss"
    BINDINGS = [*keys.bindings("alerts")]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(classes="dialog-title", id="alerts-title")
            yield OptionList()
            yield Static(id="alert-detail")
        yield KeyBar()

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    @property
    def chosen(self) -> Alert | None:
        """The alert under the cursor."""
        place = self.query_one(OptionList).highlighted
        shown = self.console.alerts.alerts[:MOST]
        return shown[place] if place is not None and place < len(shown) else None

    def on_mount(self) -> None:
        self.console.alerts_signal.subscribe(self, self._show)
        self._show(self.console.alerts)

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._show, self.console.alerts)

    def _show(self, found: AlertList) -> None:
        """List the alerts; the cursor stays on its alert when others come."""
        options = self.query_one(OptionList)
        before = options.highlighted_option.id if options.highlighted_option else None
        room = max(20, self.query_one(".dialog").content_size.width)
        shown = found.alerts[:MOST]
        options.set_options([Option(_row(alert, room, self.console.clock()), id=alert.id) for alert in shown])
        options.display = bool(shown)
        if shown:
            places = [place for place, alert in enumerate(shown) if alert.id == before]
            options.highlighted = places[0] if places else 0
            options.focus()
        self.query_one("#alerts-title", Static).update(_title(found))
        self._tell_chosen()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._tell_chosen()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self.chosen)

    def _tell_chosen(self) -> None:
        self.query_one("#alert-detail", Static).update(_words(self.chosen, self.console))
        for bar in self.query(KeyBar):
            bar.refresh()

    def offers(self, action: str) -> bool:
        alert = self.chosen
        if action == "acknowledge":
            return alert is not None and alert.new
        if action == "acknowledge_all":
            return bool(self.console.alerts.new)
        return alert is not None or action == "dismiss"

    def key_label(self, key: keys.Key) -> str:
        alert = self.chosen
        muted = alert is not None and (alert.run, alert.rule) in self.console.alerts.muted
        return "Unmute" if key.action == "mute" and muted else super().key_label(key)

    def action_acknowledge(self) -> None:
        if (alert := self.chosen) is not None and alert.new:
            self._do(lambda: acknowledge([alert]))

    def action_acknowledge_all(self) -> None:
        new = self.console.alerts.new
        if new:
            self._do(lambda: acknowledge(new))

    def action_mute(self) -> None:
        """Let the rule say nothing more of this run, or speak again."""
        if (alert := self.chosen) is not None:
            muted = (alert.run, alert.rule) in self.console.alerts.muted
            self._do(lambda: mute(alert.run, alert.rule, muted=not muted))

    def _do(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread; the follower then sees what it wrote."""

        def guarded() -> None:
            try:
                work()
            except NanoError as error:
                self.console.say(str(error), "error")
            self.console.follower.look()

        self.run_worker(guarded, thread=True, group="alerts")


def _words(alert: Alert | None, console: ConsoleApp) -> Content:
    """What stands under the list."""
    return _nothing(console) if alert is None else _detail(alert, console.alerts, console.clock())


def _row(alert: Alert, room: int, now: float) -> Content:
    """One alert on one line; what does not fit ends in an ellipsis."""
    mark, colour = MARKS.get((alert.open, alert.new), SEEN)
    wide = room >= 76
    parts = [(_fit(age(alert.time, now), 9), "$axis"), (_fit(alert.run.name, 20 if wide else 16), "$value")]
    parts.append(
        (_fit(alert.title, 20 if wide else max(8, room - 32)), f"bold ${colour}" if alert.new else f"${colour}")
    )
    if wide:
        parts.append((_fit(f"{alert.step:,}", 10), "$axis"))
        parts.append((_fit(alert.text, max(8, room - 2 - 9 - 20 - 20 - 10 - 4)), "$foreground"))
    found = Content.assemble((f"{mark} ", f"bold ${colour}"))
    for place, (text, style) in enumerate(parts):
        found = Content.assemble(found, " " if place else "", (text, style))
    return found


def _fit(text: str, width: int) -> str:
    """Text in exactly so many cells."""
    return set_cell_size(text, width) if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"


def _title(found: AlertList) -> Content:
    last = sum(alert.open for alert in found.alerts)
    more = f", the newest {MOST} listed" if len(found.alerts) > MOST else ""
    counts = f"  {len(found.alerts)} recorded{more}, {last} not over  " if found.alerts else "  "
    problem = (f"\n✗ {found.problem}", "$error") if found.problem else ""
    return Content.assemble(
        ("Alerts", "bold"), (counts, "$foreground"), (TERMS if found.alerts else "", "$axis"), problem
    )


def _detail(alert: Alert, found: AlertList, now: float) -> Content:
    """All that is known of an alert, and where the documentation says what to do."""
    state = "lasts" if alert.open else f"over after {duration((alert.cleared or alert.time) - alert.time)}"
    seen = ", acknowledged" if alert.acknowledged else ""
    muted = ", muted on this run" if (alert.run, alert.rule) in found.muted else ""
    return Content.assemble(
        (f"{alert.title} ", "bold $primary"),
        (f"{alert.run.name}, step {alert.step:,}, {age(alert.time, now)}; {state}{seen}{muted}\n", "$axis"),
        (f"{alert.text}{_range(alert)}\n", "$foreground"),
        (f"{alert.detail}\n" if alert.detail else "", "$axis"),
        (f"What to do: {alert.link}", "$accent"),
    )


def _range(alert: Alert) -> str:
    """The value beside the range it left."""
    low, high = math.isfinite(alert.low), math.isfinite(alert.high)
    if not low and not high:
        return ""
    if low and high:
        bounds = f"{alert.low:g} to {alert.high:g}"
    else:
        bounds = f"at least {alert.low:g}" if low else f"at most {alert.high:g}"
    return f" (measured {number(alert.value)}, range {bounds})"


def _nothing(console: ConsoleApp) -> Content:
    rules = f"{console.keys.shown('app.settings')}, when this is closed, shows the rules with their ranges, and changes them."
    return Content.assemble(
        ("No alerts.\n", "bold"),
        "Every run at work is watched: non-finite numbers, spikes of loss and gradient, the gain of residual streams, "
        "throughput, heartbeat, disk, held-out loss and bad ends.\n",
        (rules, "$axis"),
    )
