"""A run's configuration as flat keys and values, as it was trained: for filters and for what differs between runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nanocore.errors import ConfigError
from nanocore.runs.layout import RunFolder
from nanocore.runs.text import sanitize, sanitize_line

Flat = Mapping[str, object]
UNREAD = ("schema",)  # not a key of the configuration
ABOUT = "about."  # what training never reads


def read_flat(run: RunFolder) -> Flat:
    """Every key of a run's configuration by its dotted path; {} when it cannot be read.

    The schema is not asked, so that a run of an older version is read as it is. Strings are sanitised.
    """
    from nanocore.config.toml_text import read_table

    try:
        table = read_table(run.config_file)
    except ConfigError:
        return {}
    return flat(table)


def flat(table: Mapping[str, object]) -> Flat:
    """A table of tables by dotted paths."""
    return {key: value for key, value in _flat(table, "") if key not in UNREAD}


def differing(configs: Sequence[Flat]) -> list[tuple[str, list[object]]]:
    """(key, value in each) of every key whose value differs between configurations; None where one lacks it."""
    keys = dict.fromkeys(key for config in configs for key in config if not key.startswith(ABOUT))
    found = [(key, [config.get(key) for config in configs]) for key in keys]
    return [(key, values) for key, values in found if any(value != values[0] for value in values)]


def shown(value: object) -> str:
    """A value of a configuration in one line; a dash for none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    return sanitize_line(f"{value:g}" if isinstance(value, float) else str(value))


def _flat(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        key = sanitize_line(f"{prefix}{name}", 120)
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key}.")
        else:
            yield key, sanitize(value) if isinstance(value, str) else _plain(value)


def _plain(value: object) -> object:
    """Numbers and switches as they are; lists and dates as safe text."""
    return value if isinstance(value, bool | int | float) else sanitize(str(value))
