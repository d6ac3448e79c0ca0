"""Sweeps: several values of some keys, every combination a run with a name of its own.

A line is `key = v1, v2, v3`; several lines make a grid, in which the last key changes first.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nanocore.config import overrides
from nanocore.config.fields import fields
from nanocore.config.literals import literal
from nanocore.config.messages import nearest_key
from nanocore.config.schema import Config
from nanocore.config.validate import build
from nanocore.errors import ConfigError, UsageError
from nanocore.runs.layout import valid_name
from nanocore.runs.text import sanitize_line

MOST = 256  # runs of one sweep
NAME = 64  # characters of a run's name
_PIECE = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\[[^\[\]]*\]|\{[^{}]*\}|[^,"'\[{]|["'\[{])+""")


@dataclass(frozen=True)
class Axis:
    """A key and the values it takes."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Planned:
    """One run of a sweep: its name, what it sets, and its configuration, or the `problem` that forbids it."""

    name: str
    sets: tuple[str, ...]
    config: Config | None
    problem: str = ""


def axes(lines: Sequence[str]) -> list[Axis]:
    """The axes that lines describe; empty lines and comments are passed over.

    Raises UsageError for a line that is not `key = values`, an unknown or repeated key, and more than `MOST` runs.
    """
    found = [_axis(line) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    keys = [axis.key for axis in found]
    if twice := next((key for key in keys if keys.count(key) > 1), ""):
        raise UsageError("stands in two lines", where=twice, fix="write all its values in one")
    if (runs := size(found)) > MOST:
        raise UsageError(f"{runs} runs are more than the {MOST} of one sweep", fix="give fewer values")
    return found


def size(found: Sequence[Axis]) -> int:
    """How many runs axes make: one without any."""
    product = 1
    for axis in found:
        product *= len(axis.values)
    return product


def plan(table: Mapping[str, Any], found: Sequence[Axis], stem: str, taken: Callable[[str], bool]) -> Iterator[Planned]:
    """Each run of the grid over a raw table. Names are free (`taken` says of one whether it is), and differ."""
    given: set[str] = set()
    for values in itertools.product(*(axis.values for axis in found)):
        sets = tuple(f"{axis.key}={literal(value)}" for axis, value in zip(found, values, strict=True))
        name = _free(_name(stem, found, values, len(given)), lambda each: each in given or taken(each))
        given.add(name)
        try:
            yield Planned(name, sets, build(overrides.apply(table, sets), options={axis.key for axis in found}))
        except ConfigError as error:
            yield Planned(name, sets, None, sanitize_line(error.problems[0].removeprefix("--set: ")))


def _axis(line: str) -> Axis:
    key, equals, raw = line.partition("=")
    key = sanitize_line(key)
    if not equals or not key:
        raise UsageError("is not key = v1, v2", where=sanitize_line(line, 60), fix="as training.seed = 1, 2, 3")
    if key not in {field.key for field in fields()}:
        near = nearest_key(key)
        raise UsageError("unknown key", where=key, fix=f"did you mean {near}?" if near else "as training.seed = 1, 2")
    values = _values(key, raw.strip())
    if not values:
        raise UsageError("has no values", where=key, fix=f"as {key} = v1, v2")
    if repeated := next((one for place, one in enumerate(values) if _among(one, values[:place])), None):
        raise UsageError(f"has the value {sanitize_line(str(repeated), 40)} twice", where=key, fix="give it once")
    return Axis(key, tuple(values))


def _values(key: str, raw: str) -> list[Any]:
    """TOML values separated by commas; a bare word is text, as with --set."""
    try:
        return tomllib.loads(f"x = [{raw}]")["x"] if "\n" not in raw else []
    except (ValueError, RecursionError):
        pieces = [piece.strip() for piece in _PIECE.findall(raw)]
        return [overrides.parse(f"{key}={piece}")[1] for piece in pieces if piece]


def _among(value: object, others: Collection[object]) -> bool:
    return any(type(value) is type(other) and value == other for other in others)


def _name(stem: str, found: Sequence[Axis], values: Sequence[object], number: int) -> str:
    """`STEM-KEY-VALUE...`; a number where that is too long."""
    last = [axis.key.rpartition(".")[2] for axis in found]
    keys = [axis.key if last.count(name) > 1 else name for axis, name in zip(found, last, strict=True)]
    parts = [f"-{_slug(key)}-{_slug(_word(value))}" for key, value in zip(keys, values, strict=True)]
    name = stem + "".join(parts)
    return name if len(name) <= NAME and valid_name(name) else f"{stem[: NAME - 10]}-{number + 1:03d}"


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return (str(value) or "none") if isinstance(value, str | int | float) else literal(value)


def _slug(text: str) -> str:
    """Text as a part of a name."""
    return re.sub(r"\.{2,}", ".", re.sub(r"[^a-z0-9._]+", "-", text.lower())).strip("-.") or "x"


def _free(name: str, taken: Callable[[str], bool]) -> str:
    """The name, or it with the first number from 2 that makes it free."""
    if not taken(name):
        return name
    numbered = (f"{name[: NAME - 5]}-{number}" for number in itertools.count(2))
    return next(each for each in numbered if not taken(each))
