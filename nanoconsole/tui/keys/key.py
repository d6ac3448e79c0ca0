"""One row of the table of keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """One action: `keys` as Textual names them, `shown` as a person reads them.

    `scope` is the screen, the part of it ("presets", "form", "value", "charts", "log"), the dialog or "app" that has
    the action; `bar` says whether the key bar shows it, and in which order (0: only in help and palette). Without keys
    it is reached from the palette alone.
    """

    scope: str
    keys: str
    shown: str
    action: str
    label: str
    help: str
    bar: int = 0
    priority: bool = False
