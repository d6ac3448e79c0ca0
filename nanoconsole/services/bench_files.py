"""Results of `bench` as files: read, checked, and one beside another."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanocore.bench.figures import TABLES, Figure, figures
from nanocore.bench.results import KINDS, SCHEMA
from nanocore.compare.sections import last_of_each
from nanocore.errors import UsageError
from nanocore.files import read_regular
from nanocore.runs.text import sanitize_line

LARGEST = 64 << 20  # bytes of a result; a comparison of many runs has some hundred thousand
NONE = "none"


@dataclass(frozen=True)
class Beside:
    """One figure of two results; None in the one that lacks it. `ratio` is the second over the first, where that says something."""

    name: str
    unit: str
    better: str
    first: float | None
    second: float | None
    ratios: bool = True

    @property
    def ratio(self) -> float | None:
        if not self.ratios or not self.first or self.second is None:
            return None
        found = self.second / self.first
        return found if math.isfinite(found) else None


@dataclass(frozen=True)
class Said:
    """The verdict on a variant in two experiments, in words; "" where there is none."""

    name: str
    first: str
    second: str


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

    Raises UsageError when the kinds differ, or one is damaged or has a number that is none.
    """
    if first["bench"] != second["bench"]:
        raise UsageError(f"A is of {_kind(first)}, B of {_kind(second)}", fix="compare two of one kind")
    one, other = _figures("A", first), _figures("B", second)
    found = []
    for name in dict.fromkeys([*one, *other]):
        known = one.get(name) or other[name]
        values = (one[name].value if name in one else None, other[name].value if name in other else None)
        found.append(Beside(sanitize_line(name), known.unit, known.better, *values, known.ratios))
    return found


def _kind(document: dict[str, Any]) -> str:
    """The command that measured it, in words."""
    return "an experiment (compare, bench e3)" if document["bench"] == "compare" else f"bench {document['bench']}"


def _figures(which: str, document: dict[str, Any]) -> dict[str, Figure]:
    try:
        return {each.name: each for each in figures(document)}
    except KeyError as error:
        flaw = f"{sanitize_line(str(error.args[0]))} is missing"
    except ValueError as error:  # a number that is none
        flaw = sanitize_line(str(error))
    except OverflowError:
        flaw = "a number in it is too large"
    except (TypeError, AttributeError):
        flaw = "a value in it is not of the form that its kind has"
    raise UsageError(f"{which} is damaged: {flaw}", fix="measure it again, with --out")


def verdicts(first: dict[str, Any], second: dict[str, Any]) -> list[Said]:
    """What two experiments concluded of each variant; nothing of other kinds. Both are whole, as `beside` found them."""
    one, other = _verdicts(first), _verdicts(second)
    names = dict.fromkeys([*one, *other])
    return [Said(sanitize_line(name), one.get(name, ""), other.get(name, "")) for name in names]


def _verdicts(document: dict[str, Any]) -> dict[str, str]:
    if document["bench"] != "compare":
        return {}
    rows = ((words, row) for key, words in TABLES for row in document[key])
    return {f"{row['variant']}, {words}": said for words, row in rows if (said := _text(row.get("verdict")))}


def origin(document: dict[str, Any]) -> dict[str, str]:
    """How, and on and with what a result was measured, in words; of an experiment on several machines all of them."""
    found, command = _machines(document), document.get("command")
    return {
        **_setting(document),
        "processor": _different(map(_processor, found)),
        "computed in": _precisions(document),
        "versions": _different(map(_versions, found)),
        "revision": _different(_text(one.get("git")) for one in found),
        "command": " ".join(map(_text, command)) if isinstance(command, list) else "",
    }


def different(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """What two results of one kind do not share, so that their figures are not of the same thing; in words."""
    one, other = _setting(first), _setting(second)
    found = [f"{key} {one[key] or NONE} and {other[key] or NONE}" for key in one if one[key] != other[key]]
    what = "not of the same training" if first["bench"] == "compare" else "not measured alike"
    told = [f"they are {what}: {', '.join(found)}; the figures do not compare"] if found else []
    precisions = [_precisions(document) for document in (first, second)]
    if all(precisions) and precisions[0] != precisions[1]:
        told.append(f"A was computed in {precisions[0]}, B in {precisions[1]}")
    unfinished = [name for name, document in (("A", first), ("B", second)) if document.get("complete") is False]
    return told + [f"{name} is the report of an experiment that was not complete" for name in unfinished]


def _setting(document: dict[str, Any]) -> dict[str, str]:
    """What was measured, as it was asked for; it has the same keys for every result of a kind."""
    kind, preset = document["bench"], _text(document.get("preset"))
    if kind == "compare":
        seeds = ", ".join(map(_text, _list(document.get("seeds"))))
        lengths = {"steps": _text(document.get("steps")), "seeds": seeds, "threads": _text(document.get("threads"))}
        return {"preset": preset, **lengths, "all runs": _overrides(document)}
    if kind == "train":
        return {"preset": preset, "overrides": _overrides(document), "rounds": _text(document.get("rounds"))}
    if kind == "memory":
        return {"preset": preset, "overrides": _overrides(document)}
    if kind == "kernels":
        return {"effort": "quick" if document.get("quick") else "full"}
    scale = _table(document.get("scale"))
    return {"scale": ", ".join(f"{_text(key)} {_text(value)}" for key, value in scale.items())}


def _overrides(document: dict[str, Any]) -> str:
    """Those that hold, in one order."""
    texts = [text for text in _list(document.get("sets")) if isinstance(text, str)]
    return "; ".join(map(_text, sorted(last_of_each(texts))))


def _machines(document: dict[str, Any]) -> list[dict[str, Any]]:
    found = _list(document.get("machines")) if document["bench"] == "compare" else [document.get("machine")]
    return [_table(one) for one in found]


def _precisions(document: dict[str, Any]) -> str:
    """The number formats that were computed in; "" where a kind has none, or a report is older than their record."""
    return _different(_text(_device(one).get("dtype")) for one in _machines(document))


def _processor(one: dict[str, Any]) -> str:
    device = _device(one)
    return _text(device.get("device_name") or device.get("cpu"))


def _device(one: dict[str, Any]) -> dict[str, Any]:
    return _table(one.get("machine")) or _table(one.get("device")) or one


def _versions(one: dict[str, Any]) -> str:
    return ", ".join(f"{_text(name)} {_text(found)}" for name, found in _table(one.get("versions")).items() if found)


def _different(words: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(word for word in words if word))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return sanitize_line(str(value), 400) if value else ""
