"""The console's Textual application: `run_app` opens it, `run_config_editor` opens it on one configuration."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App, SystemCommand
from textual.screen import Screen
from textual.signal import Signal
from textual.timer import Timer

from nanoconsole.services.hangup import leave_on_hangup
from nanoconsole.services.tailer import RunFollower, RunList
from nanoconsole.tui import keys, modes
from nanoconsole.tui.messages import FollowerFailed, RunLaunched, RunSeen, RunsListed, Said, Severity
from nanoconsole.tui.screens.base import ConsoleScreen
from nanoconsole.tui.theme import THEMES
from nanocore.errors import NanoError
from nanocore.runs.hints import to_type
from nanocore.runs.layout import RunFolder
from nanocore.runs.text import sanitize_line

if TYPE_CHECKING:
    from nanoconsole.services.watched import RunUpdate

SAID_FOR = {"information": 4.0, "warning": 6.0, "error": 10.0}  # seconds a message stands, by its severity


def run_app(root: Path) -> int:
    """Open the console over the runs in `root`; returns the exit code."""
    return _run(ConsoleApp(root))


def run_config_editor(target: str, root: Path) -> int:
    """Open the editor on a preset's name or a TOML file; runs launched from it go to `root`.

    Raises UsageError or ConfigError, before the screen opens, when there is nothing that could be edited.
    """
    from nanoconsole.services.draft import Draft

    return _run(ConsoleApp(root, edit=Draft(target).target))


def _run(app: ConsoleApp) -> int:
    leave_on_hangup()
    app.run()
    if app.farewell:
        print(app.farewell)
    return app.return_code or 0


class ConsoleApp(App[None]):
    """The console over one run root. One follower thread reads the runs; screens show what it tells."""

    TITLE = "nanoconsole"
    CSS_PATH = "app.tcss"
    BINDINGS = [*keys.bindings("app")]
    MODES = {mode.name: mode.open for mode in modes.MODES}
    DEFAULT_MODE = "runs"

    def __init__(
        self, root: Path, *, edit: str = "", follow: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        """`edit` names a configuration to open the editor on; without `follow` no thread reads the runs (tests)."""
        super().__init__()
        self.root, self.edit, self.clock = root, edit, clock
        self.farewell = ""
        self.run_list = RunList(root, read=False)
        self.opened: RunFolder | None = None
        self.listed_signal: Signal[RunList] = Signal(self, "run list")
        self.said: Said | None = None
        self.said_signal: Signal[Said | None] = Signal(self, "said")
        self._silence: Timer | None = None
        self.follower = RunFollower(root, self._tell_list, self._tell_run, self._tell_failure)
        self._follow = follow
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def on_mount(self) -> None:
        if self._follow:
            self.follower.start()
        if self.edit:
            self.switch_mode("launch")
        else:
            self.run_worker(_load_other_screens, thread=True)

    def on_unmount(self) -> None:
        self.follower.stop()

    def _tell_list(self, runs: RunList) -> None:
        self.post_message(RunsListed(runs))

    def _tell_run(self, update: RunUpdate) -> None:
        self.post_message(RunSeen(update))

    def _tell_failure(self, error: Exception) -> None:
        self.post_message(FollowerFailed(error))

    def on_follower_failed(self, message: FollowerFailed) -> None:
        raise message.error  # end the app with the reason rather than show what is no longer true

    def on_runs_listed(self, message: RunsListed) -> None:
        self.run_list = message.runs
        self.listed_signal.publish(message.runs)

    def on_run_seen(self, message: RunSeen) -> None:
        if isinstance(self.screen, ConsoleScreen) and message.update.run == self.opened:
            self.screen.show_update(message.update)

    def on_run_launched(self, message: RunLaunched) -> None:
        self.open_run(message.run)

    def watch_run(self, run: RunFolder) -> None:
        """Make a run the opened one, which the screens of a run show."""
        self.opened = run
        self.follower.watch(run)

    def open_run(self, run: RunFolder) -> None:
        """Show a run in Live."""
        self.watch_run(run)
        self.switch_mode("live")

    def say(self, text: str, severity: Severity = "information") -> None:
        """Tell something in the line at the bottom; never markup, always safe. May be called from any thread."""
        self.post_message(Said(sanitize_line(text), severity))

    def on_said(self, message: Said) -> None:
        if self._silence is not None:
            self._silence.stop()
        self._silence = self.set_timer(SAID_FOR[message.severity], lambda: self._show_said(None))
        self._show_said(message)

    def _show_said(self, said: Said | None) -> None:
        self.said = said
        self.said_signal.publish(said)

    def action_show(self, mode: str) -> None:
        """Go to a screen; one of a run takes the newest one where none is opened, those at work first."""
        if isinstance(self.screen, ConsoleScreen):
            if modes.find(mode).of_run and self.opened is None and self.run_list.runs:
                best = max(self.run_list.runs, key=lambda listed: listed.summary.alive)
                self.watch_run(RunFolder(self.root / best.summary.name))
            self.switch_mode(mode)

    def action_step_out(self) -> None:
        """Step out one layer."""
        if not isinstance(self.screen, ConsoleScreen):
            self.screen.dismiss(None)
        elif not self.screen.step_out():
            self.action_show("runs")

    def action_help(self) -> None:
        from nanoconsole.tui.screens.help import HelpScreen

        if isinstance(self.screen, ConsoleScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]

    def action_picture(self) -> None:
        """Save the screen as SVG, in Live beside the other exports of the run."""
        from nanoconsole.services.pictures import save_picture

        run = self.opened if self.current_mode == "live" else None
        try:
            self.say(f"saved {save_picture(self.export_screenshot(), self.current_mode, run)}")
        except NanoError as error:
            self.say(str(error), "error")

    async def action_quit(self) -> None:
        self.action_leave()

    def action_leave(self) -> None:
        """Leave the console; what trains goes on, and the terminal says so."""
        working = self.run_list.working
        lines = [
            f"{run.name} {'stays paused' if run.state == 'paused' else 'goes on training'}"
            f" (step {run.step} of {run.steps or '?'})"
            for run in working
        ]
        if working:
            first = working[0].name
            lines.append(f"watch it: {to_type(f'watch {first}')}   stop it: {to_type(f'stop {first}')}")
        self.farewell = "\n".join(lines)
        self.exit()

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        """The command palette: every action of the screen, then those of the app."""
        if isinstance(screen, ConsoleScreen):
            for key in {key.action: key for key in reversed(keys.of(*screen.scopes()))}.values():
                if screen.offers(key.action) and key.label and key.action != "command_palette":
                    title = f"{key.label} ({key.shown})" if key.shown else key.label
                    yield SystemCommand(title, key.help, lambda key=key: self.call_later(screen.perform, key))


def _load_other_screens() -> None:
    """Import what the other screens need (the schema, numpy) while the first one is already shown."""
    for mode in modes.MODES:
        mode.load()
