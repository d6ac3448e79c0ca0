"""The index of runs: it reads in portions, asks little of what rests, and keeps runs of several roots apart."""

from __future__ import annotations

import os
import time
from pathlib import Path
from unittest import mock

import pytest

from nanoconsole.services import known_run, run_index
from nanoconsole.services.listed import RunList
from nanoconsole.services.run_index import RunIndex
from nanoconsole.services.run_listing import labelled
from nanoconsole.services.spark import POINTS, course, spark
from nanocore.config.schema import Config
from nanocore.config.toml import save
from nanocore.runs.layout import RunFolder
from nanocore.runs.notes import change_notes
from nanocore.runs.records import RecordWriter
from tests.tui.scenes import at_work, lay, set_status


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def whole(index: RunIndex) -> RunList:
    listed, waiting = index.look()
    while waiting:
        listed, waiting = index.look()
    return listed


def names(listed: RunList) -> list[str]:
    return [run.label for run in listed.runs]


def test_a_list_is_the_same_object_until_something_changes(root: Path) -> None:
    run = lay(root, "a", steps=3)
    index = RunIndex(root)
    first = whole(index)
    assert index.look()[0] is first
    change_notes(run, add=["good"])
    second = index.look()[0]
    assert second is not first
    assert second.runs[0].notes.tags == ("good",)


def test_many_new_runs_come_in_portions_the_last_changed_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        run = lay(root, f"r{number}", steps=2, age=number)
        moment = time.time() - 100 * number
        os.utime(run.path, (moment, moment))
    monkeypatch.setattr(run_index, "PORTION", 0.0)
    index = RunIndex(root)
    listed, waiting = index.look()
    assert (names(listed), listed.unread, waiting) == (["r0"], 3, True)
    assert names(whole(index)) == ["r0", "r1", "r2", "r3"]
    assert whole(index).unread == 0


def test_runs_at_rest_are_asked_in_turn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [lay(root, f"r{number}", steps=2, age=number) for number in range(4)]
    monkeypatch.setattr(run_index, "RESTING", 2)
    index = RunIndex(root)
    whole(index)
    for run in runs:
        set_status(run, state="crashed")
    seen = [sum(run.summary.state == "crashed" for run in index.look()[0].runs) for _ in range(3)]
    assert seen[-1] == 4 and seen[0] < 4


def test_a_run_that_goes_away_leaves_the_list_and_a_new_one_comes(root: Path) -> None:
    lay(root, "a", steps=2)
    index = RunIndex(root)
    whole(index)
    (root / "a").rename(root.parent / "a")
    lay(root, "b", steps=2)
    assert names(whole(index)) == ["b"]


def test_a_folder_that_becomes_a_run_later_is_seen(root: Path) -> None:
    lay(root, "a", steps=2)
    index, late = RunIndex(root), root / "late"
    late.mkdir()
    whole(index)
    (late / "run.json").write_text("{}")
    assert names(whole(index)) == ["a", "late"]


def test_a_root_at_rest_is_listed_rarely(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(root, "a", steps=2)
    os.utime(root, (1e9, 1e9))
    index = RunIndex(root)
    with mock.patch("nanoconsole.services.run_listing.list_runs", wraps=run_index_list) as lists:
        for _ in range(20):
            index.look()
        assert lists.call_count == 1
        lay(root, "b", steps=2)
        assert names(whole(index)) == ["a", "b"]


def run_index_list(root: Path) -> list[RunFolder]:
    from nanocore.runs.layout import list_runs

    return list_runs(root)


def test_names_in_two_roots_do_not_collide(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "lab"
    lay(root, "same", steps=2, age=5)
    lay(other, "same", steps=4, age=9)
    index = RunIndex(root, [other, root, tmp_path / "missing"])
    listed = whole(index)
    assert names(listed) == ["same", "lab/same"]
    assert [run.run.path.parent for run in listed.runs] == [root, other]
    assert [run.summary.step for run in listed.runs] == [2, 4]
    index.set_others([])
    assert names(whole(index)) == ["same"]


def test_roots_are_told_apart_by_as_much_of_their_path_as_needed() -> None:
    roots = [Path("/home/a/runs"), Path("/home/b/runs"), Path("/data/lab")]
    assert [label for _, label in labelled(Path("/x"), roots)] == ["", "a/runs", "b/runs", "lab"]


def test_a_stall_is_seen_in_the_list(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(known_run, "StallWatch", lambda: run_index_watch(lambda: now[0]))
    run = lay(root, "busy", state="running", steps=20)
    index = RunIndex(root)
    with at_work(run):
        assert whole(index).runs[0].state == "running"
        now[0] = 10_000.0
        assert whole(index).runs[0].state == "stalled"
        assert "makes no progress" in whole(index).runs[0].stall or "does not react" in whole(index).runs[0].stall
        set_status(run, progress=99, alive=9)
        assert whole(index).runs[0].state == "running"


run_index_watch = known_run.StallWatch


def test_configurations_are_read_when_they_are_wanted_and_again_when_they_change(root: Path) -> None:
    run = lay(root, "a", steps=2)
    index = RunIndex(root)
    assert whole(index).runs[0].config is None
    index.configs = True
    config = whole(index).runs[0].config
    assert config is not None
    assert (config["optimizer.matrix_lr"], config["mhc.streams"]) == (0.02, 1)
    save(Config.model_validate({"mhc": {"streams": 4}}), run.config_file)
    again = whole(index).runs[0].config
    assert again is not None
    assert again["mhc.streams"] == 4


def test_hostile_folders_make_a_row_each_and_no_error(root: Path) -> None:
    for name, file, content in (
        ("a", "metrics.jsonl", b"\x00\xff{{{\n" * 50),
        ("b", "status.json", b'{"state": "\\u001b[2J"}'),
        ("c", "notes.toml", b"\xff"),
        ("d", "config.toml", b"[[["),
        ("e", "metrics.jsonl", b'{"step": 1, "loss/ce": 1e999}\n'),
    ):
        (lay(root, name, steps=2).path / file).write_bytes(content)
    (lay(root, "f", steps=2).run_file).write_bytes(b"[]")
    index = RunIndex(root)
    index.configs = True
    listed = whole(index)
    assert sorted(names(listed)) == list("abcdef")
    assert "\x1b" not in repr(listed.runs)


def test_the_course_of_a_long_run_is_read_from_few_places(root: Path) -> None:
    run = lay(root, "long", steps=1)
    run.metrics_file.unlink()
    writer = RecordWriter(run.metrics_file)
    for step in range(1, 3001):
        writer.write({"step": step, "attempt": 1, "loss/ce": 10.0 - step / 400, "filler": "x" * 60})
    writer.close()
    losses = course(run)
    assert run.metrics_file.stat().st_size > 2 * POINTS * 2048
    assert POINTS - 1 <= len(losses) <= POINTS
    assert list(losses) == sorted(losses, reverse=True)
    assert losses[0] > 9.9 and losses[-1] == 2.5


@pytest.mark.parametrize(
    ("losses", "width", "drawn"),
    [
        ((), 8, ""),
        ((3.0,), 8, "▁"),
        ((8.0, 4.0, 1.0), 8, "█▄▁"),
        ((8.0, float("nan"), 1.0), 8, "█✕▁"),
        (tuple(range(16, 0, -1)), 4, "█▆▃▁"),
        ((5.0, 4.0, float("inf"), 2.0, 1.0, 1.0), 3, "█✕▁"),
    ],
)
def test_a_spark_line_spans_lowest_to_highest_and_hides_no_bad_value(losses, width: int, drawn: str) -> None:
    assert spark(losses, width) == drawn
