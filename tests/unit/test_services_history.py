"""The history of a run against what it means: the records that `newest_attempts` keeps, in whatever order they came."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanoconsole.services.history import History
from nanoconsole.services.table import MOST_METRICS
from nanocore.runs.curve import newest_attempts


def record(step: int, attempt: int = 1, **metrics: Any) -> dict[str, Any]:
    return {"step": step, "attempt": attempt, "tokens": step * 10, "elapsed": step / 2, **metrics}


def points(history: History, name: str, columns: int = 1000) -> list[float]:
    """Values of a metric, oldest first."""
    return history.tail(name, columns).tolist()


@st.composite
def files(draw: st.DrawFn) -> list[dict]:
    """Records in file order: attempts that resume anywhere, late words of older ones, steps that fall."""
    found: list[dict] = []
    for attempt in range(1, draw(st.integers(1, 4)) + 1):
        step = draw(st.integers(0, 20))
        for _ in range(draw(st.integers(0, 12))):
            step = max(0, step + draw(st.sampled_from([0, 1, 1, 1, 2, 5, -3])))
            late = draw(st.sampled_from([0] * 9 + [1]))
            names = draw(st.sets(st.sampled_from("abc"), max_size=3))
            metrics = {name: float(len(found)) for name in names}
            found.append(record(step, max(1, attempt - late), **metrics))
    return found


def told(records: list[dict], name: str) -> list[tuple[int, float]]:
    """Step and value of a metric, by the simple reader of whole files."""
    kept = sorted(newest_attempts(records), key=lambda record: record["step"])
    return [(record["step"], record[name]) for record in kept if name in record]


@given(files(), st.data())
@settings(max_examples=40, deadline=None)
def test_any_reading_newest_first_ends_with_what_a_reader_of_the_whole_file_keeps(
    records: list[dict], data: st.DataObject
) -> None:
    history, start = History(), data.draw(st.integers(0, len(records)))
    stop = start
    while start > 0 or stop < len(records):
        more = data.draw(st.integers(1, 9))
        if start > 0 and (stop == len(records) or data.draw(st.booleans())):
            history.add(records[max(0, start - more) : start], older=True)
            start = max(0, start - more)
        else:
            history.add(records[stop : stop + more])
            stop = min(len(records), stop + more)
        seen = records[start:stop]
        for name in "abc":
            assert list(zip(history.steps(name, 99).tolist(), points(history, name), strict=True)) == told(seen, name)
    steps = [record["step"] for record in newest_attempts(records)]
    assert history.span("step") == ((min(steps), max(steps)) if steps else (0.0, 0.0))


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=40), st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_axes_never_fall_and_are_the_same_whichever_half_came_first(ways: list[tuple[int, bool]], cut: int) -> None:
    records, step = [], 0
    for by, whole in ways:
        step += by
        records.append(record(step, a=1.0) if whole else {"step": step, "a": 1.0})
    records = list({record["step"]: record for record in reversed(records)}.values())[::-1]
    forward, backward = History(), History()
    forward.add(records)
    backward.add(records[cut:])
    backward.add(records[:cut], older=True)
    for axis in ("tokens", "time"):
        places = [[made.place(each["step"], axis) or 0.0 for each in records] for made in (forward, backward)]
        assert places[0] == places[1] == sorted(places[0])


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


def test_an_attempt_whose_beginning_is_read_last_takes_back_what_older_ones_wrote_from_there_on() -> None:
    first = [record(step, loss=float(step)) for step in range(1, 11)]
    second = [record(step, 2, loss=100.0 + step) for step in range(6, 15)]
    history = History()
    history.add(second[5:])
    for part in (second[2:5], [*first[7:], *second[:2]], first[:7]):
        history.add(part, older=True)
    assert history.steps("loss", 99).tolist() == list(range(1, 15))
    assert points(history, "loss") == [r["loss"] for r in newest_attempts([*first, *second])]


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
    history.add([{"step": step, f"metric{step}": 1.0} for step in range(1, 2 * MOST_METRICS)])
    assert len(history.names()) == MOST_METRICS


def test_a_metric_name_is_made_safe_when_it_is_taken_in() -> None:
    history = History()
    history.add([{"step": 1, "\x1b]0;x\x07": 1.0}])
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
