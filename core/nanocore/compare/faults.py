"""One line for each fault of an experiment: the place where its key stands in the file, what is wrong, what to write."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from nanocore.config.locate import locate, nearest_above
from nanocore.config.messages import dotted, show
from nanocore.runs.text import sanitize_line

_SECTION = ("model_type", "dict_type", "model_attributes_type")  # pydantic's names of what is no table
_QUOTED = ("int_type", "float_type")  # and of what is no number


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
    message = fault["msg"].removeprefix("Value error, ")
    what = sanitize_line(message[:1].lower() + message[1:])
    return told(
        where, known, key, f"{what}, found {show(fault['input'])}; {_advice(fault['type'], key, fault['input'])}"
    )


def _advice(kind: str, key: str, value: object) -> str:
    """What to write in the place of a value of another type."""
    shown = sanitize_line(key, 80)
    if kind == "list_type" and key.endswith(".claims"):
        return f"write [[{shown}]] and its keys below it"
    if kind == "list_type":
        return 'write for example ["mtp.horizon=2"]' if isinstance(value, dict) else f"write [{show(value)}]"
    if kind in _SECTION:
        return "write its keys in { }" if key.endswith("]") else f"write [{shown}] and its keys below it"
    if kind == "string_type":
        return "put it in quotes"
    return "write it without quotes" if kind in _QUOTED and isinstance(value, str) else "correct it"
