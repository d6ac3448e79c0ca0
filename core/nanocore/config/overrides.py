"""`--set section.key=value`: values are TOML, and a bare word is text (`hardware.device=cpu`)."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from nanocore.config.idle import reset_idle
from nanocore.errors import UsageError
from nanocore.runs.text import sanitize_line

HORIZONS = ("training.steps", "training.tokens", "training.duration")


def parse(text: str) -> tuple[str, Any]:
    """`"model.d_model=256"` as `("model.d_model", 256)`. Raises UsageError when it is not section.key=value."""
    key, equals, raw = text.partition("=")
    key = key.strip()
    section, dot, name = key.partition(".")
    if not equals or not dot or not section or not name:
        what = f"--set {sanitize_line(text)}: is not section.key=value"
        raise UsageError(what, fix="write for example --set model.d_model=256")
    return key, _value(key, raw.strip())


def apply(table: Mapping[str, Any], sets: Sequence[str]) -> dict[str, Any]:
    """A copy of `table` with every `section.key=value` of `sets` put in; later ones win.

    A horizon (steps, tokens or duration) replaces the horizon that the table had. A key of the table that loses its
    effect by a value of `sets` has its default again, so that one override is enough to switch a part off.
    """
    result = copy.deepcopy(dict(table))
    values = dict(parse(text) for text in sets)
    chosen = any(values.get(key) for key in HORIZONS)
    if chosen and isinstance(result.get("training"), dict):
        for key in HORIZONS:
            result["training"].pop(key.removeprefix("training."), None)
    for key, value in values.items():
        _put(result, key, value)
    reset_idle(result, values.keys())
    return result


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    section, _, name = key.partition(".")
    if not isinstance(table.get(section), dict):
        table[section] = {}
    table[section][name] = value


def _value(key: str, raw: str) -> Any:
    """A TOML value; text that is none and opens no quote or bracket is a bare word."""
    if "\n" not in raw:
        try:
            return tomllib.loads(f"value = {raw}")["value"]
        except (ValueError, RecursionError):
            pass
    if raw[:1] in ('"', "'", "[", "{"):
        what = f"--set {sanitize_line(key)}: {sanitize_line(raw)} is not a TOML value"
        raise UsageError(what, fix="close its quotes and brackets")
    return raw
