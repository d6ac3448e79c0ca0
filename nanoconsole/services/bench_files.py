"""Results of `bench` as files: read, checked, and one beside another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanocore.bench.results import KINDS, SCHEMA, figures
from nanocore.compare.sections import last_of_each
from nanocore.errors import UsageError
from nanocore.files import read_regular
from nanocore.runs.text import sanitize_line

LARGEST = 64 << 20  # bytes of a result; a comparison of many runs has some hundred thousand


@dataclass(frozen=True)
class Beside:
    """One figure of two results; None in the one that lacks it. `ratio` is the second over the first, where neither can be below 0."""

    name: str
    unit: str
    better: str
    first: float | None
    second: float | None
    signed: bool = False

    @property
    def ratio(self) -> float | None:
        return self.second / self.first if self.first and self.second is not None and not self.signed else None


def read_result(path: Path) -> dict[str, Any]:
    """A result in a file. Raises UsageError when it is none, or is of a later program."""
    where = sanitize_line(str(path))
    try:
        found = json.loads(read_regular(path, LARGEST))
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", where=where) from None
    except (ValueError, RecursionError):
        raise UsageError("is not JSON", where=where, fix="write one with --out FILE") from None
    if not isinstance(found, dict) or found.get("bench") not in KINDS:
        raise UsageError("is no result of nanoconsole bench", where=where, fix="write one with --out FILE")
    if found.get("schema") != SCHEMA:
        raise UsageError("is of another version of nanoconsole", where=where, fix="measure again with this one")
    return found


def beside(first: dict[str, Any], second: dict[str, Any]) -> list[Beside]:
    """All figures of two results of one kind, in the order of the first, then what only the second has.

    Raises UsageError when the kinds differ, or one is damaged.
    """
    if first["bench"] != second["bench"]:
        raise UsageError(
            f"one is of bench {first['bench']}, the other of bench {second['bench']}", fix="compare two of one kind"
        )
    try:
        one, other = ({each.name: each for each in figures(document)} for document in (first, second))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"one of them is damaged: {type(error).__name__}: {sanitize_line(str(error))}") from None
    found = []
    for name in dict.fromkeys([*one, *other]):
        known = one.get(name) or other[name]
        values = (one[name].value if name in one else None, other[name].value if name in other else None)
        found.append(Beside(sanitize_line(name), known.unit, known.better, *values, known.signed))
    return found


def origin(document: dict[str, Any]) -> dict[str, str]:
    """What a result was measured on and with, in words."""
    machines = document.get("machines") if document["bench"] == "compare" else [document.get("machine")]
    first = _table(machines[0]) if isinstance(machines, list) and machines else {}
    device = _table(first.get("machine")) or _table(first.get("device")) or first
    versions = _table(first.get("versions"))
    command = document.get("command")
    return {
        **_of_experiment(document),
        "processor": _text(device.get("device_name") or device.get("cpu")),
        "versions": ", ".join(f"{_text(name)} {_text(found)}" for name, found in versions.items() if found),
        "revision": _text(first.get("git")),
        "command": " ".join(map(_text, command)) if isinstance(command, list) else "",
    }


def different(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """What two experiments do not share, so that their figures are not of the same training; in words."""
    one, other = _of_experiment(first), _of_experiment(second)
    found = [f"{key} {one[key]} and {other.get(key)}" for key in one if one[key] != other.get(key)]
    return [f"they are not of the same training: {', '.join(found)}; the figures do not compare"] if found else []


def _of_experiment(document: dict[str, Any]) -> dict[str, str]:
    """How its runs were trained; nothing where it is no comparison."""
    if document["bench"] != "compare":
        return {}
    seeds, sets = (value if isinstance(value := document.get(key), list) else [] for key in ("seeds", "sets"))
    return {
        "preset": _text(document.get("preset")),
        "steps": _text(document.get("steps")),
        "seeds": ", ".join(map(_text, seeds)),
        "threads": _text(document.get("threads")),
        "all runs": "; ".join(map(_text, last_of_each([text for text in sets if isinstance(text, str)]))),
    }


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return sanitize_line(str(value), 400) if value else ""
