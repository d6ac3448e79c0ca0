"""The console's Textual application: `run_app` opens it, `run_config_editor` opens it on one configuration."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App, SystemCommand
from textual.command import Provider
from textual.screen import Screen
from textual.signal import Signal
from textual.widget import Widget

from nanoconsole.services.follower import RunFollower
from nanoconsole.services.hangup import leave_on_hangup
from nanoconsole.services.listed import RunList
from nanoconsole.services.settings import Settings, load
from nanoconsole.tui import keys, modes
from nanoconsole.tui.board_app import BoardApp
from nanoconsole.tui.choice import Choice
from nanoconsole.tui.messages import FollowerFailed, RunLaunched, RunSeen, RunsListed
from nanoconsole.tui.screens.base import ConsoleScreen
from nanocore.errors import NanoError
from nanocore.runs.layout import RunFolder

if TYPE_CHECKING:
    from nanoconsole.services.watched import RunUpdate

COLLECTIONS = (5000, 10, 50)  # young objects, and collections of a generation, before the next: rarer than Python's own
PAINTED = 2 / 60  # seconds after which a change is on the screen, painting apart: Textual paints 60 times a second


def run_app(root: Path) -> int:
    """Open the console over the runs in `root`; returns the exit code."""
    return _run(ConsoleApp(root, settings=load()))


def run_config_editor(target: str, root: Path) -> int:
    """Open the editor on a preset's name or a TOML file; runs launched from it go to `root`.

    Raises UsageError or ConfigError, before the screen opens, when there is nothing that could be edited.
    """
    from nanoconsole.services.draft import Draft

    return _run(ConsoleApp(root, edit=Draft(target).target, settings=load()))


def _run(app: ConsoleApp) -> int:
    leave_on_hangup()
    app.run()
    if app.farewell:
        print(app.farewell)
    return app.return_code or 0


def _named_things() -> type[Provider]:
    from nanoconsole.tui.palette import NamedThings

    return NamedThings


class ConsoleApp(BoardApp):
    """The console over one run root. One follower thread reads the runs; screens show what it tells."""

    TITLE = "nanoconsole"
    CSS_PATH = "app.tcss"
    BINDINGS = [*keys.bindings("app")]
    MODES = {mode.name: mode.open for mode in modes.MODES}
    DEFAULT_MODE = "runs"
    COMMANDS = App.COMMANDS | {_named_things}

    def __init__(
        self,
        root: Path,
        *,
        edit: str = "",
        settings: Settings | None = None,
        follow: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`edit` names a configuration to open the editor on; without `follow` no thread reads the runs (tests)."""
        super().__init__(settings or Settings(), clock)
        self.root, self.edit, self.clock = root, edit, clock
        self.farewell = ""
        self.run_list = RunList(root, read=False)
        self.opened: RunFolder | None = None
        self.listed_signal: Signal[RunList] = Signal(self, "run list")
        self.follower = RunFollower(
            root, self._tell_list, self._tell_run, self._tell_failure, interval=self.settings.interval
        )
        self.follower.follow_roots(self.settings.roots)
        self.choice = Choice()
        self.follower.guard(self.guard)
        self._wanted_step: int | None = None
        self._follow = follow

    def on_mount(self) -> None:
        if self._follow:
            self.follower.start()
        if self.edit:
            self.switch_mode("launch")
        else:
            self.run_worker(self._load_other_screens, thread=True)

    def _load_other_screens(self) -> None:
        """Import what the other screens need (the schema, numpy) while the first one is already shown."""
        for mode in sorted(modes.MODES, key=lambda mode: mode.name != "live"):  # that one is opened next, as a rule
            mode.load()
        if not self.is_headless:  # a collection that walks all of these holds a frame up for a twentieth of a second
            gc.freeze()
            gc.set_threshold(*COLLECTIONS)

    def use(self, settings: Settings) -> None:
        self.follower.set_interval(settings.interval)
        self.follower.follow_roots(settings.roots)
        super().use(settings)

    def on_unmount(self) -> None:
        self.follower.stop()
        self.end_guard()

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
        if message.update.reading:
            self.tell_painted()

    def tell_painted(self) -> None:
        """Let the follower read on when what was just shown is on the screen."""
        self.set_timer(PAINTED, self.follower.painted)

    def on_run_launched(self, message: RunLaunched) -> None:
        self.open_run(message.run)
        self.trainer_started(message.run)

    def watch_run(self, run: RunFolder) -> None:
        """Make a run the opened one, which the screens of a run show."""
        self.opened = run
        self.follower.watch(run)

    def open_run(self, run: RunFolder, step: int | None = None) -> None:
        """Show a run in Live, its cursor on a step if one is given."""
        self.watch_run(run)
        self._wanted_step = step
        self.switch_mode("live")

    def take_step(self, scope: str) -> int | None:
        """The step that a screen which is now shown should put its cursor on, once; None for no particular one."""
        if scope != "live":
            return None
        step, self._wanted_step = self._wanted_step, None
        return step

    def action_show(self, mode: str) -> None:
        """Go to a screen; one of a run takes the newest one where none is opened, those at work first."""
        if isinstance(self.screen, ConsoleScreen):
            if modes.find(mode).of_run and self.opened is None and self.run_list.runs:
                best = max(self.run_list.runs, key=lambda listed: listed.summary.alive)
                self.watch_run(best.run)
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

    def action_jump(self) -> None:
        """Choose the part of the screen that takes the focus by a letter."""
        from nanoconsole.tui.screens.jump import JumpScreen, parts

        if isinstance(self.screen, ConsoleScreen):
            targets = parts(self.screen)
            if len(targets) < 2:
                self.say("nowhere else to go on this screen")
            else:
                self.push_screen(JumpScreen(targets), _focus)

    def action_settings(self, key: str = "theme") -> None:
        """Everything that can be set, saved at once; the cursor on one of it."""
        from nanoconsole.tui.screens.settings import SettingsScreen

        if isinstance(self.screen, ConsoleScreen):
            self.push_screen(SettingsScreen(key))

    def edit_preset(self, name: str) -> None:
        """Open a preset in Launch."""
        from nanoconsole.tui.editing import edit

        edit(self, name)

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
        from nanoconsole.services.farewell import farewell

        self.farewell = farewell(self.run_list)
        self.exit()

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        """The command palette: every action of the screen, then those of the app."""
        if isinstance(screen, ConsoleScreen):
            for key in {key.action: key for key in reversed(self.keys.of(*screen.scopes()))}.values():
                if screen.offers(key.action) and key.label and key.action != "command_palette":
                    title = f"{key.label} ({key.shown})" if key.shown else key.label
                    yield SystemCommand(title, key.help, lambda key=key: self.call_later(screen.perform, key))


def _focus(target: Widget | None) -> None:
    if target is not None:
        target.focus()
