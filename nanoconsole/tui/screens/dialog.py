"""What all dialogs share: a box over the screen, and their own keys, from the table, in the key bar."""

from __future__ import annotations

from typing import TypeVar

from textual.screen import ModalScreen
from textual.widgets import OptionList

from nanoconsole.tui.keys import Key

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A dialog. `SCOPE` is its name in the table of keys; it shows a KeyBar of its own over that of the screen."""

    SCOPE = ""

    def scopes(self) -> list[str]:
        """Only its own keys are in force."""
        return [self.SCOPE]

    def offers(self, action: str) -> bool:
        return True

    def main_action(self) -> str:
        return ""

    def key_label(self, key: Key) -> str:
        """What the key bar calls a key."""
        return key.label


class Question(Dialog[Result]):
    """A dialog whose answers stand in a list."""

    def action_choose(self) -> None:
        self.query_one(OptionList).action_select()
