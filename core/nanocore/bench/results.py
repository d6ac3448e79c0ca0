"""The form of every result of `bench`, and the figures in one that can stand beside those of another. No torch.

A result is one JSON object: `schema`, `bench` (its kind), `created` (Unix time), `command`, `machine` (of `compare`: `machines`),
and what its kind measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from nanocore.wording import counted

SCHEMA = 1
KINDS = ("compare", "console", "kernels", "memory", "train")
Document = Mapping[str, Any]
Better = Literal["less", "more"]
MEBIBYTE = 1 << 20


class Raw(NamedTuple):
    """A figure as its kind has it; `signed` where it may be below 0, so that a ratio of two says nothing."""

    name: str
    value: float | None
    unit: str
    better: Better
    signed: bool = False


@dataclass(frozen=True)
class Figure:
    """One number of a result: its name within the result, its unit, which way is better, and whether it may be below 0."""

    name: str
    value: float
    unit: str
    better: Better
    signed: bool = False


def stamped(kind: str, report: Document, command: Sequence[str]) -> dict[str, Any]:
    """A report as a result of its kind, made now by `command`."""
    return {**report, "schema": SCHEMA, "bench": kind, "created": time.time(), "command": list(command)}


def figures(document: Document) -> list[Figure]:
    """The figures of a result, in its order; values that were not measured are left out.

    Raises KeyError, TypeError or AttributeError when it is not of the form that its kind says.
    """
    raw = _FIGURES[document["bench"]](document)
    return [
        Figure(each.name, each.value, each.unit, each.better, each.signed)
        for each in raw
        if isinstance(each.value, int | float)
    ]


def _compare(document: Document) -> Iterator[Raw]:
    for key, words in (("equal_steps", "equal steps"), ("equal_time", "equal time")):
        for row in document[key]:
            name = f"{row['variant']}, {words}"
            yield Raw(f"{name}: held-out", row["bits_per_byte"], "bits/byte", "less")
            yield Raw(f"{name}: difference", (row["difference"] or {}).get("mean"), "bits/byte", "less", signed=True)
            yield Raw(f"{name}: speed", row["tokens_per_second"], "tok/s", "more")
            yield Raw(f"{name}: optimizer", _mebibytes(row["optimizer_bytes"]), "MiB", "less")
            yield Raw(f"{name}: peak", _mebibytes(row["peak_bytes"]), "MiB", "less")


def _console(document: Document) -> Iterator[Raw]:
    for row in document["rows"]:
        yield Raw(row["figure"], row["value"], row["unit"], "less")
        yield Raw(f"{row['figure']}, of the empty app's", row["ratio"], "", "less")


def _kernels(document: Document) -> Iterator[Raw]:
    for part in ("gemv", "gemm"):
        for race in document.get(part, ()):
            where = f"{part} {race['rows']} x {race['columns']}, {counted(race['tokens'], 'token')}, {race['data']}, {counted(race['threads'], 'thread')}"
            for found in race["results"]:
                yield Raw(f"{where}: {found['path']} {found['weights']}", found["gops"], "GOPS", "more")
    for model in document.get("end_to_end", {}).get("models", ()):
        for row in model["results"]:
            for side, found in row["sides"].items():
                name = f"{model['name']}, {row['work']}, {counted(row['threads'], 'thread')}: {side}"
                yield Raw(name, found["tokens_per_second"], "tok/s", "more")


def _memory(document: Document) -> Iterator[Raw]:
    for row in document["rows"]:
        for part in ("optimizer", "activations", "peak"):
            yield Raw(f"{row['technique']}: {part}, estimated", _mebibytes(row[part]["estimated"]), "MiB", "less")
            yield Raw(f"{row['technique']}: {part}, measured", _mebibytes(row[part]["measured"]), "MiB", "less")


def _train(document: Document) -> Iterator[Raw]:
    for row in document["rows"]:
        name = f"{row['model']}, {row['mode']}, {counted(row['threads'], 'thread')}"
        yield Raw(f"{name}: speed", row["tokens_per_second"], "tok/s", "more")
        yield Raw(f"{name}: step", row["step_seconds"], "s", "less")
        yield Raw(f"{name}: MFU", row["mfu"], "", "more")


def _mebibytes(count: float | None) -> float | None:
    return None if count is None else count / MEBIBYTE


_FIGURES = {"compare": _compare, "console": _console, "kernels": _kernels, "memory": _memory, "train": _train}
