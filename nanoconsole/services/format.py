"""Numbers, sizes and times as people read them: one way to write each, for screens and commands."""

from __future__ import annotations

import math
from collections.abc import Callable

NOTHING = "–"
COUNT_UNITS = ("", "k", "M", "B", "T")
BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def _scaled(value: float, base: float, units: tuple[str, ...]) -> tuple[float, str]:
    """The value in the largest unit that leaves it at least 1 after rounding to three digits."""
    index = 0
    while abs(value) >= base * 0.9995 and index < len(units) - 1:
        value, index = value / base, index + 1
    return value, units[index]


def _three_digits(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 9.995 else f"{value:.1f}" if abs(value) < 99.95 else f"{value:.0f}"


def number(value: float | None) -> str:
    """A measurement with three or four significant digits; nan and inf in words; a dash when there is none."""
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        rounded = abs(float(f"{value:.3e}"))  # 0.99999 has as many digits as the 1.000 that it is told as
        digits = 3 if value == 0 else max(0, 3 - math.floor(math.log10(rounded)))
        return f"{value:.{digits}f}"
    return count(value) if 1e5 <= abs(value) < 1e15 else f"{value:.2e}"


def count(value: float | None) -> str:
    """A count in three digits with k, M, B, T: 950, 1.24k, 31.0M."""
    if value is None or not math.isfinite(value):
        return NOTHING
    scaled, unit = _scaled(float(value), 1000.0, COUNT_UNITS)
    return f"{scaled:.0f}" if not unit else f"{_three_digits(scaled)}{unit}"


def size(value: float | None) -> str:
    """A number of bytes in binary units: 512 B, 1.50 GiB."""
    if value is None or not math.isfinite(value):
        return NOTHING
    scaled, unit = _scaled(float(value), 1024.0, BYTE_UNITS)
    return f"{scaled:.0f} {unit}" if unit == "B" else f"{_three_digits(scaled)} {unit}"


def measure(value: float | None, unit: str) -> str:
    """A measurement as people read its unit: bytes as a size, anything else as a number."""
    return size(value) if unit == "bytes" and value is not None and math.isfinite(value) else number(value)


def duration(value: float | None) -> str:
    """Seconds as the two largest units: 8s, 2m 10s, 1h 05m, 3d 04h."""
    if value is None or not math.isfinite(value) or value < 0:
        return NOTHING
    total = round(value)
    if total < 60:
        return f"{total}s"
    if total < 3600:
        return f"{total // 60}m {total % 60:02d}s"
    if total < 86400:
        return f"{total // 3600}h {total % 3600 // 60:02d}m"
    return f"{total // 86400}d {total % 86400 // 3600:02d}h"


def signed(value: float, say: Callable[[float], str]) -> str:
    """A change with its sign in front: +24.0%, −5.76 MiB; "" where nothing is left of it in these words."""
    words = say(abs(value))
    return f"{'+' if value > 0 else '−'}{words}" if words != say(0.0) else ""


def age(then: float | None, now: float) -> str:
    """How long ago a moment was, coarse enough not to flicker: just now, 5m ago, 3h ago, 2d ago."""
    if then is None:
        return NOTHING
    passed = max(0.0, now - then)
    if passed < 60:
        return "just now"
    if passed < 3600:
        return f"{passed // 60:.0f}m ago"
    return f"{passed // 3600:.0f}h ago" if passed < 86400 else f"{passed // 86400:.0f}d ago"


def arrow(change: float | None, steady: float = 0.005) -> str:
    """The direction of a relative change; a blank when it is not known."""
    if change is None or not math.isfinite(change):
        return " "
    return "→" if abs(change) < steady else "↓" if change < 0 else "↑"
