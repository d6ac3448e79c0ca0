"""The user's settings: settings.toml in the folder of user configuration, read leniently and changed key by key.

A fault costs the key it is in, never the console: each is one line in `Settings.problems`, and the default stands.
Only this file may name a program to run or a key to press; presets, run folders and archives cannot.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from nanoconsole.services.alert_rules import BY_NAME
from nanoconsole.services.settings_schema import BY_KEY, SETTINGS, Value
from nanocore.config.locate import nearest_above
from nanocore.errors import ConfigError, UsageError
from nanocore.runs.hints import to_type
from nanocore.runs.text import sanitize_line

SLOW_LINE = 2.0  # least seconds between two looks with low_bandwidth
LONGEST_SHOWN = 40
_within_process = threading.Lock()  # a file is read, changed and replaced by one thread at a time
SECTIONS = ("keys", "alerts", *(f"alerts.{name}" for name in BY_NAME))


@dataclass(frozen=True)
class Settings:
    """All settings: `values` by dotted key, complete; `keys` are the changed keys by name, () for none.

    `problems` are the faults of the file in finished lines, `places` says where its keys stand as `file:line`.
    """

    values: Mapping[str, Value] = field(default_factory=lambda: {row.key: row.default for row in SETTINGS})
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def theme(self) -> str:
        return cast("str", self.values["theme"])

    @property
    def refresh_hz(self) -> float:
        return cast("float", self.values["refresh_hz"])

    @property
    def low_bandwidth(self) -> bool:
        return cast("bool", self.values["low_bandwidth"])

    @property
    def glyphs(self) -> str:
        return cast("str", self.values["glyphs"])

    @property
    def bell(self) -> bool:
        return cast("bool", self.values["bell"])

    @property
    def tensorboard(self) -> bool:
        return cast("bool", self.values["tensorboard"])

    @property
    def roots(self) -> tuple[Path, ...]:
        """Further folders of runs, absolute."""
        return tuple(Path(root).expanduser().absolute() for root in self._words("roots"))

    @property
    def command(self) -> tuple[str, ...]:
        """Program and arguments of the alerts' action `command`."""
        return self._words("alerts.command")

    @property
    def command_seconds(self) -> float:
        return cast("float", self.values["alerts.command_seconds"])

    @property
    def interval(self) -> float:
        """Seconds between two looks at the runs."""
        return max(1.0 / self.refresh_hz, SLOW_LINE if self.low_bandwidth else 0.0)

    def enabled(self, rule: str) -> bool:
        return cast("bool", self.values[f"alerts.{rule}.enabled"])

    def limit(self, rule: str, name: str) -> float:
        """A bound of an alert rule, such as `limit("disk", "below")`."""
        return cast("float", self.values[f"alerts.{rule}.{name}"])

    def actions(self, rule: str) -> tuple[str, ...]:
        return self._words(f"alerts.{rule}.actions")

    def _words(self, key: str) -> tuple[str, ...]:
        return cast("tuple[str, ...]", self.values[key])


def settings_file() -> Path:
    """Where the settings are kept, whether there are any yet or not."""
    from platformdirs import user_config_path

    return user_config_path("nanoconsole") / "settings.toml"


def load(path: Path | None = None) -> Settings:
    """The user's settings. Never raises: what cannot be used is told in `problems`, and its default stands."""
    path = path or settings_file()
    try:
        if not path.exists():
            return Settings()
        from nanocore.config.toml_text import parse, places, read_text  # for the first frame of those who have a file

        text = read_text(path)
        table = parse(text, where=str(path))
    except ConfigError as error:
        return Settings(problems=tuple(f"{line}; the defaults are used" for line in error.problems))
    except OSError as error:
        return Settings(problems=(f"{sanitize_line(str(path))}: cannot be read: {error.strerror}",))
    return _read(table, places(text, str(path)), sanitize_line(str(path)))


