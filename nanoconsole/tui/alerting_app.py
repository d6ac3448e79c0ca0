"""The alerts in the app: the rules judge in the follower's thread, and what is new is told and rung."""

from __future__ import annotations

from collections.abc import Callable

from textual.signal import Signal

from nanoconsole.services.alert_log import Alert, AlertList
from nanoconsole.services.alerts import Alerts
from nanoconsole.services.listed import RunList
from nanoconsole.services.settings import Settings
from nanoconsole.tui.messages import AlertsSeen
from nanoconsole.tui.notice import notice
from nanoconsole.tui.screens.base import ConsoleScreen
from nanoconsole.tui.settled_app import SettledApp
from nanocore.runs.layout import RunFolder


class AlertingApp(SettledApp):
    """An app that watches over working runs. `alerts` are all that were recorded."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        super().__init__(settings)
        self.alerts = AlertList()
        self.alerts_signal: Signal[AlertList] = Signal(self, "alerts")
        self._guards = Alerts(settings, lambda text: self.say(text, "error"), clock=clock)

    def use(self, settings: Settings) -> None:
        self._guards.use(settings)
        super().use(settings)

    def open_run(self, run: RunFolder, step: int | None = None) -> None:
        """Show a run, its cursor on a step if one is given."""
        raise NotImplementedError

    def guard(self, runs: RunList) -> None:
        """In the follower's thread: judge the working runs by the alert rules."""
        look = self._guards.look(runs)
        if look is not None:
            self.post_message(AlertsSeen(look))

    def end_guard(self) -> None:
        """Let another console take over; the follower's thread must have ended."""
        self._guards.close()

    def on_alerts_seen(self, message: AlertsSeen) -> None:
        self.alerts = message.look.alerts
        self.alerts_signal.publish(self.alerts)
        for alert in message.look.raised:
            self._tell_alert(alert)

    def _tell_alert(self, alert: Alert) -> None:
        """Tell of a new alert in the ways its rule asks for."""
        actions = self.settings.actions(alert.rule)
        words = f"{alert.run.name}, step {alert.step}: {alert.title}: {alert.text}"
        if "notify" in actions:
            self.say(f"{words} ({self.keys.shown('app.alerts')} shows it)", "warning")
        if "bell" in actions and self.settings.bell and self._driver is not None and not self.is_headless:
            self._driver.write(notice(words))

    def action_alerts(self) -> None:
        """The alerts of all runs, and what to do about them."""
        from nanoconsole.tui.screens.alerts import AlertsScreen

        if isinstance(self.screen, ConsoleScreen):
            self.push_screen(AlertsScreen(), self._open_alert)

    def _open_alert(self, alert: Alert | None) -> None:
        if alert is not None:
            self.open_run(alert.run, alert.step)
