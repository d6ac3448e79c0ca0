"""The arithmetic of the alert rules, record by record."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from nanoconsole.services.alert_checks import (
    Check,
    Gain,
    GradientSpike,
    HeldOut,
    Latch,
    LossSpike,
    NonFinite,
    Throughput,
)
from nanocore.runs.records import Record


def run(check: Check, values: list[float], key: str) -> list[tuple[int, str]]:
    """At which record, from 0, an alert was raised or cleared."""
    latch, found = Latch(), []
    for place, value in enumerate(values):
        reading = check.see(record(key, value))
        change = latch.take(reading) if reading else ""
        if change:
            found.append((place, change))
    return found


def record(key: str, value: float) -> Record:
    return {key: value} if math.isfinite(value) else {key: None, "nonfinite": {key: str(value)}}


def noisy(count: int, level: float, noise: float, seed: int = 3) -> list[float]:
    numbers = random.Random(seed)
    return [level + numbers.gauss(0, noise) for _ in range(count)]


def test_a_spike_of_the_loss_is_raised_once_and_is_over_when_the_loss_is_calm_again() -> None:
    values = noisy(60, 3.0, 0.03)
    values[40] = 4.0
    assert run(LossSpike(6.0), values, "loss/ce") == [(40, "raised"), (45, "cleared")]


def test_a_loss_that_falls_and_one_that_is_noisy_raise_nothing() -> None:
    falling = [8.0 / math.sqrt(1 + step / 5) + noise for step, noise in enumerate(noisy(400, 0.0, 0.05))]
    assert run(LossSpike(6.0), falling, "loss/ce") == []
    assert run(LossSpike(6.0), noisy(400, 3.0, 0.3), "loss/ce") == []


def test_a_curve_without_noise_does_not_make_a_small_step_a_spike() -> None:
    assert run(LossSpike(6.0), [2.0] * 40 + [2.05] * 20, "loss/ce") == []


def test_a_new_level_is_accepted_in_time() -> None:
    changes = run(LossSpike(6.0), noisy(60, 2.0, 0.02) + noisy(120, 2.6, 0.02), "loss/ce")
    assert changes[0] == (60, "raised")
    assert changes[-1][1] == "cleared"


def test_one_spike_does_not_hide_the_next() -> None:
    values = noisy(90, 3.0, 0.03)
    values[40] = values[60] = 5.0
    assert [place for place, change in run(LossSpike(6.0), values, "loss/ce") if change == "raised"] == [40, 60]


def test_a_huge_spike_does_not_lift_the_average_over_the_next() -> None:
    values = noisy(90, 3.0, 0.03)
    values[40], values[47] = 1e6, 5.0
    assert [place for place, change in run(LossSpike(6.0), values, "loss/ce") if change == "raised"] == [40, 47]


def test_the_gradient_is_measured_against_its_median() -> None:
    values = noisy(60, 1.0, 0.1)
    values[30], values[50] = 9.0, 30.0
    assert run(GradientSpike(10.0), values, "training/grad_norm") == [(50, "raised"), (55, "cleared")]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_any_non_finite_loss_counts(bad: float) -> None:
    values = [2.0, bad, *[2.0] * 6]
    assert run(NonFinite(), values, "loss/ce") == [(1, "raised"), (6, "cleared")]


def test_a_gain_is_compared_with_both_ends_of_its_range() -> None:
    assert run(Gain(0.0, 2.0), [1.0, 2.0, 2.1, 1.99], "mhc/composite_gain") == [(2, "raised")]
    assert run(Gain(0.5, 2.0), [1.0, 0.4], "mhc/composite_gain_backward") == [(1, "raised")]
    assert run(Gain(0.5, 2.0), [1.0, math.nan], "mhc/composite_gain") == [(1, "raised")]
    # 1.95 is inside, and too near the end to be calm
    assert run(Gain(0.0, 2.0), [3.0, *[1.95] * 10], "mhc/composite_gain") == [(0, "raised")]
    assert run(Gain(0.0, 2.0), [3.0, *[1.5] * 5], "mhc/composite_gain") == [(0, "raised"), (5, "cleared")]


def test_a_lasting_drop_of_speed_lasts_until_the_speed_is_back() -> None:
    values = noisy(50, 1000, 20) + noisy(150, 600, 20) + noisy(20, 1000, 20)
    changes = run(Throughput(0.3), values, "throughput/tokens_per_sec")
    assert [change for _, change in changes] == ["raised", "cleared"]
    assert 50 <= changes[0][0] <= 55
    assert changes[1][0] >= 200


def test_a_speed_that_others_on_the_machine_take_for_a_while_is_no_drop() -> None:
    """At four records a second five slow ones are one second."""
    latch, check, found = Latch(), Throughput(0.3), []
    speeds = [1000.0] * 60 + ([500.0] * 20 + [1000.0] * 20) * 3 + [500.0] * 100
    for place, speed in enumerate(speeds):
        reading = check.see({"throughput/tokens_per_sec": speed, "elapsed": place / 4})
        if reading and (change := latch.take(reading)):
            found.append((place, change))
    assert found == [(len(speeds) - 100 + 2 + 80, "raised")]


def test_one_slow_step_is_no_drop() -> None:
    values = noisy(60, 1000, 20)
    values[40] = values[41] = 100.0
    assert run(Throughput(0.3), values, "throughput/tokens_per_sec") == []


def test_held_out_loss_is_measured_against_its_best() -> None:
    values = [3.0, 2.5, 2.55, 2.7, 2.7]
    assert run(HeldOut(0.05), values, "eval/ce") == [(3, "raised")]


@pytest.mark.parametrize(
    "make",
    [
        NonFinite,
        lambda: LossSpike(6.0),
        lambda: GradientSpike(10.0),
        lambda: Gain(0, 2),
        lambda: Throughput(0.3),
        lambda: HeldOut(0.05),
    ],
)
@pytest.mark.parametrize("value", [None, "1", True, [], 10**400, -5.0, 0.0, 1e308])
def test_a_damaged_value_raises_no_error(make: Callable[[], Check], value: object) -> None:
    keys = ("loss/ce", "training/grad_norm", "mhc/composite_gain", "throughput/tokens_per_sec", "eval/ce")
    check, latch = make(), Latch()
    for _ in range(40):
        reading = check.see(dict.fromkeys(keys, value))
        if reading:
            latch.take(reading)
            assert reading.text or not reading.beyond
