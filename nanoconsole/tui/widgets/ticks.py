"""Where the marks of an axis stand and how they are written: round numbers, no label twice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from nanoconsole.services.format import BYTE_UNITS, count, duration

LABEL = 6  # cells of a y label at most
DURATIONS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400)


@dataclass(frozen=True)
class Scale:
    """Maps values to [0, 1], bottom to top; logarithmic when asked."""

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        if self.log:
            return (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        return (value - self.low) / (self.high - self.low)


def scale_for(low: float, high: float, *, log: bool) -> Scale:
    """A scale over [low, high], widened when it is a single value so that a flat line stands in the middle."""
    if log:
        return Scale(low, high, True) if high > low * 1.0001 else Scale(low / 2, high * 2, True)
    if high - low > 1e-9 * max(abs(low), abs(high), 1e-12):
        return Scale(low, high)
    room = abs(low) * 0.1 or 1.0
    return Scale(low - room, high + room)


def round_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that cuts `span` into at most `most` parts."""
    rough = span / max(1, most)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.9999)


def multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def axis_unit(unit: str, high: float) -> tuple[str, float]:
    """The unit in which a y axis up to `high` is labelled, and how much one of it is: bytes in KiB, MiB or GiB."""
    power = min(len(BYTE_UNITS) - 1, int(math.log2(high) / 10)) if unit == "bytes" and high >= 1 else 0
    return (BYTE_UNITS[power], 1024.0**power) if power else (unit, 1.0)


@lru_cache(maxsize=64)  # a chart that grows is drawn again and again over one range of values
def y_ticks(scale: Scale, rows: int, one: float = 1.0) -> tuple[tuple[float, str], ...]:
    """Values and labels for a y axis of `rows` character rows, lowest first; labels count in units of `one`."""
    if one != 1.0:
        inner = Scale(scale.low / one, scale.high / one, scale.log)
        return tuple((value * one, label) for value, label in y_ticks(inner, rows))
    values: list[float] = []
    most = max(1, rows // 3)
    while len(values) < 2:
        values = _decades(scale, most) if scale.log else []
        if len(values) < 2:  # also a log axis inside one decade
            values = multiples(scale.low, scale.high, round_step(scale.high - scale.low, most))
        most += 1
    return tuple(_distinct(values))


def _decades(scale: Scale, most: int) -> list[float]:
    """1, 2 and 5 times powers of ten inside the scale, thinned to powers of ten when they are many."""
    powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        values = [factor * 10.0**power for power in powers for factor in factors]
        values = [value for value in values if scale.low * 0.9999 <= value <= scale.high * 1.0001]
        if len(values) <= most + 2:
            return values
    return values[:: math.ceil(len(values) / (most + 1))]


def _distinct(values: list[float]) -> list[tuple[float, str]]:
    """Write values with as few digits as are true; what would need too much room is not written at all."""
    tolerance = (values[-1] - values[0]) * 0.01
    labelled = [(value, text) for value in values if (text := _label(value, tolerance))]
    return list({text: (value, text) for value, text in labelled}.values())


def _label(value: float, tolerance: float) -> str:
    """The shortest label that lies within `tolerance` of the value; "" when all such are too long."""
    for text in (*(short(value, digits) for digits in range(1, 8)), f"{value:.0f}"):
        if len(text) <= LABEL and abs(_meaning(text) - value) <= tolerance:
            return text
    return ""


def _meaning(text: str) -> float:
    power = "kMBT".find(text[-1]) + 1
    return float(text[:-1]) * 1000.0**power if power else float(text)


def short(value: float, digits: int) -> str:
    """A value with `digits` significant digits: 0.5, 12, 1.5k, 3e-05; from 10,000 on with k, M, B, T."""
    if abs(value) < 1e-12 or value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e15:
        return f"{value:.{digits - 1}e}"
    power = min(4, int(math.log10(abs(value)) // 3)) if abs(value) >= 10_000 else 0
    scaled = value / 1000.0**power
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(scaled))))
    return f"{scaled:.{decimals}f}{' kMBT'[power].strip()}"


def x_ticks(start: float, stop: float, axis: str, columns: int) -> list[tuple[float, str]]:
    """Values and labels for an x axis of `columns` characters: steps, tokens, or seconds of training."""
    if stop <= start:
        return [(start, _x_label(start, axis, stop))]
    most = max(1, columns // 10)
    if axis == "time":
        step = next((one for one in DURATIONS if (stop - start) / one <= most), None)
        step = step or 86400.0 * round_step((stop - start) / 86400, most)
    else:
        step = max(1.0, round_step(stop - start, most))
    ticks = [(value, _x_label(value, axis, stop)) for value in multiples(start, stop, step)]
    return list({label: (value, label) for value, label in ticks}.values())


def precise(value: float, axis: str) -> str:
    """An x written out: every step and token, times to the second."""
    return duration(value) if axis == "time" else f"{value:,.10g}"


def _x_label(value: float, axis: str, stop: float) -> str:
    """Written in one way along an axis: with k, M, B when its end needs them."""
    if axis == "time":
        return duration(value).removesuffix(" 00s").removesuffix(" 00m").removesuffix(" 00h")
    return f"{value:,.0f}" if stop < 100_000 else count(value)
