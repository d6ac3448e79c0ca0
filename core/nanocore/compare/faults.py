"""One line for each fault of an experiment: the place where its key stands in the file, what is wrong, what to write."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nanocore.config.locate import locate, nearest_above
from nanocore.config.messages import dotted, show
from nanocore.runs.text import sanitize_line

# What a key takes, by the types of pydantic's error records; the others have words of their own.
_MUST = {
    "model_type": "a table",
    "dict_type": "a table",
    "model_attributes_type": "a table",
    "list_type": "a list in [ ]",
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} long",
    "too_long": "at most {max_length} long",
}
# What may stand for a key, for those whose value is of no type from which it could be guessed.
_EXAMPLES = {
    "sets": '["mtp.horizon=2"]',
    "sets[]": '"mtp.horizon=2"',
    "seeds": "[1, 2, 3]",
    "seeds[]": "1",
    "equal": '["steps", "time"]',
    "equal[]": '"steps"',
    "steps": "200",
    "preset": '"tiny-cpu"',
    "variants": "[variants.mtp] and its keys below it",
}


def places(where: str, text: str) -> dict[str, str]:
    """`file:line` of every key and table header of a TOML text that stands in the file `where`."""
    return {key: f"{where}:{line}" for key, line in locate(text).items()}


def told(where: str, known: Mapping[str, str] | None, key: str, what: str) -> str:
    """`place: key: what`; the place is that of the key or of the nearest above it, `where` if none is known."""
    place = nearest_above(key, known or {}) or where
    return f"{place}: {sanitize_line(key, 80)}: {what}"


def schema_fault(where: str, known: Mapping[str, str], fault: dict[str, Any], names: Sequence[str]) -> str:
    """The line for one error record of pydantic; `names` are the keys of the part that the fault is in."""
    key = dotted(fault["loc"])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1]), names, 1)
        meant = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(names)}"
        return told(where, known, key, f"unknown key; {meant}")
    if fault["type"] == "missing":
        return told(where, known, key, "is missing; see docs/comparisons.md")
    return told(
        where,
        known,
        key,
        f"{_what(fault)}, found {show(fault['input'])}; {_advice(fault['type'], key, fault['input'])}",
    )


def _what(fault: Mapping[str, Any]) -> str:
    """What the key takes, or pydantic's own words where none are known."""
    if must := _MUST.get(fault["type"]):
        return sanitize_line(f"must be {must.format(**fault.get('ctx', {}))}")
    message = fault["msg"].removeprefix("Value error, ")
    return sanitize_line(message[:1].lower() + message[1:])


def _advice(kind: str, key: str, value: object) -> str:
    """What to write in the place of a value that is not taken."""
    shown, form = sanitize_line(key, 80), _MUST.get(kind)
    if form == "a list in [ ]" and key.endswith(".claims"):
        return f"write [[{shown}]] and its keys below it"
    if form == "a table":
        return "write its keys in { }" if key.endswith("]") else f"write [{shown}] and its keys below it"
    if form == "a list in [ ]" and isinstance(value, str if key.endswith(("sets", "equal")) else int):
        return f"write [{show(value)}]"
    if form in ("a whole number", "a number") and isinstance(value, str) and value.isdigit():
        return "write it without quotes"
    example = _EXAMPLES.get(re.sub(r"\[\d+\]$", "[]", key.rpartition(".")[2]))
    return f"write for example {example}" if example else "correct it"
