"""Opening the configuration editor from any screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from nanoconsole.tui.app import ConsoleApp


class EditWanted(Message):
    """A configuration is to be opened in Launch: a preset's name, a file's path, or that of a run's config.toml.

    `origin` is RUN@STEP when the next launch is to begin with that checkpoint.
    """

    def __init__(self, target: str, origin: str = "") -> None:
        super().__init__()
        self.target, self.origin = target, origin


def edit(app: ConsoleApp, target: str, origin: str = "") -> None:
    """Show a configuration in Launch, to change it and to launch it anew."""
    app.switch_mode("launch")
    app.screen.post_message(EditWanted(target, origin))
