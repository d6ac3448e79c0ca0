"""A configuration while it is edited: the text it came from, the changes, the faults, and what it means.

There are two ways to edit: key by key (a form), and the TOML text by hand. Edits of the form lie over the text last
typed; `toml` puts them into it, one line each, so both always say the same.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nanoconsole.services.draft_faults import FIELDS, filed
from nanoconsole.services.edits import applied, settled
from nanoconsole.services.source import Fault, Judged, Reading, faults, judge, read_source
from nanoconsole.services.typed import parsed, same, shown, writable
from nanocore.config import toml
from nanocore.config.idle import asleep, of_table, reset_idle
from nanocore.config.resolve import target_path
from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.errors import ConfigError
from nanocore.runs.layout import RunFolder, valid_name
from nanocore.runs.text import sanitize_line

HORIZONS = {"training.steps": "0", "training.tokens": "0", "training.duration": ""}  # and what switches each off


class Draft:
    """Values are set as text, as typed; `config` exists while nothing is wrong."""

    def __init__(self, target: str) -> None:
        """Open a preset by name, a TOML file by path, or a run by the path of its config.toml.

        Raises UsageError or ConfigError when it cannot be read.
        """
        self.target = target
        self.path: Path = target_path(target)
        self.run = _run_of(self.path)
        self.is_file = self.run is None and (target.endswith(".toml") or "/" in target)
        self._open(toml.read_text(self.path))

    def _open(self, text: str) -> None:
        """Begin from the text of the file."""
        self._file = self._source = read_source(text, where=str(self.path))
        self.base = _built(self._file.table)
        self.forget()

    @property
    def name(self) -> str:
        if self.run is not None:
            return self.run.name
        return sanitize_line(self.path.name if self.is_file else self.target)

    @property
    def noun(self) -> str:
        """What it was opened from, in words."""
        return "the run" if self.run else "the file" if self.is_file else "the preset"

    def forget(self) -> None:
        """Drop all changes, those of the text too."""
        self._source = self._file
        self.broken: Fault | None = None  # why the text typed last cannot be read at all
        self._typed = ""  # that text
        self.edits: dict[str, object] = {}  # made key by key since the text was typed
        self.aside: dict[str, object] = {}  # edits of details while their technique is off
        self._judge()

    def _judge(self, judged: Judged | None = None) -> None:
        """Find the faults of the edited table, and the configuration when it has none."""
        self.edited = applied(self._source.table, self.edits)
        self.asleep = {key: by.state(self.value) for key, by in asleep(self.value)}  # keys without effect, and why
        self.found, self.config = (one := judged or judge(self.edited)).problems, one.config
        self.problems, self.others = filed(self.found, self.value)

    def snapshot(self) -> Draft:
        """The draft as it is now, for a thread that works something out while this one is edited."""
        taken = copy.copy(self)
        taken.edits, taken.aside = dict(self.edits), dict(self.aside)
        return taken

    # Values

    def value(self, key: str) -> object:
        """What the edited table says, right or wrong; the default where it says nothing."""
        return _value(self.edited, key)

    def text(self, key: str) -> str:
        """The value as it is shown and typed."""
        return shown(self.value(key))

    def base_text(self, key: str) -> str:
        """The value of the file, before any change."""
        return shown(_value(self._file.table, key))

    @property
    def touched(self) -> list[str]:
        """The keys whose value is not that of the file."""
        return [key for key in FIELDS if not same(_value(self._file.table, key), self.value(key))]

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to save."""
        return bool(self.broken or self.edits or self._source.text != self._file.text)

    # Editing key by key

    def set(self, key: str, text: str) -> None:
        """Change a value; one equal to the text's is no edit. A chosen horizon switches the others off.

        Nothing changes while the text is broken: there is no line that could be changed in it.
        """
        if self.broken:
            return
        self._edit(key, text)
        if key in HORIZONS and text.strip() not in HORIZONS.values():
            for other, nothing in HORIZONS.items():
                if other != key:
                    self._edit(other, nothing)
        self.edits, self.aside = settled(self._source.table, self.edits, self.aside, key)
        self._judge()

    def _edit(self, key: str, text: str) -> None:
        self.edits.pop(key, None)
        self.aside.pop(key, None)
        if text.strip() != shown(_value(self._source.table, key)):
            self.edits[key] = parsed(FIELDS[key], text)

    def put(self, values: Mapping[str, object]) -> None:
        """Set values that are not text, as `--set` gives them: a horizon among them replaces the others."""
        if any(values.get(key) for key in HORIZONS):
            self.edits |= {key: parsed(FIELDS[key], nothing) for key, nothing in HORIZONS.items()}
        self.edits |= values
        self._judge()

    def reset(self, key: str) -> None:
        """Give a key the file's value back."""
        if self.broken:
            return
        self.edits.pop(key, None)
        if not same(before := _value(self._file.table, key), _value(self._source.table, key)):
            self.edits[key] = before
        self.edits, self.aside = settled(self._source.table, self.edits, self.aside, key)
        self._judge()

    # Editing the text

    @property
    def source_table(self) -> Mapping[str, Any]:
        """What the text typed last says; `edits` lie over it."""
        return self._source.table

    @property
    def source_text(self) -> str:
        """The text typed last, or that of the file, without the edits of the form."""
        return self._source.text

    def writing(self) -> tuple[str, dict[str, object]]:
        """The text typed last, and the values to put into it: what `toml.update_text` takes."""
        now = {key: self.value(key) for key in FIELDS}
        return self._source.text, {
            key: writable(value) for key, value in now.items() if not same(value, _value(self._source.table, key))
        }

    def toml(self) -> str:
        """The whole text as it stands, comments kept. Raises ConfigError where a line cannot be changed in place."""
        if self.broken:
            return self._typed
        text, values = self.writing()
        return toml.update_text(text, values) if values else text

    def take(self, reading: Reading) -> None:
        """Follow a text typed by hand; one that cannot be read leaves the form as it was until it can."""
        self.broken, self._typed = reading.fault, reading.text
        if reading.source is None:
            self.config, self.problems, self.others = None, {}, [f"the text, {reading.fault}"]
            return
        self._source = reading.source
        self.edits.clear()
        self.aside.clear()
        self._judge(reading.judged)

    def faults(self, text: str) -> list[Fault]:
        """What is wrong with the text, by line."""
        return [self.broken] if self.broken else faults(text, self.found)

    # What it amounts to

    def without(self, key: str) -> Config | None:
        """The configuration with every change but that of `key`, to see what this one does; None when it is none."""
        if key in self.edits:
            rest = {name: value for name, value in self.edits.items() if name != key}
            return _built(applied(self._source.table, rest))
        section, _, name = key.partition(".")
        table = copy.deepcopy(self.edited)
        table.setdefault(section, {})[name] = _value(self._file.table, key)
        reset_idle(table, {key})
        return _built(table)

    def save(self) -> None:
        """Write the text into the file, which becomes the base. Raises ConfigError, also for faults."""
        if self.config is None:
            raise ConfigError([f"{key}: {words}" for key, words in self.problems.items()] + self.others)
        text = self.toml()
        toml.write_text(self.path, text)
        self._open(text)


def _run_of(path: Path) -> RunFolder | None:
    """The run whose configuration a path is: a record, which is never written."""
    run = RunFolder(path.parent)
    is_run = path.name == run.config_file.name and run.run_file.is_file() and valid_name(run.name)
    return run if is_run else None


def _value(table: Mapping[str, Any], key: str) -> object:
    """What a table says of a key, right or wrong; the default where it says nothing."""
    return of_table(table)(key)


def _built(table: Mapping[str, Any]) -> Config | None:
    try:
        return build(table)
    except ConfigError:
        return None
