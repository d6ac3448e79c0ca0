"""Columns, buckets, averages and the history of a run, against what they mean."""

from __future__ import annotations

import math
import random
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanoconsole.services.columns import BLOCK, Column, Ema, bucketize
from nanoconsole.services.history import MOST_METRICS, History
from nanocore.runs.curve import newest_attempts


def record(step: int, attempt: int = 1, **metrics: object) -> dict:
    return {"step": step, "attempt": attempt, "tokens": step * 10, "elapsed": step / 2, **metrics}


def points(history: History, name: str, columns: int = 1000) -> list[float]:
    """Values of a metric, oldest first."""
    return history.tail(name, columns).tolist()


def test_a_column_keeps_everything_through_growth() -> None:
    column = Column()
    for start in range(0, 1000, 7):
        column.extend(range(start, start + 7))
    assert column.values.tolist() == list(range(1001))
    column.truncate(3)
    column.extend([9])
    assert column.values.tolist() == [0, 1, 2, 9]


@given(
    st.lists(st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf]), min_size=1, max_size=200),
    st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_buckets_hold_exactly_the_extremes_and_counts_of_their_points(values: list[float], columns: int) -> None:
    y = np.array(values)
    x = np.arange(len(y), dtype=float)
    buckets = bucketize(x, y, y, 0.0, float(len(y)), columns)
    assert buckets.count.sum() == len(y)
    assert buckets.nonfinite.sum() == np.count_nonzero(~np.isfinite(y))
    for column in range(columns):
        inside = y[(np.floor(x * columns / len(y)) == column)]
        finite = inside[np.isfinite(inside)]
        if len(inside) != buckets.count[column]:  # a point exactly on an edge may round to either side
            continue
        if finite.size:
            assert buckets.low[column] == finite.min()
            assert buckets.high[column] == finite.max()
            assert buckets.line[column] == pytest.approx(finite.mean(), rel=1e-9, abs=1e-9)
        else:
            assert math.isnan(buckets.low[column])


@given(
    st.lists(st.floats(-100, 100) | st.just(math.nan), min_size=1, max_size=3 * BLOCK),
    st.sampled_from([0.0, 0.6, 0.97]),
)
@settings(max_examples=40, deadline=None)
def test_the_average_is_the_corrected_exponential_one_however_points_arrive(values: list[float], decay: float) -> None:
    expected, mean, seen = [], 0.0, 0
    for value in values:
        if not math.isnan(value):
            seen += 1
            mean = decay * mean + (1 - decay) * value
        expected.append(mean / (1 - decay**seen) if seen else math.nan)
    average, filled = Ema(decay), 0
    while filled < len(values):
        filled = min(len(values), filled + random.Random(filled).randint(1, 90))
        result = average.extend(np.array(values[:filled]))
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)


def test_a_resumed_run_replaces_what_came_after_the_resumed_step() -> None:
    first = [record(step, loss=float(step)) for step in range(1, 11)]
    second = [record(step, 2, loss=100.0 + step) for step in range(6, 9)]
    history = History()
    history.add([*first, *second])
    assert points(history, "loss") == [1.0, 2.0, 3.0, 4.0, 5.0, 106.0, 107.0, 108.0]
    assert points(history, "loss") == [r["loss"] for r in newest_attempts([*first, *second])]
    assert history.span("step") == (1.0, 8.0)
    history.add([record(9, 1, loss=-1.0)])  # a late word of the older attempt
    assert history.last("loss") == 108.0


def test_records_of_one_step_share_their_place() -> None:
    history = History()
    history.add([record(1, loss=3.0), record(1, held=3.5), record(2, loss=2.0)])
    loss, held = (history.curve(name, "step", 0.0, 2) for name in ("loss", "held"))
    assert loss is not None
    assert held is not None
    assert loss.buckets.count.tolist() == [1, 1]
    assert held.buckets.count.tolist() == [1, 0]


def test_axes_are_steps_tokens_and_time_of_training() -> None:
    history = History()
    history.add([record(1, loss=1.0), {"step": 2, "loss": 1.0}, record(4, loss=1.0)])
    assert history.span("step") == (1.0, 4.0)
    assert history.span("tokens") == (10.0, 40.0)
    assert history.span("time") == (0.5, 2.0)
    assert history.pace() == 2.0


def test_non_finite_values_are_kept_as_what_they_were() -> None:
    history = History()
    history.add([record(1, loss=None, nonfinite={"loss": "nan"}), record(2, loss=None, nonfinite={"loss": "-inf"})])
    history.add([record(3, loss=None)])  # not recorded is not non-finite
    assert math.isnan(points(history, "loss")[0])
    assert points(history, "loss")[1:] == [-math.inf]
    curve = history.curve("loss", "step", 0.9, 10)
    assert curve is not None
    assert curve.nonfinite == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"step": "7", "loss": 1.0},
        {"step": -1, "loss": 1.0},
        {"step": True, "loss": 1.0},
        {"step": 2**60, "loss": 1.0},
        {"step": 8, "attempt": "x", "loss": 1.0},
        {"loss": 1.0},
        {},
    ],
)
def test_records_without_a_step_change_nothing(bad: dict) -> None:
    history = History()
    history.add([record(5, loss=2.0)])
    assert not history.add([bad])
    assert points(history, "loss") == [2.0]


def test_values_that_are_no_numbers_are_left_out_and_huge_ones_are_infinite() -> None:
    history = History()
    history.add([record(1, text="x", flag=True, many=[1], huge=10**400, loss=1, nonfinite="oops")])
    assert history.names() == ["huge", "loss"]
    assert history.last("huge") == math.inf


def test_a_file_of_invented_names_cannot_grow_without_end() -> None:
    history = History()
    history.add([record(step, **{f"metric{step}": 1.0}) for step in range(1, 2 * MOST_METRICS)])
    assert len(history.names()) == MOST_METRICS


def test_a_metric_name_is_made_safe_when_it_is_taken_in() -> None:
    history = History()
    history.add([record(1, **{"\x1b]0;x\x07": 1.0})])
    assert history.names() == ["␛]0;x␇"]


def test_a_reader_never_sees_half_an_addition() -> None:
    history, failures, done = History(), [], threading.Event()

    def read() -> None:
        while not done.is_set():
            curve = history.curve("loss", "step", 0.9, 50)
            if curve is not None and int(curve.buckets.count.sum()) != curve.points:
                failures.append(curve)

    reader = threading.Thread(target=read)
    reader.start()
    for attempt in range(1, 20):
        history.add([record(step, attempt, loss=1.0) for step in range(attempt, attempt + 300)])
    done.set()
    reader.join()
    assert not failures
