"""Six standard deviations above a window of 128 steps, and nothing before half of it is known."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from nanocore.train.spikes import LEAST, SIGMAS, WINDOW, SpikeWindow


def filled(count: int, seed: int = 0) -> SpikeWindow:
    chance, window = random.Random(seed), SpikeWindow()
    for _ in range(count):
        window.take(chance.gauss(3.0, 0.1), chance.gauss(1.0, 0.2))
    return window


def test_the_limit_is_six_standard_deviations_of_either_measure() -> None:
    assert (SIGMAS, WINDOW, LEAST) == (6.0, 128, 64)  # as documented
    window = filled(128)
    loss = statistics.fmean(window.losses) + 6.0 * statistics.stdev(window.losses)
    norm = statistics.fmean(window.norms) + 6.0 * statistics.stdev(window.norms)
    assert window.judge(loss * 0.9999, norm * 0.9999) == ""
    assert window.judge(loss * 1.0001, 1.0).startswith("loss ")
    assert window.judge(3.0, norm * 1.0001).startswith("gradient norm ")
    assert window.judge(300.0, 100.0).count("standard deviations above the mean") == 2
    assert window.judge(0.0, 0.0) == ""  # a fall is no spike


def test_nothing_is_judged_before_half_the_window_is_known() -> None:
    assert filled(LEAST - 1).judge(300.0, 100.0) == ""
    assert filled(LEAST).judge(300.0, 100.0) != ""


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_no_spike(bad: float) -> None:
    assert filled(WINDOW).judge(bad, bad) == ""


def test_a_loss_that_never_moved_has_no_range() -> None:
    window = SpikeWindow([2.0] * WINDOW, [1.0] * WINDOW)
    assert window.judge(2.1, 1.1) == ""


def test_the_window_forgets() -> None:
    window = filled(3 * WINDOW)
    assert len(window.losses) == len(window.norms) == WINDOW
    for _ in range(WINDOW):
        window.take(300.0 + random.Random(1).random(), 100.0)
    assert window.judge(300.5, 100.0) == ""
