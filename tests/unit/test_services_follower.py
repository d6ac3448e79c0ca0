"""The follower: one thread that reads every run, and what it tells of the run that is watched."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from unittest import mock

import pytest

from nanoconsole.services import known_run, run_listing
from nanoconsole.services.follower import RunFollower
from nanoconsole.services.listed import RunList
from nanoconsole.services.watched import LogBuffer, RunUpdate, WatchedRun
from nanocore.runs.layout import RunFolder
from nanocore.runs.records import RecordWriter
from tests.run_helpers import wait_for
from tests.tui.scenes import SteadyMeters, at_work, lay, set_status


class Told:
    """Keeps what a follower tells."""

    def __init__(self, root: Path) -> None:
        self.lists: list[RunList] = []
        self.updates: list[RunUpdate] = []
        self.failures: list[Exception] = []
        told = (self.lists.append, self.updates.append, self.failures.append)
        self.follower = RunFollower(root, *told, interval=0.01)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr("nanoconsole.services.watched.MeterReader", SteadyMeters)
    return Told(tmp_path)


def names(listed: RunList) -> list[str]:
    return [run.summary.name for run in listed.runs]


def test_the_list_is_told_newest_first_and_only_when_it_changed(told: Told, tmp_path: Path) -> None:
    told.follower.poll_list()
    assert [listed.runs for listed in told.lists] == [()]
    lay(tmp_path, "old", age=900)
    new = lay(tmp_path, "new", age=9)
    told.follower.poll_list()
    told.follower.poll_list()
    assert len(told.lists) == 2
    assert names(told.lists[1]) == ["new", "old"]
    set_status(new, state="crashed")
    told.follower.poll_list()
    assert [run.summary.state for run in told.lists[2].runs] == ["crashed", "finished"]


def test_ended_runs_are_not_read_again(told: Told, tmp_path: Path) -> None:
    lay(tmp_path, "done", steps=3)
    busy = lay(tmp_path, "busy", state="running", steps=3)
    with at_work(busy), mock.patch.object(known_run, "observe", wraps=known_run.observe) as looks:
        for _ in range(3):
            told.follower.poll_list()
        assert [call.args[0].name for call in looks.call_args_list].count("done") == 1
        assert [call.args[0].name for call in looks.call_args_list].count("busy") == 3


def test_the_trend_of_the_newest_losses_is_told(told: Told, tmp_path: Path) -> None:
    lay(tmp_path, "learning", steps=60)
    lay(tmp_path, "young", steps=5, age=9999)
    told.follower.poll_list()
    learning, young = told.lists[-1].runs
    assert learning.trend is not None
    assert learning.trend < -0.05
    assert young.trend is None


def test_a_death_without_a_word_is_noticed_without_any_file_changing(told: Told, tmp_path: Path) -> None:
    run = lay(tmp_path, "busy", state="running", steps=3)
    with at_work(run):
        told.follower.poll_list()
    set_status(run, pid=2**22 + 1)  # as of a process that is no more
    told.follower.poll_list()
    assert [listed.runs[0].summary.state for listed in told.lists] == ["running", "crashed"]
    assert told.lists[0].working
    assert not told.lists[1].working


def test_texts_of_a_summary_are_one_safe_line(told: Told, tmp_path: Path) -> None:
    lay(tmp_path, "odd", state="crashed", message="two\nlines \x1b[2J")
    told.follower.poll_list()
    assert told.lists[0].runs[0].summary.message == "two lines ␛[2J"


def test_the_watched_run_is_told_with_history_log_sample_and_meters(told: Told, tmp_path: Path) -> None:
    run = lay(tmp_path, "done", steps=100, total=100)
    told.follower.watch(run)
    assert not told.follower.poll_run()
    update = told.updates[-1]
    assert update.step == update.steps == 100
    assert update.history.span("step") == (1.0, 100.0)
    assert update.sample is not None
    assert update.sample.step == 100
    assert len(update.log.since()[0]) == 100
    assert update.meters is not None
    assert update.eta is None


def test_eta_is_the_pace_of_training_times_the_steps_left(told: Told, tmp_path: Path) -> None:
    run = lay(tmp_path, "busy", state="running", steps=100, total=500)
    told.follower.watch(run)
    with at_work(run):
        told.follower.poll_run()
        assert told.updates[-1].eta == pytest.approx(400 * 0.25)
        set_status(run, state="paused")
        told.follower.poll_run()
        assert told.updates[-1].eta is None


def test_a_replaced_metrics_file_is_read_from_its_start(told: Told, tmp_path: Path) -> None:
    run = lay(tmp_path, "busy", steps=50)
    told.follower.watch(run)
    told.follower.poll_run()
    other = tmp_path / "other.jsonl"
    writer = RecordWriter(other)
    writer.write({"step": 7, "attempt": 1, "loss/ce": 7.0})
    writer.close()
    other.replace(run.metrics_file)
    told.follower.poll_run()
    assert told.updates[-1].history.tail("loss/ce", 10).tolist() == [7.0]


def test_a_long_history_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanoconsole.services.watched.MeterReader", SteadyMeters)
    for size in ("FIRST", "CHUNK"):
        monkeypatch.setattr(f"nanoconsole.services.metrics_reader.{size}", 4096)
    monkeypatch.setattr("nanoconsole.services.watched.SLICE", 1e-9)
    watched = WatchedRun(lay(tmp_path, "long", steps=200), tmp_path)
    assert watched.poll().history.span("step")[1] == 200.0  # the newest first
    assert watched.history.span("step")[0] > 100.0
    polls = 1
    while watched.poll().reading:
        polls += 1
    assert polls > 5
    assert watched.history.span("step") == (1.0, 200.0)


def test_a_stall_is_told_by_the_readers_own_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanoconsole.services.watched.MeterReader", SteadyMeters)
    run, now = lay(tmp_path, "busy", state="running", steps=60), [0.0]
    watched = WatchedRun(run, tmp_path, clock=lambda: now[0])
    with at_work(run):
        assert watched.poll().verdict.level == "good"
        now[0] = 10_000.0
        assert "stalled" in watched.poll().verdict.text
        set_status(run, progress=61)
        assert watched.poll().verdict.level == "good"


def test_the_thread_tells_and_ends(told: Told, tmp_path: Path) -> None:
    run = lay(tmp_path, "done", steps=5)
    told.follower.start()
    told.follower.watch(run)
    wait_for(lambda: told.lists and told.updates, "list and update")
    told.follower.stop()
    count = len(told.updates)
    assert "run follower" not in [thread.name for thread in threading.enumerate()]
    assert len(told.updates) == count


def test_an_error_nobody_expected_is_told_and_not_swallowed(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_listing, "list_runs", lambda root: 1 / 0)
    told.follower.start()
    wait_for(lambda: told.failures, "the failure")
    told.follower.stop()
    assert isinstance(told.failures[0], ZeroDivisionError)


def test_a_folder_that_vanishes_is_no_error(told: Told, tmp_path: Path) -> None:
    told.follower.watch(RunFolder(tmp_path / "gone"))
    told.follower.poll_run()
    assert told.updates[-1].state.state == "gone"


def test_a_log_buffer_gives_each_line_once_and_says_when_to_forget() -> None:
    buffer = LogBuffer(keep=3)
    buffer.add(["a", "b"])
    lines, place, void = buffer.since()
    assert (lines, void) == (["a", "b"], False)
    buffer.add(["c", "d", "e", "f"])
    lines, place, void = buffer.since(place)
    assert (lines, void) == (["d", "e", "f"], False)
    assert buffer.since(place) == ([], place, False)
    buffer.add(["new"], restarted=True)
    lines, place, void = buffer.since(place)
    assert (lines, void) == (["new"], True)
    assert buffer.since(place) == ([], place, False)


def test_what_was_read_of_a_run_stays_when_its_folder_is_deleted(tmp_path: Path) -> None:
    run = lay(tmp_path, "r", steps=30)
    watched = WatchedRun(run, tmp_path)
    watched.poll()
    shutil.rmtree(run.path)
    update = watched.poll()
    assert (update.state.state, update.step, bool(update.sample)) == ("gone", 30, True)
    assert update.history.last("loss/ce") is not None
    assert (update.verdict.level, update.verdict.text) == ("warning", "gone: its folder was deleted or moved")
