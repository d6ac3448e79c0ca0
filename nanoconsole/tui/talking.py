"""Talking with a model that was chosen on any screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from nanoconsole.services.models import Model
    from nanoconsole.tui.app import ConsoleApp


class TalkWanted(Message):
    """A model is to be talked with in Chat, as A."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model


def talk(app: ConsoleApp, model: Model) -> None:
    """Show Chat with a model; it is loaded with the first line that is said."""
    app.switch_mode("chat")
    app.screen.post_message(TalkWanted(model))
