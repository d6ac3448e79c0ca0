"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from nanoconsole.services import format
from nanoconsole.services.trend import trend


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0.0, "0.000"), (1.8324, "1.832"), (12.345, "12.35"), (0.00123, "0.001230"), (40960.0, "40960"),
        (123456.0, "123k"), (1e-7, "1.00e-07"), (-2.5, "-2.500"), (0.99999, "1.000"), (0.0099996, "0.01000"),
        (math.nan, "nan"), (-math.inf, "-inf"),
    ],
)  # fmt: skip
def test_measurements(value: float | None, text: str) -> None:
    assert format.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (999, "999"), (1000, "1.00k"), (999_600, "1.00M"), (3_710_000, "3.71M"), (31.6e9, "31.6B")],
)
def test_counts(value: float | None, text: str) -> None:
    assert format.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.50 KiB"), (5 << 30, "5.00 GiB"), (None, "–")]
)
def test_sizes(value: float | None, text: str) -> None:
    assert format.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(7.6, "8s"), (130, "2m 10s"), (3900, "1h 05m"), (273_600, "3d 04h"), (None, "–"), (-1, "–"), (math.inf, "–")],
)
def test_durations(value: float | None, text: str) -> None:
    assert format.duration(value) == text


@pytest.mark.parametrize(
    ("ago", "text"), [(5, "just now"), (61, "1m ago"), (7200, "2h ago"), (200_000, "2d ago"), (-99, "just now")]
)
def test_ages(ago: float, text: str) -> None:
    assert format.age(1e9 - ago, 1e9) == text


def test_arrows_point_where_values_go() -> None:
    assert [format.arrow(change) for change in (-0.1, 0.001, 0.2, None, math.nan)] == ["↓", "→", "↑", " ", " "]


def test_a_trend_compares_the_newer_half_with_the_older() -> None:
    assert trend([2.0] * 50 + [1.0] * 50) == pytest.approx(-0.5)
    assert trend([9.0] * 900 + [1.0] * 100) == pytest.approx(0.0)  # only the newest hundred count
    assert trend([1.0] * 19) is None
    assert trend([1.0] * 50 + [math.nan]) is None