def save(key: str, value: Value, path: Path | None = None) -> Settings:
    """Set one key in the file, its comments kept, and return all settings as they are then.

    Raises UsageError for a key or value that is none, ConfigError when the file cannot be read, edited or written.
    """
    from nanocore.config.toml_text import parse, read_text, write_text

    path = path or settings_file()
    if key not in BY_KEY:
        raise UsageError("is no setting", where=sanitize_line(key), fix=_advice(key))
    try:
        taken = BY_KEY[key].take(value)
    except ValueError as error:
        raise UsageError(f"{_shown(value)} {error}", where=key) from None
    with _within_process:
        text = read_text(path) if path.exists() else ""
        parse(text, where=str(path))
        write_text(path, _updated(text, key, taken))
    return load(path)


def _read(table: Mapping[str, object], known: Mapping[str, str], where: str) -> Settings:
    """Each key that is known and has an allowed value; of all others a line."""
    values: dict[str, Value] = {row.key: row.default for row in SETTINGS}
    keys: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for key, raw in _flat(table):
        try:
            if key.startswith("keys."):
                keys[key.removeprefix("keys.")] = _pressed(raw)
            elif key in BY_KEY:
                values[key] = BY_KEY[key].take(raw)
            else:
                raise ValueError(f"is no setting; {_advice(key)}")
        except ValueError as error:
            shown = f" = {_shown(raw)}" if key in BY_KEY or key.startswith("keys.") else ""
            place = nearest_above(key, known) or where
            problems.append(f"{place}: {sanitize_line(key, 80)}{shown} {error}")
    return Settings(values, keys, tuple(problems), dict(known))


def _flat(table: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    """Every value with its dotted key; a table where none belongs counts as a value."""
    for name, raw in table.items():
        key = f"{above}{name}"
        inside = key in SECTIONS or key.startswith("keys.")
        if isinstance(raw, dict) and inside:
            yield from _flat(raw, f"{key}.")
        else:
            yield key, raw


def _pressed(raw: object) -> tuple[str, ...]:
    """The keys of an action: one text, with commas between several, or a list; "" is none."""
    words = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(words, list) or not all(isinstance(word, str) and len(word) <= LONGEST_SHOWN for word in words):
        raise ValueError('is neither a key such as "ctrl+p" nor a list of keys')
    return tuple(word.strip() for word in words if word.strip())


def _shown(raw: object) -> str:
    words = "true" if raw is True else "false" if raw is False else f'"{raw}"' if isinstance(raw, str) else str(raw)
    return sanitize_line(words, LONGEST_SHOWN)


def _advice(key: str) -> str:
    near = difflib.get_close_matches(key, BY_KEY, n=1) if len(key) < 80 else []
    return f"did you mean {near[0]}?" if near else f"see {to_type('settings show')}"


def _updated(text: str, key: str, value: Value) -> str:
    """The text with one key set; tomlkit keeps all else as it is. Raises ConfigError when it cannot."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    *tables, name = key.split(".")
    try:
        document = tomlkit.parse(text)
        place: object = document
        for part in tables:
            if part not in place:  # type: ignore[operator]
                place[part] = tomlkit.table()  # type: ignore[index]
            place = place[part]  # type: ignore[index]
        place[name] = list(value) if isinstance(value, tuple) else value  # type: ignore[index]
        result = tomlkit.dumps(document)
    except (TOMLKitError, RecursionError, AttributeError, TypeError) as error:
        raise ConfigError([f"settings cannot be edited in place: {sanitize_line(str(error))}"]) from None
    _require(result, text, key, value)
    return result


def _require(result: str, text: str, key: str, value: Value) -> None:
    """The new text must mean the old one with this key, and nothing else."""
    from nanocore.config.toml_text import parse

    before, after = dict(_flat(parse(text))), dict(_flat(parse(result)))
    wanted = {**before, key: list(value) if isinstance(value, tuple) else value}
    if after != wanted:
        raise ConfigError(["settings cannot be edited in place; write sections as [section], one key a line"])
