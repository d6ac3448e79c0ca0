"""Several runs as one source of curves: aligned, each with its own marker, compared with a baseline."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nanoconsole.services.comparison import document, rows
from nanoconsole.services.configs import differing, shown
from nanoconsole.services.overlay import COLOURS, MARKERS, MOST, Overlay, places
from nanocore.config.schema import Config
from nanocore.runs.create import create_run
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import RecordWriter


def train(root: Path, name: str, losses: dict[int, float], metric: str = "loss/ce") -> RunFolder:
    """A run that recorded losses by step; a step is 10 tokens and half a second."""
    run = RunFolder(root / name)
    if not run.path.exists():
        create_run(root, Config(), name=name)
    writer = RecordWriter(run.metrics_file)
    for step, loss in losses.items():
        writer.write({"step": step, "attempt": 1, "tokens": step * 10, "elapsed": step / 2, metric: loss})
    writer.close()
    return run


def read(*runs: RunFolder) -> Overlay:
    overlay = Overlay(runs)
    while overlay.poll():
        pass
    return overlay


@pytest.fixture
def pair(tmp_path: Path) -> Overlay:
    short = train(tmp_path, "short", {step: 5.0 - step / 10 for step in range(1, 11)})
    long = train(tmp_path, "long", {step: 4.0 - step / 10 for step in range(2, 31, 2)})
    return read(short, long)


def test_a_place_is_carried_to_another_axis_by_a_run_that_was_there(tmp_path: Path) -> None:
    slow = train(tmp_path, "slow", dict.fromkeys(range(1, 21), 2.0))
    quick = create_run(tmp_path, Config(), name="quick")
    writer = RecordWriter(quick.metrics_file)
    for step in range(1, 11):
        writer.write({"step": step, "attempt": 1, "tokens": step * 40, "elapsed": step / 10, "loss/ce": 2.0})
    writer.close()
    both = read(slow, quick)
    assert [both.carried(4.0, "step", "tokens", first) for first in (0, 1)] == [40.0, 160.0]
    assert both.carried(15.0, "step", "tokens", 1) == 150.0  # where the quick one had ended
    assert both.carried(99.0, "step", "time", 1) == 10.0
    assert Overlay((slow,)).carried(4.0, "step", "tokens") is None  # nothing was read yet


def test_the_axis_spans_all_runs_and_ends_in_common_where_the_first_of_them_does(pair: Overlay) -> None:
    assert pair.span("step") == (1.0, 30.0)
    assert pair.common_end("step") == 10.0
    assert pair.span("tokens") == (10.0, 300.0)
    assert pair.common_end("time") == 5.0
    assert pair.names() == ["0/loss/ce", "1/loss/ce"]
    assert pair.metrics() == ["loss/ce"]


def test_curves_of_runs_share_their_columns(pair: Overlay) -> None:
    short, long = (pair.curve(f"{index}/loss/ce", "step", 0.0, 30) for index in (0, 1))
    assert short is not None and long is not None
    assert short.points == 10 and long.points == 15
    assert not math.isnan(short.buckets.low[0]) and math.isnan(short.buckets.low[-1])
    assert not math.isnan(long.buckets.low[-1])


def test_values_at_the_same_x_and_their_difference_to_the_baseline(pair: Overlay) -> None:
    base, other = rows(pair, "loss/ce", "step", 10.0, 0)
    assert (base.value, base.difference) == (4.0, None)
    assert other.value == 3.0
    assert other.difference == pytest.approx(-1.0)
    assert (base.rank, other.rank) == (2, 1)
    assert (other.newest, other.best, other.step, other.time) == (1.0, 1.0, 30, 15.0)


def test_a_run_that_has_ended_or_not_begun_at_x_has_no_value_there(pair: Overlay) -> None:
    short, long = rows(pair, "loss/ce", "step", 20.0, 0)
    assert (short.value, long.value, long.difference) == (None, 2.0, None)
    assert [row.value for row in rows(pair, "loss/ce", "step", 1.0, None)] == [4.9, None]


def test_a_metric_of_which_more_is_better_ranks_the_other_way_and_nan_has_no_rank(tmp_path: Path) -> None:
    runs = [train(tmp_path, name, {1: 0.1, 2: value}, "eval/accuracy") for name, value in (("a", 0.5), ("b", 0.7), ("c", math.nan), ("d", 0.7))]  # fmt: skip
    found = rows(read(*runs), "eval/accuracy", "step", 2, None)
    assert [row.rank for row in found] == [3, 1, 0, 1]
    assert found[0].best == 0.5
    assert math.isnan(found[2].newest or 0)


def test_a_run_that_grows_is_read_on_and_told_once(tmp_path: Path) -> None:
    run, told = train(tmp_path, "busy", {1: 3.0}), []
    overlay = Overlay([run])
    overlay.poll(lambda: told.append(overlay.version))
    overlay.poll(lambda: told.append(overlay.version))
    train(tmp_path, "busy", {2: 2.0})
    overlay.poll(lambda: told.append(overlay.version))
    assert len(told) == 2
    assert overlay.last("0/loss/ce") == 2.0


def test_what_was_read_is_kept_when_other_runs_are_chosen(pair: Overlay, tmp_path: Path) -> None:
    third = train(tmp_path, "third", {1: 9.0})
    after = Overlay([third, pair.runs[1]], pair)
    assert after.members[1] is pair.members[1]
    assert len(Overlay([RunFolder(tmp_path / str(number)) for number in range(12)]).members) == MOST


def test_a_run_without_records_hides_nothing_of_the_others(pair: Overlay, tmp_path: Path) -> None:
    empty = create_run(tmp_path, Config(), name="empty")
    overlay = read(empty, *pair.runs)
    assert overlay.common_end("step") == 10.0
    assert rows(overlay, "loss/ce", "step", 10, 1)[0].value is None
    assert read(empty).span("step") == (0.0, 0.0)


def test_markers_are_told_apart_and_stay_with_their_names() -> None:
    names = [f"run-{number}" for number in range(MOST)]
    assert len(set(places(names))) == MOST == len(set(MARKERS))
    assert len({place % COLOURS for place in places(names[:COLOURS])}) == COLOURS
    assert places(["run-1"]) == places(["run-1"])


def test_only_keys_that_differ_are_told() -> None:
    configs = [{"a.x": 1, "a.y": True, "about.description": "p"}, {"a.x": 1, "a.y": False, "about.description": "q"}]
    assert differing(configs) == [("a.y", [True, False])]
    assert differing([{"a": 1}, {"b": 2}]) == [("a", [1, None]), ("b", [None, 2])]
    assert [shown(value) for value in (None, True, 0.02, 1e-4, "x\ny")] == ["–", "on", "0.02", "0.0001", "x y"]


def test_numbers_that_are_not_finite_are_named_in_the_document(tmp_path: Path) -> None:
    runs = [train(tmp_path, name, {1: 2.0, 2: value}) for name, value in (("a", 1.0), ("lost", math.inf))]
    lost = document(read(*runs), "loss/ce", "step", None, 0)["runs"][1]
    assert (lost["value"], lost["newest"], lost["finals"]["loss/ce"]) == (None, None, None)
    assert lost["nonfinite"] == {"value": "inf", "difference": "inf", "newest": "inf", "finals.loss/ce": "inf"}
