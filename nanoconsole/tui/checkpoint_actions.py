"""What the list of checkpoints asks for: chat, fork, export, resume. Nothing here waits in the interface's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanoconsole.tui.editing import edit
from nanoconsole.tui.screens.checkpoints import CheckpointsScreen, Wish
from nanoconsole.tui.screens.export import ExportScreen, Form
from nanoconsole.tui.talking import talk
from nanocore.errors import NanoError
from nanocore.runs.layout import RunFolder

if TYPE_CHECKING:
    from nanoconsole.tui.run_actions import RunActions


def show_checkpoints(screen: RunActions, run: RunFolder) -> None:
    """Show the list over a screen, then do what was wished."""
    dialog = CheckpointsScreen(run, resumable=screen.offers("resume"))
    screen.app.push_screen(dialog, lambda wish: _do(screen, run, wish))


def _do(screen: RunActions, run: RunFolder, wish: Wish | None) -> None:
    from nanoconsole.services.models import Model

    if wish is None:
        return
    if wish.action == "chat":
        talk(screen.console, Model(run.path, wish.step))
    elif wish.action == "fork":
        edit(screen.console, str(run.config_file), f"{run.name}@{wish.step}")
    elif wish.action == "resume":
        screen.action_resume()
    else:
        question = ExportScreen(f"{run.name}, step {wish.step:,}")
        screen.app.push_screen(question, lambda form: _export(screen, run, wish.step, form))


def _export(screen: RunActions, run: RunFolder, step: int, form: Form | None) -> None:
    """Write the file in a worker process, and say where it is."""
    if form is None:
        return
    console = screen.console
    console.say(f"exporting {form.label} of {run.name} step {step} …", "working")

    def write() -> None:
        from nanoconsole.services.exporting import export

        try:
            console.say(f"wrote {export(run, step, form.options, form.output)}")
        except NanoError as error:
            console.say(str(error), "error")

    screen.app.run_worker(write, thread=True, group="export")
