"""What a run's records say of its cost and of its way to the result: time by part, device, kept tokens, gain, the held-out curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nanocore.compare.spec import WARM_UP
from nanocore.runs.metrics import STEP_PARTS as PARTS
from nanocore.runs.records import Record


@dataclass(frozen=True)
class Point:
    """A held-out measure: after how many steps, tokens and seconds of training steps, in bits per byte."""

    step: int
    tokens: int
    seconds: float
    bits_per_byte: float


@dataclass(frozen=True)
class Measures:
    """Means over the steps after the first ones, so that work which comes rarely is in them; None where nothing was recorded.

    `parts` are seconds a step by name, `between_steps` those outside of them (evaluation, checkpoints, telemetry, records).
    `gain` is the largest composite gain of the residual maps, forward or backward, at any time.
    """

    parts: dict[str, float]
    between_steps: float | None
    utilisation: float | None
    mfu: float | None
    kept_fraction: float | None
    gain: float | None
    curve: tuple[Point, ...]

    @property
    def waiting(self) -> float | None:
        """Share of the step spent waiting for data."""
        whole = sum(self.parts.values())
        return self.parts["data_wait"] / whole if whole and "data_wait" in self.parts else None


def measures(records: Sequence[Record]) -> Measures:
    """From the records of a curve as it stands now (`newest_attempts`)."""
    steps = [(record, weight) for record, weight in _weighted(records) if record["step"] > WARM_UP]
    gains = [_largest(records, f"mhc/composite_gain{side}") for side in ("", "_backward")]
    return Measures(
        parts={part: found for part in PARTS if (found := _mean(steps, f"time/{part}")) is not None},
        between_steps=_between(steps),
        utilisation=_mean(steps, "device/utilisation"),
        mfu=_mean(steps, "throughput/mfu"),
        kept_fraction=_mean(steps, "collider/kept_fraction"),
        gain=max((gain for gain in gains if gain is not None), default=None),
        curve=tuple(_curve(records)),
    )


def reached(curve: Sequence[Point], target: float) -> tuple[float, float] | None:
    """(tokens, seconds) at which the held-out bits per byte first came down to `target`; None when they never did.

    Between two measures the way down counts as straight.
    """
    before: Point | None = None
    for point in curve:
        if point.bits_per_byte <= target:
            if before is None:
                return float(point.tokens), point.seconds
            share = (before.bits_per_byte - target) / (before.bits_per_byte - point.bits_per_byte)
            tokens = before.tokens + share * (point.tokens - before.tokens)
            return tokens, before.seconds + share * (point.seconds - before.seconds)
        before = point
    return None


def training_seconds(records: Sequence[Record]) -> float | None:
    """Seconds of all training steps, without what lies between them; None where none was timed."""
    return sum(record["time/step"] * weight for record, weight in _weighted(records)) or None


def number(value: object) -> float | None:
    """A finite number as float, None for anything else."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _weighted(records: Sequence[Record]) -> list[tuple[Record, int]]:
    """The records of training steps, each with the number of steps it is the mean of."""
    found, last = [], 0
    for record in records:
        if number(record.get("time/step")) is not None and record["step"] > last:
            found.append((record, record["step"] - last))
            last = record["step"]
    return found


def _mean(steps: Sequence[tuple[Record, int]], key: str) -> float | None:
    known = [(value, weight) for record, weight in steps if (value := number(record.get(key))) is not None]
    return sum(value * weight for value, weight in known) / sum(weight for _, weight in known) if known else None


def _between(steps: Sequence[tuple[Record, int]]) -> float | None:
    """Seconds a step outside of the steps, by the clock of the run, which counts both."""
    clocks = [number(record.get("elapsed")) for record, _ in steps]
    if len(steps) < 2 or clocks[0] is None or clocks[-1] is None:
        return None
    inside = sum(record["time/step"] * weight for record, weight in steps[1:])
    return max(0.0, clocks[-1] - clocks[0] - inside) / sum(weight for _, weight in steps[1:])


def _curve(records: Sequence[Record]) -> list[Point]:
    """Held-out measures by step; of several at a step the last one counts."""
    trained, seconds = 0.0, {record["step"]: record["time/step"] * weight for record, weight in _weighted(records)}
    found: dict[int, Point] = {}
    for step, record in sorted(((record["step"], record) for record in records), key=lambda pair: pair[0]):
        trained += seconds.pop(step, 0.0)
        bits = number(record.get("eval/bits_per_byte"))
        if bits is not None:
            found[step] = Point(step, int(number(record.get("tokens")) or 0), trained, bits)
    return list(found.values())


def _largest(records: Sequence[Record], key: str) -> float | None:
    return max((value for record in records if (value := number(record.get(key))) is not None), default=None)
