"""One line for each way a value can be wrong: what was found, what is allowed, which key was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Any

from nanocore.config.fields import Field, fields, source_fields
from nanocore.config.legacy_keys import entry
from nanocore.config.literals import literal
from nanocore.config.rules import Problem
from nanocore.config.schema import Config
from nanocore.runs.text import sanitize_line

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text in quotes",
    "list": "a list in [ ]",
}
_LONGEST = 60  # characters of a value that are shown
# What is written to a key whose description tells what it means; of other patterns the description is this already.
_WRITTEN = {"delta.pattern": "capital letters D and A without spaces, such as DDDA, at most 256, or empty"}


def describe(fault: dict[str, Any], *, bare: bool = False) -> Problem:
    """The problem behind one error record of pydantic (`type`, `loc`, `input`, `ctx`).

    A `bare` value was text without quotes, so there are none to remove.
    """
    loc = tuple(fault["loc"])
    key = sanitize_line(dotted(loc))
    if fault["type"] == "extra_forbidden":
        return _unknown(key, loc)
    field = _field(loc)
    if fault["type"] == "value_error":
        what, _, fix = str(fault["ctx"]["error"]).partition("; ")
        return Problem(key, what, fix)
    if field is None:
        return _misplaced(key, loc, fault["input"])
    what = f"must be {allowed(field, loc)}, found {show(fault['input'])}"
    return Problem(key, what, _advice(field, fault["input"], bare))


def dotted(loc: tuple[int | str, ...]) -> str:
    """`("data", "sources", 0, "kind")` as `data.sources[0].kind`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def show(value: object) -> str:
    """A value of a TOML table as the user wrote it, on one line, at most 60 characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 200:  # str() refuses very long integers
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, dict):
        return "a table"
    text = sanitize_line(f'"{value}"' if isinstance(value, str) else str(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def allowed(field: Field, loc: tuple[int | str, ...] = ()) -> str:
    """What a key accepts, in words: `a whole number from 8 to 16384`."""
    if loc and isinstance(loc[-1], int):
        return "text in quotes" if field.name == "paths" else "a table in { }"
    if field.choices:
        return " or ".join(f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in field.choices)
    if field.pattern:
        return _WRITTEN.get(field.key, field.help.rstrip("."))
    return " ".join(part for part in (_KINDS[field.kind], field.range) if part)


def nearest_key(key: str) -> str | None:
    """The known key or section that `key` was probably meant to be."""
    known = [field.key for field in fields()] + [field.key for field in source_fields()] + list(Config.model_fields)
    section, _, name = key.rpartition(".")
    elsewhere = {known_key.rpartition(".")[2]: known_key for known_key in known}
    if name in elsewhere:
        return elsewhere[name]
    inside = {known_key.rpartition(".")[2]: known_key for known_key in known if known_key.rpartition(".")[0] == section}
    close = difflib.get_close_matches(name, inside, 1, 0.6) or _longer(name, inside)
    if close:
        return inside[close[0]]
    close = difflib.get_close_matches(name, elsewhere, 1, 0.75)
    return elsewhere[close[0]] if close else None


def _longer(name: str, known: Collection[str]) -> list[str]:
    """The one name that goes on from this one, as rank_fraction does from rank; none where several do."""
    longer = [each for each in known if each.startswith(f"{name}_")]
    return longer if len(longer) == 1 else []


def _unknown(key: str, loc: tuple[int | str, ...]) -> Problem:
    plain = ".".join(str(part) for part in loc if not isinstance(part, int))
    near = nearest_key(plain.replace("data.sources.", "data.sources[]."))
    if entry(plain) and (near is None or near.rpartition(".")[2] != plain.rpartition(".")[2]):
        return Problem(key, "unknown key", "the earlier system had it: `nanoconsole config import` reads its files")
    if near is None:
        return Problem(key, "unknown key", "`nanoconsole config show` lists all keys")
    return Problem(key, "unknown key", f"did you mean {near.rpartition('.')[2] if '[]' in near else near}?")


def _misplaced(key: str, loc: tuple[int | str, ...], value: object) -> Problem:
    """A section, or the whole table, that is not a table."""
    return Problem(key, f"is a section of keys, found {show(value)}", f"write [{key}] and its keys below it")


def _field(loc: tuple[int | str, ...]) -> Field | None:
    names = [part for part in loc if isinstance(part, str)]
    if names[:2] == ["data", "sources"] and len(names) == 3:
        return next((field for field in source_fields() if field.name == names[2]), None)
    return next((field for field in fields() if field.key == ".".join(names[:2])), None) if len(names) > 1 else None


def _advice(field: Field, value: object, bare: bool) -> str:
    if field.kind == "choice" and isinstance(value, str):
        close = difflib.get_close_matches(value, [str(choice) for choice in field.choices], 1)
        if close:
            return f'did you mean "{close[0]}"?'
    if not bare and field.kind == "bool" and isinstance(value, str) and value.lower() in ("true", "false"):
        return "remove the quotes"
    if not bare and field.kind in ("int", "float") and isinstance(value, str):
        return "write it without quotes"
    if field.pattern and isinstance(value, str) and len(value) <= _LONGEST:
        meant = [other for other in (value.upper(), value.lower()) if re.search(field.pattern, other)]
        if meant:
            return f"write {literal(meant[0])}"
    if field.kind == "str" and not isinstance(value, str):
        return "put it in quotes"
    return f"the default is {literal(field.default)}"
