"""The TOML text behind a draft: read under limits, judged as a whole, its faults by line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nanocore.config import toml
from nanocore.config.locate import locate, nearest_above
from nanocore.config.problem import Problem
from nanocore.config.schema import Config
from nanocore.config.validate import judged
from nanocore.errors import ConfigError
from nanocore.runs.text import sanitize_line

LIMIT = 128 << 10  # characters: a whole configuration with the help of every key has 20 thousand
DEPTH = 16  # of lists and tables in each other; a configuration needs four


@dataclass(frozen=True)
class Source:
    """A TOML text and what it says."""

    text: str
    table: Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """The faults of a table, and the configuration when it has none."""

    problems: tuple[Problem, ...]
    config: Config | None


@dataclass(frozen=True)
class Fault:
    """What is wrong with a text, in one safe line, and where; line 0 when it belongs to no line."""

    line: int
    words: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.words}" if self.line else self.words


@dataclass(frozen=True)
class Reading:
    """A text edited by hand: what it says and how that was judged, or the one fault that lets nothing be read."""

    text: str
    source: Source | None = None
    judged: Judged | None = None
    fault: Fault | None = None


def read_source(text: str, *, where: str = "") -> Source:
    """What a text says. Raises ConfigError when it is not TOML, or is larger or deeper than an editor can take."""
    prefix = f"{sanitize_line(where)}: " if where else "line 1: "
    if len(text) > LIMIT:
        raise ConfigError([f"{prefix}has {len(text)} characters, more than the {LIMIT} that can be edited; shorten it"])
    table = toml.parse(text, where=where)
    if _deep(table):
        raise ConfigError([f"{prefix}is nested too deeply; a configuration has sections and keys only"])
    return Source(text, table)


def read_by_hand(text: str) -> Reading:
    """Parse and judge a text; never raises for what it holds. It takes some milliseconds: call it in a thread."""
    try:
        source = read_source(text)
    except ConfigError as error:
        return Reading(text, fault=_fault(error))
    return Reading(text, source, judge(source.table))


def judge(table: Mapping[str, Any]) -> Judged:
    """All faults of a table, or its configuration."""
    found, config = judged(table)
    return Judged(tuple(found), config)


def faults(text: str, found: Sequence[Problem]) -> list[Fault]:
    """The faults of a text by line; `found` are those of the table that it holds."""
    places = {key: str(line) for key, line in locate(text).items()}
    listed = [Fault(int(nearest_above(each.key, places) or 0), sanitize_line(str(each))) for each in found]
    return sorted(listed, key=lambda fault: fault.line)


def _fault(error: ConfigError) -> Fault:
    """The line and the words of the error of a text without a name."""
    match = re.match(r"line (\d+): (.*)", error.problems[0], re.DOTALL)
    line, words = (int(match[1]), match[2]) if match else (0, error.problems[0])
    return Fault(line, sanitize_line(words))


def _deep(table: Mapping[str, Any]) -> bool:
    """Whether values lie in each other deeper than DEPTH; without recursion."""
    level: list[object] = [table]
    for _ in range(DEPTH):
        level = [inner for value in level for inner in _inner(value)]
        if not level:
            return False
    return True


def _inner(value: object) -> Sequence[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else ()
