"""Values of a configuration as they are shown and typed, and what typed text means for a field."""

from __future__ import annotations

import math
import tomllib

from nanocore.config.fields import Field
from nanocore.config.write import literal
from nanocore.runs.text import sanitize_line


def shown(value: object) -> str:
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


def parsed(field: Field, text: str) -> object:
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


def writable(value: object) -> object:
    """The value itself, or as text where TOML written by us has no form for it: a date, a number that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    try:
        literal(value)
    except (TypeError, ValueError):
        return str(value)
    return value


def same(a: object, b: object) -> bool:
    """Whether two values of tables are written alike: 1, 1.0 and true are three values, and nan is itself."""
    return a is b or (type(a) is type(b) and a == b)
