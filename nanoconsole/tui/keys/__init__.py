"""Every key of the console in one table. Dispatch, key bar, help and command palette are all made from it.

What the app has in force is `ConsoleApp.keys`: this table, some rows of it on other keys by the user's settings.

Each module here holds the rows of one screen and its parts; a new one is named in `TABLE`.
"""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding

from nanoconsole.tui.keys import (
    app,
    charts,
    chat,
    checkpoints,
    compare,
    dialogs,
    launch,
    layers,
    live,
    log,
    runs,
    samples,
    upkeep,
    validate,
)
from nanoconsole.tui.keys.key import Key
from nanoconsole.tui.keys.table import LAST, NO_KEY, KeyTable, Wishes, remapped
from nanoconsole.tui.modes import MODES

__all__ = ["DEFAULT", "LAST", "PANES", "PARTS", "TABLE", "Key", "KeyTable", "bindings", "in_force", "of"]

PANES = ("presets", "form", "value", "source")  # scopes of a widget inside a screen
PARTS = {
    "runs": ("value",),
    "launch": PANES,
    "live": ("charts", "live charts", "log"),
    "compare": ("charts",),
    "chat": ("say",),
}  # scopes inside a screen, of which some are in force at a time

TABLE: tuple[Key, ...] = (
    *runs.TABLE,
    *launch.TABLE,
    *live.TABLE,
    *charts.TABLE,
    *layers.TABLE,
    *compare.TABLE,
    *samples.TABLE,
    *chat.TABLE,
    *validate.TABLE,
    *log.TABLE,
    *checkpoints.TABLE,
    *upkeep.TABLE,
    *dialogs.TABLE,
    *app.TABLE,
)


DEFAULT = KeyTable(TABLE, {})
of = DEFAULT.of


def bindings(scope: str) -> list[Binding]:
    """Textual bindings of a scope; the key bar is our own, so none is shown by Textual.

    Each has its name in the settings, by which the app's keymap moves it to another key.
    """
    return [
        Binding(key.keys or NO_KEY, key.action, key.label or key.help, show=False, id=key.name) for key in of(scope)
    ]


def in_force(wishes: Wishes, places: Mapping[str, str]) -> tuple[KeyTable, list[str]]:
    """The table with the keys that settings wish for, and what to say of wishes that cannot be granted."""
    return remapped(TABLE, wishes, places, {**{mode.name: () for mode in MODES}, **PARTS})
