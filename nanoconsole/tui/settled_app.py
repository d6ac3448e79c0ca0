"""What the user's settings decide in the app: keys and colours; and the line in which it tells what was done."""

from __future__ import annotations

from dataclasses import replace

from textual.app import App
from textual.signal import Signal
from textual.timer import Timer

from nanoconsole.services.settings import Settings, save
from nanoconsole.services.settings_schema import Value
from nanoconsole.tui import keys
from nanoconsole.tui.messages import Said, Severity
from nanoconsole.tui.style_sheet import StyleSheet
from nanoconsole.tui.theme import THEMES
from nanocore.errors import NanoError
from nanocore.runs.hints import to_type
from nanocore.runs.text import sanitize_line

SAID_FOR = {"information": 4.0, "warning": 6.0, "error": 10.0}  # seconds a message stands, by its severity


class SettledApp(App[None]):
    """An app with settings. `keys` is the table of keys that is in force."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.settings_signal: Signal[Settings] = Signal(self, "settings")
        self.keys, self._refused = keys.in_force(settings.keys, settings.places)
        self.set_keymap(dict(self.keys.keymap))
        self.said: Said | None = None
        self.said_signal: Signal[Said | None] = Signal(self, "said")
        self._silence: Timer | None = None
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = settings.theme
        self.stylesheet = StyleSheet(variables=self.get_css_variables())

    def on_mount(self) -> None:
        """Say what of the settings could not be used: the first fault, and where to see the others."""
        faults = [*self.settings.problems, *self._refused]
        if faults:
            more = f" (and {len(faults) - 1} more: {to_type('settings check')})" if len(faults) > 1 else ""
            self.say(f"{faults[0]}{more}", "warning")

    def use(self, settings: Settings) -> None:
        """Go by these settings from now on."""
        self.settings = settings
        self.theme = settings.theme
        self.settings_signal.publish(settings)

    def change_setting(self, key: str, value: Value) -> None:
        """Apply a setting at once, and write it to the user's file in a thread; says so when that cannot be done."""
        self.use(replace(self.settings, values={**self.settings.values, key: value}))

        def write() -> None:
            try:
                save(key, self.settings.values[key])  # the newest one: several threads may wait for their turn
            except NanoError as error:
                self.say(f"not saved: {error}", "error")

        self.run_worker(write, thread=True, group="settings")

    def action_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        self.change_setting("theme", names[(names.index(self.settings.theme) + 1) % len(names)])

    def say(self, text: str, severity: Severity = "information") -> None:
        """Tell something in the line at the bottom; never markup, always safe. May be called from any thread."""
        self.post_message(Said(sanitize_line(text), severity))

    def on_said(self, message: Said) -> None:
        if self._silence is not None:
            self._silence.stop()
            self._silence = None
        if message.severity in SAID_FOR:
            self._silence = self.set_timer(SAID_FOR[message.severity], lambda: self._show_said(None))
        self._show_said(message)

    def _show_said(self, said: Said | None) -> None:
        self.said = said
        self.said_signal.publish(said)
