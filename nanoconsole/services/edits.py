"""Edits of a form over a table: put in, and set aside while the technique they belong to is off."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from nanocore.config.idle import asleep, idle, of_table, reset_idle

Edits = Mapping[str, object]  # values by dotted key


def applied(table: Mapping[str, Any], made: Edits) -> dict[str, Any]:
    """A copy of a table with edits. A key of the table that one deprives of its effect has its default, as with `--set`."""
    result = copy.deepcopy(dict(table))
    for key, value in made.items():
        section, _, name = key.partition(".")
        if not isinstance(result.get(section), dict):
            result[section] = {}
        result[section][name] = value
    reset_idle(result, made.keys())
    return result


def settled(
    table: Mapping[str, Any], made: Edits, aside: Edits, key: str
) -> tuple[dict[str, object], dict[str, object]]:
    """The edits made and those aside, after `key` was edited.

    Edits that its new value deprives of their effect wait aside, and come back when they have one again.
    """
    made, aside, moved = dict(made), dict(aside), {key}
    while lost := _lost(table, made, key, moved):
        aside |= {name: made.pop(name) for name in lost}
        moved |= lost
    while back := aside.keys() - {name for name, _ in asleep(of_table(applied(table, made)))}:
        made |= {name: aside.pop(name) for name in back}
    return made, aside


def _lost(table: Mapping[str, Any], made: Edits, key: str, moved: set[str]) -> set[str]:
    """Edits that have no effect because of a key in `moved`."""
    found = idle(of_table(applied(table, made)))
    return {name for name, by in found if name in made and name != key and not moved.isdisjoint(by.when)}
