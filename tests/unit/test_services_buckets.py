"""What a chart draws of many points: exact extremes and counts, the average as defined, fences around the usual."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanoconsole.services.buckets import BLOCK
from nanoconsole.services.columns import Column
from nanoconsole.services.fences import fences
from nanoconsole.services.history import History
from nanoconsole.services.series import Series
from nanoconsole.services.smoothing import memory, totals

FLOATS = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])


def test_a_column_keeps_everything_through_growth_at_both_ends() -> None:
    column, expected = Column(), []
    for start in range(0, 1000, 7):
        column.extend(range(start, start + 7))
        column.prepend([-start])
        expected = [-start, *expected, *range(start, start + 7)]
    assert column.values.tolist() == expected
    column.truncate(3)
    column.extend([9])
    assert column.values.tolist() == [*expected[:3], 9]


def series_of(values: list[float], pieces: random.Random) -> Series:
    """The values taken in pieces: some behind, some before, with looks in between."""
    made, start = Series(), pieces.randint(0, len(values) - 1)
    stop = start
    while start > 0 or stop < len(values):
        more = pieces.randint(1, 3 * BLOCK)
        if start > 0 and (stop == len(values) or pieces.random() < 0.5):
            part = values[max(0, start - more) : start]
            start -= len(part)
            made.prepend(np.arange(start, start + len(part)), np.array(part))
        else:
            part = values[stop : stop + more]
            made.extend(np.arange(stop, stop + len(part)), np.array(part))
            stop += len(part)
        if pieces.random() < 0.3:
            made.buckets(np.array([0, len(made)]), 0.0)
        if stop - start > 40 and pieces.random() < 0.2:
            stop -= 20
            made.truncate(stop)
    return made


@given(st.lists(FLOATS, min_size=1, max_size=12 * BLOCK), st.integers(1, 9), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_buckets_hold_exactly_the_extremes_and_counts_of_their_points(
    values: list[float], columns: int, pieces: random.Random
) -> None:
    made = series_of(values, pieces)
    splits = np.array(sorted(pieces.randint(0, len(values)) for _ in range(columns + 1)))
    buckets = made.buckets(splits, 0.0)
    for index, (start, stop) in enumerate(pairwise(splits)):
        inside = np.array(values[start:stop])
        finite = inside[np.isfinite(inside)]
        assert buckets.count[index] == len(inside)
        assert buckets.nonfinite[index] == len(inside) - len(finite)
        if finite.size:
            assert (buckets.low[index], buckets.high[index]) == (finite.min(), finite.max())
            assert buckets.line[index] == pytest.approx(finite.mean(), rel=1e-9, abs=1e-6)
        else:
            assert np.isnan([buckets.low[index], buckets.high[index], buckets.line[index]]).all()


@pytest.mark.parametrize("seed", range(8))
def test_what_was_summed_up_stays_true_when_older_points_come_and_newer_ones_go(seed: int) -> None:
    pieces = random.Random(seed)
    values = [pieces.gauss(0, 1) for _ in range(40 * BLOCK)]
    buckets = series_of(values, pieces).buckets(np.arange(0, len(values) + 1, 40), 0.0)
    parts = np.array(values).reshape(-1, 40)
    assert buckets.low.tolist() == parts.min(1).tolist()
    assert buckets.high.tolist() == parts.max(1).tolist()


@given(
    st.lists(st.floats(-100, 100) | st.just(math.nan), min_size=1, max_size=400),
    st.sampled_from([0.6, 0.97]),
    st.data(),
)
@settings(max_examples=40, deadline=None)
def test_the_line_is_the_mean_of_the_corrected_exponential_average(
    values: list[float], decay: float, data: st.DataObject
) -> None:
    averages, mean, seen = [], 0.0, 0
    for value in values:
        if not math.isnan(value):
            seen += 1
            mean = decay * mean + (1 - decay) * value
        averages.append(math.nan if math.isnan(value) else mean / (1 - decay**seen))
    made = series_of(values, random.Random(3))
    splits = np.array(sorted(data.draw(st.lists(st.integers(0, len(values)), min_size=2, max_size=6))))
    line = made.buckets(splits, decay).line
    for found, start, stop in zip(line, splits, splits[1:], strict=False):
        inside = [average for average in averages[start:stop] if not math.isnan(average)]
        expected = sum(inside) / len(inside) if inside else math.nan
        assert found == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_points_that_are_older_than_the_memory_count_no_more() -> None:
    values = np.random.default_rng(1).normal(size=5000)
    splits = np.array([3000, 4000, 5000])
    plain = np.add.reduceat(values, splits[:-1])
    later = totals(values[2000:], splits - 2000, plain, 0.97)
    np.testing.assert_allclose(totals(values, splits, plain, 0.97), later, atol=1e-6)
    assert memory(0.97) < 1000


def test_fences_leave_out_spikes_and_nothing_of_ordinary_numbers() -> None:
    ordinary = np.random.default_rng(2).normal(size=1000)
    spiked = np.append(ordinary, [1e6, -1e6, math.inf, math.nan])
    low, high = fences(spiked, log=False) or (0.0, 0.0)
    assert -10 < low < high < 10
    assert fences(ordinary, log=False) == (ordinary.min(), ordinary.max())
    assert fences(np.exp(ordinary), log=True) == pytest.approx((np.exp(ordinary.min()), np.exp(ordinary.max())))
    assert fences(np.array([math.nan]), log=False) is fences(np.array([-1.0, 0.0]), log=True) is None


def test_a_range_shows_its_points_and_where_the_line_goes_on() -> None:
    history = History()
    history.add([{"step": step, "tokens": 10 * step, "elapsed": step / 2, "a": float(step)} for step in range(100)])
    curve = history.curve("a", "tokens", 0.0, 10, (200.0, 300.0))
    assert curve is not None
    assert curve.points == 11
    assert (curve.before, curve.after) == ((190.0, 19.0), (310.0, 31.0))
    assert curve.last == 99.0
    assert np.nanmax(curve.buckets.high) == 30.0
    assert history.outside("a", "tokens", 25.0, 28.0, (200.0, 300.0)) == (2, 5)
    assert history.at("a", "tokens", 204.0) == (200.0, 20.0)
    assert history.at("a", "tokens", 205.0) == (200.0, 20.0)
    assert history.at("a", "tokens", 1e9) == (990.0, 99.0)
    assert history.at("b", "tokens", 0.0) is None
    assert history.place(20, "time") == 10.0
