"""The figures in a result of `bench`, by names under which they can stand beside those of another. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nanocore.bench.results import Document
from nanocore.runs.metrics import STEP_PARTS
from nanocore.wording import counted

Better = Literal["", "less", "more"]
MEBIBYTE = 1 << 20
TABLES = (("equal_steps", "equal steps"), ("equal_time", "equal time"))


class Raw(NamedTuple):
    """A figure as its kind has it; `ratios` is false where a ratio of two says nothing."""

    name: str
    value: float | None
    unit: str
    better: Better
    ratios: bool = True


@dataclass(frozen=True)
class Figure:
    """One number of a result: its name within the result, its unit, which way is better, and whether a ratio of two says something."""

    name: str
    value: float
    unit: str
    better: Better
    ratios: bool = True


def figures(document: Document) -> list[Figure]:
    """The figures of a result, in its order; values that were not measured are left out.

    Raises KeyError, TypeError or AttributeError when it is not of the form that its kind says, ValueError or
    OverflowError for a number that is not finite or larger than any float.
    """
    raw = _FIGURES[document["bench"]](document)
    return [
        Figure(each.name, _finite(each.name, each.value), each.unit, each.better, each.ratios)
        for each in raw
        if isinstance(each.value, int | float)
    ]


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{name}: {value} is no measurement")
    return float(value)


def _compare(document: Document) -> Iterator[Raw]:
    for key, words in TABLES:
        for row in document[key]:
            name = f"{row['variant']}, {words}"
            yield from _quality(name, row)
            yield from _cost(name, row)


def _quality(name: str, row: Document) -> Iterator[Raw]:
    difference = row["difference"] or {}
    p = row["corrected_p"] if row["corrected_p"] is not None else difference.get("p")
    yield Raw(f"{name}: held-out", row["bits_per_byte"], "bits/byte", "less")
    yield Raw(f"{name}: difference", difference.get("mean"), "bits/byte", "less", ratios=False)
    yield Raw(f"{name}: difference, 95 % from", difference.get("low"), "bits/byte", "less", ratios=False)
    yield Raw(f"{name}: difference, 95 % to", difference.get("high"), "bits/byte", "less", ratios=False)
    yield Raw(f"{name}: p", p, "", "", ratios=False)
    yield Raw(f"{name}: CE", row["ce"], "nats/token", "less")


def _cost(name: str, row: Document) -> Iterator[Raw]:
    """Speed as the runs had it, and alone by the calibrations; where a step's time goes; memory."""
    yield Raw(f"{name}: training", row["seconds"], "s", "less")
    yield Raw(f"{name}: speed", row["tokens_per_second"], "tok/s", "more")
    yield Raw(f"{name}: step", _scaled(row["step_seconds"], 1e3), "ms", "less")
    yield Raw(f"{name}: step alone", _scaled(row["step_seconds_alone"], 1e3), "ms", "less")
    yield Raw(f"{name}: step alone, x baseline", (row["step_ratio_alone"] or {}).get("ratio"), "", "less")
    yield from _parts(name, row["parts"])
    yield Raw(f"{name}: between steps", _scaled(row["between_steps_seconds"], 1e3), "ms", "less")
    for part, words in (("optimizer", "optimizer state"), ("matrix_state", "matrix state"), ("peak", "peak")):
        yield Raw(f"{name}: {words}", _mebibytes(row[f"{part}_bytes"]), "MiB", "less")


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
        name = row["technique"]
        yield Raw(f"{name}: matrix state", _mebibytes(row["matrix_state_bytes"]), "MiB", "less")
        yield Raw(f"{name}: matrix state, share", _scaled(row["matrix_state_share"], 100), "%", "less")
        for part in ("optimizer", "activations", "peak"):
            yield Raw(f"{name}: {part}, estimated", _mebibytes(row[part]["estimated"]), "MiB", "less")
            yield Raw(f"{name}: {part}, measured", _mebibytes(row[part]["measured"]), "MiB", "less")


def _train(document: Document) -> Iterator[Raw]:
    for row in document["rows"]:
        name = f"{row['model']}, {row['mode']}, {counted(row['threads'], 'thread')}"
        yield Raw(f"{name}: speed", row["tokens_per_second"], "tok/s", "more")
        yield Raw(f"{name}: speed, x plain", row["against_plain"], "", "more")
        yield Raw(f"{name}: step", _scaled(row["step_seconds"], 1e3), "ms", "less")
        yield from _parts(name, row["parts"])
        yield Raw(f"{name}: MFU", _scaled(row["mfu"], 100), "%", "more")


def _parts(name: str, seconds: dict[str, float | None]) -> Iterator[Raw]:
    for part in STEP_PARTS:
        yield Raw(f"{name}: {part.replace('_', ' ')}", _scaled(seconds.get(part), 1e3), "ms", "less")


def _mebibytes(count: float | None) -> float | None:
    return None if count is None else count / MEBIBYTE


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


_FIGURES = {"compare": _compare, "console": _console, "kernels": _kernels, "memory": _memory, "train": _train}
