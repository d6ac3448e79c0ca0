"""Every key of the console in one table. Dispatch, key bar, help and command palette are all made from it.

Each module here holds the rows of one screen and its parts; a new one is named in `TABLE`.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding

from nanoconsole.tui.keys import app, dialogs, launch, live, runs
from nanoconsole.tui.keys.key import Key

__all__ = ["LAST", "PANES", "PARTS", "TABLE", "Key", "bar", "bindings", "of"]

PANES = ("presets", "form", "value")  # scopes of a widget inside a screen
PARTS = {"launch": PANES, "live": ("charts", "log")}  # scopes inside a screen, of which some are in force at a time

LAST = 90  # from this place on, keys stand at the end of the key bar, and always
TABLE: tuple[Key, ...] = (
    *runs.TABLE,
    *launch.TABLE,
    *live.TABLE,
    *dialogs.TABLE,
    *app.TABLE,
)


def of(*scopes: str) -> list[Key]:
    """The table's rows of some scopes, in order."""
    return [key for key in TABLE if key.scope in scopes]


def bindings(scope: str) -> list[Binding]:
    """Textual bindings of a scope; the key bar is our own, so none is shown by Textual."""
    return [
        Binding(key.keys, key.action, key.label or key.help, show=False, priority=key.priority)
        for key in of(scope)
        if key.keys
    ]


def bar(scopes: Iterable[str]) -> list[Key]:
    """What the key bar shows for scopes given from the innermost out: an inner key hides the same key further out.

    In a line of text, a key that is one character is typed there and does nothing else.
    """
    scopes = list(scopes)
    seen = {key.shown for key in TABLE if len(key.shown) == 1} if "value" in scopes else set()
    found: list[Key] = []
    for scope in scopes:
        own = [
            key for key in of(scope) if key.bar and key.shown not in seen and key.label not in {k.label for k in found}
        ]
        seen |= {key.shown for key in of(scope)}
        found += sorted(own, key=lambda key: key.bar)
    return sorted(found, key=lambda key: key.bar >= LAST)
