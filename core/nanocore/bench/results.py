"""The form of every result of `bench`, and the figures in one that can stand beside those of another. No torch.

A result is one JSON object: `schema`, `bench` (its kind), `created` (Unix time), `command`, `machine` (of `compare`: `machines`),
and what its kind measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nanocore.wording import counted

SCHEMA = 1
KINDS = ("compare", "console", "kernels", "memory", "train")
Document = Mapping[str, Any]
Better = Literal["less", "more"]
Raw = tuple[str, float | None, str, Better]


@dataclass(frozen=True)
class Figure:
    """One number of a result: its name within the result, its unit, and which way is better."""

    name: str
    value: float
    unit: str
    better: Better


def stamped(kind: str, report: Document, command: Sequence[str]) -> dict[str, Any]:
    """A report as a result of its kind, made now by `command`."""
    return {**report, "schema": SCHEMA, "bench": kind, "created": time.time(), "command": list(command)}


def figures(document: Document) -> list[Figure]:
    """The figures of a result, in its order; values that were not measured are left out.

    Raises KeyError, TypeError or AttributeError when it is not of the form that its kind says.
    """
    raw = _FIGURES[document["bench"]](document)
    return [Figure(name, value, unit, better) for name, value, unit, better in raw if isinstance(value, int | float)]


def _compare(document: Document) -> Iterator[Raw]:
    for key, words in (("equal_steps", "equal steps"), ("equal_time", "equal time")):
        for row in document[key]:
            name = f"{row['variant']}, {words}"
            yield (f"{name}: held-out", row["bits_per_byte"], "bits/byte", "less")
            yield (f"{name}: difference", (row["difference"] or {}).get("mean"), "bits/byte", "less")
            yield (f"{name}: speed", row["tokens_per_second"], "tok/s", "more")
            yield (f"{name}: optimizer", row["optimizer_bytes"], "bytes", "less")
            yield (f"{name}: peak", row["peak_bytes"], "bytes", "less")


def _console(document: Document) -> Iterator[Raw]:
    for row in document["rows"]:
        yield (row["figure"], row["value"], row["unit"], "less")
        yield (f"{row['figure']}, of the empty app's", row["ratio"], "", "less")


def _kernels(document: Document) -> Iterator[Raw]:
    for part in ("gemv", "gemm"):
        for race in document.get(part, ()):
            where = f"{part} {race['rows']} x {race['columns']}, {counted(race['tokens'], 'token')}, {race['data']}, {counted(race['threads'], 'thread')}"
            for found in race["results"]:
                yield (f"{where}: {found['path']} {found['weights']}", found["gops"], "GOPS", "more")
    for model in document.get("end_to_end", {}).get("models", ()):
        for row in model["results"]:
            for side, found in row["sides"].items():
                name = f"{model['name']}, {row['work']}, {counted(row['threads'], 'thread')}: {side}"
                yield (name, found["tokens_per_second"], "tok/s", "more")


def _memory(document: Document) -> Iterator[Raw]:
    for row in document["rows"]:
        for part in ("optimizer", "activations", "peak"):
            yield (f"{row['technique']}: {part}, estimated", row[part]["estimated"], "bytes", "less")
            yield (f"{row['technique']}: {part}, measured", row[part]["measured"], "bytes", "less")


def _train(document: Document) -> Iterator[Raw]:
    for row in document["rows"]:
        name = f"{row['model']}, {row['mode']}, {counted(row['threads'], 'thread')}"
        yield (f"{name}: speed", row["tokens_per_second"], "tok/s", "more")
        yield (f"{name}: step", row["step_seconds"], "s", "less")
        yield (f"{name}: MFU", row["mfu"], "", "more")


_FIGURES = {"compare": _compare, "console": _console, "kernels": _kernels, "memory": _memory, "train": _train}
