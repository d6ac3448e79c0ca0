"""A configuration while it is edited: the file it came from, the changes, the faults, and what it means."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanocore.config import toml
from nanocore.config.fields import Field, changed, fields, get
from nanocore.config.idle import Idle, asleep, idle, of_table, reset_idle
from nanocore.config.resolve import target_path
from nanocore.config.rules import Problem
from nanocore.config.schema import Config
from nanocore.config.validate import build, problems
from nanocore.config.write import literal
from nanocore.errors import ConfigError
from nanocore.runs.text import sanitize_line

FIELDS = {field.key: field for field in fields()}
HORIZONS = {"training.steps": "0", "training.tokens": "0", "training.duration": ""}  # and what switches each off


@dataclass(frozen=True)
class Change:
    """A key whose value differs from the base, as text."""

    key: str
    before: str
    after: str


class Draft:
    """Values are set as text, as typed; `config` exists while nothing is wrong."""

    def __init__(self, target: str) -> None:
        """Open a preset by name or a TOML file by path. Raises UsageError or ConfigError when it cannot be read."""
        self.target = target
        self.path: Path = target_path(target)
        self.is_file = target.endswith(".toml") or "/" in target
        self.table = toml.read_table(self.path)
        self.edits: dict[str, object] = {}
        self._aside: dict[str, object] = {}  # edits of details while their technique is off
        self.base = _built(self.table)
        self._judge()

    @property
    def name(self) -> str:
        return sanitize_line(self.path.name if self.is_file else self.target)

    def _judge(self) -> None:
        """Find the faults of the edited table, and the configuration when it has none."""
        self.edited = self._with(self.edits)
        self.asleep = {key: by.state(self.value) for key, by in asleep(self.value)}  # keys without effect, and why
        found = problems(self.edited)
        self.problems: dict[str, str] = {}
        self.others: list[str] = []  # faults of no field: unknown keys and sections
        for problem in found:
            self._file(problem)
        self.config: Config | None = None if found else build(self.edited)

    def _with(self, edits: Mapping[str, object]) -> dict[str, Any]:
        """The file's table with edits. A key of the file that one deprives of its effect has its default, as with `--set`."""
        table = copy.deepcopy(dict(self.table))
        for key, value in edits.items():
            section, _, name = key.partition(".")
            if not isinstance(table.get(section), dict):
                table[section] = {}
            table[section][name] = value
        reset_idle(table, edits.keys())
        return table

    def _set_aside(self, key: str) -> None:
        """Edits that the new value of `key` deprives of their effect wait aside, and come back when they have one again."""
        moved = {key}
        while lost := {name for name, by in self._idle() if name != key and not moved.isdisjoint(by.when)}:
            self._aside |= {name: self.edits.pop(name) for name in lost}
            moved |= lost
        while back := self._aside.keys() - {name for name, _ in asleep(of_table(self._with(self.edits)))}:
            self.edits |= {name: self._aside.pop(name) for name in back}

    def _idle(self) -> list[tuple[str, Idle]]:
        return [(name, by) for name, by in idle(of_table(self._with(self.edits))) if name in self.edits]

    def without(self, key: str) -> Config | None:
        """The configuration with every edit but that of `key`, to see what this one does; None when it is none."""
        return _built(self._with({name: value for name, value in self.edits.items() if name != key}))

    def _file(self, problem: Problem) -> None:
        """Put a fault at its field; a fault inside a list belongs to the list."""
        key = ".".join(problem.key.partition("[")[0].split(".")[:2])
        typed = key in FIELDS and FIELDS[key].kind in ("int", "float") and isinstance(self.value(key), str)
        fix = "" if typed else problem.fix  # advice about quotes is for files
        words = f"{problem.what}; {fix}" if fix else problem.what
        if key in FIELDS:
            self.problems.setdefault(key, sanitize_line(words))
        else:
            self.others.append(sanitize_line(str(problem)))

    def value(self, key: str) -> object:
        """What the edited table says, right or wrong; the default where it says nothing."""
        section, _, name = key.partition(".")
        table = self.edited.get(section)
        return table[name] if isinstance(table, dict) and name in table else FIELDS[key].default

    def text(self, key: str) -> str:
        """The value as it is shown and typed."""
        return _shown(FIELDS[key], self.value(key))

    def base_text(self, key: str) -> str:
        """The value before any edit."""
        section, _, name = key.partition(".")
        table: Any = self.table.get(section)
        return _shown(FIELDS[key], table[name] if isinstance(table, Mapping) and name in table else FIELDS[key].default)

    def set(self, key: str, text: str) -> None:
        """Change a value; one equal to the base's is no change. A chosen horizon switches the others off."""
        self._edit(key, text)
        if key in HORIZONS and text.strip() not in HORIZONS.values():
            for other, nothing in HORIZONS.items():
                if other != key:
                    self._edit(other, nothing)
        self._set_aside(key)
        self._judge()

    def _edit(self, key: str, text: str) -> None:
        self.edits.pop(key, None)
        self._aside.pop(key, None)
        if text.strip() != self.base_text(key):
            self.edits[key] = _parsed(FIELDS[key], text)

    def reset(self, key: str) -> None:
        """Give a key the base's value back."""
        self.edits.pop(key, None)
        self._set_aside(key)
        self._judge()

    def forget(self) -> None:
        """Drop all edits."""
        self.edits.clear()
        self._aside.clear()
        self._judge()

    def changes(self) -> list[Change]:
        """What differs from the base, resolved when both are valid, else as typed."""
        if self.base is None or self.config is None:
            return [Change(key, self.base_text(key), self.text(key)) for key in self.edits]
        return [
            Change(key, _shown(FIELDS[key], before), _shown(FIELDS[key], after))
            for key, before, after in changed(self.base, self.config)
        ]

    def save(self) -> None:
        """Write the edits into the file, comments and order kept; they become its base. Raises ConfigError."""
        if self.config is None:
            raise ConfigError([f"{key}: {words}" for key, words in self.problems.items()] + self.others)
        values: dict[str, object] = {key: get(self.config, key) for key in self.edits}
        if self.base is not None:  # keys that lost their effect by an edit
            values |= {key: now for key, _, now in changed(self.base, self.config)}
        text = toml.update_text(toml.read_text(self.path), values)
        toml.write_text(self.path, text)
        self.table, self.base = toml.parse(text, where=str(self.path)), self.config
        self.forget()


def _built(table: Mapping[str, Any]) -> Config | None:
    try:
        return build(table)
    except ConfigError:
        return None


def _shown(field: Field, value: object) -> str:
    """A value as text: words bare, lists as TOML, everything safe to show."""
    if isinstance(value, str):
        return sanitize_line(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.12g}"
    try:
        return sanitize_line(literal(value) if isinstance(value, list | dict) else str(value))
    except TypeError:  # a date inside a list
        return sanitize_line(str(value))


def _parsed(field: Field, text: str) -> object:
    """What typed text means for a field; text that is no such value stays text, and the schema refuses it."""
    text = text.strip()
    if field.kind == "str":
        return text
    if field.kind == "choice":
        return next((choice for choice in field.choices if str(choice) == text), text)
    plain = text.replace(",", "").replace(" ", "") if field.kind in ("int", "float") else text
    try:
        return tomllib.loads(f"x = {plain}")["x"] if "\n" not in plain else text
    except (ValueError, RecursionError):
        return text
