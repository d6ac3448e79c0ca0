"""One row of the table of keys."""

from __future__ import annotations

import re
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

    @property
    def name(self) -> str:
        """What settings call it: `live.pause`, `charts.chart+1`, `runs.show-launch`, `save-preset.next`."""
        action, _, arguments = self.action.rpartition(".")[2].partition("(")
        argument = arguments.rstrip(")").strip("'\"")
        number = re.fullmatch(r"\d+", argument)
        sign = "" if not argument or argument.startswith("-") else "+" if number else "-"
        return f"{self.scope.replace(' ', '-')}.{action}{sign}{argument}"

    @property
    def each(self) -> tuple[str, ...]:
        """Its keys one by one."""
        return tuple(name for name in self.keys.split(",") if name)
